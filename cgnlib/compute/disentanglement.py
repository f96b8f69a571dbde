"""Readers of all cues, and what they see of interventions on the mechanisms of a CGN."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cgnlib import experiments as e
from cgnlib import worlds
from cgnlib.chance import SILHOUETTES, TRUTH, generator
from cgnlib.compute import Found, Job
from cgnlib.compute.digits import split_of
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals import interventions, mechanisms
from cgnlib.data import menagerie
from cgnlib.measures import disentanglement as measure
from cgnlib.measures import metrics
from cgnlib.measures.disentanglement import FACTORS
from cgnlib.nets import weights
from cgnlib.nets.readers import CueReader
from cgnlib.training.readers import independent, labelled, train_reader

CHUNK = 50
READ = 250  # images that a reader takes at a time
SHOWN = 8  # scenes whose images are kept
POOL = 2000  # true masks that a mask of the menagerie is compared with

Read = Callable[[Tensor], Tensor]  # images [B, 3, S, S] to the classes of their factors, [B, 3]


def _reader(run: e.Reader, job: Job) -> Found:
    """A variant's reader; its accuracy on held-out digits bounds what it can tell."""
    rng = generator(run.seed, "data")
    rendered = (
        split_of(run, "train", rng, association="random") for _ in range(run.recipe.renderings)
    )
    data = independent(rendered)
    net, history = train_reader(data, run.recipe, run.seed, job.checkpoint)
    weights.save(net, job.folder / WEIGHTS)
    test = labelled(split_of(run, "test", generator(run.seed, "test")))
    x, y = test.batch(torch.arange(len(test)))
    hit = (of_digits(net)(x) == y).double().mean(0)
    found = {f"{factor}_accuracy": hit[FACTORS.index(factor)].item() for factor in run.factors}
    return Found(found | {"train_images": len(data), "test_images": len(test)}, history)


def _of_digits(run: e.Disentanglement, job: Job) -> Found:
    if run.generator:
        made = net_of(run.generator, job.needs["generator"])
        source = mechanisms.DigitCGN(made, run.seed)
    else:
        source = mechanisms.DigitRenderer(run.variant, run.digits, run.textures, run.seed)
    read = of_digits(net_of(run.reader, job.needs["reader"]))
    found, _, _ = _disentangled(source, read, run.evaluated, run.reader.factors, job)
    return Found(found)


def _of_menagerie(run: e.MenagerieDisentanglement, job: Job) -> Found:
    if run.generator:
        folded = net_of(run.generator, job.needs["generator"]).fold(run.truncation)
        source = mechanisms.MenagerieCGN(folded, run.seed, job.device)
    else:
        source = mechanisms.Renderer(TRUTH)
    read = of_probe(worlds.find(run.variant).probe().to(job.device), job.device)
    found, masks, y = _disentangled(source, read, run.evaluated, FACTORS, job)
    labels = torch.arange(POOL) % len(menagerie.CLASSES)
    true = menagerie.silhouette(labels, SILHOUETTES, torch.arange(POOL))[:, :1]
    nearest = metrics.nearest_iou(masks, y, true > 0.5, labels)
    return Found(found | {"nearest_iou": nearest.mean().item()})  # of MNIST, evaluations know it


@torch.inference_mode()
def _disentangled(
    source: mechanisms.Source, read: Read, n: int, factors: Sequence[str], job: Job
) -> tuple[dict[str, float], Tensor, Tensor]:
    """Exchange class or noise of one mechanism at a time, and read what that does to the image.

    Of the true renderer: what the readers make of interventions that touch one factor and no
    other.  Returns the measures, the masks of the scenes and their shapes.
    """
    y, other = interventions.draw_classes(n, generator(0, "classes"))
    seen, masks, spread = [], [], []
    for part in torch.arange(n).split(CHUNK):
        scenes = interventions.intervene(source, y[part], other[part], part)
        images = torch.stack([scenes.base, *scenes.by_class, *scenes.by_noise])
        seen.append(read(images.flatten(0, 1)).unflatten(0, images.shape[:2]))
        masks.append(scenes.mask > 0.5)
        spread.append(scenes.spread)
        if part[0] == 0:
            scenes_and_moved = zip(("base", *FACTORS), images[:4, :SHOWN], strict=True)
            job.show(dict(scenes_and_moved), y=y[:SHOWN], other=other[:SHOWN])
    diversity = torch.cat(spread).double().mean(0).tolist()
    found = _effects(factors, torch.cat(seen, 1), y, other)
    found |= {f"diversity_{name}": d for name, d in zip(FACTORS, diversity, strict=True)}
    return found, torch.cat(masks), y[:, 0]


def _effects(names: Sequence[str], seen: Tensor, y: Tensor, other: Tensor) -> dict[str, float]:
    """seen: readings [7, N, 3], of the scenes, of three exchanged classes, of three noises.

    names: the factors that can be read.
    """
    base, by_class, by_noise = seen[0], list(seen[1:4]), list(seen[4:])
    factors = [FACTORS.index(name) for name in names]
    named, moved = measure.named(by_class, y, other), measure.moved(base, by_class)
    noise = measure.moved(base, by_noise)
    found = {
        "disentanglement": measure.disentanglement(named, moved, factors),
        "control": measure.control(named, factors),
        "leak": measure.leak(moved, factors),
    }
    for f, factor in zip(factors, names, strict=True):
        found[f"read_{factor}"] = (base[:, f] == y[:, f]).double().mean().item()
        for m, mechanism in enumerate(FACTORS):
            for name, matrix in (("named", named), ("moved", moved), ("noise", noise)):
                found[f"{name}_{mechanism}_{factor}"] = matrix[m, f].item()
    shape = torch.cat([y[:, 0], other[:, 0]])
    hit = torch.cat([base[:, 0], by_class[0][:, 0]]) == shape
    for c in range(10):
        found[f"shape_read_{c}"] = hit[shape == c].double().mean().item()
    return found


def of_digits(net: CueReader) -> Read:
    """What a trained reader of digits reads."""
    return _in_parts(lambda part: net(part).argmax(1))


def of_probe(net: nn.Module, device: torch.device) -> Read:
    """What the menagerie's probe reads."""

    def read(part: Tensor) -> Tensor:
        return torch.stack([scores.argmax(1) for scores in net(part.to(device))], 1).cpu()

    return _in_parts(read)


def _in_parts(read: Read) -> Read:
    return torch.inference_mode()(lambda x: torch.cat([read(part) for part in x.split(READ)]))


KINDS = {
    e.Reader: _reader,
    e.Disentanglement: _of_digits,
    e.MenagerieDisentanglement: _of_menagerie,
}
