"""The exceptions that a reader is meant to see, and how others are quoted in it."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class CGNError(Exception):
    """Something the user can mend: the message says what, where and how, in one line."""

    def __str__(self) -> str:
        """One line also where a path has more."""
        return super().__str__().replace("\n", "\\n").replace("\r", "\\r")


class MissingError(CGNError):
    """A file or folder that the user has to get: nothing lies in its place."""


class ElsewhereError(CGNError):
    """A state was saved on another device or in another arithmetic, in which it has to go on.

    there, here: the two, `cuda in float32`.
    """

    def __init__(self, message: str, there: str, here: str):
        super().__init__(message)
        self.there, self.here = there, here


def reason(error: BaseException) -> str:
    """The first line of another error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def ending(path: Path) -> Path:
    """The path of what has an end: a pipe or a device may have none, or be waited for for ever.

    Raises OSError for these, and where nothing is there.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, and no file", str(path))
    return path


@contextmanager
def legible() -> Iterator[None]:
    """Also a decorator: what the system refuses to show is one line."""
    try:
        yield
    except OSError as error:
        mend = "mend it and run again"
        if isinstance(error, PermissionError):
            mend = "ask its owner for `chmod -R a+rX`, or use a copy of your own"
        raise CGNError(f"{error.filename} cannot be read ({error.strerror}): {mend}") from error


def ended(command: Callable[[], int | None], interrupted: str) -> int:
    """The exit status of a command: 1 for what the user can mend, in one line, 130 for Ctrl-C.

    interrupted: what a Ctrl-C leaves.  What it prints may go nowhere, to a reader that has seen
    enough (`| head`), or hold a path that is no text.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = command()
        if sys.stdout is not None:  # it is where a shell was told `>&-`
            sys.stdout.flush()
        return status or 0
    except CGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: {interrupted}", file=sys.stderr)
        return 130
    except OSError as error:
        with suppress(OSError, AttributeError):  # or Python would print again, at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0
        print(f"error: {error}: mend it and run the same command again", file=sys.stderr)
        return 1


class Interrupted(Exception):
    """A computation was asked to stop, and has saved its state: the same command goes on."""
