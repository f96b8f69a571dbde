"""ImageNet: published parts, photographs in files under CGN_DATA, public tests."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

from cgnlib import processor, rehearsal
from cgnlib.counterfactuals.datasets import Dataset
from cgnlib.data import categories, preprocessing, public, sources
from cgnlib.data.pictures import Files, Pictures
from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import EnsembleRecipe, TestsRecipe
from cgnlib.nets import biggan, inception, perceptual, weights
from cgnlib.nets.ensemble import Ensemble, Plain
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.perceptual import LITE0
from cgnlib.nets.u2net import U2Net
from cgnlib.worlds.stimuli import CHUNK, Stimuli, as_is, of_counterfactuals

if TYPE_CHECKING:
    from torchvision.models import ResNet


class ImageNet:
    """Images are prepared as the published code does unless told."""

    name = "imagenet"
    sheet = (15, 251, 330, 382, 385, 483, 559, 751, 938, 947, 999)  # published

    @property
    def config(self) -> biggan.Config:
        return biggan.BIGGAN_REHEARSED if rehearsal.under_way() else biggan.BIGGAN_256

    def start(self) -> ImageNetCGN:
        u2net = weights.load(saliency(), sources.find("u2net"))
        generator = weights.load(biggan.build(self.config), sources.find("biggan256"))
        return ImageNetCGN(self.config, u2net).start_from(generator)

    def load(self, path: Path, mend: str = weights.AGAIN) -> ImageNetCGN:
        return weights.load(ImageNetCGN(self.config, saliency()), path, mend).eval()

    def judge(self, protocol: str) -> nn.Module:
        return inception.build(protocol)

    def probe(self) -> None:
        return None

    def backbone(self) -> "ResNet":
        from torchvision.models import resnet50  # as long a start as torch's own

        return resnet50(weights=None)

    def real(self, recipe: EnsembleRecipe, seed: int) -> Pictures:
        """Training images, cropped and flipped at random, by seed."""
        found = public.read(f"{recipe.data}/train").some(recipe.train)
        return Files(found.images, found.labels, _TRAIN, 2 * seed, _workers())

    def counterfactual(self, data: Dataset, seed: int) -> Pictures:
        paths = [data.path(i) for i in range(len(data))]
        return Files(paths, data.classes, _TRAIN, 2 * seed + 1, _workers())

    def validation(self, recipe: EnsembleRecipe | TestsRecipe) -> Stimuli:
        return _public_test(f"{recipe.data}/val", recipe.val, "paper", condition="real")

    def counterfactual_test(self, data: Dataset) -> Stimuli:
        prepare = preprocessing.preprocessing("imagenet", "paper")
        paths = [data.path(i) for i in range(len(data))]
        return of_counterfactuals(data, categories.wordnet(), partial(_in_order, paths, prepare))

    def tests(self, recipe: TestsRecipe, normalise: str | None = None) -> list[Stimuli]:
        """normalise: as the classifier wants it, where that is not ImageNet's way."""
        protocol = recipe.preprocessing or "paper"
        return [_public_test(name, recipe.val, protocol, normalise) for name in recipe.conditions]


def saliency() -> U2Net:
    """The saliency net, before it has its weights."""
    return U2Net.small() if rehearsal.under_way() else U2Net.published()


def published(name: str) -> ImageNetCGN:
    """A trained CGN of others, by its entry in the table of sources."""
    return ImageNet().load(sources.find(name))


def pretrained(name: str) -> "ResNet":
    """A ResNet-50 of others, whole or not at all: `resnet50` is torchvision's V1."""
    return weights.load(ImageNet().backbone(), sources.find(name))


def published_ensemble(name: str) -> Ensemble:
    """A three-headed classifier of others."""
    net = Ensemble(ImageNet().backbone(), torch.Generator())
    return weights.load(net, sources.find(name))


def packaged(name: str) -> nn.Module:
    """A classifier of ImageNet whose weights come with a package."""
    if name != LITE0:
        raise CGNError(f"no package brings a classifier {name!r}: choose {LITE0}")
    return Plain(perceptual.whole_efficientnet_lite0(), LITE0)


class _Augment:
    """The published augmentation: a random crop of 224 pixels, flipped half of the time."""

    def __call__(self, image: Image.Image) -> Tensor:
        from torchvision.transforms import v2

        x = v2.functional.pil_to_tensor(image)
        x = v2.RandomHorizontalFlip()(v2.RandomResizedCrop(preprocessing.SIZE, antialias=True)(x))
        x = v2.functional.to_dtype(x, torch.float32, scale=True)
        return v2.functional.normalize(x, *map(list, preprocessing.NORMALISE["imagenet"]))


_TRAIN = _Augment()


def _public_test(
    name: str,
    n: int | None,
    protocol: str,
    normalise: str | None = None,
    condition: str | None = None,
) -> Stimuli:
    found = public.read(name).some(n)
    return Stimuli(
        condition or found.condition,
        [path.name for path in found.images],
        found.classes,
        found.labels,
        partial(_prepared, found, protocol, normalise),
        _DECIDE[public.LAYOUTS[name].labels],
        texture=found.texture,
    )


def _nine(p: Tensor) -> Tensor:
    """IN-9: the class of the best of 1,000 answers, none where that has no class."""
    best = categories.nine(p.argmax(1))
    return (best[:, None] == torch.arange(len(categories.NINE), device=p.device)).float()


def _two_hundred(p: Tensor) -> Tensor:
    """ImageNet-A: answers outside its 200 classes do not count."""
    among = torch.zeros(p.shape[1], device=p.device)
    among[categories.imagenet_a()] = 1
    return p * among


_DECIDE = {
    "imagenet": as_is,
    "imagenet_a": _two_hundred,
    "sixteen": categories.sixteen,
    "nine": _nine,
}


# What tests draw their images from: functions, which go to other processes as lambdas do not.
def _prepared(found: public.Benchmark, protocol: str, normalise: str | None) -> Iterator[Tensor]:
    made = preprocessing.batches(found, CHUNK, protocol, normalise, _workers())
    return (x for x, _ in made)


def _in_order(paths: list[Path], prepare: preprocessing.Preprocessing) -> Iterator[Tensor]:
    return (x for x, _ in preprocessing.prepared(paths, prepare, CHUNK, _workers()))


def _workers() -> int:
    """Processes that read images ahead for one device: none where the CPU is what computes."""
    return -(-min(8, processor.cores()) // processor.devices()) if processor.on_gpu() else 0
