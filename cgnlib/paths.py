"""Where things live: data, runs and records."""

import errno
import os
import stat
from pathlib import Path, PurePath

from cgnlib.errors import CGNError

ROOT = Path(__file__).resolve().parents[1]
LEFT_BEHIND = ("__macosx", "thumbs.db", "desktop.ini")  # beside names that begin with a dot


def data() -> Path:
    """Downloaded data and weights: CGN_DATA, else `data/` beside the package."""
    return _place("CGN_DATA", "data")


def runs(profile: str) -> Path:
    """The artefacts of a profile's runs: under CGN_RUNS, else `runs/` beside the package."""
    return _place("CGN_RUNS", "runs") / profile


def records() -> Path:
    """The small tracked evidence that the book shows."""
    return ROOT / "book" / "records"


def sources() -> Path:
    """The table of downloads.  Raises CGNError where this package is no part of a checkout."""
    table = ROOT / "data_prep" / "sources.toml"
    if not table.is_file():
        raise CGNError(
            f"{ROOT} is no checkout of the book, which holds more than its packages: "
            "in the checkout run `pip install -e .`"
        )
    return table


def is_data(path: PurePath | str) -> bool:
    """Whether a name, or a path inside a folder, is meant: not what systems leave there, as
    `.DS_Store`, `._1.png` or `Thumbs.db`."""
    parts = PurePath(path).parts
    return not any(part.startswith(".") or part.lower() in LEFT_BEHIND for part in parts)


def exists(path: Path) -> bool:
    """Whether anything is there.  Raises OSError where one may not look: from Python 3.14 on
    `Path.exists` and its like say no then, and what is not mine would be called missing."""
    return bool(_mode(path))


def is_file(path: Path) -> bool:
    """Whether it is a file; raises as `exists` does."""
    return stat.S_ISREG(_mode(path))


def is_dir(path: Path) -> bool:
    """Whether it is a folder; raises as `exists` does."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """What kind of thing lies there, as `stat` says it; 0 for nothing."""
    try:
        return os.stat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return 0
        raise


def _place(variable: str, usual: str) -> Path:
    """What a variable says, `~` and `$NAME` expanded; a relative path is one from the project."""
    sources()  # without which there is no project to be relative to
    told = os.environ.get(variable, "").strip() or usual
    path = os.path.expandvars(os.path.expanduser(told))
    if path.startswith("~") or "$" in path:
        raise CGNError(f"{variable} is {told!r}, which names no folder: set it to a path")
    if os.path.isfile(ROOT / path):
        raise CGNError(f"{variable} is {told!r}, which is a file: set it to the path of a folder")
    return ROOT / path
