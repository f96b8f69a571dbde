"""The pictures of a reference run that the book keeps: small folders of runs among the records.

Each holds what the run's own folder does, but for its logs, and of samples.npz what the figures
show.  So a figure is drawn from them as from a run of this machine.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cgnlib import paths
from cgnlib.artefacts import Result, folder_of, is_done
from cgnlib.errors import CGNError
from cgnlib.experiments import CLAIMS, Run, grid

FILES = ("spec.json", "env.json", "metrics.json")
PARTS = ("mask", "premask", "fg", "bg", "x_gen", "x_gt")
FIRST = tuple(range(12))
# The rows of each array that are shown; the others stay black, so that places are the same.
SHOWN = {
    "evaluation": {"real": FIRST, "counterfactual": FIRST},
    "quality": dict.fromkeys(PARTS, (0, 1, 2, 6, 9)) | {"counterfactual": FIRST, "classes": FIRST},
}


def pictured(claim: str, profile: str) -> list[Run]:
    """The runs of a claim whose pictures are kept: of each kind of CGN, the first seed."""
    judged = [run for run in grid(profile, claim) if run.kind in SHOWN]
    sources = (dict(run.needs).get("generator") for run in judged)
    return [run for run, cgn in zip(judged, sources, strict=True) if cgn and cgn.seed == 0]


def write(profile: str) -> Iterator[Path]:
    """Keep the pictures of the finished runs of a profile; of `mini`, which all can run, none.

    Yields the folders.
    """
    if profile == "mini":
        return
    for run in (run for claim in CLAIMS for run in pictured(claim, profile) if is_done(run)):
        source, folder = folder_of(run), _folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        with np.load(source / "samples.npz") as stored:
            arrays = {name: _only(stored[name], rows) for name, rows in SHOWN[run.kind].items()}
        np.savez_compressed(folder / "samples.npz", **arrays)
        for name in FILES:
            shutil.copyfile(source / name, folder / name)
        yield folder


def read(claim: str, profile: str = "full") -> list[Result]:
    """The runs of a claim whose pictures are kept.

    Raises CGNError where one is missing, or was made from another spec than is declared now.
    """
    found = [Result(run, _folder(run)) for run in pictured(claim, profile)]
    for result in found:
        there = (result.folder / "samples.npz").exists()
        if not there or result.spec | result.run.spec() != result.spec:
            raise CGNError(
                f"{result.folder} {'is of another spec' if there else 'has no pictures'}: restore "
                f"it with git checkout, or make it with python -m cgnlib run --profile {profile} "
                f"{result.run.id}, then python -m cgnlib record --profile {profile}"
            )
    return found


def _folder(run: Run) -> Path:
    return paths.records() / "samples" / run.id


def _only(array: np.ndarray, rows: tuple[int, ...]) -> np.ndarray:
    shown = np.zeros_like(array)
    shown[list(rows)] = array[list(rows)]
    return shown
