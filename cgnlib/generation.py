"""Noise, classes and data sets of counterfactuals for the BigGAN-based CGNs.

Image i of a data set is a function of the seed and of i.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib import datasets, imagenet, metrics
from cgnlib.counterfactuals import to_stored
from cgnlib.errors import CGNError, reason
from cgnlib.train import generator

MODES = ("random", "random_same", "best_classes", "fixed_classes")
MECHANISMS = ("shape", "texture", "background")
VARIED = {"shape": (0,), "text": (1,), "bg": (2,), "all": (0, 1, 2)}
STRETCHES = ("minmax", "plain")


def truncated_noise(n: int, size: int, truncation: float, rng: torch.Generator) -> Tensor:
    """Latents u, [n, size]: truncation times a normal distribution cut off at -2 and 2.

    By the inverse distribution function in double precision.  Raises CGNError for a truncation
    outside (0, 1].  Source: published code (the paper calls the noise a spherical Gaussian).
    """
    _check_truncation(truncation)
    low, high = torch.special.ndtr(torch.tensor([-2.0, 2.0], dtype=torch.float64)).tolist()
    uniform = torch.rand(n, size, generator=rng, dtype=torch.float64, device=rng.device)
    z = torch.special.ndtri(low + (high - low) * uniform).clamp_(-2, 2)
    return (truncation * z).float()


def draw_classes(
    mode: str,
    n: int,
    num_classes: int,
    rng: torch.Generator,
    fixed: tuple[int, int, int] | None = None,
    lists: dict[str, tuple[int, ...]] | None = None,
) -> Tensor:
    """Classes of shape, texture and background, [n, 3] int64.

    mode: `random` (three independent draws), `random_same` (one draw for all three; the study's,
    for the inception score), `best_classes` (independent draws from `lists`, by mechanism; the
    published ones where it is None) or `fixed_classes` (`fixed`, n times).
    Raises CGNError for another mode, for classes outside 0...num_classes - 1, and for `fixed` or
    `lists` with a mode that has no use for it.
    """
    if mode not in MODES:
        raise CGNError(f"unknown mode {mode!r}: choose {', '.join(MODES)}")
    if (fixed is not None) != (mode == "fixed_classes"):
        raise CGNError("three fixed classes go with the mode fixed_classes, and only with it")
    if lists is not None and mode != "best_classes":
        raise CGNError(f"the mode {mode} draws from no lists: use best_classes")

    def draw(high: int) -> Tensor:
        return torch.randint(high, (n,), generator=rng, device=rng.device)

    if mode == "random":
        return torch.stack([draw(num_classes) for _ in MECHANISMS], 1)
    if mode == "random_same":
        return draw(num_classes)[:, None].repeat(1, 3)
    if mode == "fixed_classes":
        if len(fixed) != 3:
            raise CGNError(f"{len(fixed)} fixed classes: give one for each of {MECHANISMS}")
        _check_classes(fixed, num_classes)
        return torch.tensor(fixed, device=rng.device).repeat(n, 1)
    lists = imagenet.BEST_CLASSES if lists is None else lists
    columns = []
    for mechanism in MECHANISMS:
        if not (known := lists.get(mechanism)):
            raise CGNError(f"there is no list of classes for {mechanism}")
        _check_classes(known, num_classes)
        columns.append(torch.tensor(known, device=rng.device)[draw(len(known))])
    return torch.stack(columns, 1)


def interpolation(
    num_classes: int, start: tuple[int, int, int], target: int, midpoints: int, vary: str
) -> list[Tensor]:
    """Class vectors on the way from `start` to `target`, for shape, texture and background.

    Each is [midpoints + 2, num_classes], linear between one-hot vectors, both ends included.
    vary: which mechanism goes there (`shape`, `text`, `bg` or `all`); the others stay at start.
    Source: published code, which steps 6 midpoints and draws a target where none is given.
    """
    if vary not in VARIED:
        raise CGNError(f"cannot vary {vary!r}: choose {', '.join(VARIED)}")
    if midpoints < 0 or len(start) != 3:
        raise CGNError(f"needs three start classes and midpoints, not {start} and {midpoints}")
    _check_classes((*start, target), num_classes)
    one_hot = torch.eye(num_classes)
    share = torch.linspace(0, 1, midpoints + 2)[:, None]
    ends = [target if i in VARIED[vary] else first for i, first in enumerate(start)]
    return [
        torch.lerp(one_hot[first], one_hot[end], share)
        for first, end in zip(start, ends, strict=True)
    ]


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
) -> datasets.Dataset:
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
        lists = imagenet.BEST_CLASSES
    spec = {"name": name, "n": n, "mode": mode, "truncation": float(truncation), "seed": seed}
    spec |= {"weights": weights, "num_classes": num_classes, "latent": latent, "fixed": fixed}
    spec |= {"lists": lists, "stretch": stretch, "quality": datasets.QUALITY}
    spec = json.loads(json.dumps(spec))
    _check(spec, batch)
    classes = torch.cat([_draw_classes_of(spec, i) for i in range(n)])
    writer = datasets.Writer(folder, spec, classes)
    net.eval()
    try:
        todo = writer.begin()
        with tqdm(total=n, initial=n - len(todo), disable=None, unit="image") as progress:
            for block in _blocks(n, batch, todo):
                u = torch.cat([_draw_latent_of(spec, i) for i in block])
                made = net(*_moved(net, u, *classes[block].T), truncation)
                shares = metrics.mask_coverage(made.mask.double()).tolist()
                images = zip(block, _bytes(made.x_gen, stretch), strict=True)
                new = {i: image for i, image in images if i in todo}
                writer.add(new, dict(zip(block, shares, strict=True)))
                progress.update(len(new))
        return writer.finish()
    except OSError as error:
        raise CGNError(
            f"{folder} cannot be written ({reason(error)}): free space or mend the folder, then "
            "run again; the images that are there are kept"
        ) from error


def read_back(x: Tensor, stretch: str) -> Tensor:
    """Images [B, 3, H, W] as a data set would give them back, without writing one."""
    return datasets.through_jpeg(_bytes(x, stretch))


def _check(spec: dict, batch: int) -> None:
    _check_truncation(spec["truncation"])
    for number in (spec["n"], spec["latent"], spec["num_classes"], batch):
        if number < 1:
            raise CGNError(f"a data set needs images, latents, classes and a batch, not {number}")
    if not re.fullmatch(r"\w[\w.-]*", spec["name"]):
        raise CGNError(f"{spec['name']!r} is no name for images: use letters, digits, . - and _")
    if spec["stretch"] not in STRETCHES:
        raise CGNError(f"unknown stretch {spec['stretch']!r}: choose {', '.join(STRETCHES)}")


def _check_truncation(truncation: float) -> None:
    if not 0 < truncation <= 1:
        raise CGNError(f"truncation {truncation} is not above 0 and at most 1")


def _check_classes(classes: Iterable[int], num_classes: int) -> None:
    for c in classes:
        if not 0 <= c < num_classes:
            raise CGNError(f"there is no class {c}: use 0 to {num_classes - 1}")


def _draw_latent_of(spec: dict, i: int) -> Tensor:
    rng = generator(spec["seed"], "latent", i)
    return truncated_noise(1, spec["latent"], spec["truncation"], rng)


def _draw_classes_of(spec: dict, i: int) -> Tensor:
    rng = generator(spec["seed"], "classes", i)
    return draw_classes(
        spec["mode"], 1, spec["num_classes"], rng, fixed=spec["fixed"], lists=spec["lists"]
    )


def _blocks(n: int, batch: int, todo: set[int]) -> Iterator[list[int]]:
    for start in range(0, n, batch):
        block = list(range(start, min(start + batch, n)))
        if not todo.isdisjoint(block):
            yield block


def _moved(net: nn.Module, *tensors: Tensor) -> list[Tensor]:
    """Tensors on the device of a net's parameters."""
    device = next((t.device for t in (*net.parameters(), *net.buffers())), "cpu")
    return [t.to(device) for t in tensors]


def _bytes(x: Tensor, stretch: str) -> np.ndarray:
    """[B, 3, H, W] as [B, H, W, 3] bytes; a flat image is black when stretched."""
    x = x.float()
    if not x.isfinite().all():
        raise CGNError("the net makes images with values that are not finite: check its weights")
    if stretch == "minmax":
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / (high - low).clamp_min(1e-5) * 2 - 1
    return to_stored(x).cpu().numpy()
