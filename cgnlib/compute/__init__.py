"""What each kind of run computes: the board, and what a computation is given and gives."""

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, assert_never, cast

import numpy as np
import torch
from torch import Tensor

from cgnlib import experiments as e
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.training.checkpoints import Checkpoint

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Job:
    """Where a run computes.

    folder: where its artefacts go.  needs: the folders of the runs that it needs, by role.
    checkpoint: what a training goes on from.  device: decided once, by who starts it.
    """

    folder: Path
    needs: dict[str, Path] = field(default_factory=dict)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    device: torch.device = CPU

    def show(self, pictures: dict[str, Tensor], **others: Tensor) -> None:
        """Leave samples.npz, which the book draws from.  pictures: [B, 3, H, W] in -1...1."""
        stored = {name: to_stored(x) for name, x in pictures.items()} | others
        arrays = {name: x.cpu().numpy() for name, x in stored.items()}
        np.savez_compressed(self.folder / "samples.npz", **arrays)


class Found(NamedTuple):
    """metrics: the run's numbers.  history: a row for each part of a training."""

    metrics: dict[str, float]
    history: list[dict] | None = None


def compute(run: e.Run, job: Job) -> Found:
    """What a run computes."""
    return _board(cast(e.AnyRun, run)).KINDS[type(run)](run, job)


def _board(run: e.AnyRun) -> ModuleType:
    """Where a kind is computed.  A module is imported by who computes one: some take seconds."""
    match run:
        case e.CGN() | e.PublishedCGN() | e.GAN() | e.ImageSet() | e.Classifier():
            from cgnlib.compute import digits as of
        case e.Evaluation():
            from cgnlib.compute import masks as of
        case e.Following():
            from cgnlib.compute import cues as of
        case e.Explanation():
            from cgnlib.compute import explanation as of
        case e.Mechanisms() | e.PublishedMechanisms() | e.Quality():
            from cgnlib.compute import mechanisms as of
        case (
            e.Images() | e.Plain() | e.PretrainedPlain() | e.Ensemble()
            | e.PublishedEnsemble() | e.Robustness() | e.PackagedRobustness()
        ):  # fmt: skip
            from cgnlib.compute import classifiers as of
        case e.HeadMaps():
            from cgnlib.compute import heads as of
        case e.Reader() | e.Disentanglement() | e.MenagerieDisentanglement():
            from cgnlib.compute import disentanglement as of
        case _:
            assert_never(run)
    return of
