"""The kind of run that asks where each head of a classifier looks, in the menagerie.

There the true mask of every object is known, and so is which cue a head was taught to name.
Like `execute`, it writes its artefacts into `folder` and returns (metrics, history).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cgnlib.chance import generator
from cgnlib.classifier_data import SPLITS, TEST_SEED
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.data.menagerie import Menagerie
from cgnlib.experiments import Run
from cgnlib.measures import heat as explain
from cgnlib.nets import ensemble as nets
from cgnlib.nets import weights

CHUNK = 100
SHOWN = 6  # images whose heat maps are kept
# By name, from the parts of a ResNet: the layer that the study took, with places of 32 pixels,
# and one with places of 8.
LAYERS: dict[str, Callable[[list[nn.Module]], nn.Module]] = {
    "study": lambda parts: parts[7][-1].conv1,
    "fine": lambda parts: parts[5],
}


def head_maps(run: Run, folder: Path, needs: dict[str, Path]) -> tuple[dict[str, float], None]:
    """Heat maps of every subject of a classifier, against the true masks of the objects.

    Metrics are named layer/subject/measure.
    """
    net = _classifier(run, needs["classifier"] / "weights.safetensors")
    x, true = images(run["condition"], run["evaluated"])
    stored = {"x": to_stored(x[:SHOWN]).numpy(), "mask": true[:SHOWN].numpy()}
    found = {"explained_images": len(x), "mask_coverage_true": true.float().mean().item()}
    for layer in LAYERS:
        for subject in subjects(net):
            raw = heat(net, layer, subject, x)
            for name, value in overlap(raw, true).items():
                found[f"{layer}/{subject}/{name}"] = value
            if layer == "fine":
                stored[subject] = explain.normalised(raw[:SHOWN])[0].numpy()
    np.savez_compressed(folder / "samples.npz", **stored)
    return found, None


def images(condition: str, n: int) -> tuple[Tensor, Tensor]:
    """The first n test images of a condition, [n, 3, 64, 64], and their true masks, [n, 64, 64]."""
    data = Menagerie(SPLITS[condition], n, TEST_SEED)
    x, mask = data.masked(data.index)
    return x, mask[:, 0] > 0.5


def subjects(net: nn.Module) -> tuple[str, ...]:
    """Who decides in a classifier: each head and their mean, or the only one."""
    return (*nets.HEADS, "avg") if isinstance(net, nets.Ensemble) else (net.subject,)


def heat(net: nn.Module, layer: str, subject: str, x: Tensor) -> Tensor:
    """Maps of one subject for the class that it names, at a layer of LAYERS, [N, 64, 64]."""
    body = net.backbone if isinstance(net, nets.Ensemble) else net.net
    with explain.HeatMaps(net, LAYERS[layer](list(body.children())), subject) as maps:
        return torch.cat([maps(part) for part in x.split(CHUNK)])


def overlap(raw: Tensor, true: Tensor) -> dict[str, float]:
    """How heat and objects overlap; `_swapped` with the masks of other images.

    Objects stand in the middle: what heat gains over the swapped masks is for the object itself.
    Maps without heat are left out of heat_inside, and counted.
    """
    scaled, constant = explain.normalised(raw)
    found = {"constant_maps": constant.float().mean().item()}
    for end, masks in (("", true), ("_swapped", true.roll(1, 0))):
        values = {
            "heat_inside": explain.heat_inside(raw, masks)[~constant],
            "average_precision": explain.average_precision(scaled, masks),
            "foreground_iou": explain.foreground_iou(scaled, masks),
        }
        found |= {name + end: v.mean().item() for name, v in values.items() if len(v)}
    return found


def _classifier(run: Run, path: Path) -> nn.Module:
    net: nn.Module = nets.Plain(nets.small_resnet())
    if run.need("classifier").kind == "ensemble":
        net = nets.Ensemble(net.net, generator(0))
    return weights.load(net, path).to(memory_format=torch.channels_last).eval()
