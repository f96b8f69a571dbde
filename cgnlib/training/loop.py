"""The loop of every training: seeded, resumable, a row of history a window of steps.

With a `Checkpoint` a stopped loop goes on from the last saved step and ends with the same weights,
bit for bit on the same CPU with the same number of threads.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from cgnlib import chance, precision
from cgnlib.training import replay
from cgnlib.training.checkpoints import Checkpoint

logger = logging.getLogger(__name__)
CPU = torch.device("cpu")
REPORTED = 30.0  # seconds between two lines in a log about how far a loop is


def index_batches(n: int, batch: int, seed: int, first: int, last: int) -> Iterator[Tensor]:
    """Indices of steps first...last - 1 of shuffled epochs over n items.

    The order is a function of seed and epoch alone; an epoch ends with a short batch.
    """

    def order(epoch: int) -> Tensor:
        return torch.randperm(n, generator=chance.generator(seed, "order", epoch))

    return cut(order, -(-n // batch), batch, first, last)


def cut(
    order: Callable[[int], Tensor], per_epoch: int, batch: int, first: int, last: int
) -> Iterator[Tensor]:
    """The indices of steps first...last - 1, cut from the order of each epoch."""
    for step in range(first, last):
        epoch, at = divmod(step, per_epoch)
        if at == 0 or step == first:
            indices = order(epoch)
        yield indices[at * batch : (at + 1) * batch]


@dataclass
class Loop:
    """steps of a training over shuffled epochs of n items.

    step: called with the indices of a batch, or with what `batches` gives; returns means by name.
    parts: what a checkpoint restores.  window: a row of history every so many steps, the means
    over the images seen in it.
    after_window: called with the step, after each row; what it returns joins the row.
    batches: what the steps from a first to before a last one are called with, where that is more
    than the indices of `index_batches`.
    device: of the step.  arithmetic: of its products; with the device, what a checkpoint can be
    gone on with in.
    replayed: on a GPU the step is recorded once and replayed, see `Replayed`; of `parts` it draws
    from all generators.
    """

    step: Callable[[Any], dict[str, Tensor]]
    n: int
    steps: int
    batch: int
    seed: int
    parts: dict
    window: int
    after_window: Callable[[int], dict | None] = lambda step: None
    batches: Callable[[int, int], Iterator[Sized]] | None = None
    device: torch.device = CPU
    arithmetic: str = precision.FLOAT32
    replayed: bool = False

    def run(self, checkpoint: Checkpoint) -> list[dict]:
        """All steps that are left, from where the checkpoint is; the history."""
        here = f"{self.device.type} in {self.arithmetic}"
        start = {"step": 0, "seen": 0, "sums": {}, "history": [], "device": here}
        loop = checkpoint.load(self.parts, here) or start
        batches = self.batches or partial(index_batches, self.n, self.batch, self.seed)
        bar = tqdm(
            batches(loop["step"], self.steps),
            initial=loop["step"], total=self.steps, disable=None, unit="step",
        )  # fmt: skip
        level = logging.INFO if bar.disable else logging.DEBUG
        report = _progress(loop["step"], self.steps, level)
        sums = loop["sums"]

        def tally(batch: Sized) -> None:
            for name, value in self.step(batch).items():
                total = value.detach().double() * len(batch)
                sums[name] = sums[name].add_(total) if name in sums else total

        graphed = self.device if self.replayed else CPU
        if graphed.type != "cpu":
            draws = [part for part in self.parts.values() if isinstance(part, torch.Generator)]
            tally = replay.Replayed(tally, self.batch, graphed, draws)
        with replay.stream(graphed):
            for batch in bar:
                tally(batch)
                loop["seen"] += len(batch)
                loop["step"] += 1
                if loop["step"] % self.window == 0 or loop["step"] == self.steps:
                    self._close_window(loop)
                report(loop["step"])
                checkpoint.after_step(loop, self.parts)
        return loop["history"]

    def _close_window(self, loop: dict) -> None:
        means = {name: float(total / loop["seen"]) for name, total in loop["sums"].items()}
        row = {"step": loop["step"], **means}
        loop["history"].append(row)
        loop["seen"] = 0
        for total in loop["sums"].values():
            total.zero_()
        row |= self.after_window(loop["step"]) or {}


def _progress(first: int, last: int, level: int) -> Callable[[int], None]:
    """What tells a log, now and then, how far a loop is and how long the rest will take."""
    start = said = time.monotonic()

    def report(step: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < REPORTED:
            return
        said, left = now, (now - start) / (step - first) * (last - step)
        minutes = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        logger.log(
            level, "step %d of %d (%.0f %%), %s left", step, last, 100 * step / last, minutes
        )

    return report
