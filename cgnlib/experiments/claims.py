"""The grid of every claim, with its table in the paper or the study."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product

from cgnlib import rehearsal
from cgnlib.errors import CGNError
from cgnlib.experiments.declared import Profile
from cgnlib.experiments.digits import GAN, AnyCGN, Classifier, Crossing, DigitRun, Following
from cgnlib.experiments.profiles import profile
from cgnlib.experiments.recipes import ABLATIONS, REMEDIES
from cgnlib.experiments.run import VARIANTS, Run, with_needs
from cgnlib.experiments.smallest import smallest
from cgnlib.experiments.worlds import AnyPlain, Ensemble, WorldRun

AnyRun = DigitRun | WorldRun

TRAIN_SETS = ("original", "gan", "cgn", "original+gan", "original+cgn")
ENSEMBLE_SETS = ("real", "real+cgn")
REAL_SHARES = (0.1, 0.5, 0.9)  # of a training set; with none it is that of claim 3


def claim_1_mnist(p: Profile) -> list[AnyRun]:
    """Figure 1 of the study, and measures of what it shows: one evaluation for each CGN."""
    return [p.evaluation(cgn) for v in VARIANTS for cgn in p.cgns(v)]


def claim_3_mnist(p: Profile) -> list[Classifier]:
    """Table 3 of the study (2 of the paper): five settings x three variants, over seeds.

    Where CGNs and GANs are trained here, several of each, a seed has one of them: its spread is
    that of both trainings.
    """
    grid = []
    for variant, seed in product(VARIANTS, p.digits.seeds):
        grid.append(p.classifier(variant, "original", seed))
        own = p.digits.generator_seeds[seed % len(p.digits.generator_seeds)]
        published = [p.published_cgn(variant)] if p.digits.published else []
        generators: list[AnyCGN | GAN] = [p.gan(variant, own), *published, p.cgn(variant, own)]
        for generator, train_on in product(generators, ("{}", "original+{}")):
            grid.append(p.classifier(variant, train_on.format(generator.kind), seed, generator))
    return grid


def edge_loss(p: Profile) -> list[AnyRun]:
    """The study's remedy for C-MNIST's broken masks, and classifiers that learn from what it makes.

    Beside the CGNs of claim 1 that go without, and measured as these are.
    """
    grid: list[AnyRun] = []
    for seed in p.digits.generator_seeds:
        mended = p.retrained("colored", "edge", seed)
        learns = p.classifier("colored", "cgn", seed, mended)
        grid += [p.evaluation(mended), learns, p.disentanglement("colored", mended)]
    return grid


def lottery(p: Profile) -> list[AnyRun]:
    """How often a training loses digits: by the published recipe, and with what is to mend it.

    Each CGN is judged, and two classifiers learn from what it makes.
    """
    grid: list[AnyRun] = []
    for variant, remedy, seed in product(VARIANTS, REMEDIES, p.digits.retrainings):
        cgn = p.retrained(variant, remedy, seed)
        of_seed = (seed, seed + len(p.digits.generator_seeds))  # claim 3 may have both
        grid += [p.evaluation(cgn), *(p.classifier(variant, "cgn", s, cgn) for s in of_seed)]
    return grid


def explanations(p: Profile) -> list[AnyRun]:
    """Figures 4 to 6 of the study: classifiers trained on original and on counterfactual data."""
    runs = claim_3_mnist(p)
    return [p.explanation(run) for run in runs if run.train_on in ("original", "cgn")]


def set_sizes(p: Profile) -> list[AnyRun]:
    """The study's ablation: size of the set by counterfactuals that share a shape.

    Of every variant of the profile's `sets`, over seeds.  Besides, at one a shape: the set of claim
    3, the smallest with as many steps as that one takes, and once the largest, where there is one.
    The CGN is the published one where the profile has it, as in the study, else our own.
    """
    sets = p.digits.sets
    grid: dict[str, AnyRun] = {}
    for (variant, sizes), seed in product(sets.sizes.items(), sets.seeds):
        cgn, usual = p.cgns(variant)[0], p.digits.counterfactuals[variant]
        of_seed = [*product(sizes, sets.per_shape), (usual, 1)]
        if sets.largest and seed == sets.seeds[0]:
            of_seed.append((sets.largest, 1))
        found = [p.sized(cgn, seed, *pair) for pair in of_seed]
        found.append(p.sized(cgn, seed, sizes[0], longer=usual // sizes[0]))
        grid |= {run.id: run for run in found}  # claim 3 may have one of the sizes
    return list(grid.values())


def union(p: Profile) -> list[AnyRun]:
    """Why the union falls on W-MNIST: which cue classifiers follow, on real and on other images.

    Original images, counterfactuals, their union, and the control.  The CGN is the published one
    where the profile has it, as in the study, else our own.
    """
    cgn = p.cgns("wildlife")[0]
    return [
        p.following(of, cgn, kind)
        for kind in (Following, Crossing)
        for seed in p.digits.seeds
        for of in (
            p.classifier("wildlife", "original", seed),
            p.classifier("wildlife", "cgn", seed, cgn),
            p.classifier("wildlife", "original+cgn", seed, cgn),
            p.control("wildlife", seed),
        )
    ]


def union_shares(p: Profile) -> list[AnyRun]:
    """Where the union tips: its share of original images, at one size.

    Accuracy on every variant; on W-MNIST also which cue is followed.
    """
    grid: list[AnyRun] = []
    for variant, seed, share in product(VARIANTS, p.digits.seeds, REAL_SHARES):
        run = p.mixed(cgn := p.cgns(variant)[0], seed, share)
        grid.append(run)
        if variant == "wildlife":
            grid.append(replace(p.following(run, cgn), share=share))
    return grid


def claim_1_imagenet(p: Profile) -> list[AnyRun]:
    """Figure 2 of the study: the CGNs with all losses."""
    published = [p.published_mechanisms()] if p.world.published else []
    trained = [p.mechanisms("none", seed) for seed in p.world.seeds]
    return [p.quality(cgn) for cgn in published + trained]


def claim_2(p: Profile) -> list[AnyRun]:
    """The study's loss ablation (Table 1 of the paper), with BigGAN itself as the bound."""
    ablated = [
        p.quality(p.mechanisms(ablation, seed))
        for ablation, seed in product(ABLATIONS, p.world.seeds)
        if ablation != "none"
    ]
    return [*ablated, *claim_1_imagenet(p), p.quality(None)]


