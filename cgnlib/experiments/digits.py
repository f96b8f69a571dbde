"""The kinds of run on the MNISTs."""

from dataclasses import field

from cgnlib.experiments.recipes import LITE0, CGNRecipe, ClassifierRecipe, GANRecipe, ReaderRecipe
from cgnlib.experiments.run import Input, Run

TRAINING_DIGITS = {"mnist-5k": 4000, "mnist": 60_000}
PERCEPTUAL = {"vgg16": 0.034, LITE0: 0.0025}  # seconds an image, forth and back


def perceptual_input(net: str) -> Input:
    """What lies behind the name of a perceptual net."""
    return Input("package" if net == LITE0 else "weights", net)


class OnDigits(Run):
    """A run that renders a variant: from which digits, with which textures.

    A GPU is used by what trains or makes images; what only measures gains nothing from one.
    """

    digits: str
    textures: str

    def reads(self) -> dict[str, Input]:
        found = {"digits": Input("digits", self.digits)}
        if self.variant == "wildlife":
            found["textures"] = Input("textures", self.textures)
        return found


class CGN(OnDigits):
    """A CGN trained here."""

    kind = "cgn"
    uses_gpu = mixed = True
    recipe: CGNRecipe
    source: str = field(default="trained", init=False)

    def reads(self) -> dict[str, Input]:
        return super().reads() | {"perceptual": perceptual_input(self.recipe.perceptual)}

    def images_seen(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def seconds(self) -> float:
        an_image = 0.0012 * (self.recipe.ngf / 16) ** 2 + PERCEPTUAL[self.recipe.perceptual]
        return self.images_seen() * an_image

    def bytes_left(self) -> float:
        return super().bytes_left() + 3e6  # its film


class PublishedCGN(Run):
    """The authors' checkpoint: nothing is computed, it is checked and copied."""

    kind = "cgn"
    latent: int = 32
    ngf: int = 32
    source: str = field(default="published", init=False)

    def reads(self) -> dict[str, Input]:
        return {"weights": Input("weights", f"cgn-{self.variant}")}


AnyCGN = CGN | PublishedCGN


class GAN(OnDigits):
    """The study's GAN baseline."""

    kind = "gan"
    uses_gpu = mixed = True
    seconds_an_image = 0.0015
    recipe: GANRecipe

    def images_seen(self) -> int:
        return self.recipe.steps * self.recipe.batch


class ImageSet(Run):
    """A set of labelled images made by a CGN or a GAN.  per_shape: images that share a shape."""

    kind = "set"
    uses_gpu = mixed = True
    seconds_an_image = 0.0015
    generator: AnyCGN | GAN
    size: int
    per_shape: int = 1

    def images_seen(self) -> int:
        return self.size

    def bytes_left(self) -> float:
        return self.size * 32 * 32 * 3


class Classifier(OnDigits):
    """A small CNN: on true digits, on images of a generator, or on both.

    renderings: of each digit, in cues drawn at random, beside what else it learns from.  share:
    of originals, in place of as many generated images.
    """

    kind = "classifier"
    uses_gpu = mixed = True
    seconds_an_image = 0.0008
    train_on: str
    recipe: ClassifierRecipe
    set: ImageSet | None = None
    renderings: int | None = None
    share: float | None = None

    @property
    def originals(self) -> bool:
        """Whether it sees digits whose cues are those of the label."""
        return self.train_on.startswith("original")

    def images_seen(self) -> int:
        beside = self.originals and self.share is None  # else in the place of generated images
        times = beside + (self.renderings or 0)
        generated = self.set.size if self.set else 0
        return self.recipe.epochs * (generated + times * TRAINING_DIGITS[self.digits])


class Evaluation(OnDigits):
    """The quality of a CGN's masks and counterfactuals, read by nets that never saw it.

    oracle: reads whole images, knows no shortcut.  probe: reads bare masks.
    """

    kind = "evaluation"
    shows_pictures = True
    seconds_an_image = 0.003
    generator: AnyCGN
    oracle: Classifier
    probe: Classifier
    evaluated: int


class Explanation(OnDigits):
    """What a classifier looks at (GradCAM) and what its features keep (t-SNE, probes)."""

    kind = "explanation"
    seconds_an_image = 0.005
    classifier: Classifier
    train_on: str
    embedded: int

    def images_seen(self) -> int:
        return self.embedded


class Following(OnDigits):
    """Which cue a classifier follows, on real images and on new counterfactuals of a CGN."""

    kind = "following"
    seconds_an_image = 0.003
    classifier: Classifier
    generator: AnyCGN
    train_on: str
    evaluated: int
    share: float | None = None


class Crossing(Following):
    """The same on images whose strokes, foreground and background are real or generated each."""

    kind = "crossing"


class Reader(OnDigits):
    """Reads digit, foreground and background; trained on digits in cues drawn at random."""

    kind = "reader"
    seconds_an_image = 0.0007
    recipe: ReaderRecipe

    @property
    def factors(self) -> tuple[str, ...]:
        """What there is to read: C-MNIST's background is black."""
        return ("shape", "texture", "background")[: 2 if self.variant == "colored" else 3]

    def images_seen(self) -> int:
        return self.recipe.epochs * self.recipe.renderings * TRAINING_DIGITS[self.digits]


class Disentanglement(Run):
    """What interventions on a CGN's mechanisms change; on the true renderer where there is none.

    digits, textures: the renderer's.
    """

    kind = "disentanglement"
    seconds_an_image = 0.01
    evaluated: int
    reader: Reader
    generator: AnyCGN | None = None
    digits: str | None = None
    textures: str | None = None

    def reads(self) -> dict[str, Input]:
        return {} if self.digits is None else self.reader.reads()


# Every kind of this file: the type checker asks the board of `compute` for each of them.
DigitRun = (
    CGN | PublishedCGN | GAN | ImageSet | Classifier | Evaluation | Explanation | Following
    | Crossing | Reader | Disentanglement
)  # fmt: skip
