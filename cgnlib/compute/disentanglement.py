"""The kinds of run behind disentanglement: readers, and what they see of interventions.

Like `execute`, each function writes its artefacts into `folder` and returns (metrics, history).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cgnlib import worlds
from cgnlib.chance import generator
from cgnlib.compute import disentanglement as disentanglement_kinds
from cgnlib.compute.mechanisms import DEVICE
from cgnlib.counterfactuals import interventions
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.counterfactuals.mechanisms import DigitCGN, Digits, MenagerieCGN, Renderer, Source
from cgnlib.data import menagerie
from cgnlib.data.variants import Variant
from cgnlib.experiments import Run
from cgnlib.measures import disentanglement as measure
from cgnlib.measures import metrics
from cgnlib.measures.disentanglement import FACTORS
from cgnlib.nets import mnist as nets
from cgnlib.nets import weights
from cgnlib.nets.readers import CueReader
from cgnlib.runs.inputs import Input
from cgnlib.training import readers
from cgnlib.training.checkpoints import Checkpoint

CHUNK = 50
READ = 250  # images that a reader takes at a time
RENDERER_SEED = 23  # no pretrained part and no classifier saw these images
SHOWN = 8  # scenes whose images are kept
POOL = 2000  # true masks that a mask of the menagerie is compared with


def reads(run: Run) -> dict[str, Input]:
    """The pretrained parts that a run on the menagerie reads, by role."""
    return worlds.reads(run.variant, judged=True)


def reader(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """Train a variant's reader; its accuracy on held-out digits bounds what it can tell."""
    s = dict(run.settings)
    data = readers.independent(run.variant, s, generator(run.seed, "data"))
    net, history = readers.train_reader(data, s, run.seed, checkpoint)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    rng = generator(run.seed, "test")
    test = readers.labelled(Variant(run.variant, s["digits"], "test", rng, s["textures"]))
    x, y = test.batch(torch.arange(len(test)))
    hit = (disentanglement_kinds.of_digits(net)(x) == y).double().mean(0)
    found = {f"{factor}_accuracy": hit[i].item() for i, factor in _factors(run.variant)}
    return found | {"train_images": len(data), "test_images": len(test)}, history


@torch.inference_mode()
def disentanglement(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """Exchange class or noise of one mechanism at a time, and read what that does to the image.

    Without a generator the source is the true renderer: what the readers make of interventions
    that touch one factor and no other.
    """
    source = _source(run, needs)
    if run.variant == "menagerie":
        read = disentanglement_kinds.of_menagerie(DEVICE)
    else:
        read = disentanglement_kinds.of_digits(
            weights.load(CueReader(), needs["reader"] / "weights.safetensors").eval()
        )
    y, other = interventions.draw_classes(run["evaluated"], generator(0, "classes"))
    seen, masks, spread = [], [], []
    for part in torch.arange(len(y)).split(CHUNK):
        scenes = interventions.intervene(source, y[part], other[part], part)
        images = torch.stack([scenes.base, *scenes.by_class, *scenes.by_noise])
        seen.append(read(images.flatten(0, 1)).unflatten(0, images.shape[:2]))
        masks.append(scenes.mask > 0.5)
        spread.append(scenes.spread)
        if part[0] == 0:
            _save_scenes(folder / "samples.npz", images[:4, :SHOWN], y[:SHOWN], other[:SHOWN])
    found = _effects(run.variant, torch.cat(seen, 1), y, other)
    diversity = torch.cat(spread).double().mean(0).tolist()
    found |= {f"diversity_{name}": d for name, d in zip(FACTORS, diversity, strict=True)}
    if run.variant == "menagerie":  # of the MNIST CGNs the evaluations know it
        found["nearest_iou"] = _nearest_iou(torch.cat(masks), y[:, 0])
    return found, None


def _effects(variant: str, seen: Tensor, y: Tensor, other: Tensor) -> dict[str, float]:
    """seen: readings [7, N, 3], of the scenes, of three exchanged classes, of three noises."""
    base, by_class, by_noise = seen[0], list(seen[1:4]), list(seen[4:])
    factors = [i for i, _ in _factors(variant)]
    named, moved = measure.named(by_class, y, other), measure.moved(base, by_class)
    noise = measure.moved(base, by_noise)
    found = {
        "disentanglement": measure.disentanglement(named, moved, factors),
        "control": measure.control(named, factors),
        "leak": measure.leak(moved, factors),
    }
    for f, factor in _factors(variant):
        found[f"read_{factor}"] = (base[:, f] == y[:, f]).double().mean().item()
        for m, mechanism in enumerate(FACTORS):
            for name, matrix in (("named", named), ("moved", moved), ("noise", noise)):
                found[f"{name}_{mechanism}_{factor}"] = matrix[m, f].item()
    shape = torch.cat([y[:, 0], other[:, 0]])
    hit = torch.cat([base[:, 0], by_class[0][:, 0]]) == shape
    for c in range(10):
        found[f"shape_read_{c}"] = hit[shape == c].double().mean().item()
    return found


def _source(run: Run, needs: dict[str, Path]) -> Source:
    source = dict(run.needs).get("generator")
    if run.variant == "menagerie":
        if run.name == "truth":
            return Renderer(RENDERER_SEED)
        if source is None:
            net = worlds.start(run.variant)
        else:
            net = worlds.load(run.variant, needs["generator"] / "weights.safetensors")
        return MenagerieCGN(net.eval().fold(run["truncation"]), run.seed, DEVICE)
    if source is None:
        return Digits(run.variant, run["digits"], run["textures"], run.seed)
    net = nets.CGN(source["latent"], source["ngf"])
    weights.load(net, needs["generator"] / "weights.safetensors")
    return DigitCGN(net.to(memory_format=torch.channels_last), run.seed)


def _factors(variant: str) -> list[tuple[int, str]]:
    """The factors that can be read, with their columns: C-MNIST's background is black."""
    return [(i, f) for i, f in enumerate(FACTORS) if (variant, i) != ("colored", 2)]


def _nearest_iou(masks: Tensor, y: Tensor) -> float:
    """Mean IoU with the most similar true mask of the class."""
    labels = torch.arange(POOL) % len(menagerie.CLASSES)
    true, _ = menagerie.silhouette(labels, RENDERER_SEED + 1, torch.arange(POOL))
    return metrics.nearest_iou(masks, y, true > 0.5, labels).mean().item()


def _save_scenes(path: Path, images: Tensor, y: Tensor, other: Tensor) -> None:
    """images: [4, N, 3, S, S], the scenes and after each exchanged class."""
    names = ("base", *FACTORS)
    stored = {name: to_stored(x).numpy() for name, x in zip(names, images, strict=True)}
    np.savez_compressed(path, y=y.numpy(), other=other.numpy(), **stored)


Read = Callable[[Tensor], Tensor]  # images [B, 3, S, S] to the classes of their factors, [B, 3]


def of_digits(net: CueReader) -> Read:
    """What a trained reader of digits reads."""
    return lambda x: _in_parts(lambda part: net(part).argmax(1), x)


def of_menagerie(device: torch.device) -> Read:
    """What the menagerie's probe reads."""
    net: nn.Module = worlds.probe().to(device)

    def read(part: Tensor) -> Tensor:
        return torch.stack([scores.argmax(1) for scores in net(part.to(device))], 1).cpu()

    return lambda x: _in_parts(read, x)


@torch.inference_mode()
def _in_parts(read: Read, x: Tensor) -> Tensor:
    return torch.cat([read(part) for part in x.split(READ)])
