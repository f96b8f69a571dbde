"""Claim 1 on the ImageNet model: the rule, the readings, and the figures."""

import random

import pandas as pd
import pytest

from cgnbook.chapters import claim1_imagenet as claim
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, UNRUN, Finding
from cgnlib import experiments, runs
from cgnlib.data.menagerie import CLASSES

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}
CEILING = {"shape": 1.0, "texture": 0.8, "background": 0.9}


def read(*shares):
    return dict(zip(CEILING, shares, strict=True))


@pytest.mark.parametrize(
    ("shares", "outcome", "met"),
    [
        ((0.8, 0.64, 0.72), REPRODUCED, ("shape", "texture", "background")),  # four fifths each
        ((0.79, 0.64, 0.72), PARTLY, ("texture", "background")),
        ((0.1, 0.63, 0.9), PARTLY, ("background",)),
        ((0.79, 0.63, 0.71), NOT, ()),
        ((0, 0, 0), NOT, ()),
    ],
)
def test_outcomes(shares, outcome, met):
    verdict = claim.rule(read(*shares), CEILING)
    assert (verdict.outcome, verdict.met) == (outcome, met)


def test_what_nobody_read_was_not_run():
    assert claim.rule({}, CEILING) == UNRUN


def test_effects_are_shares_of_the_ceiling():
    effects = claim.rule(read(0.5, 0.8, 0.45), CEILING).effects
    assert effects == pytest.approx({"shape": 0.5, "texture": 1, "background": 0.5})


def test_just_the_share_of_the_ceiling_counts():
    for ceiling in (0.8, 0.9, 1.0):
        for share in (0.6, 0.8, 0.9):
            for less, outcome in ((0, REPRODUCED), (1e-4, NOT)):
                read = {"shape": share * ceiling - less}
                assert claim.rule(read, {"shape": ceiling}, share).outcome == outcome


def test_a_weak_reader_may_not_judge():
    found = claim.rule(read(0.9, 0.7, 0.9), CEILING | {"texture": 0.7})
    assert (found.outcome, found.undecided) == (PARTLY, ("texture",))


def test_better_reading_never_worsens_the_verdict():
    draw = random.Random(2)
    seen = set()
    for _ in range(200):
        shares = {cue: draw.random() ** 0.7 * top for cue, top in CEILING.items()}
        before = claim.rule(shares, CEILING)
        better = {cue: x + draw.random() * (CEILING[cue] - x) for cue, x in shares.items()}
        after = claim.rule(better, CEILING)
        assert RANK[after.outcome] >= RANK[before.outcome] and set(before.met) <= set(after.met)
        seen.add(before.outcome)
    assert seen == set(RANK)


@pytest.fixture
def ceiling(monkeypatch):
    probe = {"shape": 0.9, "texture": 0.8, "background": 0.8}
    monkeypatch.setattr(claim.shipped, "record", lambda name: {"probe": probe | {"seed": 0}}[name])
    return probe


def records(*runs, removed="none"):
    """Of CGNs: what the probe reads in 1,000 images of each."""
    rows = [
        {"removed": removed, "metric": f"{cue}_read", "value": share, "n": 1000}
        for shares in runs
        for cue, share in read(*shares).items()
    ]
    return pd.DataFrame(rows)


def test_readings_are_means_over_the_cgns_with_all_losses(ceiling):
    whole, without = records((0.5, 0.1, 0.2), (0.7, 0.1, 0.2)), records((0, 0, 0), removed="shape")
    assert claim.readings(pd.concat([whole, without])) == pytest.approx(read(0.6, 0.1, 0.2))
    assert claim.readings(without) == {} and claim.ceiling() == ceiling


def test_the_finding_has_an_interval_over_images_or_over_cgns(ceiling):
    one = claim.finding(records((0.45, 0.1, 0.2)))
    assert one.effects[0] == "shape 0.50 (0.47 to 0.53)" and "95% over images" in one.unit
    two = claim.finding(records((0.45, 0.1, 0.2), (0.9, 0.1, 0.2)))
    assert two.effects[0] == "shape 0.75 (0.50 to 1.00)" and "lowest to highest CGN" in two.unit
    assert claim.finding(records((0.5, 0.1, 0.2))[:0]) == Finding(NOT_RUN)


@pytest.mark.parametrize(
    ("shape", "texture", "words"),
    [
        (0.5, 1.0, "Shape falls short of the rule."),
        (0.5, 0.1, "Shape and texture fall short of the rule."),
        (0.9, 1.0, "No mechanism falls short of the rule."),
    ],
)
def test_the_mechanisms_that_miss_the_rule_are_named(ceiling, shape, texture, words):
    assert claim.short(read(shape, texture, 1.0)) == words


def test_without_a_probe_nothing_is_said_of_the_mechanisms():
    assert claim.short({}).startswith("Whether") and claim.effect({}).startswith("not measured")
    assert "texture in 50% and" in claim.effect(read(0.2, 0.5, 0.9))


def test_panels_show_classes_by_parts(figures, sampled):
    assert claim.panels({"here": sampled("none")}, (2, 7)).markup == "panels"
    (axis,) = figures[0].axes
    assert sampled.levels(axis) == [[2, 22, 32, 42, 52], [7, 27, 37, 47, 57]]  # no premask
    assert [text.get_text() for text in axis.get_yticklabels()] == [CLASSES[2], CLASSES[7]]
    parts = [text.get_text() for text in axis.get_xticklabels()]
    assert parts == ["mask", "texture", "background", "composed", "BigGAN"]


@pytest.mark.parametrize("n", [6, 12])
def test_counterfactuals_carry_the_names_of_their_classes(n, figures, sampled):
    assert claim.counterfactuals({"here": sampled("none")}, n).markup == "counterfactuals"
    (axis,) = figures[0].axes
    assert sampled.levels(axis) == [list(range(n))]
    wanted = ["\n".join(CLASSES[c % 10] for c in range(3 * i, 3 * i + 3)) for i in range(n)]
    assert [text.get_text() for text in axis.get_xticklabels()] == wanted


def test_imagenet_classes_are_shown_by_number(sampled, figures):
    of_imagenet = experiments.grid("paper", "claim-1-imagenet")[0]
    claim.panels({"here": runs.Result(of_imagenet, sampled("none").folder)}, (0, 9))
    labels = [text.get_text() for text in figures[0].axes[0].get_yticklabels()]
    assert labels == ["15", "947"]
