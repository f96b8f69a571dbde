"""The runs of a profile, one by one: what a kind is called, and which of its settings it gets."""

from dataclasses import replace
from typing import TypedDict

from cgnlib.experiments.digits import (
    CGN,
    GAN,
    AnyCGN,
    Classifier,
    Crossing,
    Disentanglement,
    Evaluation,
    Explanation,
    Following,
    ImageSet,
    PublishedCGN,
    Reader,
)
from cgnlib.experiments.profiles import Profile
from cgnlib.experiments.recipes import EDGE, TestsRecipe
from cgnlib.experiments.worlds import AnyCGN as AnyMechanisms
from cgnlib.experiments.worlds import (
    AnyPlain,
    Ensemble,
    HeadMaps,
    Images,
    Mechanisms,
    MenagerieDisentanglement,
    PackagedRobustness,
    Plain,
    PretrainedPlain,
    PublishedEnsemble,
    PublishedMechanisms,
    Quality,
    Robustness,
)


class _In(TypedDict):
    variant: str
    profile: str


class _On(_In):
    digits: str
    textures: str


def _on(p: Profile, variant: str) -> _On:
    d = p.digits
    return {"variant": variant, "profile": p.name, "digits": d.digits, "textures": d.textures}


def _in(p: Profile) -> _In:
    return {"variant": p.world.name, "profile": p.name}


def _tag(generator: AnyCGN | GAN) -> str:
    if isinstance(generator, PublishedCGN):
        return generator.name
    return f"{generator.name}-g{generator.seed}".removeprefix("-")


def cgn(p: Profile, variant: str, seed: int) -> CGN:
    """A CGN trained here."""
    return CGN(**_on(p, variant), seed=seed, recipe=p.digits.cgn[variant])


def edged_cgn(p: Profile, variant: str, seed: int) -> CGN:
    """The same with the study's edge loss."""
    plain = cgn(p, variant, seed)
    return replace(plain, name="edge", recipe=replace(plain.recipe, edge=EDGE))


def published_cgn(p: Profile, variant: str) -> PublishedCGN:
    """The authors' checkpoint, which the study used for all its MNIST numbers."""
    return PublishedCGN(variant=variant, profile=p.name, name="published")


def cgns(p: Profile, variant: str) -> list[AnyCGN]:
    """Every CGN of a variant: the published one where the profile has it, then our own."""
    published = [published_cgn(p, variant)] if p.digits.published else []
    return published + [cgn(p, variant, seed) for seed in p.digits.generator_seeds]


def gan(p: Profile, variant: str, seed: int) -> GAN:
    """The study's GAN baseline."""
    return GAN(**_on(p, variant), seed=seed, recipe=p.digits.gan[variant])


def image_set(
    p: Profile, generator: AnyCGN | GAN, seed: int, size: int | None = None, per_shape: int = 1
) -> ImageSet:
    """A set of images made by a CGN or a GAN.  size: the profile's unless told."""
    of_cgn = p.digits.counterfactuals[generator.variant]
    usual = p.digits.gan_images if isinstance(generator, GAN) else of_cgn
    name = f"{generator.kind}-{_tag(generator)}" + (
        f"-n{size}" if size not in (None, usual) else ""
    )
    name += f"-x{per_shape}" if per_shape > 1 else ""
    return ImageSet(
        variant=generator.variant, profile=p.name, name=name, seed=seed,
        generator=generator, size=size or usual, per_shape=per_shape,
    )  # fmt: skip


def classifier(
    p: Profile, variant: str, train_on: str, seed: int, generator: AnyCGN | GAN | None = None
) -> Classifier:
    """A classifier of claim 3: on real images, on those of `generator`, or on both."""
    return Classifier(
        **_on(p, variant), name=f"{train_on}-{_tag(generator)}" if generator else train_on,
        seed=seed, train_on=train_on,
        recipe=p.digits.classifier if generator else p.digits.original,
        set=image_set(p, generator, seed) if generator else None,
    )  # fmt: skip


def sized(
    p: Profile, generator: AnyCGN, seed: int, size: int, per_shape: int = 1, longer: int = 1
) -> Classifier:
    """A classifier of counterfactuals alone, on a set of another size or ratio.

    longer: how many times as many passes it makes.
    """
    images = image_set(p, generator, seed, size, per_shape)
    usual = classifier(p, generator.variant, "cgn", seed, generator)
    name = "cgn" + images.name.removeprefix(generator.kind) + (f"-e{longer}" if longer > 1 else "")
    return replace(usual, name=name, recipe=usual.recipe.longer(longer), set=images)


