"""Declarations: the grids, their sizes and settings, ids and digests."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from cgnlib import experiments
from cgnlib.errors import CGNError
from cgnlib.experiments import (
    ENSEMBLE_SETS,
    PROFILES,
    TRAIN_SETS,
    VARIANTS,
    Run,
    grid,
    profile,
    with_needs,
)
from cgnlib.imagenet import ABLATIONS, loss_weights

# method: the published configurations, w of VGG-16 layers 3, 8, 15, 22 and the weight of the mask
WEIGHTS = {
    "colored": ((0.05, 0.1, 0.01, 0), 0.1, "linear", 512, "orthogonal", 0.1, 60_000),
    "double_colored": ((0, 0.05, 0, 0.05), 0.3, "linear", 512, "orthogonal", 0.2, 50_000),
    "wildlife": ((0.01, 0.05, 0, 0.01), 0.3, "conv", 32, "normal", 0.03, 50_000),
}


@pytest.mark.parametrize("name", PROFILES)
def test_ids_are_unique_and_found_again(name):
    runs = with_needs(grid(name))
    assert len({run.id for run in runs}) == len(runs) == len({run.digest() for run in runs})
    assert all(experiments.find(name, run.id) == run for run in runs[:: 1 + len(runs) // 40])
    assert all(run.profile == name for run in runs)


@pytest.mark.parametrize("name", PROFILES)
def test_an_id_stands_for_one_spec(name):
    """Also where two declarations reach the same needed run."""
    specs = {}

    def visit(run):
        assert specs.setdefault(run.id, run.spec()) == run.spec()
        for _, need in run.needs:
            visit(need)

    for run in grid(name):
        visit(run)


@pytest.mark.parametrize("name", PROFILES)
def test_claim_3_has_every_setting_variant_and_seed(name):
    p = profile(name)
    cells = Counter((run["train_on"], run.variant, run.seed) for run in grid(name, "claim-3-mnist"))
    assert set(cells) == set(product(TRAIN_SETS, VARIANTS, p.seeds))
    for (train_on, _, _), n in cells.items():
        source = train_on.removeprefix("original+")
        assert n == {"original": 1, "gan": 1, "cgn": 1 + p.published}[source]


@pytest.mark.parametrize("name", PROFILES)
def test_the_seeds_of_claim_3_take_turns_with_the_generators_trained_here(name):
    p = profile(name)
    seen = {}
    for run in grid(name, "claim-3-mnist"):
        if run["train_on"] != "original":
            source = run.need("set").need("generator")
            if source.name != "published":
                seen.setdefault((run["train_on"], run.variant), {})[run.seed] = source.seed
    assert len(seen) == 4 * len(VARIANTS)
    for of_seed in seen.values():
        assert list(of_seed) == list(p.seeds)
        counts = Counter(of_seed.values())
        assert set(counts) == set(p.generator_seeds)
        assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("name", PROFILES)
def test_claim_1_evaluates_every_cgn(name):
    p = profile(name)
    sources = [run.need("generator") for run in grid(name, "claim-1-mnist")]
    assert Counter(run.variant for run in sources) == dict.fromkeys(
        VARIANTS, len(p.generator_seeds) + p.published
    )
    assert len({run.id for run in sources}) == len(sources)
    assert [run.seed for run in sources if run.name == "" and run.variant == "colored"] == list(
        p.generator_seeds
    )


def test_the_full_grid_covers_the_original_table():
    assert profile("full").seeds == profile("paper").seeds == (0, 1, 2, 3, 4)
    assert profile("full").published and profile("paper").published
    assert not profile("mini").published  # it needs no download
    assert {profile("mini").digits, profile("mini").textures} == {"mnist-5k", "procedural"}
    assert all(s["perceptual"] == "efficientnet-lite0" for s in profile("mini").cgn.values())


@pytest.mark.parametrize("name", PROFILES)
def test_a_run_needs_what_its_kind_reads(name):
    for run in with_needs(grid(name)):
        needs = {role: need.kind for role, need in run.needs}
        if run.kind == "set":
            assert needs in ({"generator": "cgn"}, {"generator": "gan"})
        elif run.kind == "quality" and run["ablation"] != "biggan":
            assert needs == {"generator": "mechanisms"}
            source = run.need("generator")
            assert (source.variant, source.seed) == (run.variant, run.seed)
            assert source["ablation"] == run["ablation"]
        elif run.kind == "evaluation":
            assert needs == {"generator": "cgn", "oracle": "classifier", "probe": "classifier"}
        elif run.kind == "classifier" and run["train_on"].endswith(("gan", "cgn")):
            source = run.need("set").need("generator")
            assert source.kind == run["train_on"].removeprefix("original+")
            assert source.variant == run.variant and run.need("set").seed == run.seed
        elif run.kind == "explanation":
            assert needs == {"classifier": "classifier"}
            assert run.need("classifier").variant == run.variant
        elif run.kind in ("following", "crossing"):
            assert needs == {"classifier": "classifier", "generator": "cgn"}
            assert run.need("classifier").variant == run.need("generator").variant == run.variant
        elif run.kind == "disentanglement":
            read = {} if run.variant == "menagerie" else {"reader": "reader"}
            made = {"menagerie": "mechanisms"}.get(run.variant, "cgn")
            assert needs == read | ({} if run.name == "truth" else {"generator": made})
        elif run.kind == "head-maps":
            assert needs == {"classifier": run.need("classifier").kind}
            assert run["train_on"] == dict(run.need("classifier").settings).get("train_on", "plain")
        elif run.kind == "images":
            assert needs == {"generator": "mechanisms"}
            assert run.need("generator").variant == run.variant
            assert run.need("generator")["ablation"] in (*ABLATIONS, "published")
        elif run.kind == "ensemble":
            learns = {"real": {}, "real+cgn": {"images": "images"}}[run["train_on"]]
            assert needs == {"start": "plain"} | learns
            start = run.need("start")
            assert start.seed == (0 if start["source"] == "pretrained" else run.seed)
        elif run.kind == "robustness" and run.needs:
            classifier = run.need("classifier")
            assert needs == {"classifier": classifier.kind, "images": "images"}
            assert run["train_on"] == dict(classifier.settings).get("train_on", "plain")
            assert (classifier.kind == "plain") == (run["train_on"] == "plain")
            assert classifier.seed == run.seed and classifier.variant == run.variant
            if run["train_on"] == "real+cgn":  # tested on images of the same CGN
                assert run.need("images") == classifier.need("images")
        else:
            assert not needs


@pytest.mark.parametrize("name", PROFILES)
def test_specs_are_json(name):
    for run in with_needs(grid(name)):
        assert json.loads(json.dumps(run.spec())) == run.spec()
        assert list(run.settings) == sorted(run.settings, key=lambda pair: pair[0])
        assert len(dict(run.settings)) == len(run.settings)


def test_needs_come_before_their_users():
    order = [run.id for run in with_needs(grid("mini"))]
    for run in with_needs(grid("mini")):
        assert all(order.index(need.id) < order.index(run.id) for _, need in run.needs)


# --- the published numbers


@pytest.mark.parametrize("variant", VARIANTS)
def test_paper_cgns_are_the_published_configurations(variant):
    w, mask, discriminator, ndf, init, gain, images = WEIGHTS[variant]
    layers = [(layer, 5000 * x**2) for layer, x in zip((3, 8, 15, 22), w, strict=True) if x]
    run = experiments.cgn(profile("paper"), variant, 0)
    assert run["layers"] == tuple(layer for layer, _ in layers)
    assert run["factors"] == pytest.approx([factor for _, factor in layers])
    assert run["steps"] * run["batch"] == 15 * images and run["batch"] == 16
    assert (run["lr"], run["lr_critic"], run["betas"]) == (2e-4, 2e-4, (0.5, 0.999))
    assert (run["latent"], run["ngf"], run["edge"]) == (32, 32, 0)
    assert (run["mask"], run["perceptual"]) == (mask, "vgg16")
    assert (run["discriminator"], run["ndf"]) == (discriminator, ndf)
    assert (run["init"], run["gain"]) == (init, gain)


@pytest.mark.parametrize("variant", VARIANTS)
def test_paper_gans_are_the_studys(variant):
    """15 epochs of batch 16, as the CGNs."""
    run = experiments.gan(profile("paper"), variant, 0)
    assert (run["batch"], run["latent"], run["ngf"], run["ndf"]) == (16, 32, 32, 512)
    assert (run["lr"], run["lr_critic"], run["betas"]) == (2e-4, 2e-4, (0.5, 0.999))
    assert run["steps"] == experiments.cgn(profile("paper"), variant, 0)["steps"]


def test_paper_classifiers_are_the_published_ones():
    p = profile("paper")
    for run in grid("paper", "claim-3-mnist"):
        settings = (run["batch"], run["epochs"], run["lr"], run["gamma"])
        assert settings == (64, 10, 1.0, 0.7)
        if run.needs:
            assert (run.need("set")["size"], run.need("set")["per_shape"]) == (50_000, 1)
    assert (p.digits, p.textures) == ("mnist", "dtd")


# --- ImageNet, and the menagerie in its place


@pytest.mark.parametrize("name", PROFILES)
def test_claim_2_has_every_ablation_and_seed(name):
    p = profile(name)
    cells = Counter((run["ablation"], run.seed) for run in grid(name, "claim-2"))
    wanted = dict.fromkeys(product(ABLATIONS, p.world_seeds), 1) | {("biggan", 0): 1}
    if p.world == "imagenet":
        wanted[("published", 0)] = 1
    assert cells == wanted
    assert {run.kind for run in grid(name, "claim-2")} == {"quality"}
    assert {run.variant for run in with_needs(grid(name, "claim-2"))} == {p.world}


@pytest.mark.parametrize("name", PROFILES)
def test_claim_1_on_imagenet_judges_the_cgns_with_all_losses(name):
    p = profile(name)
    found = grid(name, "claim-1-imagenet")
    trained = [(run["ablation"], run.seed) for run in found if run["ablation"] != "published"]
    assert trained == [("none", seed) for seed in p.world_seeds]
    assert len(found) - len(trained) == (p.world == "imagenet")
    assert {run.id for run in found} <= {run.id for run in grid(name, "claim-2")}


def trained_mechanisms(name):
    runs = with_needs(grid(name, "claim-2"))
    return [run for run in runs if run.kind == "mechanisms" and run["source"] == "trained"]


@pytest.mark.parametrize("name", PROFILES)
def test_an_ablated_training_lacks_its_losses_and_nothing_else(name):
    p = profile(name)
    whole = {run.seed: run for run in trained_mechanisms(name) if run["ablation"] == "none"}
    assert set(whole) == set(p.world_seeds)
    for run in trained_mechanisms(name):
        weights = dict(run["weights"])
        assert weights == loss_weights(p.mechanisms["weights"], run["ablation"])
        assert not set(ABLATIONS[run["ablation"]]) & set(weights)
        assert len(weights) == 6 - len(ABLATIONS[run["ablation"]])
        others = dict(run.settings) | {"weights": None, "ablation": None}
        assert others == dict(whole[run.seed].settings) | {"weights": None, "ablation": None}


def test_the_first_runs_need_no_download():
    assert [profile(name).world for name in ("mini", "full", "paper")] == [
        "menagerie", "menagerie", "imagenet",
    ]  # fmt: skip
    for name in ("mini", "full"):
        for run in with_needs(grid(name, "claim-2")):
            assert dict(run.settings).get("source", "trained") == "trained"
            assert dict(run.settings).get("perceptual", "efficientnet-lite0") != "vgg16"
            assert dict(run.settings).get("protocol", "standard") == "standard"
        for run in with_needs(grid(name, "claim-3-imagenet")):
            assert run.variant == "menagerie"
            assert dict(run.settings).get("source", "trained") == "trained"
            assert "preprocessing" not in dict(run.settings)


@pytest.mark.parametrize("name", ["mini", "full"])
def test_the_menageries_losses_fit_its_features(name):
    for run in trained_mechanisms(name):
        for loss in {"perc", "text"} & set(dict(run["weights"])):
            assert len(dict(run["weights"])[loss]) == len(run["layers"])
        assert run["steps"] % run["window"] == 0 and len(run["lr"]) == 3


def test_paper_mechanisms_are_the_studys_ablation_trainings():
    """method 5.4 to 5.6: 50 steps of 2048 passes of one image, rates and weights of the code."""
    for run in trained_mechanisms("paper"):
        assert (run["batch"], run["accumulate"], run["steps"]) == (1, 2048, 50)
        assert run["lr"] == (8e-6, 3e-5, 1e-5)  # of shape, texture and background
        assert run["truncation"] == 1.0
        assert (run["perceptual"], run["layers"]) == ("vgg16", (3, 8, 15, 22))
        assert dict(run["patches"]) == {"size": 128, "patch": 15, "best": 100, "grid": 6}
        weights = {"l1": 100, "perc": (80_000,) * 4, "binary": 300, "mask": 500, "bg": 2000}
        weights["text"] = (0, 125_000, 125_000, 0)
        left_out = ABLATIONS[run["ablation"]]
        assert dict(run["weights"]) == {k: w for k, w in weights.items() if k not in left_out}


def test_paper_quality_is_the_studys_protocol():
    """method 6.1 and 6.2: 2000 images at truncation 0.5 through stretched JPEGs, two splits."""
    for run in grid("paper", "claim-2"):
        assert (run["evaluated"], run["splits"], run["truncation"]) == (2000, 2, 0.5)
        assert (run["protocol"], run["stretch"]) == ("study", "minmax")
    for name in ("mini", "full"):
        for run in grid(name, "claim-2"):
            assert (run["protocol"], run["stretch"], run["truncation"]) == ("standard", "", 0.5)
            assert run["evaluated"] % run["splits"] == 0


def test_the_published_cgn_is_not_trained():
    run = experiments.published_mechanisms(profile("paper"))
    assert dict(run.settings) == {"source": "published", "ablation": "published"}
    assert run.id == "mechanisms-imagenet-published-s0" and not run.needs
    judged = experiments.quality(profile("paper"), run)
    assert judged.id == "quality-imagenet-published-s0" and judged["ablation"] == "published"
    biggan = experiments.quality(profile("paper"), None)
    assert biggan.id == "quality-imagenet-biggan-s0" and not biggan.needs


# --- classifiers of ImageNet and the menagerie


@pytest.mark.parametrize("name", PROFILES)
def test_claim_3_on_imagenet_has_every_setting_and_seed(name):
    """A pretrained plain classifier is the same for every seed."""
    p = profile(name)
    found = grid(name, "claim-3-imagenet")
    assert {run.kind for run in found} == {"robustness"}
    cells = Counter((run["train_on"], run.seed) for run in found)
    plain_seeds = (0,) if p.world == "imagenet" else p.ensemble_seeds
    wanted = [*product(ENSEMBLE_SETS, p.ensemble_seeds), *product(["plain"], plain_seeds)]
    assert cells == dict.fromkeys(wanted, 1) and ENSEMBLE_SETS == ("real", "real+cgn")
    assert {run.variant for run in with_needs(found)} == {p.world}
    sources = {run.need("images").need("generator").seed for run in found}
    assert sources == set(p.world_seeds)


@pytest.mark.parametrize("name", PROFILES)
def test_a_control_differs_in_its_images_alone(name):
    runs = with_needs(grid(name, "claim-3-imagenet"))
    ensembles = {(run["train_on"], run.seed): run for run in runs if run.kind == "ensemble"}
    for seed in profile(name).ensemble_seeds:
        ours, control = (ensembles[train_on, seed] for train_on in ("real+cgn", "real"))
        assert changed(ours, train_on="") == replace(
            changed(control, train_on=""), name=ours.name, needs=ours.needs
        )
        assert ours.need("start") == control.need("start")


@pytest.mark.parametrize("name", PROFILES)
def test_classifiers_are_tested_on_conflicts_and_backgrounds(name):
    backgrounds = {"original", "mixed_same", "mixed_rand"}
    for run in with_needs(grid(name, "claim-3-imagenet")):
        if run.kind in ("ensemble", "robustness"):
            conditions = {c.removeprefix("in9/") for c in run["conditions"]}
            assert conditions >= {"cue_conflict"} | backgrounds
    (subset,) = {r["conditions"] for r in with_needs(grid(name)) if r.kind == "ensemble"}
    for run in grid(name, "claim-3-imagenet"):
        assert run["conditions"][: len(subset)] == subset


def test_paper_ensembles_are_the_studys():
    """method 5.8, as the study trained: IN-mini, a pretrained ResNet-50, all of it learning."""
    runs = with_needs(grid("paper", "claim-3-imagenet"))
    for run in runs:
        if run.kind == "ensemble":
            assert (run["data"], run["batch"], run["epochs"], run["ratio"]) == (
                "in-mini",
                32,
                45,
                1,
            )
            assert (run["lr"], run["decay"], run["decay_every"]) == (0.001, 0.1, 15)
            assert (run["momentum"], run["weight_decay"]) == (0.9, 1e-4)
            assert dict(run.need("start").settings) == {"source": "pretrained"}
        elif run.kind == "robustness":
            assert (run["data"], run["preprocessing"]) == ("in-mini", "paper")
            assert run["conditions"][-2:] == ("imagenet-a", "sketch")


def test_paper_counterfactuals_are_the_studys():
    """method 5.7: one set, of the published CGN, as many as IN-mini has real images."""
    runs = with_needs(grid("paper", "claim-3-imagenet"))
    (run,) = (run for run in runs if run.kind == "images")
    assert run.need("generator") == experiments.published_mechanisms(profile("paper"))
    assert (run["train"], run["val"]) == (34_745, 3923)
    assert (run["mode"], run["truncation"], run["stretch"]) == ("random", 0.5, "minmax")


@pytest.mark.parametrize("name", ["mini", "full"])
def test_menagerie_classifiers_see_as_many_counterfactuals_as_images(name):
    p = profile(name)
    assert p.ensemble["train"] == p.plain["train"] == p.images["train"]
    assert p.ensemble["ratio"] == 1 and p.ensemble["lr"] < p.plain["lr"]


def test_the_real_stimuli_need_data():
    """So a first run, which has none, does without."""
    assert grid("mini", "real-stimuli") == []
    for name in ("full", "paper"):
        runs = grid(name, "real-stimuli")
        assert [run["preprocessing"] for run in runs] == ["paper", "authors"]
        assert {run["conditions"] for run in runs} == {("cue_conflict",)}
        assert {(run["classifier"], run.variant) for run in runs} == {
            ("efficientnet-lite0", "imagenet")
        }
        assert not any(run.needs for run in runs)


MNIST = ("claim-1-mnist", "claim-3-mnist", "explanations", "set-size", "union", "union-shares")
IMAGENET = ("claim-1-imagenet", "claim-2", "claim-3-imagenet", "real-stimuli")


@pytest.mark.parametrize("name", PROFILES)
def test_the_claims_on_mnist_and_imagenet_do_not_touch(name, monkeypatch):
    def specs(claims):
        return [run.spec() for claim in claims for run in with_needs(grid(name, claim))]

    p, mnist, imagenet = profile(name), specs(MNIST), specs(IMAGENET)
    assert not {s["kind"] for s in mnist} & {s["kind"] for s in imagenet}
    other = {"world": "imagenet", "mechanisms": p.mechanisms | {"steps": 7}}
    other |= {"quality": p.quality | {"evaluated": 4}, "world_seeds": (5,)}
    monkeypatch.setitem(PROFILES, name, replace(p, **other))
    assert specs(MNIST) == mnist and specs(IMAGENET) != imagenet
    other = {"seeds": (7,), "generator_seeds": (8,), "evaluated": 20, "digits": "none"}
    monkeypatch.setitem(PROFILES, name, replace(p, **other))
    assert specs(MNIST) != mnist and specs(IMAGENET) == imagenet


@pytest.mark.parametrize("name", PROFILES)
def test_the_control_has_as_many_images_as_the_union(name):
    p = profile(name)
    digits = {"mnist-5k": 4000, "mnist": 50_000}[p.digits]
    assert p.control_renderings * digits == p.counterfactuals["wildlife"]
    train_sets = Counter((run.kind, run["train_on"], run.seed) for run in grid(name, "union"))
    wanted = ("original", "cgn", "original+cgn", "original+decorrelated")
    kinds = ("following", "crossing")
    assert train_sets == dict.fromkeys(product(kinds, wanted, p.seeds), 1)
    kept = {run.id: run.spec() for run in grid(name, "claim-3-mnist")}
    for run in (run.need("classifier") for run in grid(name, "union")):
        if run["train_on"] != "original+decorrelated":  # shared with claim 3, byte for byte
            assert kept[run.id] == run.spec()


@pytest.mark.parametrize("name", PROFILES)
def test_the_sizes_are_those_of_the_profile_at_every_ratio_and_seed(name):
    p, found = profile(name), grid(name, "set-size")
    kept = {run.id: run.spec() for run in grid(name, "claim-3-mnist")}
    cells = Counter()
    for run in found:
        images = run.need("set")
        settings = dict(run.settings) | {"epochs": None, "gamma": None}
        assert settings == dict(p.classifier) | {
            "digits": p.digits, "textures": p.textures, "train_on": "cgn",
            "epochs": None, "gamma": None,
        }  # fmt: skip
        assert images.need("generator") == experiments.cgns(p, run.variant)[0]
        if (images["size"], images["per_shape"]) == (p.counterfactuals[run.variant], 1):
            assert kept[run.id] == run.spec()  # that of claim 3, byte for byte
        longer = run["epochs"] // p.classifier["epochs"]
        cells[run.variant, images["size"], images["per_shape"], longer, run.seed] += 1
    wanted = set()
    for (variant, sizes), seed in product(p.sets["sizes"].items(), p.sets["seeds"]):
        wanted |= {(variant, *pair, 1, seed) for pair in product(sizes, p.sets["per_shape"])}
        usual = p.counterfactuals[variant]
        wanted |= {(variant, usual, 1, 1, seed), (variant, sizes[0], 1, usual // sizes[0], seed)}
    if name != "mini":
        wanted |= {(variant, 1_000_000, 1, 1, 0) for variant in VARIANTS}
    assert cells == dict.fromkeys(wanted, 1)


@pytest.mark.parametrize("name", PROFILES)
def test_sets_of_every_size_are_whole(name):
    """Whole batches of shapes, so that a set is as large as it says."""
    for run in with_needs(grid(name, "set-size")):
        if run.kind == "set":
            assert run["size"] % (100 * run["per_shape"]) == 0


def test_the_sizes_are_the_studys():
    """method 4.1: 1e4, 1e5 and 1e6 at 1, 5, 10 and 20 a shape"""
    sets = [run.need("set") for run in grid("paper", "set-size")]
    assert {run["size"] for run in sets} == {10_000, 50_000, 100_000, 1_000_000}
    assert {run["per_shape"] for run in sets} == {1, 5, 10, 20}
    assert {run.variant for run in sets} == set(VARIANTS)


def test_a_longer_training_takes_as_many_steps_and_ends_at_the_same_rate():
    p = profile("mini")
    source = experiments.cgn(p, "colored", 0)
    short, long = (experiments.sized(p, source, 0, 1000, longer=n) for n in (1, 20))
    assert short.need("set") == long.need("set") and short.id != long.id
    assert long["epochs"] == 20 * short["epochs"]
    rates = [run["gamma"] ** run["epochs"] for run in (short, long)]
    assert rates[1] == pytest.approx(rates[0], rel=1e-4)


@pytest.mark.parametrize("name", PROFILES)
def test_shares_of_original_images_are_declared_where_there_is_time(name):
    p, found = profile(name), grid(name, "union-shares")
    if name == "mini":
        assert found == []
        return
    cells = Counter((run.kind, run.variant, run.seed, run["share"]) for run in found)
    shares = (0.1, 0.5, 0.9)
    wanted = [("classifier", *cell) for cell in product(VARIANTS, p.seeds, shares)]
    wanted += [("following", *cell) for cell in product(["wildlife"], p.seeds, shares)]
    assert cells == dict.fromkeys(wanted, 1)
    usual = {run.id: run for run in grid(name, "claim-3-mnist")}
    for run in found:
        if run.kind == "classifier":  # the union's, but for its share
            union = usual[f"classifier-{run.variant}-original-and-cgn-published-s{run.seed}"]
            assert changed(union, share=run["share"]).settings == run.settings
            assert union.needs == run.needs


# --- digests


def changed(run, **settings):
    return replace(run, settings=tuple(sorted((dict(run.settings) | settings).items())))


def test_a_digest_changes_with_every_part_of_the_spec():
    run = experiments.cgn(profile("mini"), "wildlife", 0)
    others = [
        replace(run, seed=1),
        replace(run, variant="colored"),
        replace(run, name="other"),
        replace(run, profile="full"),
        replace(run, kind="gan"),
        changed(run, steps=run["steps"] + 1),
        changed(run, factors=(0.3, 0.31)),
        changed(run, extra=None),
    ]
    assert len({r.digest() for r in [run, *others]}) == 9


def test_a_digest_changes_with_a_setting_of_a_needed_run():
    p = profile("mini")
    source = experiments.cgn(p, "colored", 0)
    run = experiments.classifier(p, "colored", "cgn", 0, source)
    again = experiments.classifier(p, "colored", "cgn", 0, replace(source))
    other = experiments.classifier(p, "colored", "cgn", 0, changed(source, lr=7e-4))
    assert run.digest() == again.digest() != other.digest()
    assert run.id == other.id


def test_digests_do_not_depend_on_the_process():
    run = experiments.find("mini", "evaluation-wildlife-g0-s0")
    code = f"from cgnlib import experiments as e; print(e.find('mini', {run.id!r}).digest())"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == run.digest()


def test_settings_and_needs_are_read_by_name():
    need = Run("cgn", "colored", "", 3, "mini")
    run = Run("set", "colored", "a+b", 1, "mini", (("size", 5),), (("generator", need),))
    assert run["size"] == 5 and run.need("generator") is need
    assert run.id == "set-colored-a-and-b-s1" and need.id == "cgn-colored-s3"


# --- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: profile("tiny"), "unknown profile 'tiny': choose mini, full, paper"),
        (lambda: grid("tiny"), "unknown profile"),
        (lambda: grid("mini", "claim-9"), "unknown claim 'claim-9': choose all, claim-1-mnist"),
        (lambda: experiments.find("mini", "cgn-colored-s99"), "unknown run 'cgn-colored-s99'"),
        (lambda: experiments.find("tiny", "cgn-colored-s0"), "unknown profile"),
    ],
)
def test_unknown_names_are_errors(call, message):
    with pytest.raises(CGNError, match=message):
        call()


def test_all_is_the_sum_of_the_claims():
    ids = [run.id for run in grid("full")]
    of_claims = [run.id for claim in experiments.CLAIMS for run in grid("full", claim)]
    assert ids == list(dict.fromkeys(of_claims))  # runs that claims share come once
    assert len(ids) < len(of_claims)
