"""Runs as jobs of a cluster: what each needs, what all will cost, and which are done.

Only the standard library and the declarations are imported, so that a workflow reads this in no
time.  Rates are rounded from runs on one core of a virtual machine (AMD EPYC) that multiplies
bfloat16; those of VGG-16 and of whole CGNs are guesses.  What is on ImageNet was never run by us:
see GPU_HOURS.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cgnlib import paths
from cgnlib.experiments import Run, with_needs

START = 10.0  # seconds until a job computes
SLACK = 4  # times what is expected may pass before a job is ended; it is resumed then
# Seconds for an image, on one core.
IMAGE = {
    "gan": 0.0015,
    "set": 0.0015,
    "classifier": 0.0008,
    "evaluation": 0.003,
    "explanation": 0.005,
    "following": 0.003,
    "crossing": 0.003,
    "reader": 0.0007,
    "disentanglement": 0.01,
    "mechanisms": 0.045,
    "quality": 0.025,
    "images": 0.008,
    "plain": 0.0055,
    "ensemble": 0.0065,
    "robustness": 0.003,
    "head-maps": 0.03,
}
PERCEPTUAL = {"vgg16": 0.034, "efficientnet-lite0": 0.0025}  # of the Gram loss, forth and back
# Hours on a GPU for what is on ImageNet: training under 12 (paper), generation about 3 and
# classification 8 (study); the others are guesses.
GPU_HOURS = {"mechanisms": 12, "images": 3, "ensemble": 8, "plain": 0.1, "quality": 1}
GPU_HOURS |= {"robustness": 1}


@dataclass(frozen=True)
class Resources:
    """What a job asks for: CPU cores, memory, minutes before it is ended, GPUs."""

    cores: int
    memory_mb: int
    minutes: int
    gpus: int


def uses_gpu(run: Run) -> bool:
    """Whether a run is worth a GPU: what is on ImageNet; everything else is small."""
    return run.variant == "imagenet" and run.profile == "paper"


def expected_seconds(run: Run) -> float:
    """How long a run should take: on one core, or on one GPU where it uses one."""
    if dict(run.settings).get("source") == "published":
        return START
    if uses_gpu(run):
        return 3600 * GPU_HOURS[run.kind]
    return START + _images(run) * _seconds_an_image(run)


def resources(run: Run) -> Resources:
    """What a run asks a cluster for."""
    minutes = math.ceil(max(10, SLACK * expected_seconds(run) / 60))
    if uses_gpu(run):
        return Resources(cores=8, memory_mb=32_000, minutes=minutes, gpus=1)
    return Resources(cores=1, memory_mb=4_000, minutes=minutes, gpus=0)


def is_finished(run: Run) -> bool:
    """Whether a run's folder holds its numbers, and was made from what is declared.

    What it read (data, pretrained parts) is not looked at here: `runs.is_done` does that.
    """
    folder = paths.runs(run.profile) / run.id
    try:
        made = json.loads((folder / "spec.json").read_text())
        numbers = json.loads((folder / "metrics.json").read_text())
    except (OSError, ValueError):
        return False
    whole = isinstance(made, dict) and isinstance(numbers, dict)
    return whole and all(made.get(key) == value for key, value in run.spec().items())


def mark(run: Run) -> Path:
    """An empty file that stands for a finished run in a workflow.

    A workflow deletes the outputs of jobs that failed, or that it does not know to be complete:
    so it is given these, and never a result.
    """
    return paths.runs(run.profile) / ".done" / run.id


def renew_marks(runs: Iterable[Run]) -> None:
    """Marks for the finished runs, as old as their results, and for no others."""
    for run in runs:
        path = mark(run)
        if is_finished(run):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            changed = (paths.runs(run.profile) / run.id / "metrics.json").stat().st_mtime
            os.utime(path, (changed, changed))
        else:
            path.unlink(missing_ok=True)


def cost(runs: Iterable[Run]) -> str:
    """A line about what is left of the runs: how many, and how much of which machine."""
    runs = list(runs)
    left = [run for run in runs if not is_finished(run)]
    core = sum(expected_seconds(run) for run in left if not uses_gpu(run)) / 3600
    gpu = sum(expected_seconds(run) for run in left if uses_gpu(run)) / 3600
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
        for _, need in run.needs:
            behind[need.id] = max(behind.get(need.id, 0), chain[run.id])
    return chain


def _images(run: Run) -> float:
    """How many images pass through a run's nets, as far as its settings tell."""
    s = dict(run.settings)
    if "steps" in s:
        return s["steps"] * s["batch"] * s.get("accumulate", 1)
    if "epochs" in s:
        return s["epochs"] * _training_images(run)
    if "conditions" in s:
        return len(s["conditions"]) * s.get("val", 1280)
    if run.kind == "images":
        return s["train"] + s["val"]
    return s.get("size", s.get("evaluated", s.get("embedded", 0)))


def _training_images(run: Run) -> float:
    s = dict(run.settings)
    if "train" in s:
        return s["train"] * (2 if s.get("train_on") == "real+cgn" else 1)
    digits = {"mnist-5k": 4000}.get(s.get("digits"), 60_000)
    generated = sum(need["size"] for role, need in run.needs if role == "set")
    if "share" in s:  # originals take the place of generated ones
        return generated
    real = digits if s.get("train_on", "").startswith("original") else 0
    return real + generated + digits * s.get("renderings", 0)


def _seconds_an_image(run: Run) -> float:
    if run.kind == "cgn" and "ngf" in dict(run.settings) and "perceptual" in dict(run.settings):
        return 0.0006 * (run["ngf"] / 16) ** 2 * 2 + PERCEPTUAL[run["perceptual"]]
    return IMAGE.get(run.kind, 0.01)
