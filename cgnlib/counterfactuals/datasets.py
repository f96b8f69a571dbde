"""Data sets of counterfactuals, made image by image."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib.chance import generator
from cgnlib.counterfactuals import draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.counterfactuals.folder import MOST, QUALITY, Dataset, Writer, read_dataset, through_jpeg
from cgnlib.errors import CGNError, reason
from cgnlib.measures import metrics

STRETCHES = ("minmax", "plain")


@torch.inference_mode()
def write_dataset(
    net: nn.Module,
    folder: Path,
    n: int,
    mode: str,
    truncation: float,
    seed: int,
    *,
    name: str,
    weights: str,
    num_classes: int = 1000,
    latent: int = 128,
    fixed: tuple[int, int, int] | None = None,
    lists: dict[str, tuple[int, ...]] | None = None,
    stretch: str = "minmax",
    batch: int = 8,
) -> Dataset:
    """Write n counterfactuals of a net into a folder, or those of them that are missing there.

    net: called as net(u, shape, texture, background, truncation), each class [B] int64; what it
    returns has x_gen [B, 3, H, W] in -1...1 and mask.  weights: the digest of its weights.
    stretch: `minmax` stretches each image to its full range, as published; `plain` is (x + 1) / 2.

    Latents and classes are drawn for each image from the seed and its index, and so are exactly
    the same whatever the batch size; the latents do not depend on the mode either.  Batches are
    fixed blocks of indices, and a block with a gap is computed whole: a set that was interrupted
    ends with the same bytes as one that was not, on the same CPU with the same batch size and
    number of threads.  With other batches a net may round its sums differently: pixels may then
    move by one step before compression, and mean masks in their last digit.

    Raises CGNError for settings that make no sense and for a folder that holds anything else than
    this very data set, before anything is changed.  Source: published code, dataset generation.
    """
    if lists is None and mode == "best_classes":
        lists = draws.BEST_CLASSES
    spec = {"name": name, "n": n, "mode": mode, "truncation": float(truncation), "seed": seed}
    spec |= {"weights": weights, "num_classes": num_classes, "latent": latent, "fixed": fixed}
    spec |= {"lists": lists, "stretch": stretch, "quality": QUALITY}
    spec = json.loads(json.dumps(spec))
    _check(spec, batch)
    rngs = (generator(seed, "classes", i) for i in range(n))
    drawn = [draws.draw_classes(mode, 1, num_classes, rng, fixed, lists) for rng in rngs]
    classes = torch.cat(drawn)
    writer = Writer(folder, spec, classes)
    device = next((t.device for t in (*net.parameters(), *net.buffers())), "cpu")
    net.eval()
    try:
        todo = writer.begin()
        with tqdm(total=n, initial=n - len(todo), disable=None, unit="image") as progress:
            for block in (list(range(n)[i : i + batch]) for i in range(0, n, batch)):
                if todo.isdisjoint(block):
                    continue
                rngs = (generator(seed, "latent", i) for i in block)
                u = torch.cat([draws.truncated_noise(1, latent, truncation, rng) for rng in rngs])
                made = net(u.to(device), *classes[block].T.to(device), truncation)
                shares = metrics.mask_coverage(made.mask.double()).tolist()
                images = zip(block, _bytes(made.x_gen, stretch), strict=True)
                new = {i: image for i, image in images if i in todo}
                writer.add(new, dict(zip(block, shares, strict=True)))
                progress.update(len(new))
        writer.finish()
        return read_dataset(folder)
    except OSError as error:
        raise CGNError(
            f"{folder} cannot be written ({reason(error)}): free space or mend the folder, then "
            "run again; the images that are there are kept"
        ) from error


def read_back(x: Tensor, stretch: str) -> Tensor:
    """Images [B, 3, H, W] as a data set would give them back, without writing one."""
    return through_jpeg(_bytes(x, stretch))


def _check(spec: dict, batch: int) -> None:
    draws.check_truncation(spec["truncation"])
    for number in (spec["n"], spec["latent"], spec["num_classes"], batch):
        if number < 1:
            raise CGNError(f"a data set needs images, latents, classes and a batch, not {number}")
    if spec["n"] > MOST:
        raise CGNError(f"{spec['n']} images are more than have names: ask for {MOST:,} at most")
    if not re.fullmatch(r"\w[\w.-]*", spec["name"]):
        raise CGNError(f"{spec['name']!r} is no name for images: use letters, digits, . - and _")
    if spec["stretch"] not in STRETCHES:
        raise CGNError(f"unknown stretch {spec['stretch']!r}: choose {', '.join(STRETCHES)}")


def _bytes(x: Tensor, stretch: str) -> np.ndarray:
    """[B, 3, H, W] as [B, H, W, 3] bytes; a flat image is black when stretched."""
    x = x.float()
    if not x.isfinite().all():
        raise CGNError("the net makes images with values that are not finite: check its weights")
    if stretch == "minmax":
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / (high - low).clamp_min(1e-5) * 2 - 1
    return to_stored(x).cpu().numpy()