def _classifiers(p: Profile, seed: int) -> list[AnyPlain | Ensemble]:
    """Of claim 3 on a world: plain, its control, invariant."""
    return [p.plain(seed), *(p.ensemble(train_on, seed) for train_on in ENSEMBLE_SETS)]


def claim_3_imagenet(p: Profile) -> list[AnyRun]:
    """Tables 4 and 5 of the study (3 and 4 of the paper): plain and invariant, over seeds."""
    seeds = p.world.ensemble_seeds
    runs = [p.robustness(of, seed) for seed in seeds for of in _classifiers(p, seed)]
    return list({run.id: run for run in runs}.values())  # a pretrained one has no seeds


def claim_3_on_imagenet(p: Profile) -> list[AnyRun]:
    """Claim 3 with classifiers that learn from all of ImageNet, as in the paper (rows IN and
    IN + CGN); the study, and the profile, have IN-mini."""
    world = p.world
    ensemble = replace(world.ensemble, data="imagenet")
    tests = replace(world.tests, data="imagenet")
    on_all = replace(p, world=replace(world, ensemble=ensemble, tests=tests))
    grid: list[AnyRun] = []
    for seed, train_on in product(world.ensemble_seeds, ENSEMBLE_SETS):
        run = on_all.ensemble(train_on, seed)
        grid.append(on_all.robustness(replace(run, name=f"{run.name}-in"), seed))
    return grid