def mixed(p: Profile, generator: AnyCGN, seed: int, share: float) -> Classifier:
    """A classifier of as many images as a set of counterfactuals has, a share of them originals."""
    usual = classifier(p, generator.variant, "original+cgn", seed, generator)
    return replace(usual, name=f"{usual.name}-r{100 * share:.0f}", share=share)


def control(p: Profile, variant: str, seed: int) -> Classifier:
    """The union of a perfect CGN: true renderings with random cues for the counterfactuals.

    As many as W-MNIST has counterfactuals, and trained as the union is.
    """
    return Classifier(
        **_on(p, variant), name="original+decorrelated", seed=seed,
        train_on="original+decorrelated", recipe=p.digits.classifier,
        renderings=p.digits.control_renderings,
    )  # fmt: skip


def oracle(p: Profile, variant: str) -> Classifier:
    """A reader without a shortcut: trained on true digits whose cues were drawn at random."""
    return Classifier(
        **_on(p, variant), name="decorrelated", train_on="decorrelated", recipe=p.digits.oracle,
        renderings=p.digits.oracle_renderings,
    )  # fmt: skip


def probe(p: Profile) -> Classifier:
    """A reader of bare masks, trained on the true binary shapes of digits."""
    return Classifier(**_on(p, "digits"), train_on="original", recipe=p.digits.probe)


def evaluation(p: Profile, generator: AnyCGN) -> Evaluation:
    """The quality of a CGN's masks and counterfactuals."""
    return Evaluation(
        **_on(p, generator.variant), name=_tag(generator), generator=generator,
        oracle=oracle(p, generator.variant), probe=probe(p), evaluated=p.digits.evaluated,
    )  # fmt: skip


def explanation(p: Profile, explained: Classifier) -> Explanation:
    """What an MNIST classifier looks at, and what its features keep."""
    return Explanation(
        **_on(p, explained.variant), name=explained.name, seed=explained.seed, classifier=explained,
        train_on=explained.train_on, embedded=p.digits.embedded,
    )  # fmt: skip


def following(
    p: Profile, followed: Classifier, generator: AnyCGN, of: type[Following] = Following
) -> Following:
    """Which cue a classifier follows, on real images and on counterfactuals of `generator`."""
    return of(
        **_on(p, followed.variant), name=followed.name, seed=followed.seed, classifier=followed,
        generator=generator, train_on=followed.train_on, evaluated=p.digits.evaluated,
    )  # fmt: skip


def crossing(p: Profile, followed: Classifier, generator: AnyCGN) -> Following:
    """The same on images whose parts are real or generated each."""
    return following(p, followed, generator, Crossing)


def reader(p: Profile, variant: str) -> Reader:
    """Reads digit, foreground and background."""
    return Reader(**_on(p, variant), recipe=p.digits.reader)


def disentanglement(p: Profile, variant: str, generator: AnyCGN | None) -> Disentanglement:
    """What interventions on a CGN change; on the true renderer where it is None."""
    return Disentanglement(
        variant=variant, profile=p.name, name=_tag(generator) if generator else "truth",
        evaluated=p.digits.scenes, reader=reader(p, variant), generator=generator,
        digits=None if generator else p.digits.digits,
        textures=None if generator else p.digits.textures,
    )  # fmt: skip


def mechanisms(p: Profile, ablation: str, seed: int) -> Mechanisms:
    """A CGN over BigGAN, trained without the losses that an ablation leaves out."""
    recipe = p.world.mechanisms
    recipe = replace(recipe, weights=recipe.weights.without(ablation))
    return Mechanisms(**_in(p), name=ablation, seed=seed, ablation=ablation, recipe=recipe)


def published_mechanisms(p: Profile) -> PublishedMechanisms:
    """The authors' ImageNet CGN."""
    return PublishedMechanisms(**_in(p), name="published")


def study_mechanisms(p: Profile, ablation: str) -> PublishedMechanisms:
    """One of the four CGNs that the study trained without some losses, and released."""
    return PublishedMechanisms(
        **_in(p), name=f"study-{ablation}", ablation=ablation, file=f"study-cgn-{ablation}"
    )


