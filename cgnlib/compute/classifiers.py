"""The kinds of run behind claim 3 on ImageNet and the menagerie: images, classifiers, tests.

Like `execute`, each function writes its artefacts into `folder` and returns (metrics, history).
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from cgnlib import worlds
from cgnlib.chance import generator, seeded
from cgnlib.classifier_data import WORLDS
from cgnlib.compute.mechanisms import DEVICE
from cgnlib.counterfactuals import datasets
from cgnlib.counterfactuals.datasets import read_dataset
from cgnlib.data import sources
from cgnlib.experiments import Run
from cgnlib.measures import decisions
from cgnlib.measures.decisions import Table
from cgnlib.nets import ensemble as nets
from cgnlib.nets import weights
from cgnlib.runs.inputs import Input
from cgnlib.stimuli import Stimuli, decide
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.classifiers import best_epoch, train_ensemble

BATCH = 50  # images that a CGN makes at a time


def reads(run: Run) -> dict[str, Input]:
    """The data and pretrained parts that a run reads, by role."""
    if run.kind == "images":
        return {}  # those of the CGN that it needs
    return WORLDS[run.variant].reads(dict(run.settings))


def images(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """Two data sets of counterfactuals, `train` and `val`, in the published layout."""
    path = needs["generator"] / "weights.safetensors"
    net = worlds.load(run.variant, path).to(DEVICE)
    folded, counts = net.fold(run["truncation"]), {}
    for seed, split in enumerate(("train", "val")):
        made = datasets.write_dataset(
            folded, folder / split, run[split], run["mode"], run["truncation"], seed,
            name=split, weights=sources.sha256(path), num_classes=net.config.num_classes,
            latent=net.config.z_dim, stretch=run["stretch"], batch=BATCH,
        )  # fmt: skip
        counts[f"{split}_images"] = len(made)
    return counts, None


def plain(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """The plain classifier: trained on real images, or the pretrained one."""
    world, s = WORLDS[run.variant], dict(run.settings)
    if run["source"] == "pretrained":
        _save(nets.Plain(world.pretrained()), folder)
        return {}, None
    net = nets.Plain(seeded(world.backbone, generator(run.seed, "plain")))
    net.to(memory_format=torch.channels_last)
    exam = _Exam(folder, "plain", world.validation(s))
    real = world.real(s, run.seed)
    history = train_ensemble(net, real, None, s, run.seed, checkpoint, exam)
    return exam.reported(history) | {"train_images": len(real)}, history


def ensemble(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """The invariant classifier, or its control that sees real images alone."""
    world, s = WORLDS[run.variant], dict(run.settings)
    start = weights.load(nets.Plain(world.backbone()), _weights(needs["start"]))
    net = nets.Ensemble(start.net, generator(run.seed, "ensemble"))
    net.to(memory_format=torch.channels_last)
    real, counterfactual = world.real(s, run.seed), None
    tests = world.validation(s) + world.tests(s)
    counts = {"train_images": len(real)}
    if "images" in needs:
        train, val = (read_dataset(needs["images"] / split) for split in ("train", "val"))
        counterfactual = world.counterfactual(train, run.seed)
        tests.append(world.counterfactual_test(val))
        counts["counterfactual_images"] = len(train)
    exam = _Exam(folder, "avg", tests)
    history = train_ensemble(net, real, counterfactual, s, run.seed, checkpoint, exam)
    return exam.reported(history) | counts, history


def robustness(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """A classifier's decisions about every test image, and the measures of that table."""
    world, s = WORLDS[run.variant], dict(run.settings)
    if needs:
        net = nets.Plain(world.backbone())
        if run.need("classifier").kind == "ensemble":
            net = nets.Ensemble(net.net, generator(0))
        weights.load(net, _weights(needs["classifier"]))
        tests = world.validation(s) + world.tests(s)
        tests.append(world.counterfactual_test(read_dataset(needs["images"] / "val")))
    else:
        net, tests = world.packaged(run["classifier"]), world.tests(s)
    net.to(DEVICE, memory_format=torch.channels_last).eval()
    table = decide(net, tests, DEVICE)
    decisions.write(folder / "decisions.csv", table)
    return measures(table), None


class _Exam:
    """All tests after each epoch; keeps the weights of the best on real validation images."""

    def __init__(self, folder: Path, subject: str, tests: list[Stimuli]):
        self.path, self.metric, self.tests = _weights(folder), f"{subject}/real_top1", tests
        self.best = -1.0

    def __call__(self, net: nn.Module, epoch: int) -> dict[str, float]:
        device = next(net.parameters()).device
        found = measures(decide(net, self.tests, device))
        if found[self.metric] >= self.best:
            self.best = found[self.metric]
            _save(net, self.path.parent)
        return {name: value for name, value in found.items() if not name.endswith("_images")}

    def reported(self, history: list[dict]) -> dict[str, float]:
        """The epoch whose weights are kept, and how good it was."""
        epoch = best_epoch(history, self.metric)
        best = history[epoch - 1][self.metric]
        return {"epoch": epoch, "epochs": len(history), "real_top1": best}

    def state_dict(self) -> dict:
        return {"best": self.best}

    def load_state_dict(self, state: dict) -> None:
        self.best = state["best"]


def measures(table: Table) -> dict[str, float]:
    """Everything that a table of decisions says: `subject/measure`, and each test's images.

    real_top1, real_top5, counterfactual_top1, counterfactual_top5.  shape_bias with its interval
    (left out where it is undefined) and cue_*, the shares of decisions for each cue: of the cue
    conflict.  bg_gap: of the mixed backgrounds.  Any other condition: the share of right answers.
    """
    found: dict[str, float] = {}
    for subject in dict.fromkeys(table["subj"].tolist()):
        mine = table.where(subj=subject)
        conditions = dict.fromkeys(mine["condition"].tolist())
        for condition in conditions:
            part = mine.where(condition=condition)
            found[f"{condition}_images"] = len(part)
            for name, value in _measures_of(condition, part):
                found[f"{subject}/{name}"] = value
        if {"mixed_same", "mixed_rand"} <= conditions.keys():
            found[f"{subject}/bg_gap"] = decisions.bg_gap(mine)
    return found


def _measures_of(condition: str, part: Table) -> Iterator[tuple[str, float]]:
    if condition in ("real", "counterfactual"):
        yield f"{condition}_top1", decisions.top1(part)
        yield f"{condition}_top5", decisions.top5(part)
        return
    yield condition, decisions.top1(part)
    if condition != "cue_conflict":
        return
    for cue, share in decisions.cue_shares(part).items():
        yield f"cue_{cue}", share
    try:
        bias = decisions.shape_bias(part)
    except ValueError:  # no decision follows shape or texture: there is no bias to tell
        return
    yield "shape_bias", bias.value
    yield "shape_bias_low", bias.low
    yield "shape_bias_high", bias.high


def _weights(folder: Path) -> Path:
    return folder / "weights.safetensors"


def _save(net: nn.Module, folder: Path) -> None:
    part = folder / "weights.part"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, part)
    part.replace(_weights(folder))
