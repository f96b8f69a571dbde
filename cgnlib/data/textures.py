"""The twenty textures of wildlife MNIST: from DTD, or procedural ones of our own making.

Both come as uint8 [2, 10, 156, 156, 3]: index 0 holds the object (striped) and index 1 the
background (veined) textures, one for each class, resized to 150 px and reflected by 3 px at
each side, ready for random 32-pixel crops.
"""

import hashlib
import math
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cgnlib import paths
from cgnlib.data.pictures import read_image
from cgnlib.errors import CGNError, MissingError, legible

SIDE, BORDER = 150, 3
OBJECTS = (1, 91, 8, 43, 92, 28, 97, 4, 125, 33)  # DTD numbers of the striped textures by class
BACKGROUNDS = (66, 67, 73, 180, 131, 157, 158, 104, 188, 189)  # and of the veined ones


def load(source: str) -> Tensor:
    """The textures of a source, `dtd` or `procedural`.

    Raises CGNError where a file of `dtd` is missing or damaged.
    """
    if source == "procedural":
        return procedural()
    if source != "dtd":
        raise CGNError(f"unknown texture source {source!r}: choose dtd or procedural")
    return torch.stack([torch.stack([_prepare(path) for path in kind]) for kind in find()])


def checksum(textures: Tensor) -> str:
    """sha256 of the prepared textures: what a run's spec records."""
    return hashlib.sha256(textures.contiguous().numpy().tobytes()).hexdigest()


@legible()
def find() -> list[list[Path]]:
    """The files of `dtd`, for objects and for backgrounds, in the order of the classes.

    dtd/{object,background}/<class>_<category>_<number>.jpg under CGN_DATA, or the whole data set
    as torchvision keeps it there.  Raises CGNError for the first that is missing.
    """
    kinds = ("object", "striped", OBJECTS), ("background", "veined", BACKGROUNDS)
    return [[_find(*kind, i, n) for i, n in enumerate(numbers)] for *kind, numbers in kinds]


def _find(kind: str, category: str, label: int, number: int) -> Path:
    file = f"{category}_{number:04}.jpg"
    path = paths.data() / "dtd" / kind / f"{label}_{file}"
    whole = paths.data() / "torchvision" / "dtd" / "dtd" / "images" / category / file
    if not paths.is_file(path) and not paths.is_file(whole):
        raise MissingError(
            f"texture {path} is missing: get it with `python data_prep/fetch.py dtd`, set "
            "CGN_DATA, or use --profile mini"
        )
    return path if paths.is_file(path) else whole


def _prepare(path: Path) -> Tensor:
    small = read_image(path).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    return torch.from_numpy(_reflect(np.asarray(small)))


def _reflect(image: np.ndarray) -> np.ndarray:
    return np.pad(image, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="reflect")


# Two colours for each class, that of the veins first; the ten pairs of a kind differ in hue or
# lightness, and no object shares its pair with a background.
_STRIPES = (
    ((236, 226, 208), (120, 30, 36)),
    ((250, 208, 60), (40, 40, 48)),
    ((245, 245, 245), (20, 90, 170)),
    ((228, 90, 40), (255, 232, 190)),
    ((60, 150, 80), (232, 240, 220)),
    ((150, 90, 190), (242, 220, 250)),
    ((20, 20, 24), (240, 240, 240)),
    ((240, 130, 160), (90, 20, 60)),
    ((30, 170, 180), (8, 50, 70)),
    ((168, 120, 70), (70, 40, 20)),
)
_VEINS = (
    ((190, 220, 120), (86, 140, 50)),
    ((200, 90, 80), (110, 26, 30)),
    ((190, 220, 225), (60, 110, 120)),
    ((110, 104, 100), (210, 205, 198)),
    ((120, 190, 90), (30, 60, 30)),
    ((96, 60, 16), (180, 140, 60)),
    ((150, 160, 230), (40, 44, 90)),
    ((160, 60, 60), (224, 170, 150)),
    ((220, 200, 235), (96, 84, 110)),
    ((90, 130, 140), (16, 26, 30)),
)


@cache
def procedural() -> Tensor:
    """Ten striped and ten veined textures drawn by formula, the same on every machine."""
    rng = np.random.default_rng(2021)
    v, w = np.meshgrid(*(np.linspace(-1, 1, SIDE),) * 2, indexing="ij")
    stripes = [_stripe(i, v, w, rng) for i in range(10)]
    veins = [_vein(i, v, w, rng) for i in range(10)]
    return torch.stack([_as_images(stripes, _STRIPES, rng), _as_images(veins, _VEINS, rng)])


def _stripe(i: int, v: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of the first colour: bands at an angle, a width and a waviness of the class."""
    angle, bands = i * math.pi / 10, 11 + 3 * (i % 4)
    wave = 0.05 * (i % 3) * np.sin(5 * v + 7 * w + rng.uniform(0, 6))
    phase = (v * math.cos(angle) + w * math.sin(angle) + wave) * bands * math.pi / 2
    return 1 / (1 + np.exp(-6 * np.sin(phase)))


def _vein(i: int, v: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of the vein colour: the borders between the cells of random seeds."""
    seeds = rng.uniform(-1.1, 1.1, (24 + 8 * (i % 5), 2))
    stretch = 1 + (i % 3)
    far = np.hypot(v[..., None] - seeds[:, 0], stretch * (w[..., None] - seeds[:, 1]))
    near = np.sort(far, axis=-1)
    return np.exp(-(((near[..., 1] - near[..., 0]) / (0.05 + 0.01 * (i % 4))) ** 2))


def _as_images(shares, colours, rng: np.random.Generator) -> Tensor:
    images = []
    for share, (first, second) in zip(shares, colours, strict=True):
        image = share[..., None] * np.array(first) + (1 - share[..., None]) * np.array(second)
        image += rng.normal(0, 7, (SIDE, SIDE, 1))  # grain, so that no crop is flat
        images.append(_reflect(image.clip(0, 255).round().astype(np.uint8)))
    return torch.from_numpy(np.stack(images))