def study_classifiers(p: Profile) -> list[PretrainedPlain | PublishedEnsemble]:
    """The ResNet-50 trained from scratch that the study tests on ImageNet-A, and its ensemble."""
    return [
        PretrainedPlain(**_in(p), name="study", file="study-resnet50"),
        PublishedEnsemble(**_in(p), name="study", train_on="real+cgn", file="study-ensemble"),
    ]


def quality(p: Profile, generator: AnyMechanisms | None) -> Quality:
    """What a CGN is worth; BigGAN itself where it is None."""
    return Quality(
        **_in(p), name=generator.name if generator else "biggan",
        seed=generator.seed if generator else 0,
        ablation=generator.ablation if generator else "biggan", recipe=p.world.quality,
        generator=generator,
    )  # fmt: skip


def images(p: Profile, generator: AnyMechanisms) -> Images:
    """Counterfactuals of a CGN, on disk."""
    name = f"{generator.name}-g{generator.seed}"
    return Images(**_in(p), name=name, generator=generator, recipe=p.world.images)


def images_for(p: Profile, seed: int, ablation: str = "none") -> Images:
    """What the classifier of a seed learns from: in the paper images of the published CGN; else
    each seed has a CGN of its own, if there are several."""
    if p.world.published:
        return images(p, published_mechanisms(p))
    return images(p, mechanisms(p, ablation, p.world.seeds[seed % len(p.world.seeds)]))


def plain(p: Profile, seed: int) -> AnyPlain:
    """The plain classifier; the pretrained ResNet-50, whatever the seed, where there is one."""
    if p.world.plain is None:
        return PretrainedPlain(**_in(p))
    return Plain(**_in(p), seed=seed, recipe=p.world.plain)


def ensemble(p: Profile, train_on: str, seed: int, ablation: str = "none") -> Ensemble:
    """A three-headed classifier: on `real` images, or on `real+cgn`.

    ablation: of the CGN, where that is trained here.
    """
    made = images_for(p, seed, ablation) if train_on == "real+cgn" else None
    return Ensemble(
        **_in(p), name=f"{train_on}-{made.name}" if made else train_on, seed=seed,
        train_on=train_on, recipe=p.world.ensemble, conditions=p.world.exam, start=plain(p, seed),
        images=made,
    )  # fmt: skip


def robustness(
    p: Profile, classifier: AnyPlain | Ensemble | PublishedEnsemble, seed: int
) -> Robustness:
    """A classifier of a world put to every test."""
    name = f"{classifier.kind}-study" if classifier.name == "study" else classifier.name
    learnt = classifier.images if isinstance(classifier, Ensemble) else None
    train_on = (
        classifier.train_on if isinstance(classifier, Ensemble | PublishedEnsemble) else "plain"
    )
    return Robustness(
        **_in(p), name=name or classifier.kind, seed=classifier.seed,
        train_on=train_on, recipe=p.world.tests,
        classifier=classifier, images=learnt or images_for(p, seed),
    )  # fmt: skip


def packaged_robustness(p: Profile, preprocessing: str) -> PackagedRobustness:
    """A pretrained network from a package on the real cue-conflict images."""
    return PackagedRobustness(
        variant="imagenet", profile=p.name, name=f"efficientnet-lite0-{preprocessing}",
        train_on="plain", recipe=TestsRecipe(("cue_conflict",), preprocessing=preprocessing),
    )  # fmt: skip


def head_maps(p: Profile, classifier: AnyPlain | Ensemble) -> HeadMaps:
    """Where each head looks."""
    return HeadMaps(
        **_in(p), name=classifier.name or classifier.kind, seed=classifier.seed,
        classifier=classifier,
        train_on=classifier.train_on if isinstance(classifier, Ensemble) else "plain",
        condition="cue_conflict", evaluated=p.world.explained,
    )  # fmt: skip


def menagerie_disentanglement(p: Profile, generator: Mechanisms | None) -> MenagerieDisentanglement:
    """What interventions on a CGN change; on the true renderer where it is None."""
    return MenagerieDisentanglement(
        **_in(p), name=generator.name if generator else "truth",
        seed=generator.seed if generator else 0, evaluated=p.world.scenes or 0,
        ablation=generator.ablation if generator else "truth", generator=generator,
        truncation=p.world.quality.truncation if generator else None,
    )  # fmt: skip
