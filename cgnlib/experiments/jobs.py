"""Runs as jobs of a cluster: what each needs, what all will cost, and which are done.

The rates of the kinds are rounded from runs on one core of a virtual machine (AMD EPYC) that
multiplies bfloat16; those of VGG-16 and of whole CGNs are guesses.  What is on ImageNet was never
run by us: hours on a GPU are those of the paper (training under 12) and of the study (generation
about 3, classification 8), the others are guesses.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cgnlib import paths
from cgnlib.errors import CGNError, ending
from cgnlib.experiments.run import Run, with_needs

START = 10.0  # seconds until a job computes
SLACK = 4  # times what is expected may pass before a job is ended; it is resumed then
RETRIES = 3  # of what failed, as profiles/slurm has it


@dataclass(frozen=True)
class Resources:
    """What a job asks for: CPU cores, memory, minutes before it is ended, GPUs.

    resumed: how often it may be ended, beyond failures, before it is done.
    """

    cores: int
    memory_mb: int
    minutes: int
    gpus: int
    resumed: int = 0

    @property
    def partition(self) -> dict[str, str]:
        """`slurm_partition`, where CGN_CPU_PARTITION or CGN_GPU_PARTITION names one or more.

        Raises CGNError where it says what names none.
        """
        variable = "CGN_GPU_PARTITION" if self.gpus else "CGN_CPU_PARTITION"
        told = os.environ.get(variable, "").strip()
        if told and not re.fullmatch(r"\w[\w.,-]*", told):
            raise CGNError(f"{variable} is {told!r}: set it to a partition that `sinfo` shows")
        return {"slurm_partition": told} if told else {}


def expected_seconds(run: Run) -> float:
    """How long a run should take: on one core, or on one GPU where it asks for one."""
    return START + (3600 * run.gpu_hours if _on_gpu(run) else run.seconds())


def _on_gpu(run: Run) -> bool:
    return run.asks_for_gpu and not run.rehearsal


def resources(run: Run) -> Resources:
    """What a run asks a cluster for.  Raises CGNError as `_asked` does."""
    minutes = math.ceil(max(10, SLACK * expected_seconds(run) / 60))
    return _asked(minutes, 8, 32_000, 1) if _on_gpu(run) else _asked(minutes)


def resources_of_chapter() -> Resources:
    """What the execution of a chapter asks for, its runs being done.  Raises as `_asked` does."""
    return _asked(30)


def _asked(minutes: int, cores: int = 1, memory_mb: int = 4_000, gpus: int = 0) -> Resources:
    """No longer at a time than the cluster at hand allows, and resumed as often as that takes.

    Raises CGNError where CGN_MAX_MINUTES, the longest time of a job, is no number above 0.
    """
    told = os.environ.get("CGN_MAX_MINUTES") or str(minutes)
    if not (re.fullmatch(r"\d{1,9}", told) and int(told)):
        raise CGNError(f"CGN_MAX_MINUTES is {told!r}: set it to a number of minutes, or unset it")
    most = min(minutes, int(told))
    return Resources(cores, memory_mb, most, gpus, resumed=math.ceil(minutes / most) - 1)


def is_finished(run: Run) -> bool:
    """Whether a run's folder holds its numbers as stated, and was made from what is declared.

    What it read (data, pretrained parts) and its other artefacts are not looked at here:
    `runs.is_done` does that.
    """
    folder = paths.runs(run.profile) / run.id
    try:
        made = json.loads(ending(folder / "spec.json").read_text())
        stated = json.loads(ending(folder / "artefacts.json").read_text())
        numbers = hashlib.sha256(ending(folder / "metrics.json").read_bytes()).hexdigest()
    except (OSError, ValueError, RecursionError):
        return False
    whole = isinstance(made, dict) and isinstance(stated, dict)
    whole = whole and stated.get("metrics.json") == numbers
    return whole and all(made.get(key) == value for key, value in run.spec().items())


def mark(run: Run) -> Path:
    """An empty file that stands for a finished run in a workflow.

    A workflow deletes the outputs of jobs that failed, or that it does not know to be complete:
    so it is given these, and never a result.
    """
    runs = paths.runs(run.profile)  # which may be others', and are only read
    place = hashlib.sha256(str(runs).encode()).hexdigest()[:8]
    return paths.ROOT / "_build" / "marks" / f"{run.profile}-{place}" / run.id


def renew_marks(runs: Iterable[Run]) -> None:
    """Marks for the finished runs, as old as their results, and for no others."""
    for run in runs:
        path = mark(run)
        if not is_finished(run):
            path.unlink(missing_ok=True)
            continue
        changed = (paths.runs(run.profile) / run.id / "metrics.json").stat().st_mtime
        if not path.exists() or path.stat().st_mtime != changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (changed, changed))


def cost(runs: Iterable[Run], is_done: Callable[[Run], bool] = is_finished) -> str:
    """A line about what is left of the runs: how many, and how much of which machine."""
    runs = list(runs)
    left = [run for run in runs if not is_done(run)]
    core = sum(expected_seconds(run) for run in left if not _on_gpu(run)) / 3600
    gpu = sum(expected_seconds(run) for run in left if _on_gpu(run)) / 3600
    done = f"{len(runs) - len(left)} of {len(runs)} runs are done"
    return f"{done}; about {core:.1f} core hours and {gpu:.0f} GPU hours are left"


def chains(runs: Iterable[Run]) -> dict[str, float]:
    """By id: the expected seconds from a run's start to the end of all that waits for it, if
    nothing else kept a core busy.
    """
    behind: dict[str, float] = {}
    chain = {}
    for run in reversed(with_needs(runs)):
        chain[run.id] = expected_seconds(run) + behind.get(run.id, 0)
        for need in run.needs.values():
            behind[need.id] = max(behind.get(need.id, 0), chain[run.id])
    return chain
