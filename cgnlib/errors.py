"""The exceptions that a reader is meant to see, and how others are quoted in it."""

from collections.abc import Iterator
from contextlib import contextmanager


class CGNError(Exception):
    """Something the user can mend: the message says what, where and how, in one line."""


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


class Interrupted(Exception):
    """A computation was asked to stop, and has saved its state: the same command goes on."""
