"""Training of the classifiers of claim 3 over ResNets, on one device or several.

Devices, mixed products and the averaging of gradients are Lightning Fabric's.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from cgnlib import chance, precision, processor
from cgnlib.data.pictures import Batch, Pictures
from cgnlib.experiments.recipes import EnsembleRecipe
from cgnlib.nets.ensemble import HEADS
from cgnlib.training.checkpoints import Checkpoint, never, nothing
from cgnlib.training.loop import Loop, cut, index_batches

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # runs note their own arithmetic
FABRICS = {precision.FLOAT32: "32-true", precision.BFLOAT16: "bf16-mixed"}  # its names for them


class Exam(Protocol):
    """What a classifier is put to after each epoch, counted from 1; its state is checkpointed."""

    def __call__(self, net: nn.Module, epoch: int) -> dict[str, float]: ...
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> None: ...


def best_epoch(history: Sequence[Mapping[str, float]], metric: str) -> int:
    """The epoch that is reported, counted from 1: the best on real validation images.

    Of equals, the latest.  No out-of-distribution number has a say, so that the choice cannot
    favour the claim (the study's choice is unexplained).  Raises ValueError without an epoch.
    """
    if not history:
        raise ValueError("no epoch was evaluated")
    return max(range(len(history)), key=lambda i: (history[i][metric], i)) + 1


def counterfactual_order(n: int, size: int, seed: int, epoch: int) -> Tensor:
    """Indices of the counterfactuals of an epoch, [size].

    Drawn without replacement from the table of n, which is repeated as often as it takes
    (published code).
    """
    copies = -(-size // n)
    rng = chance.generator(seed, "counterfactuals", epoch)
    return torch.randperm(copies * n, generator=rng)[:size] % n


def train_ensemble(
    net: nn.Module,
    real: Pictures,
    counterfactual: Pictures | None,
    recipe: EnsembleRecipe,
    seed: int,
    checkpoint: Checkpoint,
    exam: Exam | None = None,
) -> list[dict]:
    """Train a classifier in place; returns the history, a row an epoch.

    net: an `Ensemble` or a `Plain`.  The mean of an ensemble's heads (the one head of a plain
    net) learns the real labels; each head learns its own label of the counterfactuals ([N, 3]),
    if there are any.  SGD with momentum; a backward pass each for real and counterfactual images,
    then a step.
    exam: called after each epoch; what it returns joins the history.
    Source: CGN paper, invariant classifiers; published code, with the study's settings.
    """
    n = processor.devices()
    strategy = "ddp_spawn" if n > 1 else "auto"
    device = processor.torch_device(gpu=True)
    arithmetic = FABRICS[precision.of(device)]
    with warnings.catch_warnings():
        # processes are started here, in a job of Slurm too, where Fabric would leave it to srun
        warnings.filterwarnings("ignore", message=".*srun")
        fabric = Fabric(
            accelerator=device.type, strategy=strategy, devices=n, precision=arithmetic,
            plugins=LightningEnvironment(),
        )  # fmt: skip
    if n == 1:
        return _train(fabric, net, real, counterfactual, recipe, seed, checkpoint, exam)
    # what is asked of this process does not reach the others; they save all the same
    alone = replace(checkpoint, stop=never, guard=nothing)
    rest = real, counterfactual, recipe, seed, alone, exam
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trained.pt"
        # it takes the net alone, to unshare it, and would refuse a frozen class
        fabric.launch(partial(_train_apart, path, rest), net)
        trained = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(trained["net"], strict=True)
    return trained["history"]


@dataclass(frozen=True)
class _Step:
    """This device's share of a step's images, and how many they are on all devices."""

    n: int
    real: Batch
    n_counterfactual: int = 0
    counterfactual: Batch | None = None

    def __len__(self) -> int:
        return self.n


def _train(
    fabric: Fabric,
    net: nn.Module,
    real: Pictures,
    counterfactual: Pictures | None,
    recipe: EnsembleRecipe,
    seed: int,
    checkpoint: Checkpoint,
    exam: Exam | None,
) -> list[dict]:
    net.train()
    sgd = torch.optim.SGD(
        net.parameters(), recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    schedule = StepLR(sgd, recipe.decay_every, recipe.decay)
    wrapped, optimiser = fabric.setup(net, sgd)
    per_epoch = -(-len(real) // recipe.batch)
    cf_batch = 0 if counterfactual is None else round(recipe.ratio * recipe.batch)

    def batches(first: int, last: int) -> Iterator[_Step]:
        order = enumerate(index_batches(len(real), recipe.batch, seed, first, last), first)
        left = (len(real) - step % per_epoch * recipe.batch for step in range(first, last))
        sizes = (min(n, recipe.batch) for n in left)
        reals = _moved(fabric, real.batches(_share(fabric, order)))
        if counterfactual is None:
            yield from map(_Step, sizes, reals)
            return
        drawn = partial(counterfactual_order, len(counterfactual), per_epoch * cf_batch, seed)
        order = enumerate(cut(drawn, per_epoch, cf_batch, first, last), first)
        others = _moved(fabric, counterfactual.batches(_share(fabric, order)))
        for n, batch, other in zip(sizes, reals, others, strict=True):
            yield _Step(n, batch, cf_batch, other)

    def step(data: _Step) -> dict[str, Tensor]:
        optimiser.zero_grad(set_to_none=True)
        x, y = data.real
        scores = wrapped(x)
        found = _backward(fabric, "real", [(scores.get("avg", scores.get("plain")), y)], data.n)
        if data.counterfactual is not None:
            x, y = data.counterfactual
            scores = wrapped(x)
            by_head = [(scores[head], y[:, i]) for i, head in enumerate(HEADS)]
            found |= _backward(fabric, "counterfactual", by_head, data.n_counterfactual)
        optimiser.step()
        return found

    def end_epoch(at: int) -> dict[str, float]:
        schedule.step()
        found = {}
        if exam is not None and fabric.global_rank == 0:
            net.eval()
            with torch.no_grad():
                found = exam(net, -(-at // per_epoch))
            net.train()
        fabric.barrier()
        return found

    if fabric.global_rank:  # the first process alone saves, and is told to stop
        checkpoint = replace(checkpoint, every=math.inf, stop=never)
    parts = {"net": net, "optimiser": sgd, "schedule": schedule}
    parts |= {} if exam is None else {"exam": exam}
    loop = Loop(
        step, len(real), per_epoch * recipe.epochs, recipe.batch, seed, parts, per_epoch, end_epoch,
        batches, device=fabric.device, arithmetic=precision.of(fabric.device),
    )  # fmt: skip
    return loop.run(checkpoint)


def _train_apart(path: Path, rest: tuple, fabric: Fabric, net: nn.Module) -> None:
    """Train in a process of its own.  The result goes into a file: Fabric reads what is returned
    only when the process has ended, which it cannot before a long answer is read."""
    processor.prepare()
    history = _train(fabric, net, *rest)
    if fabric.global_rank == 0:
        torch.save({"net": net.state_dict(), "history": history}, path)


def _backward(
    fabric: Fabric, name: str, pairs: list[tuple[Tensor, Tensor]], n: int
) -> dict[str, Tensor]:
    """Gradients of the summed cross entropies of (scores, labels); their mean over n images.

    Fabric averages gradients over devices, whose shares may differ in size: hence sums over n.
    """
    loss = sum(F.cross_entropy(scores, y, reduction="sum") for scores, y in pairs) / n
    fabric.backward(loss * fabric.world_size)
    hits = sum((scores.argmax(1) == y).sum() for scores, y in pairs) / (n * len(pairs))
    found = {f"loss_{name}": loss.detach(), f"train_{name}_top1": hits}
    if fabric.world_size > 1:
        found = {key: fabric.all_reduce(value, reduce_op="sum") for key, value in found.items()}
    return {key: value.cpu() for key, value in found.items()}


def _share(fabric: Fabric, order: Iterable[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
    """Of every batch, the part that belongs to this device."""
    return ((step, index[fabric.global_rank :: fabric.world_size]) for step, index in order)


def _moved(fabric: Fabric, batches: Iterable[Batch]) -> Iterator[Batch]:
    return (tuple(fabric.to_device(part) for part in batch) for batch in batches)
