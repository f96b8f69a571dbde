"""The runs that a profile declares, one by one."""

from dataclasses import dataclass, replace
from typing import TypedDict

from cgnlib.experiments import digits as on_digits
from cgnlib.experiments import worlds as on_world
from cgnlib.experiments.digits import CGN, GAN, AnyCGN, Classifier, Following, ImageSet
from cgnlib.experiments.recipes import LITE0, REMEDIES, TestsRecipe
from cgnlib.experiments.run import Run
from cgnlib.experiments.scales import DigitsScale, WorldScale
from cgnlib.experiments.worlds import AnyPlain, Ensemble, Images, Mechanisms, PublishedMechanisms


class _In(TypedDict):
    variant: str
    profile: str


class _On(_In):
    digits: str
    textures: str


class _Named(TypedDict):
    name: str
    seed: int


def _as(run: Run | None, unnamed: str = "") -> _Named:
    """The name and the seed of the run that is measured.  unnamed: the name where it has none."""
    return {"name": (run and run.name) or unnamed, "seed": run.seed if run else 0}


def _tag(generator: AnyCGN | GAN) -> str:
    if isinstance(generator, on_digits.PublishedCGN):
        return generator.name
    return f"{generator.name}-g{generator.seed}".removeprefix("-")


@dataclass(frozen=True)
class Profile:
    """One scale, and its runs: what they are called, and which settings they get.

    claims: what it takes part in.  extra: what it has besides, on request alone.  precision: of
    trainings on a CPU where CGN_PRECISION names none; empty for the faster there.  What a kind of
    run is, its class says.
    """

    name: str
    purpose: str
    digits: DigitsScale
    world: WorldScale
    claims: tuple[str, ...]
    extra: tuple[str, ...] = ()
    precision: str = ""

    def _on(self, variant: str) -> _On:
        of = self.digits
        return {"digits": of.digits, "textures": of.textures, **self._in(variant)}

    def _in(self, variant: str = "") -> _In:
        return {"variant": variant or self.world.name, "profile": self.name}

    def cgn(self, variant: str, seed: int) -> CGN:
        return CGN(**self._on(variant), seed=seed, recipe=self.digits.cgn[variant])

    def retrained(self, variant: str, remedy: str, seed: int) -> CGN:
        """With one of REMEDIES, or none; without a name where that is the profile's recipe."""
        cgn = self.cgn(variant, seed)
        recipe = replace(cgn.recipe, **REMEDIES[remedy])
        return cgn if recipe == cgn.recipe else replace(cgn, name=remedy, recipe=recipe)

    def published_cgn(self, variant: str) -> on_digits.PublishedCGN:
        """The authors' checkpoint, which the study used for all its MNIST numbers."""
        return on_digits.PublishedCGN(**self._in(variant), name="published")

    def cgns(self, variant: str) -> list[AnyCGN]:
        """Every CGN of a variant: the published one where there is one, then our own."""
        published = [self.published_cgn(variant)] if self.digits.published else []
        return published + [self.cgn(variant, seed) for seed in self.digits.generator_seeds]

    def gan(self, variant: str, seed: int) -> GAN:
        return GAN(**self._on(variant), seed=seed, recipe=self.digits.gan[variant])

    def image_set(
        self, generator: AnyCGN | GAN, seed: int, size: int | None = None, per_shape: int = 1
    ) -> ImageSet:
        """size: the usual one unless told."""
        of_cgn = self.digits.counterfactuals[generator.variant]
        usual = self.digits.gan_images if isinstance(generator, GAN) else of_cgn
        name = f"{generator.kind}-{_tag(generator)}"
        name += f"-n{size}" if size not in (None, usual) else ""
        name += f"-x{per_shape}" if per_shape > 1 else ""
        return ImageSet(
            **self._in(generator.variant), name=name, seed=seed, generator=generator,
            size=size or usual, per_shape=per_shape,
        )  # fmt: skip

    def classifier(
        self, variant: str, train_on: str, seed: int, generator: AnyCGN | GAN | None = None
    ) -> Classifier:
        """A classifier of claim 3: on real images, on those of `generator`, or on both."""
        return Classifier(
            **self._on(variant), name=f"{train_on}-{_tag(generator)}" if generator else train_on,
            seed=seed, train_on=train_on,
            recipe=self.digits.classifier if generator else self.digits.original,
            set=self.image_set(generator, seed) if generator else None,
        )  # fmt: skip

    def sized(
        self, generator: AnyCGN, seed: int, size: int, per_shape: int = 1, longer: int = 1
    ) -> Classifier:
        """A classifier of counterfactuals alone, on a set of another size or ratio.

        longer: how many times as many passes it makes.
        """
        images = self.image_set(generator, seed, size, per_shape)
        usual = self.classifier(generator.variant, "cgn", seed, generator)
        name = "cgn" + images.name.removeprefix(generator.kind)
        name += f"-e{longer}" if longer > 1 else ""
        return replace(usual, name=name, recipe=usual.recipe.longer(longer), set=images)

    def mixed(self, generator: AnyCGN, seed: int, share: float) -> Classifier:
        """A classifier of as many images as a set of counterfactuals has, a share of originals."""
        usual = self.classifier(generator.variant, "original+cgn", seed, generator)
        return replace(usual, name=f"{usual.name}-r{100 * share:.0f}", share=share)

    def control(self, variant: str, seed: int) -> Classifier:
        """The union of a perfect CGN: true renderings with random cues for the counterfactuals.

        As many as W-MNIST has counterfactuals, and trained as the union is.
        """
        union = "original+decorrelated"
        return Classifier(
            **self._on(variant), name=union, seed=seed, train_on=union,
            recipe=self.digits.classifier, renderings=self.digits.control_renderings,
        )  # fmt: skip

    def oracle(self, variant: str) -> Classifier:
        """A reader without a shortcut: trained on true digits whose cues were drawn at random."""
        return Classifier(
            **self._on(variant), name="decorrelated", train_on="decorrelated",
            recipe=self.digits.oracle, renderings=self.digits.oracle_renderings,
        )  # fmt: skip

    def probe(self) -> Classifier:
        """A reader of bare masks, trained on the true binary shapes of digits."""
        return Classifier(**self._on("digits"), train_on="original", recipe=self.digits.probe)

    def evaluation(self, of: AnyCGN) -> on_digits.Evaluation:
        return on_digits.Evaluation(
            **self._on(of.variant), name=_tag(of), generator=of, oracle=self.oracle(of.variant),
            probe=self.probe(), evaluated=self.digits.evaluated,
        )  # fmt: skip

    def explanation(self, of: Classifier) -> on_digits.Explanation:
        return on_digits.Explanation(
            **self._on(of.variant), **_as(of), classifier=of, train_on=of.train_on,
            embedded=self.digits.embedded,
        )  # fmt: skip

    def following(
        self, of: Classifier, generator: AnyCGN, kind: type[Following] = Following
    ) -> Following:
        """On images of `generator` as well.  kind: or `Crossing`."""
        return kind(
            **self._on(of.variant), **_as(of), classifier=of, generator=generator,
            train_on=of.train_on, evaluated=self.digits.evaluated,
        )  # fmt: skip

    def reader(self, variant: str) -> on_digits.Reader:
        return on_digits.Reader(**self._on(variant), recipe=self.digits.reader)

    def disentanglement(self, variant: str, of: AnyCGN | None) -> on_digits.Disentanglement:
        """Of the true renderer where there is no CGN."""
        return on_digits.Disentanglement(
            **self._in(variant), name=_tag(of) if of else "truth", evaluated=self.digits.scenes,
            reader=self.reader(variant), generator=of, digits=None if of else self.digits.digits,
            textures=None if of else self.digits.textures,
        )  # fmt: skip

    def mechanisms(self, ablation: str, seed: int) -> Mechanisms:
        recipe = self.world.mechanisms
        recipe = replace(recipe, weights=recipe.weights.without(ablation))
        return Mechanisms(**self._in(), name=ablation, seed=seed, ablation=ablation, recipe=recipe)

    def published_mechanisms(self) -> PublishedMechanisms:
        return PublishedMechanisms(**self._in(), name="published")

    def study_mechanisms(self, ablation: str) -> PublishedMechanisms:
        """One of the four CGNs that the study trained without some losses, and released."""
        name, file = f"study-{ablation}", f"study-cgn-{ablation}"
        return PublishedMechanisms(**self._in(), name=name, ablation=ablation, file=file)

    def study_classifiers(self) -> list[on_world.PretrainedPlain | on_world.PublishedEnsemble]:
        """The ResNet-50 trained from scratch that the study tests on ImageNet-A; its ensemble."""
        return [
            on_world.PretrainedPlain(**self._in(), name="study", file="study-resnet50"),
            on_world.PublishedEnsemble(
                **self._in(), name="study", train_on="real+cgn", file="study-ensemble"
            ),
        ]

    def quality(self, of: on_world.AnyCGN | None) -> on_world.Quality:
        """Of BigGAN itself where there is no CGN."""
        return on_world.Quality(
            **self._in(), **_as(of, "biggan"), ablation=of.ablation if of else "biggan",
            recipe=self.world.quality, generator=of,
        )  # fmt: skip

    def images_for(self, seed: int, ablation: str = "none") -> Images:
        """What the classifier of a seed learns from: in the paper images of the published CGN;
        else each seed has a CGN of its own, if there are several."""
        own = self.mechanisms(ablation, self.world.seeds[seed % len(self.world.seeds)])
        of = self.published_mechanisms() if self.world.published else own
        name = f"{of.name}-g{of.seed}"
        return Images(**self._in(), name=name, generator=of, recipe=self.world.images)

    def plain(self, seed: int) -> AnyPlain:
        """The pretrained ResNet-50, whatever the seed, where there is one."""
        if self.world.plain is None:
            return on_world.PretrainedPlain(**self._in())
        return on_world.Plain(**self._in(), seed=seed, recipe=self.world.plain)

    def ensemble(self, train_on: str, seed: int, ablation: str = "none") -> Ensemble:
        """ablation: of the CGN that it learns from, where that is trained here."""
        made = self.images_for(seed, ablation) if train_on == "real+cgn" else None
        return Ensemble(
            **self._in(), name=f"{train_on}-{made.name}" if made else train_on, seed=seed,
            train_on=train_on, recipe=self.world.ensemble, conditions=self.world.exam,
            start=self.plain(seed), images=made,
        )  # fmt: skip

    def robustness(
        self, of: AnyPlain | Ensemble | on_world.PublishedEnsemble, seed: int
    ) -> on_world.Robustness:
        made = of.images if isinstance(of, Ensemble) else None
        name = f"{of.kind}-study" if of.name == "study" else of.name or of.kind
        return on_world.Robustness(
            **self._in(), name=name, seed=of.seed, train_on=of.train_on, recipe=self.world.tests,
            classifier=of, images=made or self.images_for(seed),
        )  # fmt: skip

    def packaged_robustness(self, preprocessing: str) -> on_world.PackagedRobustness:
        """On the real cue-conflict images, whatever the world."""
        return on_world.PackagedRobustness(
            **self._in("imagenet"), name=f"{LITE0}-{preprocessing}", train_on="plain",
            recipe=TestsRecipe(("cue_conflict",), preprocessing=preprocessing),
        )  # fmt: skip

    def head_maps(self, of: AnyPlain | Ensemble) -> on_world.HeadMaps:
        return on_world.HeadMaps(
            **self._in(), **_as(of, of.kind), classifier=of, train_on=of.train_on,
            condition="cue_conflict", evaluated=self.world.explained,
        )  # fmt: skip

    def menagerie_disentanglement(self, of: Mechanisms | None) -> on_world.MenagerieDisentanglement:
        """Of the true renderer where there is no CGN."""
        return on_world.MenagerieDisentanglement(
            **self._in(), **_as(of, "truth"), evaluated=self.world.scenes or 0,
            ablation=of.ablation if of else "truth", generator=of,
            truncation=self.world.quality.truncation if of else None,
        )  # fmt: skip
