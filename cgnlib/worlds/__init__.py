"""The two worlds of the ImageNet claims behind one face: ImageNet, and the menagerie in its place.

A world has the pretrained parts that CGNs start from and are judged by, the images that classifiers
learn from, and the tests that they are put to.  The code that trains and evaluates is the same.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import nn

from cgnlib.counterfactuals.datasets import Dataset
from cgnlib.data.pictures import Pictures
from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import EnsembleRecipe, TestsRecipe
from cgnlib.nets import biggan, weights
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.readers import Reader
from cgnlib.worlds.imagenet import ImageNet
from cgnlib.worlds.menagerie import Menagerie
from cgnlib.worlds.stimuli import Stimuli

if TYPE_CHECKING:
    from torchvision.models import ResNet


class World(Protocol):
    """config: of the generators.  sheet: classes of a sampling sheet."""

    name: str
    config: biggan.Config
    sheet: tuple[int, ...]

    def start(self) -> ImageNetCGN:
        """A CGN before its training: copies of the pretrained BigGAN and the saliency net."""

    def load(self, path: Path, mend: str = weights.AGAIN) -> ImageNetCGN:
        """A CGN trained here, in evaluation mode.  mend: see `weights.load`."""

    def judge(self, protocol: str) -> nn.Module:
        """What the inception score is read with: images [B, 3, S, S] to probabilities [B, K].

        protocol: `standard`, or `study` with its second rescaling of the input (ImageNet only).
        """

    def probe(self) -> Reader | None:
        """The reader of shape, texture and background, which knows no shortcut, if there is one."""

    def backbone(self) -> "ResNet":
        """Of its classifiers, untrained."""

    def real(self, recipe: EnsembleRecipe, seed: int) -> Pictures:
        """The images that classifiers learn from."""

    def counterfactual(self, data: Dataset, seed: int) -> Pictures:
        """The same of a data set of counterfactuals, labelled with all three classes."""

    def validation(self, recipe: EnsembleRecipe | TestsRecipe) -> Stimuli:
        """Held-out real images."""

    def counterfactual_test(self, data: Dataset) -> Stimuli:
        """Held-out counterfactuals."""

    def tests(self, recipe: TestsRecipe) -> list[Stimuli]:
        """One for each condition of the recipe."""


WORLDS: dict[str, World] = {world.name: world for world in (Menagerie(), ImageNet())}


def find(name: str) -> World:
    """A world by name.  Raises CGNError for an unknown one."""
    if name not in WORLDS:
        raise CGNError(f"unknown world {name!r}: choose {', '.join(WORLDS)}")
    return WORLDS[name]
