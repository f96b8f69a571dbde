"""The kinds of run on ImageNet and on the menagerie, the drawn world that stands in for it."""

import math
from dataclasses import dataclass, field

from cgnlib.experiments import recipes as r
from cgnlib.experiments.digits import perceptual_input
from cgnlib.experiments.run import Input, Run


@dataclass(frozen=True)
class Facts:
    """What the declarations need to know of a world.

    starts, judges: the pretrained parts that CGNs start from, and that they are judged by.
    photographs: whether its images are read and not drawn; then it wants a GPU.  edge: of an
    image, pixels.  at_once: images that a CGN makes at a time: of 256 pixels, within 11 GB of a
    GPU.  sheet: classes of a sampling sheet.  cgn, classifier: bytes of their weights.
    checkpoint: bytes of the state of a CGN in training: what learns, the moments of Adam, and
    gradients where a step has several passes.  trained: bytes of an image in such a pass.
    """

    starts: dict[str, Input]
    judges: dict[str, Input]
    photographs: bool
    gpu_memory_mb: float
    edge: int
    at_once: int
    sheet: int
    cgn: float
    classifier: float
    checkpoint: float
    trained: float


def _all(kind: str, *names: str) -> dict[str, Input]:
    return {name: Input(kind, name) for name in names}


FACTS = {
    "menagerie": Facts(
        starts=_all("part", "biggan", "u2net"),
        judges=_all("part", "biggan", "u2net", "classifier", "probe"),
        photographs=False, gpu_memory_mb=6_000, edge=64, at_once=50, sheet=10, cgn=24e6,
        classifier=19e6, checkpoint=53e6, trained=30e6,
    ),
    "imagenet": Facts(
        starts=_all("weights", "biggan256", "u2net"),
        judges=_all("weights", "biggan256", "u2net", "inception-v3"),
        photographs=True, gpu_memory_mb=math.inf, edge=256, at_once=16, sheet=11, cgn=1.113e9,
        classifier=103e6, checkpoint=3.1e9, trained=3.5e9,
    ),
}  # fmt: skip
SHEET_PIXEL, JPEG_PIXEL = 1.6, 0.4  # bytes
IN_MINI, IMAGENET = 34_745, 1_281_167  # images to train on


class OnWorld(Run):
    """A run on ImageNet or the menagerie: its variant is the world."""

    uses_gpu = True

    @property
    def facts(self) -> Facts:
        return FACTS[self.variant]

    @property
    def asks_for_gpu(self) -> bool:
        return self.facts.photographs and self.gpu_hours > 0

    @property
    def gpu_memory_mb(self) -> float:
        return self.facts.gpu_memory_mb

    def photographs(self, *tests: str, **data: str | None) -> dict[str, Input]:
        """Tests, and splits of a data set by their role; those of the menagerie are drawn."""
        named = {split: f"{name}/{split}" for split, name in data.items()} | {t: t for t in tests}
        return {role: Input("public", n) for role, n in named.items() if self.facts.photographs}


class Mechanisms(OnWorld):
    """A CGN over BigGAN, trained without the losses that an ablation leaves out."""

    kind = "mechanisms"
    mixed = True
    seconds_an_image = 0.045
    gpu_hours = 12
    ablation: str
    recipe: r.MechanismsRecipe
    source: str = field(default="trained", init=False)

    def reads(self) -> dict[str, Input]:
        return self.facts.starts | {"perceptual": perceptual_input(self.recipe.perceptual)}

    def images_seen(self) -> int:
        return self.recipe.steps * self.recipe.batch * self.recipe.accumulate

    def bytes_left(self) -> float:
        """As of others; and the two checkpoints that it keeps until then, which are larger."""
        sheets = self.recipe.steps // self.recipe.window
        pictures = sheets * self.facts.sheet * 6 * self.facts.edge**2 * SHEET_PIXEL
        return self.facts.cgn + pictures + 2 * self.facts.checkpoint


class PublishedMechanisms(OnWorld):
    """The authors' ImageNet CGN, or one of the study's, as `file` names it: checked and copied."""

    kind = "mechanisms"
    ablation: str = "published"
    file: str | None = None
    source: str = field(default="published", init=False)

    def reads(self) -> dict[str, Input]:
        return {"weights": Input("weights", self.file or "cgn-imagenet")}

    def bytes_left(self) -> float:
        return self.facts.cgn


AnyCGN = Mechanisms | PublishedMechanisms


class Quality(OnWorld):
    """Inception score, masks and counterfactuals of a CGN; of BigGAN itself where there is none."""

    kind = "quality"
    shows_pictures = True
    seconds_an_image = 0.025
    gpu_hours = 1
    ablation: str
    recipe: r.QualityProtocol
    generator: AnyCGN | None = None

    def reads(self) -> dict[str, Input]:
        return self.facts.judges

    def images_seen(self) -> int:
        return self.recipe.evaluated


