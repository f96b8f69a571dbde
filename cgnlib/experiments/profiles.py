"""The three profiles: sizes, data and pretrained parts of a scale, never code."""

from dataclasses import replace
from typing import Any

from cgnlib.errors import CGNError
from cgnlib.experiments import recipes as r
from cgnlib.experiments.declared import Profile
from cgnlib.experiments.run import VARIANTS
from cgnlib.experiments.scales import DigitsScale, SetSizes, WorldScale

# In place of VGG-16 where no download may be needed; its factors were found by a small search.
_OFFLINE: dict[str, Any] = {
    "perceptual": "efficientnet-lite0",
    "layers": (0, 1),
    "factors": (0.3, 0.3),
}
# Half the width and a tenth of the steps, at faster rates.  C-MNIST needs a faster generator (its
# background reaches black only through the last batch norm); without the study's edge loss it and
# W-MNIST lose some digits to inverted masks.
_SMALL: dict[str, Any] = _OFFLINE | {"ngf": 16, "ndf": 256, "lr": 5e-4, "lr_critic": 5e-4}
# cue conflict and backgrounds, under the names that they have in each world
_DRAWN_TESTS = ("cue_conflict", "original", "mixed_same", "mixed_rand")
_IMAGENET_TESTS = ("cue_conflict", "in9/original", "in9/mixed_same", "in9/mixed_rand")
_ONE_PASS = r.ClassifierRecipe(batch=16, epochs=1)

