"""Where each head of a classifier looks, in the menagerie.

There the true mask of every object is known, and so is which cue a head was taught to name.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cgnlib import chance
from cgnlib import experiments as e
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import net_of
from cgnlib.data.menagerie import Menagerie
from cgnlib.measures import heat
from cgnlib.measures.naming import Measure
from cgnlib.nets import ensemble as nets
from cgnlib.worlds.menagerie import SPLITS

CHUNK = 100
SHOWN = 6  # images whose heat maps are kept
# By name, from the parts of a ResNet: the layer that the study took, with places of 32 pixels,
# and one with places of 8.
LAYERS: dict[str, Callable[[list[nn.Module]], nn.Module]] = {
    "study": lambda parts: parts[7][-1].conv1,
    "fine": lambda parts: parts[5],
}


def _head_maps(run: e.HeadMaps, job: Job) -> Found:
    """Heat maps of every subject of a classifier, against the true masks of the objects."""
    net = net_of(run.classifier, job.needs["classifier"])
    x, true = images(run.condition, run.evaluated)
    shown = {"mask": true[:SHOWN]}
    found = {"explained_images": len(x), "mask_coverage_true": true.float().mean().item()}
    for layer in LAYERS:
        for subject in subjects(net):
            raw = heat_of(net, layer, subject, x)
            for name, value in overlap(raw, true).items():
                found[Measure(name, subject, layer).name] = value
            if layer == "fine":
                shown[subject] = heat.normalised(raw[:SHOWN])[0]
    job.show({"x": x[:SHOWN]}, **shown)
    return Found(found)


def images(condition: str, n: int) -> tuple[Tensor, Tensor]:
    """The first n test images of a condition, [n, 3, 64, 64], and their true masks, [n, 64, 64]."""
    data = Menagerie(SPLITS[condition], n, chance.TEST)
    x, mask = data.masked(data.index)
    return x, mask[:, 0] > 0.5


def subjects(net: nn.Module) -> tuple[str, ...]:
    """Who decides in a classifier: each head and their mean, or the only one."""
    return (*nets.HEADS, "avg") if isinstance(net, nets.Ensemble) else (net.subject,)


def heat_of(net: nn.Module, layer: str, subject: str, x: Tensor) -> Tensor:
    """Maps of one subject for the class that it names, at a layer of LAYERS, [N, 64, 64]."""
    body = net.backbone if isinstance(net, nets.Ensemble) else net.net
    with heat.HeatMaps(net, LAYERS[layer](list(body.children())), subject) as maps:
        return torch.cat([maps(part) for part in x.split(CHUNK)])


def overlap(raw: Tensor, true: Tensor) -> dict[str, float]:
    """How heat and objects overlap; `_swapped` with the masks of other images.

    Objects stand in the middle: what heat gains over the swapped masks is for the object itself.
    Maps without heat are left out of heat_inside, and counted.
    """
    scaled, constant = heat.normalised(raw)
    found = {"constant_maps": constant.float().mean().item()}
    for end, masks in (("", true), ("_swapped", true.roll(1, 0))):
        values = {
            "heat_inside": heat.heat_inside(raw, masks)[~constant],
            "average_precision": heat.average_precision(scaled, masks),
            "foreground_iou": heat.foreground_iou(scaled, masks),
        }
        found |= {name + end: v.mean().item() for name, v in values.items() if len(v)}
    return found


KINDS = {e.HeadMaps: _head_maps}
