"""The pictures of the reference run that the book keeps: small folders of runs among the records.

Each holds what the run's own folder does, but for its logs, and of samples.npz what the figures
show.  So a figure is drawn from them as from a run of this machine.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from cgnlib import paths
from cgnlib.errors import CGNError, reason
from cgnlib.experiments import ABLATIONS, CLAIMS, Run, grid
from cgnlib.runs.results import Result, folder_of, is_done

REFERENCE = "full"
FILES = ("spec.json", "env.json", "metrics.json")
PARTS = ("mask", "premask", "fg", "bg", "x_gen")
# By the name of a CGN, the rows of each array that are shown; the others stay black, so that
# places are the same.
SHOWN = {name: dict.fromkeys(PARTS, (1,)) for name in ABLATIONS} | {
    "published": {"counterfactual": tuple(range(12))},
    "none": dict.fromkeys((*PARTS, "x_gt"), (0, 1, 2))
    | dict.fromkeys(("counterfactual", "classes"), tuple(range(6))),
}


def pictured(claim: str) -> list[Run]:
    """The runs of a claim whose pictures are kept."""
    declared = grid(REFERENCE, claim)
    return [r for r in declared if r.shows_pictures and r.name in SHOWN and r.seed == 0]


def write(profile: str) -> Iterator[Path]:
    """Keep the pictures of the finished runs of a profile, where it is that of the reference run.

    Yields the folders.  Raises CGNError where the pictures of a run cannot be read.
    """
    if profile != REFERENCE:
        return
    runs = {run.id: run for claim in CLAIMS for run in pictured(claim)}
    for run in filter(is_done, runs.values()):
        folder = _folder(run)
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        np.savez_compressed(part / "samples.npz", **_shown(run))
        for name in FILES:
            shutil.copyfile(folder_of(run) / name, part / name)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        yield folder


def read(claim: str) -> list[Result]:
    """The runs of a claim whose pictures are kept.  Raises CGNError where one's are missing."""
    found = [Result(run, _folder(run)) for run in pictured(claim)]
    for result in found:
        if not (result.folder / "samples.npz").exists():
            raise CGNError(
                f"{result.folder} has no pictures: restore it with git checkout, or make it with "
                f"{result.run.command}, then python -m cgnbook record --profile {REFERENCE}"
            )
    return found


def _folder(run: Run) -> Path:
    return paths.records() / "samples" / run.id


def _shown(run: Run) -> dict[str, np.ndarray]:
    path = folder_of(run) / "samples.npz"
    try:
        with np.load(path) as stored:
            return {name: _only(stored[name], rows) for name, rows in SHOWN[run.name].items()}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): delete {path.parent}, then {run.command}"
        ) from error


def _only(array: np.ndarray, rows: tuple[int, ...]) -> np.ndarray:
    shown = np.zeros_like(array)
    shown[list(rows)] = array[list(rows)]
    return shown