# fmt: off
_MINI = Profile(
    name="mini",
    purpose="a first run on two CPU cores, offline",
    digits=DigitsScale(
        digits="mnist-5k", textures="procedural",
        cgn={
            "colored": replace(r.PUBLISHED["colored"], **_SMALL | {
                "steps": 4500, "lr": 1e-3, "gain": 0.2, "edge": 0.15, "factors": (0.05, 0.05)}),
            "double_colored": replace(
                r.PUBLISHED["double_colored"], **_SMALL | {"steps": 4000, "ndf": 512}),
            "wildlife": replace(
                r.PUBLISHED["wildlife"], **_SMALL | {"steps": 4500, "ndf": 16, "edge": 0.15}),
        },
        gan=dict.fromkeys(
            VARIANTS, r.GANRecipe(steps=1000, ngf=16, ndf=256, lr=5e-4, lr_critic=5e-4)),
        classifier=_ONE_PASS, original=replace(_ONE_PASS, epochs=4),
        oracle=_ONE_PASS, probe=replace(_ONE_PASS, epochs=4), reader=r.ReaderRecipe(renderings=3),
        published=False, generator_seeds=(0,), retrainings=(0, 1, 2, 3), seeds=(0, 1),
        # a DC-MNIST classifier learns nothing for its first two thousand steps
        counterfactuals={"colored": 20_000, "double_colored": 40_000, "wildlife": 36_000},
        gan_images=6_000, sets=SetSizes((0, 1), (1, 10), {"colored": (1000, 4000, 20_000)}),
        oracle_renderings=6, control_renderings=9,
        evaluated=1000, embedded=1000, scenes=1000,
    ),
    world=WorldScale(
        name="menagerie", mechanisms=r.MENAGERIE_MECHANISMS,
        quality=r.QualityProtocol(evaluated=1000),
        images=r.ImagesRecipe(train=1200, val=200, stretch="plain"),
        plain=r.EnsembleRecipe("agree", lr=0.05, epochs=2, decay_every=1, train=1200, val=200),
        ensemble=r.EnsembleRecipe("agree", lr=0.01, epochs=3, decay_every=2, train=1200, val=200),
        exam=_DRAWN_TESTS, tests=r.TestsRecipe(_DRAWN_TESTS, val=600),
        seeds=(0,), ensemble_seeds=(0, 1), published=False, scenes=200, explained=120,
    ),
    claims=(
        "claim-1-mnist", "claim-1-imagenet", "claim-2", "claim-3-mnist", "claim-3-imagenet",
        "explanations", "set-size", "union", "head-maps", "disentanglement",
    ),
    extra=("lottery",),
)
_FULL = Profile(
    name="full",
    purpose="the paper's MNIST protocol on all of MNIST: days of CPU, on a GPU far less",
    digits=DigitsScale(
        digits="mnist", textures="dtd",
        cgn={v: replace(recipe, **_OFFLINE) for v, recipe in r.PUBLISHED.items()},
        gan={v: r.GANRecipe(steps=recipe.steps) for v, recipe in r.PUBLISHED.items()},
        classifier=r.ClassifierRecipe(), original=r.ClassifierRecipe(),
        oracle=r.ClassifierRecipe(), probe=r.ClassifierRecipe(),
        reader=r.ReaderRecipe(renderings=2),
        published=True, generator_seeds=(0, 1, 2), retrainings=(0, 1, 2, 3, 4, 5),
        seeds=(0, 1, 2, 3, 4),
        counterfactuals=dict.fromkeys(VARIANTS, 50_000), gan_images=50_000,
        # the study's; its million is declared for one counterfactual a shape alone
        sets=SetSizes(
            (0, 1, 2), (1, 5, 10, 20), dict.fromkeys(VARIANTS, (10_000, 100_000)), 1_000_000),
        oracle_renderings=1, control_renderings=1,
        evaluated=10_000, embedded=3840, scenes=10_000,  # 3,840: the study's six batches of 640
    ),
    world=WorldScale(
        name="menagerie", mechanisms=replace(r.MENAGERIE_MECHANISMS, steps=1000, window=50),
        quality=r.QualityProtocol(evaluated=5000),
        images=r.ImagesRecipe(train=4000, val=1000, stretch="plain"),
        plain=r.EnsembleRecipe("agree", lr=0.05, epochs=12, decay_every=4, train=4000, val=1000),
        ensemble=r.EnsembleRecipe("agree", lr=0.01, epochs=12, decay_every=4, train=4000, val=1000),
        exam=_DRAWN_TESTS, tests=r.TestsRecipe(_DRAWN_TESTS, val=4000),
        seeds=(0, 1, 2), ensemble_seeds=(0, 1, 2), published=False, scenes=2000, explained=1200,
    ),
    claims=(
        *_MINI.claims, "edge-loss", "real-stimuli", "union-shares", "ablated-robustness",
    ),
    extra=("lottery",),
)
_PAPER = Profile(
    name="paper",
    purpose="everything as in the paper; the ImageNet part wants a GPU",
    digits=replace(_FULL.digits, cgn=r.PUBLISHED),
    world=WorldScale(
        name="imagenet", mechanisms=r.MechanismsRecipe(),
        quality=r.QualityProtocol(evaluated=2000, protocol="study", stretch="minmax"),
        images=r.ImagesRecipe(train=34_745, val=3923, stretch="minmax"),
        plain=None, ensemble=r.EnsembleRecipe(), exam=_IMAGENET_TESTS,
        tests=r.TestsRecipe(
            (*_IMAGENET_TESTS, "imagenet-a", "sketch"), data="in-mini", preprocessing="paper"),
        seeds=(0,), ensemble_seeds=(0, 1, 2), published=True, scenes=None, explained=0,
    ),
    claims=tuple(c for c in _FULL.claims if c not in ("head-maps", "ablated-robustness")),
    extra=("study-files", "claim-3-on-imagenet", "lottery"), precision="float32",
)
# fmt: on
PROFILES = {profile.name: profile for profile in (_MINI, _FULL, _PAPER)}


def profile(name: str) -> Profile:
    """A profile by name.  Raises CGNError for an unknown one."""
    if name not in PROFILES:
        raise CGNError(f"unknown profile {name!r}: choose {', '.join(PROFILES)}")
    return PROFILES[name]
