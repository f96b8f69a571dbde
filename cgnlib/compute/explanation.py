"""The kind of run behind the explanations: what an MNIST classifier looks at, and what it keeps.

Like `execute`, it writes its artefacts into `folder` and returns (metrics, history).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgnlib.chance import generator
from cgnlib.data.images import to_bytes
from cgnlib.data.variants import Variant
from cgnlib.experiments import Run
from cgnlib.measures import features
from cgnlib.measures import heat as explain
from cgnlib.nets.mnist import CNN

CHUNK = 500
SHOWN = 10  # images whose heat maps are kept
SHOWN_SEED = 2021  # which ones: the same for every classifier of a variant


def explanation(run: Run, folder: Path, net: CNN, test: Variant) -> tuple[dict, None]:
    """Heat maps, features and what can be read from them, of a classifier on its test images."""
    images = test.freeze()
    parts = [images.batch(index) for index in torch.arange(len(test)).split(CHUNK)]
    with explain.HeatMaps(net, net.model[8]) as maps:
        raw = torch.cat([maps(x) for x, _ in parts])
    z = features.features(net, (x for x, _ in parts))
    chosen = torch.randperm(len(test), generator=generator(SHOWN_SEED, "shown"))[:SHOWN]
    heat, constant = explain.normalised(raw)
    _save(folder / "samples.npz", images.batch(chosen)[0], heat[chosen], test, chosen)
    n = min(run["embedded"], len(test))
    np.savez_compressed(
        folder / "embedding.npz",
        embedding=features.tsne(z[:n], run.seed),
        digit=test.y[:n].numpy(),
        fg=test.fg[:n].numpy(),
        bg=test.bg[:n].numpy(),
    )
    return _overlap(raw, heat, constant, test) | _read(z, test, run.seed), None


def _overlap(raw: Tensor, heat: Tensor, constant: Tensor, test: Variant) -> dict[str, float]:
    """The study's metric with true masks and with those of other digits, and what it hides."""
    true = test.mask.squeeze(1)
    iou = explain.study_iou(heat, true)
    means = {
        "study_iou": iou,
        "study_iou_unrelated": explain.study_iou(heat, true.roll(1, 0)),
        "foreground_iou": explain.foreground_iou(heat, true),
        "background_iou": explain.background_iou(heat, true),
        "heat_inside": explain.heat_inside(raw, true)[~constant],
        "average_precision": explain.average_precision(heat, true),
    }
    empty = torch.zeros_like(heat)
    found = {name: values.mean().item() for name, values in means.items() if len(values)}
    found |= {f"study_iou_{y}": iou[test.y == y].mean().item() for y in range(10)}
    return found | {
        "explained_images": len(test),
        "constant_maps": constant.float().mean().item(),
        "study_iou_empty": explain.study_iou(empty, true).mean().item(),
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


def _save(path: Path, x: Tensor, heat: Tensor, test: Variant, chosen: Tensor) -> None:
    stored = to_bytes(x.permute(0, 2, 3, 1).contiguous())
    arrays = {"x": stored, "heat": heat, "mask": test.mask[chosen].squeeze(1)}
    np.savez_compressed(path, y=test.y[chosen].numpy(), **{k: v.numpy() for k, v in arrays.items()})
