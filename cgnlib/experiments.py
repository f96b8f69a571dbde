"""The declarations: profiles, runs and the grid of every claim.

Only the standard library and other declarations are imported here, so that a workflow can read
the grid in no time.  A profile changes sizes, data and pretrained parts, never code.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product

from cgnlib.errors import CGNError
from cgnlib.imagenet import ABLATIONS, loss_weights

VARIANTS = ("colored", "double_colored", "wildlife")
TRAIN_SETS = ("original", "gan", "cgn", "original+gan", "original+cgn")
ENSEMBLE_SETS = ("real", "real+cgn")
REAL_SHARES = (0.1, 0.5, 0.9)  # of a training set; with none it is that of claim 3


@dataclass(frozen=True)
class Run:
    """One computation whose result is kept: what it is, with which settings, from which runs.

    kind: cgn, gan, set (of generated images), classifier, evaluation, explanation, following or
    crossing (of cues); on ImageNet and the menagerie mechanisms (a CGN's training), quality, images
    (of a CGN), plain and ensemble (classifiers), robustness or head-maps; on both disentanglement,
    which the MNISTs need a reader for.  variant: the data.  name: what tells it from its siblings.
    settings: all of them, resolved, as sorted pairs.  needs: the runs it reads, by role.
    """

    kind: str
    variant: str
    name: str
    seed: int
    profile: str
    settings: tuple[tuple[str, object], ...] = ()
    needs: tuple[tuple[str, "Run"], ...] = field(default=(), repr=False)

    @property
    def id(self) -> str:
        parts = (self.kind, self.variant, self.name.replace("+", "-and-"), f"s{self.seed}")
        return "-".join(part for part in parts if part)

    def __getitem__(self, setting: str) -> object:
        return dict(self.settings)[setting]

    def need(self, role: str) -> "Run":
        return dict(self.needs)[role]

    def spec(self) -> dict:
        """What decides the result, as plain JSON; of the needed runs, their id and digest."""
        return {
            "kind": self.kind,
            "variant": self.variant,
            "name": self.name,
            "seed": self.seed,
            "profile": self.profile,
            "settings": json.loads(json.dumps(dict(self.settings))),
            "needs": {role: {"id": run.id, "digest": run.digest()} for role, run in self.needs},
        }

    def digest(self) -> str:
        """A short hash of the spec, and through it of the specs of all needed runs."""
        text = json.dumps(self.spec(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Profile:
    """Sizes, data and pretrained parts of one scale.

    cgn, gan: settings by variant.  published: whether the published checkpoints are used as well.
    generator_seeds: how often CGNs and GANs are trained; seeds: how often classifiers are, each
    on images of the next of these.
    counterfactuals, by variant, and gan_images: generated images for one classifier.
    sets: of which other sizes and how many to a shape such sets are made as well, see `set_sizes`.
    original_epochs: passes over the original set where that differs from the other settings.
    oracle_renderings: how often each training digit is rendered for the unbiased reader;
    control_renderings: how often, beside the original images, for the union of a perfect CGN.
    evaluated: images behind each quality measure.  embedded: test images in a t-SNE.
    reader: how the MNISTs' reader of all three cues is trained.  scenes: how many are intervened
    on, in the MNISTs and in the menagerie.  explained: test images behind the heads' heat maps.
    world: `imagenet`, or the `menagerie` in its place.  mechanisms: how CGNs are trained there.
    quality: how they are judged.  world_seeds: how often each is trained.
    images: the counterfactuals that classifiers of that world learn from.  plain, ensemble: how
    these are trained, ensemble_seeds: how often.  robustness: how they are tested.
    """

    name: str
    purpose: str
    digits: str
    textures: str
    cgn: dict[str, dict]
    gan: dict[str, dict]
    classifier: dict
    published: bool
    generator_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    counterfactuals: dict[str, int]
    sets: dict
    gan_images: int
    original_epochs: int
    oracle: dict
    oracle_renderings: int
    control_renderings: int
    evaluated: int
    embedded: int
    reader: dict
    scenes: tuple[int, int]
    explained: int
    world: str
    mechanisms: dict
    quality: dict
    world_seeds: tuple[int, ...]
    images: dict
    plain: dict
    ensemble: dict
    ensemble_seeds: tuple[int, ...]
    robustness: dict


# The published configurations.  The published weights w of VGG-16 layers 3, 8, 15 and 22 act as
# factors 5000 * w^2; layers of weight 0 are left out.
_SHARED = {
    "batch": 16,
    "lr": 2e-4,
    "lr_critic": 2e-4,
    "betas": (0.5, 0.999),
    "latent": 32,
    "ngf": 32,
    "edge": 0.0,
    "perceptual": "vgg16",
}
_PUBLISHED = {
    "colored": _SHARED
    | {"steps": 56_250, "mask": 0.1, "layers": (3, 8, 15), "factors": (12.5, 50.0, 0.5)}
    | {"discriminator": "linear", "ndf": 512, "init": "orthogonal", "gain": 0.1},
    "double_colored": _SHARED
    | {"steps": 46_875, "mask": 0.3, "layers": (8, 22), "factors": (12.5, 12.5)}
    | {"discriminator": "linear", "ndf": 512, "init": "orthogonal", "gain": 0.2},
    "wildlife": _SHARED
    | {"steps": 46_875, "mask": 0.3, "layers": (3, 8, 22), "factors": (0.5, 12.5, 0.5)}
    | {"discriminator": "conv", "ndf": 32, "init": "normal", "gain": 0.03},
}
EDGE = 0.1  # the study's weight of its edge loss
_GAN = {
    "batch": 16,
    "lr": 2e-4,
    "lr_critic": 2e-4,
    "betas": (0.5, 0.999),
    "latent": 32,
    "ngf": 32,
    "ndf": 512,
}
_CLASSIFIER = {"batch": 64, "epochs": 10, "lr": 1.0, "gamma": 0.7}
_READER = {"batch": 32, "epochs": 1, "lr": 3e-3}
# In place of VGG-16 where no download may be needed; its factors were found by a small search.
_OFFLINE = {"perceptual": "efficientnet-lite0", "layers": (0, 1), "factors": (0.3, 0.3)}


def _gans(change: dict) -> dict[str, dict]:
    return {v: _GAN | {"steps": _PUBLISHED[v]["steps"]} | change for v in VARIANTS}


def _cgns(change: dict, **of_variant: dict) -> dict[str, dict]:
    return {v: _PUBLISHED[v] | change | of_variant.get(v, {}) for v in VARIANTS}


# Half the width and a tenth of the steps, at faster rates.  C-MNIST needs a faster generator (its
# background reaches black only through the last batch norm); without the study's edge loss it and
# W-MNIST lose some digits to inverted masks.
_MINI_CGN = _OFFLINE | {"ngf": 16, "ndf": 256, "lr": 5e-4, "lr_critic": 5e-4}

# The published schedule of the study's ablations; the released CGN was trained for longer.
_IMAGENET = {
    "weights": "code",
    "batch": 1,
    "accumulate": 2048,
    "steps": 50,
    "lr": (8e-6, 3e-5, 1e-5),
    "truncation": 1.0,
    "perceptual": "vgg16",
    "layers": (3, 8, 15, 22),
    "patches": {"size": 128, "patch": 15, "best": 100, "grid": 6},
    "window": 1,
}
_MENAGERIE = {
    "weights": "menagerie",
    "batch": 16,
    "accumulate": 1,
    "steps": 100,
    "lr": (5e-5, 1e-3, 5e-4),
    "truncation": 1.0,
    "perceptual": "efficientnet-lite0",
    "layers": (0, 1),
    "patches": {"size": 64, "patch": 11, "best": 40, "grid": 6},
    "window": 10,
}
_JUDGED = {"truncation": 0.5, "splits": 2, "protocol": "standard", "stretch": ""}

# The study's: IN-mini, a pretrained ResNet-50, 45 epochs at a rate of 0.001.
_ENSEMBLE = {
    "data": "in-mini",
    "batch": 32,
    "ratio": 1.0,
    "epochs": 45,
    "lr": 1e-3,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "decay_every": 15,
    "decay": 0.1,
}
_MENAGERIE_ENSEMBLE = _ENSEMBLE | {"data": "agree", "lr": 0.01}
_PLAIN = _MENAGERIE_ENSEMBLE | {"source": "trained", "lr": 0.05}
# cue conflict and backgrounds, under the names that they have in each world
_MENAGERIE_TESTS = {"conditions": ("cue_conflict", "original", "mixed_same", "mixed_rand")}
_IMAGENET_TESTS = {
    "conditions": ("cue_conflict", "in9/original", "in9/mixed_same", "in9/mixed_rand")
}
_IMAGES = {"mode": "random", "truncation": 0.5}

_MINI = Profile(
    name="mini",
    purpose="a first run on two CPU cores, offline",
    digits="mnist-5k",
    textures="procedural",
    cgn=_cgns(
        _MINI_CGN,
        colored={"steps": 4500, "lr": 1e-3, "gain": 0.2, "edge": 0.15} | {"factors": (0.05, 0.05)},
        double_colored={"steps": 4000, "ndf": 512},
        wildlife={"steps": 4500, "ndf": 16, "edge": 0.15},
    ),
    gan=_gans({"steps": 1000, "ngf": 16, "ndf": 256, "lr": 5e-4, "lr_critic": 5e-4}),
    classifier=_CLASSIFIER | {"batch": 16, "epochs": 1},
    published=False,
    generator_seeds=(0,),
    seeds=(0, 1),
    # a DC-MNIST classifier learns nothing for its first two thousand steps
    counterfactuals={"colored": 20_000, "double_colored": 40_000, "wildlife": 36_000},
    sets={"seeds": (0, 1), "per_shape": (1, 10), "sizes": {"colored": (1000, 4000, 20_000)}},
    gan_images=6_000,
    original_epochs=4,
    oracle=_CLASSIFIER | {"batch": 16, "epochs": 1},
    oracle_renderings=6,
    control_renderings=9,
    evaluated=1000,
    embedded=1000,
    reader=_READER | {"renderings": 3},
    scenes=(1000, 200),
    explained=120,
    world="menagerie",
    mechanisms=_MENAGERIE,
    quality=_JUDGED | {"evaluated": 1000},
    world_seeds=(0,),
    images=_IMAGES | {"train": 1200, "val": 200, "stretch": "plain"},
    plain=_PLAIN | {"train": 1200, "val": 200, "epochs": 2, "decay_every": 1},
    ensemble=_MENAGERIE_ENSEMBLE
    | _MENAGERIE_TESTS
    | {"train": 1200, "val": 200, "epochs": 3, "decay_every": 2},
    ensemble_seeds=(0, 1),
    robustness=_MENAGERIE_TESTS | {"val": 600},
)
_FULL = Profile(
    name="full",
    purpose="the paper's MNIST protocol on all of MNIST: days of CPU, on a GPU far less",
    digits="mnist",
    textures="dtd",
    cgn=_cgns(_OFFLINE),
    gan=_gans({}),
    classifier=_CLASSIFIER,
    published=True,
    generator_seeds=(0, 1, 2),
    seeds=(0, 1, 2, 3, 4),
    counterfactuals=dict.fromkeys(VARIANTS, 50_000),
    # the study's; its million is declared for one counterfactual a shape alone
    sets={
        "seeds": (0, 1, 2),
        "per_shape": (1, 5, 10, 20),
        "sizes": dict.fromkeys(VARIANTS, (10_000, 100_000)),
        "largest": 1_000_000,
    },
    gan_images=50_000,
    original_epochs=10,
    oracle=_CLASSIFIER,
    oracle_renderings=1,
    control_renderings=1,
    evaluated=10_000,
    embedded=3840,  # the study's six batches of 640
    reader=_READER | {"renderings": 2},
    scenes=(10_000, 2000),
    explained=1200,
    world="menagerie",
    mechanisms=_MENAGERIE | {"steps": 1000, "window": 50},
    quality=_JUDGED | {"evaluated": 5000},
    world_seeds=(0, 1, 2),
    images=_IMAGES | {"train": 4000, "val": 1000, "stretch": "plain"},
    plain=_PLAIN | {"train": 4000, "val": 1000, "epochs": 12, "decay_every": 4},
    ensemble=_MENAGERIE_ENSEMBLE
    | _MENAGERIE_TESTS
    | {"train": 4000, "val": 1000, "epochs": 12, "decay_every": 4},
    ensemble_seeds=(0, 1, 2),
    robustness=_MENAGERIE_TESTS | {"val": 4000},
)
_PAPER = replace(
    _FULL,
    name="paper",
    purpose="everything as in the paper; the ImageNet part wants a GPU",
    cgn=_cgns({}),
    world="imagenet",
    mechanisms=_IMAGENET,
    quality=_JUDGED | {"evaluated": 2000, "protocol": "study", "stretch": "minmax"},
    world_seeds=(0,),
    images=_IMAGES | {"train": 34_745, "val": 3923, "stretch": "minmax"},
    plain={"source": "pretrained"},
    ensemble=_ENSEMBLE | _IMAGENET_TESTS,
    robustness={
        "data": "in-mini",
        "preprocessing": "paper",
        "conditions": (*_IMAGENET_TESTS["conditions"], "imagenet-a", "sketch"),
    },
)
PROFILES = {profile.name: profile for profile in (_MINI, _FULL, _PAPER)}


def profile(name: str) -> Profile:
    """A profile by name.  Raises CGNError for an unknown one."""
    if name not in PROFILES:
        raise CGNError(f"unknown profile {name!r}: choose {', '.join(PROFILES)}")
    return PROFILES[name]


def cgn(p: Profile, variant: str, seed: int) -> Run:
    """A CGN trained here."""
    return Run("cgn", variant, "", seed, p.name, _on(p, source="trained", **p.cgn[variant]))


def published_cgn(p: Profile, variant: str) -> Run:
    """The authors' checkpoint, which the study used for all its MNIST numbers."""
    settings = _sorted(source="published", latent=32, ngf=32)
    return Run("cgn", variant, "published", 0, p.name, settings)


def gan(p: Profile, variant: str, seed: int) -> Run:
    """The study's GAN baseline."""
    return Run("gan", variant, "", seed, p.name, _on(p, **p.gan[variant]))


def generated(
    p: Profile, source: Run, seed: int, size: int | None = None, per_shape: int = 1
) -> Run:
    """A set of images made by a CGN or a GAN, labelled.  size: the profile's unless told."""
    usual = p.gan_images if source.kind == "gan" else p.counterfactuals[source.variant]
    settings = _sorted(size=size or usual, per_shape=per_shape)
    name = f"{source.kind}-{_tag(source)}" + (f"-n{size}" if size not in (None, usual) else "")
    name += f"-x{per_shape}" if per_shape > 1 else ""
    return Run("set", source.variant, name, seed, p.name, settings, (("generator", source),))


def classifier(
    p: Profile, variant: str, train_on: str, seed: int, source: Run | None = None
) -> Run:
    """A classifier of claim 3: on real images, on those of `source`, or on both."""
    settings = p.classifier
    if source is None:
        settings = settings | {"epochs": p.original_epochs}
    name = train_on if source is None else f"{train_on}-{_tag(source)}"
    needs = () if source is None else (("set", generated(p, source, seed)),)
    return Run(
        "classifier", variant, name, seed, p.name, _on(p, train_on=train_on, **settings), needs
    )


def sized(
    p: Profile, source: Run, seed: int, size: int, per_shape: int = 1, longer: int = 1
) -> Run:
    """A classifier of counterfactuals alone, on a set of another size or ratio.

    longer: how many times as many passes it makes, at rates that fall as much in all.
    """
    usual = classifier(p, source.variant, "cgn", seed, source)
    images = generated(p, source, seed, size, per_shape)
    name = "cgn" + images.name.removeprefix(source.kind) + (f"-e{longer}" if longer > 1 else "")
    settings = dict(usual.settings)
    settings |= {
        "epochs": longer * settings["epochs"],
        "gamma": round(settings["gamma"] ** (1 / longer), 6),
    }
    return replace(usual, name=name, settings=_sorted(**settings), needs=(("set", images),))


def mixed(p: Profile, source: Run, seed: int, share: float) -> Run:
    """A classifier of as many images as a set of counterfactuals has, a share of them originals."""
    usual = classifier(p, source.variant, "original+cgn", seed, source)
    settings = _sorted(share=share, **dict(usual.settings))
    return replace(usual, name=f"{usual.name}-r{100 * share:.0f}", settings=settings)


def control(p: Profile, variant: str, seed: int) -> Run:
    """The union of a perfect CGN: true renderings with random cues for the counterfactuals.

    As many as W-MNIST has counterfactuals, and trained as the union is.
    """
    settings = p.classifier | {"renderings": p.control_renderings}
    settings |= {"train_on": "original+decorrelated"}
    name = "original+decorrelated"
    return Run("classifier", variant, name, seed, p.name, _on(p, **settings))


def following(p: Profile, followed: Run, source: Run) -> Run:
    """Which cue a classifier follows, on real images and on new counterfactuals of `source`."""
    settings = _on(p, train_on=followed["train_on"], evaluated=p.evaluated)
    needs = (("classifier", followed), ("generator", source))
    return Run("following", followed.variant, followed.name, followed.seed, p.name, settings, needs)


def crossing(p: Profile, followed: Run, source: Run) -> Run:
    """The same on images whose strokes, foreground and background are real or generated each."""
    return replace(following(p, followed, source), kind="crossing")


def oracle(p: Profile, variant: str) -> Run:
    """A reader without a shortcut: trained on true digits whose cues were drawn at random."""
    settings = _on(p, train_on="decorrelated", renderings=p.oracle_renderings, **p.oracle)
    return Run("classifier", variant, "decorrelated", 0, p.name, settings)


def probe(p: Profile) -> Run:
    """A reader of bare masks, trained on the true binary shapes of digits."""
    settings = p.oracle | {"epochs": p.original_epochs}
    return Run("classifier", "digits", "", 0, p.name, _on(p, train_on="original", **settings))


def evaluation(p: Profile, source: Run) -> Run:
    """The quality of a CGN's masks and counterfactuals."""
    needs = (("generator", source), ("oracle", oracle(p, source.variant)), ("probe", probe(p)))
    settings = _on(p, evaluated=p.evaluated)
    return Run("evaluation", source.variant, _tag(source), 0, p.name, settings, needs)


def cgns(p: Profile, variant: str) -> list[Run]:
    """Every CGN of a variant: the published one where the profile has it, then our own."""
    published = [published_cgn(p, variant)] if p.published else []
    return published + [cgn(p, variant, seed) for seed in p.generator_seeds]


def explanation(p: Profile, explained: Run) -> Run:
    """What an MNIST classifier looks at (GradCAM) and what its features keep (t-SNE, probes)."""
    settings = _on(p, train_on=explained["train_on"], embedded=p.embedded)
    needs = (("classifier", explained),)
    return Run(
        "explanation", explained.variant, explained.name, explained.seed, p.name, settings, needs
    )


def explanations(p: Profile) -> list[Run]:
    """Figures 4 to 6 of the study: classifiers trained on original and on counterfactual data."""
    explained = (run for run in claim_3_mnist(p) if run["train_on"] in ("original", "cgn"))
    return [explanation(p, run) for run in explained]


def claim_1_mnist(p: Profile) -> list[Run]:
    """Figure 1 of the study, and measures of what it shows: one evaluation for each CGN."""
    return [evaluation(p, source) for v in VARIANTS for source in cgns(p, v)]


def edge_loss(p: Profile) -> list[Run]:
    """The study's remedy for C-MNIST's broken masks, and classifiers that learn from what it makes.

    Beside the CGNs of claim 1 that go without, and measured as these are.  Not at `mini`, whose
    CGNs have an edge loss already.
    """
    if p.cgn["colored"]["edge"]:
        return []
    grid = []
    for plain in (cgn(p, "colored", seed) for seed in p.generator_seeds):
        settings = _sorted(**dict(plain.settings) | {"edge": EDGE})
        mended = replace(plain, name="edge", settings=settings)
        grid += [
            evaluation(p, mended),
            classifier(p, "colored", "cgn", mended.seed, mended),
            disentanglement(p, "colored", mended),
        ]
    return grid


def claim_3_mnist(p: Profile) -> list[Run]:
    """Table 3 of the study (2 of the paper): five settings x three variants, over seeds.

    Where CGNs and GANs are trained here, several of each, a seed has one of them: its spread is
    that of both trainings.
    """
    grid = []
    for variant, seed in product(VARIANTS, p.seeds):
        grid.append(classifier(p, variant, "original", seed))
        own = p.generator_seeds[seed % len(p.generator_seeds)]
        published = [published_cgn(p, variant)] if p.published else []
        sources = [gan(p, variant, own), *published, cgn(p, variant, own)]
        for source, train_on in product(sources, ("{}", "original+{}")):
            grid.append(classifier(p, variant, train_on.format(source.kind), seed, source))
    return grid


def set_sizes(p: Profile) -> list[Run]:
    """The study's ablation: size of the set by counterfactuals that share a shape.

    Of every variant of `p.sets`, over seeds.  Besides, at one a shape: the set of claim 3, the
    smallest with as many steps as that one takes, and once the largest, where there is one.  The
    CGN is the published one where the profile has it, as in the study, else our own.
    """
    grid = {}
    for (variant, sizes), seed in product(p.sets["sizes"].items(), p.sets["seeds"]):
        source, usual = cgns(p, variant)[0], p.counterfactuals[variant]
        of_seed = [*product(sizes, p.sets["per_shape"]), (usual, 1)]
        if "largest" in p.sets and seed == p.sets["seeds"][0]:
            of_seed.append((p.sets["largest"], 1))
        found = [sized(p, source, seed, *pair) for pair in of_seed]
        found.append(sized(p, source, seed, sizes[0], longer=usual // sizes[0]))
        grid |= {run.id: run for run in found}  # claim 3 may have one of the sizes
    return list(grid.values())


def union(p: Profile) -> list[Run]:
    """Why the union falls on W-MNIST: which cue classifiers follow, on real and on other images.

    Original images, counterfactuals, their union, and the control.  The CGN is the published one
    where the profile has it, as in the study, else our own.
    """
    source = cgns(p, "wildlife")[0]
    return [
        measure(p, of, source)
        for measure in (following, crossing)
        for seed in p.seeds
        for of in (
            classifier(p, "wildlife", "original", seed),
            classifier(p, "wildlife", "cgn", seed, source),
            classifier(p, "wildlife", "original+cgn", seed, source),
            control(p, "wildlife", seed),
        )
    ]


def union_shares(p: Profile) -> list[Run]:
    """Where the union tips: its share of original images, at one size; too long for `mini`.

    Accuracy on every variant; on W-MNIST also which cue is followed.
    """
    if p.name == "mini":
        return []
    grid = []
    for variant, seed, share in product(VARIANTS, p.seeds, REAL_SHARES):
        source = cgns(p, variant)[0]
        run = mixed(p, source, seed, share)
        grid.append(run)
        if variant == "wildlife":
            asked = following(p, run, source)
            settings = _sorted(share=share, **dict(asked.settings))
            grid.append(replace(asked, settings=settings))
    return grid


def mechanisms(p: Profile, ablation: str, seed: int) -> Run:
    """A CGN over BigGAN, trained without the losses that an ablation leaves out."""
    weights = loss_weights(p.mechanisms["weights"], ablation)
    settings = p.mechanisms | {
        "source": "trained",
        "ablation": ablation,
        "weights": tuple(weights.items()),
        "patches": tuple(p.mechanisms["patches"].items()),
    }
    return Run("mechanisms", p.world, ablation, seed, p.name, _sorted(**settings))


def published_mechanisms(p: Profile) -> Run:
    """The authors' ImageNet CGN."""
    settings = _sorted(source="published", ablation="published")
    return Run("mechanisms", p.world, "published", 0, p.name, settings)


def quality(p: Profile, source: Run | None) -> Run:
    """Inception score, masks and counterfactuals of a CGN; of BigGAN itself where it is None."""
    settings = _sorted(ablation="biggan" if source is None else source["ablation"], **p.quality)
    if source is None:
        return Run("quality", p.world, "biggan", 0, p.name, settings)
    return Run(
        "quality", p.world, source.name, source.seed, p.name, settings, (("generator", source),)
    )


def claim_1_imagenet(p: Profile) -> list[Run]:
    """Figure 2 of the study: the CGNs with all losses."""
    published = [published_mechanisms(p)] if p.world == "imagenet" else []
    trained = [mechanisms(p, "none", seed) for seed in p.world_seeds]
    return [quality(p, source) for source in published + trained]


def claim_2(p: Profile) -> list[Run]:
    """The study's loss ablation (Table 1 of the paper), with BigGAN itself as the bound."""
    ablated = [
        quality(p, mechanisms(p, ablation, seed))
        for ablation, seed in product(ABLATIONS, p.world_seeds)
        if ablation != "none"
    ]
    return [*ablated, *claim_1_imagenet(p), quality(p, None)]


def images(p: Profile, source: Run) -> Run:
    """Counterfactuals of a CGN, on disk, with the classes of their three mechanisms."""
    needs = (("generator", source),)
    name = f"{source.name}-g{source.seed}"
    return Run("images", p.world, name, 0, p.name, _sorted(**p.images), needs)


def plain(p: Profile, seed: int) -> Run:
    """The plain classifier: where the invariant ones start, and what they are compared with.

    On ImageNet the pretrained ResNet-50, whatever the seed.
    """
    seed = 0 if p.plain["source"] == "pretrained" else seed
    return Run("plain", p.world, "", seed, p.name, _sorted(**p.plain))


def ensemble(p: Profile, train_on: str, seed: int, ablation: str = "none") -> Run:
    """A three-headed classifier: on `real` images, or on `real+cgn`.

    ablation: of the CGN, where that is trained here.
    """
    needs = (("start", plain(p, seed)),)
    name = train_on
    if train_on == "real+cgn":
        source = _images_of(p, seed, ablation)
        needs += (("images", source),)
        name = f"{train_on}-{source.name}"
    settings = _sorted(train_on=train_on, **p.ensemble)
    return Run("ensemble", p.world, name, seed, p.name, settings, needs)


def robustness(p: Profile, classifier: Run, seed: int) -> Run:
    """A classifier of ImageNet or the menagerie put to every test."""
    held_out = dict(classifier.needs).get("images") or _images_of(p, seed)
    needs = (("classifier", classifier), ("images", held_out))
    name = classifier.name or classifier.kind
    train_on = dict(classifier.settings).get("train_on", "")
    settings = _sorted(train_on=train_on or "plain", **p.robustness)
    return Run("robustness", p.world, name, classifier.seed, p.name, settings, needs)


def claim_3_imagenet(p: Profile) -> list[Run]:
    """Tables 4 and 5 of the study (3 and 4 of the paper): plain and invariant, over seeds."""
    grid = {}
    for seed in p.ensemble_seeds:
        for classifier in (plain(p, seed), *(ensemble(p, t, seed) for t in ENSEMBLE_SETS)):
            run = robustness(p, classifier, seed)
            grid[run.id] = run
    return list(grid.values())


def real_stimuli(p: Profile) -> list[Run]:
    """A pretrained network from a package on the real cue-conflict images, prepared both ways.

    Needs the stimuli, so `mini` has none of it.
    """
    if p.name == "mini":
        return []
    grid = []
    for preprocessing in ("paper", "authors"):
        settings = _sorted(
            classifier="efficientnet-lite0",
            train_on="plain",
            preprocessing=preprocessing,
            conditions=("cue_conflict",),
        )
        name = f"efficientnet-lite0-{preprocessing}"
        grid.append(Run("robustness", "imagenet", name, 0, p.name, settings))
    return grid


def reader(p: Profile, variant: str) -> Run:
    """Reads digit, foreground and background; trained on digits in cues drawn at random."""
    return Run("reader", variant, "", 0, p.name, _on(p, **p.reader))


def disentanglement(p: Profile, variant: str, source: Run | None) -> Run:
    """What interventions on a CGN's mechanisms change; on the true renderer where it is None."""
    on_menagerie = variant == "menagerie"
    settings = {"evaluated": p.scenes[on_menagerie]}
    needs = () if on_menagerie else (("reader", reader(p, variant)),)
    if on_menagerie:
        settings["ablation"] = "truth" if source is None else source["ablation"]
    if source is None:
        settings |= {} if on_menagerie else {"digits": p.digits, "textures": p.textures}
        return Run("disentanglement", variant, "truth", 0, p.name, _sorted(**settings), needs)
    if on_menagerie:
        settings["truncation"] = p.quality["truncation"]
    name, seed = (source.name, source.seed) if on_menagerie else (_tag(source), 0)
    needs += (("generator", source),)
    return Run("disentanglement", variant, name, seed, p.name, _sorted(**settings), needs)


def disentanglements(p: Profile) -> list[Run]:
    """Every CGN of the MNISTs and of the menagerie, each after the renderer of its world."""
    sources = [(variant, source) for variant in VARIANTS for source in (None, *cgns(p, variant))]
    if p.world == "menagerie":
        trained = [mechanisms(p, a, seed) for a, seed in product(ABLATIONS, p.world_seeds)]
        sources += [(p.world, source) for source in (None, *trained)]
    return [disentanglement(p, variant, source) for variant, source in sources]


def ablated_robustness(p: Profile) -> list[Run]:
    """Classifiers that learn from the menagerie's ablated CGNs; too long for `mini`."""
    if p.world != "menagerie" or p.name == "mini":
        return []
    ablated = [ablation for ablation in ABLATIONS if ablation != "none"]
    return [
        robustness(p, ensemble(p, "real+cgn", seed, ablation), seed)
        for ablation, seed in product(ablated, p.ensemble_seeds)
    ]


def head_maps(p: Profile) -> list[Run]:
    """Where each head looks; only in the menagerie the true masks are known."""
    if p.world != "menagerie":
        return []
    grid = []
    for seed in p.ensemble_seeds:
        for classifier in (plain(p, seed), *(ensemble(p, t, seed) for t in ENSEMBLE_SETS)):
            train_on = dict(classifier.settings).get("train_on", "plain")
            settings = _sorted(evaluated=p.explained, condition="cue_conflict", train_on=train_on)
            name = classifier.name or classifier.kind
            needs = (("classifier", classifier),)
            grid.append(Run("head-maps", p.world, name, seed, p.name, settings, needs))
    return grid


def _images_of(p: Profile, seed: int, ablation: str = "none") -> Run:
    """On ImageNet those of the published CGN; else each seed has a CGN of its own, if there are
    several."""
    if p.world == "imagenet":
        return images(p, published_mechanisms(p))
    return images(p, mechanisms(p, ablation, p.world_seeds[seed % len(p.world_seeds)]))


CLAIMS = {
    "claim-1-mnist": claim_1_mnist,
    "claim-1-imagenet": claim_1_imagenet,
    "claim-2": claim_2,
    "claim-3-mnist": claim_3_mnist,
    "edge-loss": edge_loss,
    "claim-3-imagenet": claim_3_imagenet,
    "real-stimuli": real_stimuli,
    "explanations": explanations,
    "set-size": set_sizes,
    "union": union,
    "union-shares": union_shares,
    "head-maps": head_maps,
    "disentanglement": disentanglements,
    "ablated-robustness": ablated_robustness,
}


def grid(profile_name: str, claim: str = "all") -> list[Run]:
    """All runs of a claim, or of all claims, without those that they need in turn.

    Raises CGNError for an unknown profile or claim.
    """
    p = profile(profile_name)
    if claim == "all":
        runs = (run for declare in CLAIMS.values() for run in declare(p))
        return list({run.id: run for run in runs}.values())  # claims share some
    if claim not in CLAIMS:
        raise CGNError(f"unknown claim {claim!r}: choose all, {', '.join(CLAIMS)}")
    return CLAIMS[claim](p)


def with_needs(runs: Iterable[Run]) -> list[Run]:
    """The runs and all that they need, each once, needs first."""
    order: dict[str, Run] = {}

    def visit(run: Run) -> None:
        if run.id not in order:
            for _, need in run.needs:
                visit(need)
            order[run.id] = run

    for run in runs:
        visit(run)
    return list(order.values())


def find(profile_name: str, run_id: str) -> Run:
    """A run by its id.  Raises CGNError for an unknown one."""
    for run in with_needs(grid(profile_name)):
        if run.id == run_id:
            return run
    raise CGNError(
        f"unknown run {run_id!r}: python -m cgnlib list --profile {profile_name} shows them all"
    )


def _tag(source: Run) -> str:
    if source.name == "published":
        return source.name
    return f"{source.name}-g{source.seed}".removeprefix("-")


def _on(p: Profile, **settings) -> tuple[tuple[str, object], ...]:
    return _sorted(digits=p.digits, textures=p.textures, **settings)


def _sorted(**settings) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(settings.items()))
