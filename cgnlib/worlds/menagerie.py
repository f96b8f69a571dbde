"""The menagerie, drawn: parts that come with the book, images rendered on demand, -1...1."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cgnlib import chance
from cgnlib.counterfactuals.datasets import Dataset
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.data import menagerie
from cgnlib.data.images import Images
from cgnlib.data.pictures import Pictures, Stored
from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import EnsembleRecipe, TestsRecipe
from cgnlib.nets import biggan, shipped, weights
from cgnlib.nets.ensemble import small_resnet
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from cgnlib.worlds.stimuli import CHUNK, Stimuli, of_counterfactuals

if TYPE_CHECKING:
    from torchvision.models import ResNet

# By condition, the renderer's split: objects are the same in the last three.
SPLITS = {
    "cue_conflict": "conflict",
    "original": "agree",
    "mixed_same": "mixed_same",
    "mixed_rand": "mixed_rand",
}


class Menagerie:
    """Training and test images whose truth is known."""

    name = "menagerie"
    config = biggan.BIGGAN_MENAGERIE
    sheet = tuple(range(10))

    def start(self) -> ImageNetCGN:
        net = ImageNetCGN(self.config, shipped.load("u2net", U2Net.small()))
        return net.start_from(shipped.load("biggan", biggan.build(self.config)))

    def load(self, path: Path, mend: str = weights.AGAIN) -> ImageNetCGN:
        return weights.load(ImageNetCGN(self.config, U2Net.small()), path, mend).eval()

    def judge(self, protocol: str) -> nn.Module:
        if protocol != "standard":
            raise CGNError("the menagerie's inception score has the protocol standard alone")
        return _Judge(shipped.load("classifier", Reader()))

    def probe(self) -> Reader:
        return shipped.load("probe", Reader((10, 10, 10)))

    def backbone(self) -> "ResNet":
        return small_resnet()

    def real(self, recipe: EnsembleRecipe, seed: int) -> Pictures:
        """Images whose cues agree, the same for every seed."""
        data = menagerie.Menagerie("agree", recipe.train, chance.TRAIN)
        return _in_memory(_rendered(data), data.y)

    def counterfactual(self, data: Dataset, seed: int) -> Pictures:
        return _in_memory(data.images(CHUNK), data.classes)

    def validation(self, recipe: EnsembleRecipe | TestsRecipe) -> Stimuli:
        return _test("real", "agree", recipe.val, chance.VALIDATION)

    def counterfactual_test(self, data: Dataset) -> Stimuli:
        return of_counterfactuals(data, menagerie.CLASSES, partial(data.images, CHUNK))

    def tests(self, recipe: TestsRecipe) -> list[Stimuli]:
        return [_test(c, SPLITS[c], recipe.val, chance.TEST) for c in recipe.conditions]


class _Judge(nn.Module):
    def __init__(self, net: Reader):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[0].softmax(1)


def _test(condition: str, split: str, n: int, seed: int) -> Stimuli:
    data = menagerie.Menagerie(split, n, seed)
    return Stimuli(
        condition, [f"{split}-{seed}-{i}" for i in range(n)], menagerie.CLASSES, data.y,
        _Drawn(data), texture=data.texture, background=data.background,
    )  # fmt: skip


class _Drawn:
    """The images of a test, rendered when it is first taken: an exam is taken after each epoch."""

    def __init__(self, data: menagerie.Menagerie):
        self.data = data
        self.kept: list[Tensor] = []

    def __call__(self) -> Iterator[Tensor]:
        self.kept = self.kept or list(_rendered(self.data))
        return iter(self.kept)


def _rendered(data: menagerie.Menagerie) -> Iterator[Tensor]:
    return (data.batch(part)[0] for part in torch.arange(len(data)).split(CHUNK))


def _in_memory(batches: Iterator[Tensor], labels: Tensor) -> Stored:
    return Stored(Images(torch.cat([to_stored(x) for x in batches]), labels))
