"""How photographs become the input of a classifier of ImageNet."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from cgnlib.data.pictures import read_ahead, read_image
from cgnlib.data.public import Benchmark
from cgnlib.errors import CGNError

SIZE = 224


# By name, the mean and the standard deviation of the channels of images in 0...1.
NORMALISE = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "in9": ((0.4717, 0.4499, 0.3837), (0.2600, 0.2516, 0.2575)),  # CGN's code, for IN-9 alone
    # TensorFlow's (v - 127) / 128 of bytes v, with which the weights were trained.  The README of
    # the package shows ImageNet's constants, taken over from nets that are not lite.
    "efficientnet-lite0": ((127 / 255,) * 3, (128 / 255,) * 3),
}


@dataclass(frozen=True)
class Preprocessing:
    """resize: the shorter side, ahead of the central 224 x 224; None takes such images as they are.

    normalise: a name of NORMALISE.
    """

    resize: int | None
    normalise: str

    def __call__(self, image: Image.Image) -> Tensor:
        """[3, 224, 224] float32.  Raises ValueError for another size where nothing is resized."""
        from torchvision.transforms.v2 import InterpolationMode  # two seconds, for some runs
        from torchvision.transforms.v2 import functional as F

        if self.resize is not None:
            image = F.resize(image, [self.resize], InterpolationMode.BILINEAR, antialias=True)
            image = F.center_crop(image, [SIZE, SIZE])
        if image.size != (SIZE, SIZE):
            raise ValueError(f"{image.width} x {image.height} pixels and not {SIZE} x {SIZE}")
        mean, std = NORMALISE[self.normalise]
        x = F.to_dtype(F.pil_to_tensor(image), torch.float32, scale=True)
        return F.normalize(x, list(mean), list(std))


_USUAL = Preprocessing(256, "imagenet")


# By protocol, what departs from the usual.  `paper`: CGN's code and the study, which enlarge the
# cue-conflict stimuli and crop them.  `authors`: those who made the benchmark.
PROTOCOLS = {
    "paper": {"in9": Preprocessing(None, "in9")},
    "authors": {
        "in9": Preprocessing(None, "imagenet"),
        "cue_conflict": Preprocessing(None, "imagenet"),
    },
}


def preprocessing(name: str, protocol: str, normalise: str | None = None) -> Preprocessing:
    """How a protocol prepares a benchmark's images.  Raises CGNError for unknown names.

    normalise: another name of NORMALISE, for a network that was trained with its own constants.
    """
    if protocol not in PROTOCOLS:
        raise CGNError(f"unknown protocol {protocol!r}: choose {', '.join(PROTOCOLS)}")
    if normalise is not None and normalise not in NORMALISE:
        raise CGNError(f"unknown normalisation {normalise!r}: choose {', '.join(NORMALISE)}")
    found = PROTOCOLS[protocol].get(name, _USUAL)
    return found if normalise is None else replace(found, normalise=normalise)


def batches(
    benchmark: Benchmark,
    batch: int,
    protocol: str = "paper",
    normalise: str | None = None,
    workers: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """All images in order: x [B, 3, 224, 224] float32, normalised, and their indices [B] int64.

    The last batch is as short as it comes.  workers: processes that read ahead, 0 for none.
    Raises CGNError for a file that is no image, or none of the size that the protocol takes.
    """
    prepare = preprocessing(benchmark.name, protocol, normalise)
    yield from prepared(benchmark.images, prepare, batch, workers)


def prepared(
    images: list[Path], prepare: Preprocessing, batch: int, workers: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images in files, as `batches` gives those of a benchmark."""
    places = [part.tolist() for part in torch.arange(len(images)).split(batch)]
    yield from read_ahead(_Prepared(images, prepare), places, workers)


class _Prepared(torch.utils.data.Dataset):
    """An image, and its index."""

    def __init__(self, images: list[Path], prepare: Preprocessing):
        self.images, self.prepare = images, prepare

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        try:
            return self.prepare(read_image(self.images[i])), i
        except ValueError as error:
            raise CGNError(f"{self.images[i]} has {error}: get it again, as published") from error