def study_files(p: Profile) -> list[AnyRun]:
    """What the study released of ImageNet, measured here: its ablated CGNs (Table 1 of the paper),
    its ensemble, and the ResNet-50 that it tests on ImageNet-A."""
    ablated = [p.quality(p.study_mechanisms(name)) for name in ABLATIONS if name != "none"]
    return [*ablated, *(p.robustness(of, 0) for of in p.study_classifiers())]


def ablated_robustness(p: Profile) -> list[AnyRun]:
    """Classifiers that learn from ablated CGNs."""
    return [
        p.robustness(p.ensemble("real+cgn", seed, ablation), seed)
        for ablation, seed in product(ABLATIONS, p.world.ensemble_seeds)
        if ablation != "none"
    ]


def real_stimuli(p: Profile) -> list[AnyRun]:
    """A pretrained network from a package on the real cue-conflict images, prepared both ways."""
    return [p.packaged_robustness(preprocessing) for preprocessing in ("paper", "authors")]


def head_maps(p: Profile) -> list[AnyRun]:
    """Where each head looks; only in the menagerie the true masks are known."""
    return [p.head_maps(of) for seed in p.world.ensemble_seeds for of in _classifiers(p, seed)]


def disentanglements(p: Profile) -> list[AnyRun]:
    """Every CGN of the MNISTs and of the menagerie, each after the renderer of its world."""
    grid: list[AnyRun] = [p.disentanglement(v, cgn) for v in VARIANTS for cgn in (None, *p.cgns(v))]
    if p.world.scenes:
        trained = [p.mechanisms(a, seed) for a, seed in product(ABLATIONS, p.world.seeds)]
        grid += [p.menagerie_disentanglement(cgn) for cgn in (None, *trained)]
    return grid


CLAIMS: dict[str, Callable[[Profile], Sequence[AnyRun]]] = {
    "claim-1-mnist": claim_1_mnist,
    "claim-1-imagenet": claim_1_imagenet,
    "claim-2": claim_2,
    "claim-3-mnist": claim_3_mnist,
    "edge-loss": edge_loss,
    "claim-3-imagenet": claim_3_imagenet,
    "real-stimuli": real_stimuli,
    "lottery": lottery,
    "explanations": explanations,
    "set-size": set_sizes,
    "union": union,
    "union-shares": union_shares,
    "head-maps": head_maps,
    "disentanglement": disentanglements,
    "ablated-robustness": ablated_robustness,
    "claim-3-on-imagenet": claim_3_on_imagenet,
    "study-files": study_files,
}


def grid(profile_name: str, claim: str = "all") -> list[Run]:
    """All runs of a claim, or of all but the profile's extra ones, without those that they need.

    None where the profile does not take part in the claim; at their smallest in a rehearsal.
    Raises CGNError for an unknown profile or claim.
    """
    p = profile(profile_name)
    if claim != "all" and claim not in CLAIMS:
        raise CGNError(f"unknown claim {claim!r}: choose all, {', '.join(CLAIMS)}")
    chosen = p.claims if claim == "all" else {claim}.intersection((*p.claims, *p.extra))
    runs: Iterable[Run] = (run for c in CLAIMS if c in chosen for run in CLAIMS[c](p))
    found = list({run.id: run for run in runs}.values())  # claims share some
    return [smallest(run) for run in found] if rehearsal.under_way() else found


def find(profile_name: str, run_id: str) -> Run:
    """A run by its id.  Raises CGNError for an unknown one."""
    for claim in ("all", *profile(profile_name).extra):
        for run in with_needs(grid(profile_name, claim)):
            if run.id == run_id:
                return run
    raise CGNError(
        f"unknown run or claim {run_id!r}: python -m cgnlib list --profile {profile_name} shows "
        f"the runs; claims are all, {', '.join(CLAIMS)}"
    )
