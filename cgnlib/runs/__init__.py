"""Runs whatever is declared: `ensure(runs)` loads what is done, and computes what is not."""

from cgnlib.runs.attempt import adopt
from cgnlib.runs.pool import ensure, missing
from cgnlib.runs.process import compute_here
from cgnlib.runs.results import Result, folder_of, is_done, load

__all__ = ["Result", "adopt", "compute_here", "ensure", "folder_of", "is_done", "load", "missing"]
