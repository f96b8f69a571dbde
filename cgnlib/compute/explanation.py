"""What an MNIST classifier looks at, and what its features keep."""

import numpy as np
import torch
from torch import Tensor

from cgnlib import experiments as e
from cgnlib.chance import DIGITS_SHOWN, generator
from cgnlib.compute import Found, Job
from cgnlib.compute.digits import CHUNK, test_of
from cgnlib.compute.nets_of import net_of
from cgnlib.data.variants import Variant
from cgnlib.measures import features, heat

SHOWN = 10  # images whose heat maps are kept, the same for every classifier of a variant


def _explanation(run: e.Explanation, job: Job) -> Found:
    net = net_of(run.classifier, job.needs["classifier"])
    test = test_of(run)
    images = test.freeze()
    parts = [images.batch(index) for index in torch.arange(len(test)).split(CHUNK)]
    with heat.HeatMaps(net, net.model[8]) as maps:
        raw = torch.cat([maps(x) for x, _ in parts])
    z = features.features(net, (x for x, _ in parts))
    chosen = torch.randperm(len(test), generator=generator(DIGITS_SHOWN, "shown"))[:SHOWN]
    scaled, constant = heat.normalised(raw)
    shown = {"heat": scaled, "mask": test.mask.squeeze(1), "y": test.y}
    job.show({"x": images.batch(chosen)[0]}, **{name: x[chosen] for name, x in shown.items()})
    n = min(run.embedded, len(test))
    np.savez_compressed(
        job.folder / "embedding.npz",
        embedding=features.tsne(z[:n], run.seed),
        digit=test.y[:n].numpy(),
        fg=test.fg[:n].numpy(),
        bg=test.bg[:n].numpy(),
    )
    return Found(_overlap(raw, scaled, constant, test) | _read(z, test, run.seed))


def _overlap(raw: Tensor, scaled: Tensor, constant: Tensor, test: Variant) -> dict[str, float]:
    """The study's metric with true masks and with those of other digits, and what it hides."""
    true = test.mask.squeeze(1)
    iou = heat.study_iou(scaled, true)
    means = {
        "study_iou": iou,
        "study_iou_unrelated": heat.study_iou(scaled, true.roll(1, 0)),
        "foreground_iou": heat.foreground_iou(scaled, true),
        "background_iou": heat.background_iou(scaled, true),
        "heat_inside": heat.heat_inside(raw, true)[~constant],
        "average_precision": heat.average_precision(scaled, true),
    }
    empty = torch.zeros_like(scaled)
    found = {name: values.mean().item() for name, values in means.items() if len(values)}
    found |= {f"study_iou_{y}": iou[test.y == y].mean().item() for y in range(10)}
    return found | {
        "explained_images": len(test),
        "constant_maps": constant.float().mean().item(),
        "study_iou_empty": heat.study_iou(empty, true).mean().item(),
        "mask_coverage_true": true.float().mean().item(),
    }


def _read(z: Tensor, test: Variant, seed: int) -> dict[str, float]:
    """How well a linear probe reads the digit and the cues from the features."""
    cues = {"digit": test.y, "foreground": test.fg, "background": test.bg}
    return {
        f"{cue}_read": features.linear_probe(z, labels, seed)
        for cue, labels in cues.items()
        if len(labels.unique()) > 1  # C-MNIST's background is black
    }


KINDS = {e.Explanation: _explanation}
