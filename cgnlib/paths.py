"""Where things live: data, runs and records."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def data() -> Path:
    """Downloaded data and weights: CGN_DATA, else `data/` beside the package."""
    return Path(os.environ.get("CGN_DATA") or ROOT / "data")


def runs(profile: str) -> Path:
    """The artefacts of a profile's runs: under CGN_RUNS, else `runs/` beside the package."""
    return Path(os.environ.get("CGN_RUNS") or ROOT / "runs") / profile


def records() -> Path:
    """The small tracked evidence that the book shows."""
    return ROOT / "book" / "records"