class Images(OnWorld):
    """Counterfactuals of a CGN, on disk, with the classes of their three mechanisms."""

    kind = "images"
    seconds_an_image = 0.008
    gpu_hours = 3
    generator: AnyCGN
    recipe: r.ImagesRecipe

    def images_seen(self) -> int:
        return self.recipe.train + self.recipe.val

    def bytes_left(self) -> float:
        return self.images_seen() * self.facts.edge**2 * JPEG_PIXEL


class _Net(OnWorld):
    """A classifier whose weights are kept."""

    def bytes_left(self) -> float:
        return self.facts.classifier


class Plain(_Net):
    """The plain classifier: where the invariant ones start, and what they are compared with."""

    kind = "plain"
    train_on = "plain"  # as the others say it
    mixed = trains_on_devices = True
    seconds_an_image = 0.0055
    recipe: r.EnsembleRecipe
    source: str = field(default="trained", init=False)

    def reads(self) -> dict[str, Input]:
        return self.photographs(train=self.recipe.data, val=self.recipe.data)

    def images_seen(self) -> int:
        return self.recipe.epochs * (self.recipe.train or 0)


class PretrainedPlain(_Net):
    """The pretrained ResNet-50 of ImageNet, or the one that `file` names: checked and copied,
    whatever the seed."""

    kind = "plain"
    train_on = "plain"
    file: str | None = None
    source: str = field(default="pretrained", init=False)

    def reads(self) -> dict[str, Input]:
        return _all("weights", self.file or "resnet50")


AnyPlain = Plain | PretrainedPlain


class Ensemble(_Net):
    """A three-headed classifier: on `real` images, or on `real+cgn`.  conditions: of its tests."""

    kind = "ensemble"
    mixed = trains_on_devices = True
    seconds_an_image = 0.0065
    train_on: str
    recipe: r.EnsembleRecipe
    conditions: tuple[str, ...]
    start: AnyPlain
    images: Images | None = None

    @property
    def gpu_hours(self) -> float:  # type: ignore[override]  # grows with the data set
        return 8 if self.recipe.data == "in-mini" else 8 * IMAGENET / IN_MINI

    @property
    def tests(self) -> r.TestsRecipe:
        """What it is put to after each epoch."""
        return r.TestsRecipe(self.conditions, self.recipe.val, self.recipe.data)

    def reads(self) -> dict[str, Input]:
        data = self.recipe.data
        return self.photographs(*self.conditions, train=data, val=data)

    def images_seen(self) -> int:
        return self.recipe.epochs * (self.recipe.train or 0) * (2 if self.images else 1)


class PublishedEnsemble(_Net):
    """The study's three-headed classifier: checked and copied."""

    kind = "ensemble"
    train_on: str
    file: str
    source: str = field(default="published", init=False)

    def reads(self) -> dict[str, Input]:
        return _all("weights", self.file)


class Robustness(OnWorld):
    """A classifier put to every test.  images: of which it is tested on those held out."""

    kind = "robustness"
    seconds_an_image = 0.003
    gpu_hours = 1
    train_on: str
    recipe: r.TestsRecipe
    classifier: AnyPlain | Ensemble | PublishedEnsemble
    images: Images

    def reads(self) -> dict[str, Input]:
        return self.photographs(*self.recipe.conditions, val=self.recipe.data)

    def images_seen(self) -> int:
        return len(self.recipe.conditions) * (self.recipe.val or 1280)


class PackagedRobustness(OnWorld):
    """A network that a package brings, put to real images.  classifier: its name."""

    kind = "robustness"
    seconds_an_image = 0.003
    train_on: str
    recipe: r.TestsRecipe
    classifier: str = r.LITE0

    def reads(self) -> dict[str, Input]:
        tests = self.photographs(*self.recipe.conditions)
        return {self.classifier: Input("package", self.classifier)} | tests

    def images_seen(self) -> int:
        return len(self.recipe.conditions) * (self.recipe.val or 1280)


class HeadMaps(OnWorld):
    """Where each head looks, against the true masks, which only the menagerie knows."""

    kind = "head-maps"
    uses_gpu = False
    seconds_an_image = 0.03
    classifier: AnyPlain | Ensemble
    train_on: str
    condition: str
    evaluated: int


class MenagerieDisentanglement(OnWorld):
    """What interventions on a CGN's mechanisms change; on the true renderer where there is none."""

    kind = "disentanglement"
    seconds_an_image = 0.01
    evaluated: int
    ablation: str
    generator: Mechanisms | None = None
    truncation: float | None = None

    def reads(self) -> dict[str, Input]:
        return self.facts.judges


# Every kind of this file, as `digits.DigitRun`.
WorldRun = (
    Mechanisms | PublishedMechanisms | Quality | Images | Plain | PretrainedPlain | Ensemble
    | PublishedEnsemble | Robustness | PackagedRobustness | HeadMaps | MenagerieDisentanglement
)  # fmt: skip
