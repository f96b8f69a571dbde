"""What the classifiers of claim 3 start from, learn from and are tested on, by world."""

from collections.abc import Iterator
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.resnet import ResNet
from torchvision.transforms import v2

from cgnlib import processor
from cgnlib.counterfactuals.datasets import Dataset
from cgnlib.data import categories, menagerie, preprocessing, public, sources
from cgnlib.data.images import Images, to_bytes
from cgnlib.data.menagerie import Menagerie
from cgnlib.data.pictures import Files, Pictures, Stored
from cgnlib.errors import CGNError
from cgnlib.nets import perceptual
from cgnlib.nets.ensemble import Plain, load_resnet50, small_resnet
from cgnlib.nets.perceptual import LITE0
from cgnlib.runs.inputs import Input
from cgnlib.stimuli import Stimuli, as_is, of_counterfactuals

CHUNK = 100
# Seeds of the renderer: the pretrained parts saw none of these images.
TRAIN_SEED, TEST_SEED, VALIDATION_SEED = 20, 21, 22
# By condition, the menagerie's split: objects are the same in the last three.
SPLITS = {
    "cue_conflict": "conflict",
    "original": "agree",
    "mixed_same": "mixed_same",
    "mixed_rand": "mixed_rand",
}


class MenagerieData:
    """Images rendered on demand, -1...1."""

    def reads(self, settings: dict) -> dict[str, Input]:
        return {}

    def backbone(self) -> ResNet:
        return small_resnet()

    def real(self, settings: dict, seed: int) -> Pictures:
        """Training images whose cues agree, the same for every seed."""
        data = Menagerie("agree", settings["train"], TRAIN_SEED)
        return _in_memory(_rendered(data), data.y)

    def counterfactual(self, data: Dataset, seed: int) -> Pictures:
        return _in_memory(data.images(CHUNK), data.classes)

    def validation(self, settings: dict) -> list[Stimuli]:
        return [_menagerie_test("real", "agree", settings["val"], VALIDATION_SEED)]

    def counterfactual_test(self, data: Dataset) -> Stimuli:
        return of_counterfactuals(data, menagerie.CLASSES, partial(_stored, data))

    def tests(self, settings: dict) -> list[Stimuli]:
        """One for each condition that the settings name."""
        return [
            _menagerie_test(condition, SPLITS[condition], settings["val"], TEST_SEED)
            for condition in settings["conditions"]
        ]


class ImageNetData:
    """Images in files under CGN_DATA, prepared as the published code does unless told.

    data: `in-mini` or `imagenet`, what is trained on.  preprocessing: of the tests, see
    `benchmarks.PROTOCOLS`.
    """

    def reads(self, settings: dict) -> dict[str, Input]:
        if settings.get("source") == "pretrained":
            return {"resnet50": Input("weights", "resnet50")}
        found = {}
        if settings.get("classifier") == LITE0:
            found[LITE0] = Input("package", LITE0)
        elif "data" in settings:
            for split in ("train", "val") if "epochs" in settings else ("val",):
                found[split] = Input("benchmark", f"{settings['data']}/{split}")
        return found | {c: Input("benchmark", c) for c in settings.get("conditions", ())}

    def backbone(self) -> ResNet:
        return resnet50(weights=None)

    def pretrained(self) -> ResNet:
        """torchvision's ResNet-50 with its V1 weights, whole or not at all."""
        return load_resnet50(sources.find("resnet50"))

    def packaged(self, name: str) -> nn.Module:
        """A classifier of ImageNet whose weights come with a package."""
        if name != LITE0:
            raise CGNError(f"no package brings a classifier {name!r}: choose {LITE0}")
        return Plain(perceptual.whole_efficientnet_lite0(), LITE0)

    def real(self, settings: dict, seed: int) -> Pictures:
        """Training images, cropped and flipped at random, by seed."""
        found = public.read(f"{settings['data']}/train")
        return Files(found.images, found.labels, _TRAIN, 2 * seed, _workers())

    def counterfactual(self, data: Dataset, seed: int) -> Pictures:
        paths = [data.path(i) for i in range(len(data))]
        return Files(paths, data.classes, _TRAIN, 2 * seed + 1, _workers())

    def validation(self, settings: dict) -> list[Stimuli]:
        return [_public_test(f"{settings['data']}/val", "paper", condition="real")]

    def counterfactual_test(self, data: Dataset) -> Stimuli:
        prepare = preprocessing.preprocessing("imagenet", "paper")
        paths = [data.path(i) for i in range(len(data))]
        files = Files(paths, data.classes, prepare, workers=_workers())
        return of_counterfactuals(data, categories.wordnet(), partial(_in_order, files))

    def tests(self, settings: dict) -> list[Stimuli]:
        """One for each benchmark that the settings name."""
        normalise = LITE0 if settings.get("classifier") == LITE0 else None
        protocol = settings.get("preprocessing", "paper")
        return [_public_test(name, protocol, normalise) for name in settings["conditions"]]


class _Augment:
    """The published augmentation: a random crop of 224 pixels, flipped half of the time."""

    def __call__(self, image: Image.Image) -> Tensor:
        x = v2.functional.pil_to_tensor(image)
        x = v2.RandomHorizontalFlip()(v2.RandomResizedCrop(preprocessing.SIZE, antialias=True)(x))
        x = v2.functional.to_dtype(x, torch.float32, scale=True)
        return v2.functional.normalize(x, *map(list, preprocessing.NORMALISE["imagenet"]))


_TRAIN = _Augment()


def _public_test(
    name: str, protocol: str, normalise: str | None = None, condition: str | None = None
) -> Stimuli:
    found = public.read(name)
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
    "sixteen": categories.sixteen_means,
    "nine": _nine,
}


# What tests draw their images from: functions, which go to other processes as lambdas do not.
def _prepared(found: public.Benchmark, protocol: str, normalise: str | None) -> Iterator[Tensor]:
    made = preprocessing.batches(found, CHUNK, protocol, normalise, _workers())
    return _laid_out(x for x, _ in made)


def _in_order(files: Files) -> Iterator[Tensor]:
    order = enumerate(torch.arange(len(files)).split(CHUNK))
    return _laid_out(x for x, _ in files.batches(order))


def _stored(data: Dataset) -> Iterator[Tensor]:
    return _laid_out(data.images(CHUNK))


def _chunks(data: Menagerie) -> Iterator[Tensor]:
    return _laid_out(_rendered(data))


def _workers() -> int:
    """Processes that read images ahead: none where the CPU is what computes."""
    return min(8, processor.cores()) if torch.cuda.is_available() else 0


def _menagerie_test(condition: str, split: str, n: int, seed: int) -> Stimuli:
    data = Menagerie(split, n, seed)
    return Stimuli(
        condition,
        [f"{split}-{seed}-{i}" for i in range(n)],
        menagerie.CLASSES,
        data.y,
        partial(_chunks, data),
        texture=data.texture,
        background=data.background,
    )


def _rendered(data: Menagerie) -> Iterator[Tensor]:
    return (data.batch(part)[0] for part in torch.arange(len(data)).split(CHUNK))


def _laid_out(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    return (x.contiguous(memory_format=torch.channels_last) for x in batches)


def _in_memory(batches: Iterator[Tensor], labels: Tensor) -> Stored:
    stored = [to_bytes(x.permute(0, 2, 3, 1).contiguous()) for x in batches]
    return Stored(Images(torch.cat(stored), labels))


WORLDS = {"menagerie": MenagerieData(), "imagenet": ImageNetData()}
