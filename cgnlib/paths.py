"""Where things live: data, runs and records."""

import os
from pathlib import Path

from cgnlib.errors import CGNError

ROOT = Path(__file__).resolve().parents[1]


def data() -> Path:
    """Downloaded data and weights: CGN_DATA, else `data/` beside the package."""
    return _place("CGN_DATA", "data")


def runs(profile: str) -> Path:
    """The artefacts of a profile's runs: under CGN_RUNS, else `runs/` beside the package."""
    return _place("CGN_RUNS", "runs") / profile


def records() -> Path:
    """The small tracked evidence that the book shows."""
    return ROOT / "book" / "records"


def _place(variable: str, usual: str) -> Path:
    """What a variable says, `~` and `$NAME` expanded; a relative path is one from the project."""
    told = os.environ.get(variable) or usual
    path = os.path.expandvars(os.path.expanduser(told))
    if path.startswith("~") or "$" in path:
        raise CGNError(f"{variable} is {told!r}, which names no folder: set it to a path")
    return ROOT / path
