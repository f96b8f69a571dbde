"""Finished runs whose numbers are drawn at random: what a chapter needs to be executed.

With the names and shapes that `cgnlib.compute` gives them, and nothing computed.
"""

import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from threading import Event

import numpy as np
import torch

from cgnlib import compute, paths, worlds
from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import explanation, heads
from cgnlib.compute.classifiers import measures
from cgnlib.compute.cues import DOMAINS
from cgnlib.compute.mechanisms import PANELS
from cgnlib.compute.nets_of import WEIGHTS
from cgnlib.counterfactuals.draws import MECHANISMS
from cgnlib.data import menagerie
from cgnlib.measures import decisions
from cgnlib.measures.naming import Measure, follows
from cgnlib.nets import ensemble, mnist, weights
from cgnlib.nets.ensemble import SUBJECTS
from cgnlib.runs import attempt, provenance

MADE_UP = "no device: numbers drawn at random by a test"
TESTED = 200  # images behind each test of a classifier
CUES = ("shape", "foreground", "background")

Drawn = tuple[dict[str, float], dict[str, dict[str, np.ndarray]]]  # metrics, arrays by file


def make(profile: str, patch: Callable[[object, str, object], None] = setattr) -> None:
    """Leave every run of a profile that is not there, done, in CGN_RUNS; its inputs have to be.

    patch: sets an attribute.  The last steps, which make a run done, are the product's own.
    """
    patch(compute, "compute", _leave)
    patch(provenance, "computed_on", lambda *_: MADE_UP)
    patch(provenance, "commit", lambda: "none")
    patch(os, "fsync", lambda _: None)  # nothing of this needs to outlast a loss of power
    for run in e.with_needs(e.grid(profile)):
        attempt.attempt(run, Event())


def _leave(run: e.Run, job: compute.Job) -> compute.Found:
    rng = np.random.default_rng(list(run.id.encode()))
    found, files = drawn(run, rng)
    for name, arrays in files.items():
        np.savez_compressed(job.folder / name, **arrays)
    if isinstance(run, e.Classifier):
        _answers(job.folder / "decisions.csv", rng)
    if net := _net(run):
        (job.folder / WEIGHTS).hardlink_to(net)
    return compute.Found(found)


def drawn(run: e.Run, rng: np.random.Generator) -> Drawn:
    """The metrics of a run, and its arrays by file: of the kinds whose numbers the book shows."""
    scale = e.profile(run.profile)
    match run:
        case e.Classifier():
            return _shares(rng, "train_accuracy", "test_accuracy") | {
                "train_images": 4000, "test_images": TESTED
            }, {}  # fmt: skip
        case e.ImageSet():
            return {"images": run.size}, {}
        case e.Evaluation():
            names = ("coverage", "iou", "read")
            found = _shares(rng, *_ends("mask", names), *_ends("mask", names, "_true"))
            found |= _shares(rng, "mask_binary", "image_read", "image_read_true")
            found |= _shares(rng, *(f"mask_read_{y}" for y in range(10)))
            return found | {"usable_digits": int(rng.integers(11))}, _of_digits(rng)
        case e.Explanation():
            return _explained(run, rng)
        case e.Crossing():
            made = [follows(parts, cue) for parts in product(DOMAINS, repeat=3) for cue in CUES]
            return _shares(rng, *made) | {"conflicting_images": TESTED}, {}
        case e.Following():
            made = [follows([domain], cue) for domain in DOMAINS for cue in CUES]
            made += [f"{domain}_accuracy" for domain in DOMAINS]
            return _shares(rng, *made, "domain_read") | {"followed_images": TESTED}, {}
        case e.Disentanglement():
            return _separated(rng, run.reader.factors), _scenes(rng, 32)
        case e.MenagerieDisentanglement():
            found = _separated(rng, MECHANISMS) | _shares(rng, "nearest_iou")
            return found, _scenes(rng, run.facts.edge)
        case e.Quality():
            return _quality(run, rng)
        case e.Robustness() | e.PackagedRobustness():
            return measures(decisions.join(_decided(run, rng))), {}
        case e.HeadMaps():
            who = SUBJECTS[:-1] if isinstance(run.classifier, e.Ensemble) else ("plain",)
            names = ["constant_maps"]
            for name in ("heat_inside", "average_precision", "foreground_iou"):
                names += [name, f"{name}_swapped"]
            made = [Measure(*of).name for of in product(names, who, heads.LAYERS)]
            found = _shares(rng, *made, "mask_coverage_true")
            return found | {"explained_images": scale.world.explained}, {}
    return {}, {}


def _shares(rng: np.random.Generator, *names: str) -> dict[str, float]:
    return {name: rng.uniform(0.05, 0.95) for name in names}


def _ends(start: str, names: tuple[str, ...], end: str = "") -> list[str]:
    return [f"{start}_{name}{end}" for name in names]


def _pixels(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, np.uint8)


