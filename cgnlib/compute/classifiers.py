"""Claim 3 on ImageNet and the menagerie: sets of images, classifiers, and their tests."""

from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from cgnlib import experiments as e
from cgnlib import worlds
from cgnlib.chance import generator, seeded
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import WEIGHTS, keep, net_of
from cgnlib.counterfactuals.datasets import read_dataset, write_dataset
from cgnlib.data import sources
from cgnlib.measures import decisions
from cgnlib.measures.decisions import Table
from cgnlib.measures.naming import Measure
from cgnlib.nets import ensemble as nets
from cgnlib.nets import weights
from cgnlib.training.classifiers import best_epoch, train_ensemble
from cgnlib.worlds import imagenet
from cgnlib.worlds.stimuli import Stimuli, decide


def _images(run: e.Images, job: Job) -> Found:
    """Two data sets of counterfactuals, `train` and `val`, in the published layout."""
    folder, recipe = job.needs["generator"], run.recipe
    net = net_of(run.generator, folder).to(job.device)
    folded, counts = net.fold(recipe.truncation), {}
    for seed, (split, n) in enumerate((("train", recipe.train), ("val", recipe.val))):
        made = write_dataset(
            folded, job.folder / split, n, recipe.mode, recipe.truncation, seed,
            name=split, weights=sources.sha256(folder / WEIGHTS),
            num_classes=net.config.num_classes, latent=net.config.z_dim,
            stretch=recipe.stretch, batch=run.facts.at_once,
        )  # fmt: skip
        counts[f"{split}_images"] = len(made)
    return Found(counts)


def _plain(run: e.Plain, job: Job) -> Found:
    world = worlds.find(run.variant)
    net = nets.Plain(seeded(world.backbone, generator(run.seed, "plain")))
    net.to(memory_format=torch.channels_last)
    exam = _Exam(job.folder, "plain", [world.validation(run.recipe)])
    real = world.real(run.recipe, run.seed)
    history = train_ensemble(net, real, None, run.recipe, run.seed, job.checkpoint, exam)
    return Found(exam.reported(history) | {"train_images": len(real)}, history)


def _pretrained(run: e.PretrainedPlain, job: Job) -> Found:
    (file,) = run.reads().values()
    return keep(job, nets.Plain(imagenet.pretrained(file.name)))


def _published(run: e.PublishedEnsemble, job: Job) -> Found:
    return keep(job, imagenet.published_ensemble(run.file))


def _ensemble(run: e.Ensemble, job: Job) -> Found:
    """The invariant classifier, or its control that sees real images alone."""
    world = worlds.find(run.variant)
    start = net_of(run.start, job.needs["start"])
    net = nets.Ensemble(start.net, generator(run.seed, "ensemble"))
    net.to(memory_format=torch.channels_last)
    real, counterfactual = world.real(run.recipe, run.seed), None
    tests = [world.validation(run.recipe), *world.tests(run.tests)]
    counts = {"train_images": len(real)}
    if run.images:
        train, val = (read_dataset(job.needs["images"] / split) for split in ("train", "val"))
        counterfactual = world.counterfactual(train, run.seed)
        tests.append(world.counterfactual_test(val))
        counts["counterfactual_images"] = len(train)
    exam = _Exam(job.folder, "avg", tests)
    history = train_ensemble(net, real, counterfactual, run.recipe, run.seed, job.checkpoint, exam)
    return Found(exam.reported(history) | counts, history)


def _robustness(run: e.Robustness, job: Job) -> Found:
    """A classifier's decisions about every test image, and the measures of that table."""
    world = worlds.find(run.variant)
    tests = [world.validation(run.recipe), *world.tests(run.recipe)]
    tests.append(world.counterfactual_test(read_dataset(job.needs["images"] / "val")))
    return _decided(net_of(run.classifier, job.needs["classifier"]), tests, job)


def _packaged(run: e.PackagedRobustness, job: Job) -> Found:
    tests = imagenet.ImageNet().tests(run.recipe, normalise=run.classifier)
    return _decided(imagenet.packaged(run.classifier), tests, job)


def _decided(net: nn.Module, tests: list[Stimuli], job: Job) -> Found:
    net.to(job.device, memory_format=torch.channels_last).eval()
    table = decide(net, tests, job.device)
    decisions.write(job.folder / "decisions.csv", table)
    return Found(measures(table))


class _Exam:
    """All tests after each epoch; keeps the weights of the best on real validation images."""

    def __init__(self, folder: Path, subject: str, tests: list[Stimuli]):
        self.path, self.tests = folder / WEIGHTS, tests
        self.metric = Measure("real_top1", subject).name
        self.best = -1.0

    def __call__(self, net: nn.Module, epoch: int) -> dict[str, float]:
        device = next(net.parameters()).device
        found = measures(decide(net, self.tests, device))
        if found[self.metric] >= self.best:
            self.best = found[self.metric]
            weights.save(net, self.path)
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
        mine, told = table.where(subj=subject), {}
        conditions = dict.fromkeys(mine["condition"].tolist())
        for condition in conditions:
            part = mine.where(condition=condition)
            found[f"{condition}_images"] = len(part)
            told |= _measures_of(condition, part)
        if {"mixed_same", "mixed_rand"} <= conditions.keys():
            told["bg_gap"] = decisions.bg_gap(mine)
        found |= {Measure(name, subject).name: value for name, value in told.items()}
    return found


def _measures_of(condition: str, part: Table) -> dict[str, float]:
    best = decisions.top1(part)
    if condition in ("real", "counterfactual"):
        return {f"{condition}_top1": best, f"{condition}_top5": decisions.top5(part)}
    found = {condition: best}
    if condition == "cue_conflict":
        found |= {f"cue_{cue}": share for cue, share in decisions.cue_shares(part).items()}
        with suppress(ValueError):  # no decision follows shape or texture: there is no bias to tell
            bias, low, high, *_ = decisions.shape_bias(part)
            found |= {"shape_bias": bias, "shape_bias_low": low, "shape_bias_high": high}
    return found


KINDS = {
    e.Images: _images,
    e.Plain: _plain,
    e.PretrainedPlain: _pretrained,
    e.Ensemble: _ensemble,
    e.PublishedEnsemble: _published,
    e.Robustness: _robustness,
    e.PackagedRobustness: _packaged,
}
