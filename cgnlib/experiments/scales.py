"""The two halves of a profile: sizes, data and recipes on the MNISTs and on a world."""

from dataclasses import dataclass

from cgnlib.experiments import recipes as r


@dataclass(frozen=True)
class SetSizes:
    """Of which other sizes, and how many to a shape, sets of counterfactuals are made as well.

    sizes: by variant.  largest: once, at one a shape, where there is one.
    """

    seeds: tuple[int, ...]
    per_shape: tuple[int, ...]
    sizes: dict[str, tuple[int, ...]]
    largest: int | None = None


@dataclass(frozen=True)
class DigitsScale:
    """The MNIST half of a profile.

    digits, textures: which ones.  cgn, gan: recipes by variant.  published: whether the published
    checkpoints are used as well.  generator_seeds: how often CGNs and GANs are trained; seeds: how
    often classifiers are, each on images of the next of these.  retrainings: of a CGN, to see how
    often one fails.
    original: the recipe on the original set alone.  oracle, probe: of the readers that know no
    shortcut.  counterfactuals, by variant, and gan_images: generated images for one classifier.
    oracle_renderings: how often each training digit is rendered for the unbiased reader;
    control_renderings: how often, beside the original images, for the union of a perfect CGN.
    evaluated: images behind each quality measure.  embedded: test images in a t-SNE.
    scenes: how many are intervened on.
    """

    digits: str
    textures: str
    cgn: dict[str, r.CGNRecipe]
    gan: dict[str, r.GANRecipe]
    classifier: r.ClassifierRecipe
    original: r.ClassifierRecipe
    oracle: r.ClassifierRecipe
    probe: r.ClassifierRecipe
    reader: r.ReaderRecipe
    published: bool
    generator_seeds: tuple[int, ...]
    retrainings: tuple[int, ...]
    seeds: tuple[int, ...]
    counterfactuals: dict[str, int]
    gan_images: int
    sets: SetSizes
    oracle_renderings: int
    control_renderings: int
    evaluated: int
    embedded: int
    scenes: int


@dataclass(frozen=True)
class WorldScale:
    """The half of a profile that is on ImageNet, or on the menagerie in its place.

    seeds: how often CGNs are trained, ensemble_seeds: how often classifiers are.  published:
    whether classifiers learn from the published CGN, as in the paper.
    plain: None where it is a pretrained one.  exam: what the invariant ones are put to after each
    epoch; tests: what all are, in the end.  scenes: how many are intervened on, None where no
    reader of all cues is known.  explained: test images behind the heads' heat maps.
    """

    name: str
    mechanisms: r.MechanismsRecipe
    quality: r.QualityProtocol
    images: r.ImagesRecipe
    plain: r.EnsembleRecipe | None
    ensemble: r.EnsembleRecipe
    exam: tuple[str, ...]
    tests: r.TestsRecipe
    seeds: tuple[int, ...]
    ensemble_seeds: tuple[int, ...]
    published: bool
    scenes: int | None
    explained: int
