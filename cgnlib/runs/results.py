"""What a finished run leaves, and whether a run is done.

A run's folder, runs/<profile>/<id>/, holds spec.json, the artefacts of its kind (history.csv,
decisions.csv, weights.safetensors, images.npy, samples.npz, film.npz), env.json, artefacts.json,
which states the sha256 of each of them, and metrics.json, written last and by rename: its presence
means done; and a log of each attempt.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cgnlib import paths
from cgnlib.data.sources import sha256
from cgnlib.errors import CGNError, ending, legible, reason
from cgnlib.experiments import Run
from cgnlib.runs.inputs import checksums

STATEMENT = "artefacts.json"


@dataclass(frozen=True)
class Result:
    """A finished run: its declaration and the folder of its artefacts."""

    run: Run
    folder: Path

    @cached_property
    def metrics(self) -> dict:
        """The run's numbers, fractions where they are shares."""
        return _read_json(self.folder / "metrics.json")

    @cached_property
    def env(self) -> dict:
        """Where, when, with what and for how long it was computed."""
        return _read_json(self.folder / "env.json")

    @property
    def spec(self) -> dict:
        return _read_json(self.folder / "spec.json")

    def history(self) -> list[dict[str, float]]:
        """A row for each part of the training.  Raises CGNError where it cannot be read."""
        path = self.folder / "history.csv"
        try:
            with ending(path).open(newline="") as file:
                rows = list(csv.DictReader(file))
                return [{k: float(v) for k, v in row.items() if v} for row in rows]
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise CGNError(
                f"{path} cannot be read ({reason(error)}): {_again(self.run, self.folder)}"
            ) from error


def folder_of(run: Run) -> Path:
    return paths.runs(run.profile) / run.id


@legible()
def is_done(run: Run) -> bool:
    """Whether the run is there, was made from the same spec, and is as it was written.

    Raises CGNError where a folder of that name was made from another spec, where an artefact is not
    as it was written, or not stated, and where it may not be read.
    """
    if not is_made(run):
        return False
    _check(run, folder_of(run))
    return True


def is_made(run: Run) -> bool:
    """Whether a run was ever finished from the same spec; its artefacts are not looked at.

    Raises CGNError where a folder of that name was made from another spec.
    """
    folder = folder_of(run)
    if not paths.exists(folder / "spec.json"):
        return False
    made, wanted = _read_json(folder / "spec.json"), full_spec(run)
    if made != wanted:
        if not set(folder.iterdir()) - {folder / "spec.json", *logs_of(folder)}:
            return False  # it failed before it left anything: there is nothing to protect
        raise CGNError(
            f"{folder} was made from another spec ({_difference(made, wanted)}): "
            "move it away, or set CGN_RUNS to another folder"
        )
    return paths.exists(folder / "metrics.json")


def load(run: Run) -> Result:
    """A run that is done already.  Raises CGNError when it is not."""
    if not is_done(run):
        raise CGNError(f"run {run.id} is not done: {run.command}")
    return Result(run, folder_of(run))


def full_spec(run: Run) -> dict:
    """What decides the result: the run's declaration, and the checksums of what it reads."""
    return run.spec() | {"inputs": checksums(run.reads())}


def _difference(made: dict, wanted: dict) -> str:
    for key in wanted:
        if made.get(key) == wanted[key]:
            continue
        if isinstance(wanted[key], dict) and isinstance(made.get(key), dict):
            return f"{key}: {_difference(made[key], wanted[key])}"
        return f"{key} was {made.get(key)!r} and is {wanted[key]!r}"
    return "it has " + ", ".join(made.keys() - wanted.keys()) + " besides"


def _check(run: Run, folder: Path) -> None:
    """Raises CGNError for an artefact that is not what was written."""
    again = _again(run, folder)
    if not paths.exists(folder / STATEMENT):
        raise CGNError(
            f"{folder / STATEMENT} is gone, or the run older than such files: {again}; if you "
            f"trust it as it is, python -m cgnlib adopt --profile {run.profile} {run.id}"
        )
    stated, found = _read_json(folder / STATEMENT), sums(folder)
    if "metrics.json" not in stated:
        raise CGNError(f"{folder / STATEMENT} does not state what was written: {again}")
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            raise CGNError(f"{folder / name} is gone: {again}")
        if name in stated and stated[name] != found[name]:
            raise CGNError(f"{folder / name} is not what was written (another sha256): {again}")


def unstated(run: Run) -> dict[str, str]:
    """What a finished run would state that states nothing; empty for any other.

    Raises CGNError where its numbers or its provenance cannot be read, and as `is_made` does.
    """
    folder = folder_of(run)
    if not is_made(run) or paths.exists(folder / STATEMENT):
        return {}
    for name in ("metrics.json", "env.json"):
        if not _read_json(folder / name):
            raise CGNError(f"{folder / name} says nothing: {_again(run, folder)}")
    return sums(folder)


def _again(run: Run, folder: Path) -> str:
    return f"delete {folder}, then {run.command}"


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of what a run left, by name; of a folder that of its files' names and sums."""
    unfinished = {*logs_of(folder), *folder.glob("checkpoint*"), *folder.glob("*.part")}
    left = (p for p in folder.iterdir() if p not in unfinished and p.name != STATEMENT)
    return {path.name: _sum(path) for path in left if paths.is_data(path.name)}


def _sum(path: Path) -> str:
    if not paths.is_dir(path):
        return sha256(path)
    files = ((p.relative_to(path), p) for p in sorted(path.rglob("*")) if p.is_file())
    lines = (f"{name} {sha256(p)}\n" for name, p in files if paths.is_data(name))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def logs_of(folder: Path) -> list[Path]:
    return list(folder.glob("attempt-[0-9][0-9][0-9].log"))


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(ending(path).read_text())
        if not isinstance(content, dict):
            raise ValueError("it does not hold an object")
        return content
    except (OSError, ValueError, RecursionError) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): delete {path.parent} and run again"
        ) from error
