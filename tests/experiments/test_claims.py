"""The declarations: grids, published settings, digests.

test_golden says that nothing moves; here it is said what must be true of it.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from cgnlib import experiments as e
from cgnlib.errors import CGNError
from cgnlib.experiments import (
    ABLATIONS,
    ENSEMBLE_SETS,
    PROFILES,
    TRAIN_SETS,
    VARIANTS,
    grid,
    jobs,
    profile,
    with_needs,
)
from cgnlib.experiments.recipes import (
    REMEDIES,
    ClassifierRecipe,
    EnsembleRecipe,
    MechanismsRecipe,
    Patches,
)

# method: the published configurations, w of VGG-16 layers 3, 8, 15, 22 and the weight of the mask
WEIGHTS = {
    "colored": ((0.05, 0.1, 0.01, 0), 0.1, "linear", 512, "orthogonal", 0.1, 60_000),
    "double_colored": ((0, 0.05, 0, 0.05), 0.3, "linear", 512, "orthogonal", 0.2, 50_000),
    "wildlife": ((0.01, 0.05, 0, 0.01), 0.3, "conv", 32, "normal", 0.03, 50_000),
}


@pytest.mark.parametrize("name", PROFILES)
def test_ids_are_unique_found_again_and_their_specs_json(name):
    runs = with_needs(grid(name))
    assert len({run.id for run in runs}) == len(runs) == len({run.digest() for run in runs})
    assert all(e.find(name, run.id) == run for run in runs[:: 1 + len(runs) // 40])
    assert all(run.profile == name for run in runs)
    assert all(json.loads(json.dumps(run.spec())) == run.spec() for run in runs)


@pytest.mark.parametrize("name", PROFILES)
def test_a_grid_is_of_one_declaration_and_needs_come_before_their_users(name):
    runs = with_needs(grid(name))
    order = {run.id: i for i, run in enumerate(runs)}
    for run in runs:
        for need in run.needs.values():
            assert runs[order[need.id]] == need and order[need.id] < order[run.id]


def test_all_is_the_sum_of_the_claims():
    ids = [run.id for run in grid("full")]
    taken = (claim for claim in e.CLAIMS if claim in PROFILES["full"].claims)
    of_claims = [run.id for claim in taken for run in grid("full", claim)]
    assert ids == list(dict.fromkeys(of_claims))  # runs that claims share come once
    assert len(ids) < len(of_claims)
    assert {c for p in PROFILES.values() for c in (*p.claims, *p.extra)} == set(e.CLAIMS)


def test_what_is_extra_is_asked_for_by_name_alone():
    every = {run.id for run in with_needs(grid("paper"))}
    for claim in PROFILES["paper"].extra:
        runs = grid("paper", claim)
        assert {run.id for run in runs} - every
        assert all(e.find("paper", run.id) == run for run in with_needs(runs))
        assert bool(grid("full", claim)) == (claim in PROFILES["full"].extra)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_training_by_the_published_recipe_is_retrained_as_often_as_with_each_remedy(profile):
    """Each judged, and with two classifiers; what other claims have is shared with them."""
    runs = {run.id: run for run in with_needs(grid(profile, "lottery"))}
    of = [run for run in runs.values() if type(run) is e.CGN]
    times = len(PROFILES[profile].digits.retrainings)
    assert len(of) == 3 * len(REMEDIES) * times
    for variant in e.VARIANTS:
        recipes = [cgn.recipe for cgn in of if cgn.variant == variant]
        assert set(Counter(recipes).values()) == {times} and len(set(recipes)) == len(REMEDIES)
        assert sum(not (recipe.edge or recipe.border) for recipe in recipes) == times
    for cgn in of:
        assert sum(type(r) is e.Classifier and r.behind == cgn for r in runs.values()) == 2
    assert set(of) & set(with_needs(grid(profile)))


def test_the_studys_files_are_measured_as_ours_are():
    runs = {run.id: run for run in with_needs(grid("paper", "study-files"))}
    files = {what.name for run in runs.values() for what in run.reads().values()}
    ablated = {f"study-cgn-{name}" for name in e.ABLATIONS if name != "none"}
    assert files >= ablated | {"study-ensemble", "study-resnet50"} and len(ablated) == 4
    ours = e.find("paper", "quality-imagenet-shape-s0")
    its = runs["quality-imagenet-study-shape-s0"]
    assert (its.recipe, its.ablation) == (ours.recipe, ours.ablation)
    tests = e.find("paper", "robustness-imagenet-plain-s0").recipe
    tested = [run for run in runs.values() if isinstance(run, e.Robustness)]
    assert [(run.train_on, run.recipe) for run in tested] == [
        ("plain", tests), ("real+cgn", tests),
    ]  # fmt: skip
    assert not any(jobs.resources(run).gpus for run in runs.values() if run.name == "study")


def test_on_imagenet_only_the_real_images_are_others():
    ours = {run.id: run for run in grid("paper", "claim-3-imagenet")}
    for run in grid("paper", "claim-3-on-imagenet"):
        usual = ours[run.id.replace("-in-s", "-s")]
        learnt, before = run.classifier, usual.classifier
        assert learnt.recipe == replace(before.recipe, data="imagenet")
        assert replace(learnt, recipe=before.recipe, name=before.name) == before
        assert run.recipe == replace(usual.recipe, data="imagenet") and run.images == usual.images
        assert jobs.expected_seconds(learnt) > 30 * jobs.expected_seconds(before)


# --- the MNISTs


@pytest.mark.parametrize("name", PROFILES)
def test_claim_3_has_every_setting_variant_and_seed(name):
    d = profile(name).digits
    cells = Counter((run.train_on, run.variant, run.seed) for run in grid(name, "claim-3-mnist"))
    assert set(cells) == set(product(TRAIN_SETS, VARIANTS, d.seeds))
    for (train_on, _, _), n in cells.items():
        source = train_on.removeprefix("original+")
        assert n == {"original": 1, "gan": 1, "cgn": 1 + d.published}[source]


@pytest.mark.parametrize("name", PROFILES)
def test_the_seeds_of_claim_3_take_turns_with_the_generators_trained_here(name):
    d, seen = profile(name).digits, {}
    for run in grid(name, "claim-3-mnist"):
        if run.behind is None:
            assert run.train_on == "original"
            continue
        assert run.behind.kind == run.train_on.removeprefix("original+")
        assert run.behind.variant == run.variant and run.set.seed == run.seed
        if not isinstance(run.behind, e.PublishedCGN):
            seen.setdefault((run.train_on, run.variant), {})[run.seed] = run.behind.seed
    assert len(seen) == 4 * len(VARIANTS)
    for of_seed in seen.values():
        assert list(of_seed) == list(d.seeds)
        counts = Counter(of_seed.values())
        assert set(counts) == set(d.generator_seeds)
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", PROFILES)
def test_claim_1_evaluates_every_cgn(name):
    d = profile(name).digits
    cgns = [run.generator for run in grid(name, "claim-1-mnist")]
    wanted = [(v, e.CGN, seed) for v, seed in product(VARIANTS, d.generator_seeds)]
    wanted += [(v, e.PublishedCGN, 0) for v in VARIANTS if d.published]
    assert Counter((run.variant, type(run), run.seed) for run in cgns) == Counter(wanted)


def test_the_first_run_needs_no_download_and_the_others_cover_the_original_table():
    mini, full, paper = (profile(name) for name in PROFILES)
    assert full.digits.seeds == paper.digits.seeds == (0, 1, 2, 3, 4)
    assert full.digits.published and paper.digits.published and not mini.digits.published
    assert (paper.digits.digits, paper.digits.textures) == ("mnist", "dtd")
    kinds = {what.kind for run in with_needs(grid("mini")) for what in run.reads().values()}
    assert kinds == {"digits", "textures", "part", "package"}
    names = {what.name for run in with_needs(grid("mini")) for what in run.reads().values()}
    assert {"mnist-5k", "procedural"} < names and not {"mnist", "dtd"} & names
    for run in with_needs(grid("full", "claim-3-imagenet")):
        assert isinstance(run, e.OnWorld) and run.variant == "menagerie"
        assert not isinstance(run, e.PretrainedPlain | e.PublishedMechanisms)


@pytest.mark.parametrize("name", PROFILES)
def test_the_control_has_as_many_images_as_the_union(name):
    d = profile(name).digits
    digits = {"mnist-5k": 4000, "mnist": 50_000}[d.digits]
    assert d.control_renderings * digits == d.counterfactuals["wildlife"]
    train_sets = Counter((type(run), run.train_on, run.seed) for run in grid(name, "union"))
    wanted = ("original", "cgn", "original+cgn", "original+decorrelated")
    assert train_sets == dict.fromkeys(product((e.Following, e.Crossing), wanted, d.seeds), 1)
    kept = {run.id: run for run in grid(name, "claim-3-mnist")}
    for run in (run.classifier for run in grid(name, "union")):
        assert run.renderings or kept[run.id] == run  # shared with claim 3


@pytest.mark.parametrize("name", PROFILES)
def test_the_sizes_are_those_of_the_profile_at_every_ratio_and_seed(name):
    p, cells, wanted = profile(name), Counter(), set()
    sets, usual_recipe = p.digits.sets, p.digits.classifier
    kept = {run.id: run for run in grid(name, "claim-3-mnist")}
    for run in grid(name, "set-size"):
        assert run.train_on == "cgn" and run.behind == p.cgns(run.variant)[0]
        assert run.set.size % (100 * run.set.per_shape) == 0  # whole batches: as large as it says
        if (run.set.size, run.set.per_shape) == (p.digits.counterfactuals[run.variant], 1):
            assert kept[run.id] == run
        longer = run.recipe.epochs // usual_recipe.epochs
        assert run.recipe == usual_recipe.longer(longer)
        cells[run.variant, run.set.size, run.set.per_shape, longer, run.seed] += 1
    for (variant, sizes), seed in product(sets.sizes.items(), sets.seeds):
        wanted |= {(variant, *pair, 1, seed) for pair in product(sizes, sets.per_shape)}
        usual = p.digits.counterfactuals[variant]
        wanted |= {(variant, usual, 1, 1, seed), (variant, sizes[0], 1, usual // sizes[0], seed)}
    if sets.largest:
        wanted |= {(variant, sets.largest, 1, 1, 0) for variant in VARIANTS}
    assert cells == dict.fromkeys(wanted, 1)


def test_the_sizes_are_the_studys():
    """method 4.1: 1e4, 1e5 and 1e6 at 1, 5, 10 and 20 a shape"""
    sets = [run.set for run in grid("paper", "set-size")]
    assert {run.size for run in sets} == {10_000, 50_000, 100_000, 1_000_000}
    assert {run.per_shape for run in sets} == {1, 5, 10, 20}
    assert {run.variant for run in sets} == set(VARIANTS)


def test_a_longer_training_takes_as_many_steps_and_ends_at_the_same_rate():
    short, long = ClassifierRecipe(epochs=2), ClassifierRecipe(epochs=2).longer(20)
    assert long.epochs == 20 * short.epochs
    rates = [recipe.gamma**recipe.epochs for recipe in (short, long)]
    assert rates[1] == pytest.approx(rates[0], rel=1e-4)


@pytest.mark.parametrize("name", ["full", "paper"])
def test_shares_of_original_images_are_the_unions_but_for_the_share(name):
    d, found = profile(name).digits, grid(name, "union-shares")
    cells = Counter((type(run), run.variant, run.seed, run.share) for run in found)
    shares = (0.1, 0.5, 0.9)
    wanted = [(e.Classifier, *cell) for cell in product(VARIANTS, d.seeds, shares)]
    wanted += [(e.Following, *cell) for cell in product(["wildlife"], d.seeds, shares)]
    assert cells == dict.fromkeys(wanted, 1) and grid("mini", "union-shares") == []
    usual = {run.id: run for run in grid(name, "claim-3-mnist")}
    for run in found:
        if isinstance(run, e.Classifier):
            union = usual[f"classifier-{run.variant}-original-and-cgn-published-s{run.seed}"]
            assert replace(run, name=union.name, share=None) == union


# --- the published numbers


@pytest.mark.parametrize("variant", VARIANTS)
def test_paper_cgns_are_the_published_configurations(variant):
    w, mask, discriminator, ndf, init, gain, images = WEIGHTS[variant]
    layers = [(layer, 5000 * x**2) for layer, x in zip((3, 8, 15, 22), w, strict=True) if x]
    r = profile("paper").cgn(variant, 0).recipe
    assert r.layers == tuple(layer for layer, _ in layers)
    assert r.factors == pytest.approx([factor for _, factor in layers])
    assert r.steps * r.batch == 15 * images and r.batch == 16
    assert (r.lr, r.lr_critic, r.betas) == (2e-4, 2e-4, (0.5, 0.999))
    assert (r.latent, r.ngf, r.edge, r.mask, r.perceptual) == (32, 32, 0, mask, "vgg16")
    assert (r.discriminator, r.ndf, r.init, r.gain) == (discriminator, ndf, init, gain)
    gan = profile("paper").gan(variant, 0).recipe  # the study's: 15 epochs of batch 16
    assert (gan.batch, gan.latent, gan.ngf, gan.ndf, gan.steps) == (16, 32, 32, 512, r.steps)
    assert (gan.lr, gan.lr_critic, gan.betas) == (2e-4, 2e-4, (0.5, 0.999))


def test_paper_classifiers_are_the_published_ones():
    for run in grid("paper", "claim-3-mnist"):
        assert run.recipe == ClassifierRecipe(batch=64, epochs=10, lr=1.0, gamma=0.7)
        assert run.set is None or (run.set.size, run.set.per_shape) == (50_000, 1)


# --- ImageNet, and the menagerie in its place


@pytest.mark.parametrize("name", PROFILES)
def test_claims_1_and_2_judge_every_ablation_and_seed(name):
    w, found = profile(name).world, grid(name, "claim-2")
    wanted = dict.fromkeys(product(ABLATIONS, w.seeds), 1) | {("biggan", 0): 1}
    wanted |= {("published", 0): 1} if w.published else {}
    assert Counter((run.ablation, run.seed) for run in found) == wanted
    assert {run.variant for run in with_needs(found)} == {w.name}
    for run in found:
        if run.generator:
            assert (run.generator.ablation, run.generator.seed) == (run.ablation, run.seed)
    of_claim_1 = [run for run in found if run.ablation in ("none", "published")]
    assert {run.id for run in grid(name, "claim-1-imagenet")} == {run.id for run in of_claim_1}


def trained_mechanisms(name):
    return [run for run in with_needs(grid(name, "claim-2")) if isinstance(run, e.Mechanisms)]


@pytest.mark.parametrize("name", PROFILES)
def test_an_ablated_training_lacks_its_losses_and_nothing_else(name):
    whole = profile(name).world.mechanisms
    for run in trained_mechanisms(name):
        off = ABLATIONS[run.ablation]
        assert all(getattr(run.recipe.weights, loss) is None for loss in off)
        assert len(dict(run.settings["weights"])) == 6 - len(off)
        assert replace(run.recipe, weights=whole.weights) == whole
        weights = replace(
            run.recipe.weights, **{loss: getattr(whole.weights, loss) for loss in off}
        )
        assert weights == whole.weights


@pytest.mark.parametrize("name", ["mini", "full"])
def test_the_menageries_losses_fit_its_features(name):
    for recipe in (run.recipe for run in trained_mechanisms(name)):
        for factors in filter(None, (recipe.weights.perc, recipe.weights.text)):
            assert len(factors) == len(recipe.layers)
        assert recipe.steps % recipe.window == 0


def test_paper_mechanisms_are_the_studys_ablation_trainings():
    """method 5.4 to 5.6: 50 steps of 2048 passes of one image, rates of shape, texture and
    background, weights of the code."""
    assert profile("paper").world.mechanisms == MechanismsRecipe(
        batch=1, accumulate=2048, steps=50, lr=(8e-6, 3e-5, 1e-5), truncation=1.0,
        perceptual="vgg16", layers=(3, 8, 15, 22), patches=Patches(128, 15, 100, 6), window=1,
    )  # fmt: skip


def test_paper_quality_is_the_studys_protocol():
    """method 6.1 and 6.2: 2000 images at truncation 0.5 through stretched JPEGs, two splits."""
    for run in grid("paper", "claim-2"):
        r = run.recipe
        assert (r.evaluated, r.splits, r.truncation) == (2000, 2, 0.5)
        assert (r.protocol, r.stretch) == ("study", "minmax")
    for r in (profile(name).world.quality for name in ("mini", "full")):
        assert (r.protocol, r.stretch, r.truncation) == ("standard", "", 0.5)
        assert r.evaluated % r.splits == 0


def test_the_published_cgn_is_not_trained():
    run = profile("paper").published_mechanisms()
    assert run.settings == {"source": "published", "ablation": "published"}
    assert run.id == "mechanisms-imagenet-published-s0" and not run.needs
    judged = profile("paper").quality(run)
    assert judged.id == "quality-imagenet-published-s0" and judged.ablation == "published"
    biggan = profile("paper").quality(None)
    assert biggan.id == "quality-imagenet-biggan-s0" and not biggan.needs


@pytest.mark.parametrize("name", PROFILES)
def test_claim_3_on_a_world_has_every_setting_and_seed(name):
    """A pretrained plain classifier is the same for every seed."""
    w, found = profile(name).world, grid(name, "claim-3-imagenet")
    plain_seeds = (0,) if w.plain is None else w.ensemble_seeds
    wanted = [*product(ENSEMBLE_SETS, w.ensemble_seeds), *product(["plain"], plain_seeds)]
    assert Counter((run.train_on, run.seed) for run in found) == dict.fromkeys(wanted, 1)
    assert {run.variant for run in with_needs(found)} == {w.name}
    assert {run.images.generator.seed for run in found} == set(w.seeds)
    for run in found:
        assert isinstance(run.classifier, e.Ensemble) != (run.train_on == "plain")
        assert run.classifier.seed == run.seed
        assert run.recipe.conditions[: len(w.exam)] == w.exam
        conditions = {c.removeprefix("in9/") for c in w.exam}
        assert conditions == {"cue_conflict", "original", "mixed_same", "mixed_rand"}
        if run.train_on == "real+cgn":  # tested on images of the same CGN
            assert run.images == run.classifier.images


@pytest.mark.parametrize("name", PROFILES)
def test_a_control_differs_in_its_images_alone(name):
    p = profile(name)
    for seed in p.world.ensemble_seeds:
        control, ours = (p.ensemble(train_on, seed) for train_on in ENSEMBLE_SETS)
        assert control.images is None and ours.images
        same = replace(ours, name=control.name, train_on=control.train_on, images=None)
        assert same == control


def test_paper_ensembles_are_the_studys():
    """method 5.8, as the study trained: IN-mini, a pretrained ResNet-50, all of it learning."""
    assert profile("paper").world.ensemble == EnsembleRecipe(
        data="in-mini", batch=32, epochs=45, ratio=1.0, lr=0.001, decay=0.1, decay_every=15,
        momentum=0.9, weight_decay=1e-4,
    )  # fmt: skip
    for run in with_needs(grid("paper", "claim-3-imagenet")):
        if isinstance(run, e.Ensemble):
            assert run.start.settings == {"source": "pretrained"}
        elif isinstance(run, e.Robustness):
            assert (run.recipe.data, run.recipe.preprocessing) == ("in-mini", "paper")
            assert run.recipe.conditions[-2:] == ("imagenet-a", "sketch")


def test_paper_counterfactuals_are_the_studys():
    """method 5.7: one set, of the published CGN, as many as IN-mini has real images."""
    runs = with_needs(grid("paper", "claim-3-imagenet"))
    (run,) = (run for run in runs if isinstance(run, e.Images))
    assert run.generator == profile("paper").published_mechanisms()
    assert (run.recipe.train, run.recipe.val) == (34_745, 3923)
    assert (run.recipe.mode, run.recipe.truncation, run.recipe.stretch) == ("random", 0.5, "minmax")


@pytest.mark.parametrize("name", ["mini", "full"])
def test_menagerie_classifiers_see_as_many_counterfactuals_as_images(name):
    w = profile(name).world
    assert w.ensemble.train == w.plain.train == w.images.train
    assert w.ensemble.ratio == 1 and w.ensemble.lr < w.plain.lr


def test_the_real_stimuli_need_data():
    """So a first run, which has none, does without."""
    assert grid("mini", "real-stimuli") == []
    for name in ("full", "paper"):
        runs = grid(name, "real-stimuli")
        assert [run.recipe.preprocessing for run in runs] == ["paper", "authors"]
        assert {run.recipe.conditions for run in runs} == {("cue_conflict",)}
        assert {(run.classifier, run.variant) for run in runs} == {
            ("efficientnet-lite0", "imagenet")
        }
        assert not any(run.needs or run.asks_for_gpu for run in runs)


# --- digests


def test_a_digest_changes_with_every_part_of_the_spec_and_of_what_is_needed():
    p = profile("mini")
    run = p.classifier("wildlife", "cgn", 0, p.cgn("wildlife", 0))
    other_cgn = replace(run.behind, recipe=replace(run.behind.recipe, factors=(0.3, 0.31)))
    others = [
        replace(run, seed=1),
        replace(run, variant="colored"),
        replace(run, name="other"),
        replace(run, profile="full"),
        replace(run, share=0.5),
        replace(run, recipe=replace(run.recipe, lr=0.5)),
        replace(run, set=replace(run.set, size=5)),
        replace(run, set=replace(run.set, generator=other_cgn)),
    ]
    assert len({r.digest() for r in [run, *others]}) == len(others) + 1
    assert others[-1].id == run.id and replace(run).digest() == run.digest()


def test_a_setting_that_is_not_there_leaves_the_digest_alone():
    """So a kind may gain one."""
    run = profile("mini").classifier("wildlife", "original", 0)
    assert "share" not in run.settings and "set" not in run.spec()["needs"]


def test_digests_do_not_depend_on_the_process():
    run = e.find("mini", "evaluation-wildlife-g0-s0")
    code = f"from cgnlib import experiments as e; print(e.find('mini', {run.id!r}).digest())"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == run.digest()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: profile("tiny"), "unknown profile 'tiny': choose mini, full, paper"),
        (lambda: grid("tiny"), "unknown profile"),
        (lambda: grid("mini", "claim-9"), "unknown claim 'claim-9': choose all, claim-1-mnist"),
        (lambda: e.find("mini", "cgn-colored-s99"), "unknown run or claim 'cgn-colored-s99'"),
        (lambda: e.find("tiny", "cgn-colored-s0"), "unknown profile"),
        (lambda: profile("mini").mechanisms("bg", 0), "'bg' is no ablation: choose none"),
    ],
)
def test_unknown_names_are_errors(call, message):
    with pytest.raises(CGNError, match=message):
        call()