def _of_digits(rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    sizes = {"real": 30, "fg": 10, "bg": 10, "x_gen": 10, "counterfactual": 30}
    arrays = {name: _pixels(rng, n, 32, 32, 3) for name, n in sizes.items()}
    return {"samples.npz": arrays | {"mask": _pixels(rng, 10, 32, 32, 1)}}


def _scenes(rng: np.random.Generator, edge: int) -> dict[str, dict[str, np.ndarray]]:
    return {"samples.npz": {n: _pixels(rng, 8, edge, edge, 3) for n in ("base", *MECHANISMS)}}


def _explained(run: e.Explanation, rng: np.random.Generator) -> Drawn:
    n = explanation.SHOWN
    shown = {
        "x": _pixels(rng, n, 32, 32, 3), "heat": rng.random((n, 32, 32), np.float32),
        "mask": rng.random((n, 32, 32)) < 0.2, "y": np.arange(n) % 10,
    }  # fmt: skip
    embedded = {"embedding": rng.normal(size=(200, 2)).astype(np.float32)}
    embedded |= {cue: np.arange(200) % 10 for cue in ("digit", "fg", "bg")}
    names = ["study_iou", "study_iou_unrelated", "study_iou_empty", "foreground_iou"]
    names += ["background_iou", "heat_inside", "average_precision", "constant_maps"]
    names += ["mask_coverage_true", "digit_read", "foreground_read"]
    names += ["background_read"] * (run.variant != "colored")
    found = _shares(rng, *names, *(f"study_iou_{y}" for y in range(10)))
    files = {"samples.npz": shown, "embedding.npz": embedded}
    return found | {"explained_images": TESTED}, files


def _separated(rng: np.random.Generator, factors: tuple[str, ...]) -> dict[str, float]:
    pairs = product(("named", "moved", "noise"), MECHANISMS, factors)
    names = ["disentanglement", "control", "leak", *("_".join(of) for of in pairs)]
    names += _ends("read", factors) + _ends("diversity", MECHANISMS)
    return _shares(rng, *names, *(f"shape_read_{y}" for y in range(10)))


def _quality(run: e.Quality, rng: np.random.Generator) -> Drawn:
    scored = _shares(rng, "inception_score_spread", "class_read")
    scored["inception_score"] = rng.uniform(2, 9)
    if run.generator is None:
        return scored, {}
    found = scored | _shares(rng, *_ends("mask", ("coverage", "coverage_spread", "binary", "iou")))
    if worlds.find(run.variant).probe():
        found |= _shares(rng, *(f"{name}_read" for name in (*MECHANISMS, "all")))
    edge, sheet = run.facts.edge, run.facts.sheet
    shown = {name: _pixels(rng, sheet, edge, edge, 3) for name in PANELS}
    shown |= {"counterfactual": _pixels(rng, 24, edge, edge, 3)}
    return found, {"samples.npz": shown | {"classes": rng.integers(0, 10, (24, 3))}}


def _decided(
    run: e.Robustness | e.PackagedRobustness, rng: np.random.Generator
) -> Iterator[decisions.Table]:
    conditions = [name.rpartition("/")[2] for name in run.recipe.conditions]
    who: tuple[str, ...] = ("efficientnet-lite0",)
    if isinstance(run, e.Robustness):
        conditions = ["real", *conditions, "counterfactual"]
        who = SUBJECTS if isinstance(run.classifier, e.Ensemble) else ("plain",)
    for condition, subject in product(conditions, who):
        cues = [np.array(menagerie.CLASSES)[rng.integers(0, 10, TESTED)] for _ in range(3)]
        told = rng.choice(3, TESTED)
        yield decisions.build(
            subject, condition, [str(i) for i in range(TESTED)], cues[0],
            np.choose(told, cues), rank=1 + rng.integers(0, 10, TESTED), texture=cues[1],
            background=cues[2] if run.variant == "menagerie" else [""] * TESTED,
        )  # fmt: skip


def _answers(path: Path, rng: np.random.Generator) -> None:
    rows = np.column_stack([np.arange(TESTED), rng.integers(0, 10, (TESTED, 4))])
    np.savetxt(path, rows, "%d", ",", header="item,label,fg,bg,prediction", comments="")


def _net(run: e.Run) -> Path | None:
    """The weights of an untrained net of the run's kind, which all of that kind share."""
    match run:
        case e.PublishedCGN():
            return _saved("cgn", mnist.CGN, run.latent, run.ngf)
        case e.CGN():
            return _saved("cgn", mnist.CGN, run.recipe.latent, run.recipe.ngf)
        case e.Classifier():
            return _saved("cnn", mnist.CNN)
        case e.Mechanisms(variant="menagerie"):  # of ImageNet none is shown, and each is a gigabyte
            return _saved("mechanisms", worlds.find(run.variant).start)
        case e.Plain():
            return _saved("plain", lambda: ensemble.Plain(ensemble.small_resnet()))
        case e.Ensemble(variant="menagerie"):
            return _saved(
                "ensemble", lambda: ensemble.Ensemble(ensemble.small_resnet(), generator(0))
            )
    return None


def _saved(name: str, build: Callable[..., torch.nn.Module], *sizes: int) -> Path:
    path = paths.runs("weights") / f"{'-'.join([name, *map(str, sizes)])}.safetensors"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        torch.manual_seed(0)
        weights.save(build(*sizes), path)
    return path
