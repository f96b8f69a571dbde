"""Claim 1 on the MNISTs: the rule, its facts, its tables."""

import random

import pandas as pd
import pytest

from cgnbook import page
from cgnbook.chapters import claim1_mnist as claim
from cgnbook.names import NONE
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, Finding
from cgnlib.experiments import VARIANTS

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}
CEILING = {"colored": 1.0, "double_colored": 0.5, "wildlife": 1.0}


def read(*shares):
    return dict(zip(VARIANTS, shares, strict=False))


@pytest.mark.parametrize(
    ("shares", "outcome", "met"),
    [
        ((0.9, 0.45, 0.8), REPRODUCED, VARIANTS),
        ((0.79, 0.4, 0.1), PARTLY, ("double_colored",)),  # 0.4 is four fifths of what is possible
        ((0.79, 0.39, 0.1), NOT, ()),
        ((0.9, 0.45), NOT_RUN, ()),
    ],
)
def test_outcomes(shares, outcome, met):
    verdict = claim.rule(read(*shares), CEILING)
    assert (verdict.outcome, verdict.met) == (outcome, met)


def test_effects_are_shares_of_the_ceiling():
    effects = claim.rule(read(0.6, 0.4, 0.5), CEILING).effects
    assert effects == pytest.approx(read(0.6, 0.8, 0.5))


def test_better_reading_never_worsens_the_verdict():
    draw = random.Random(1)
    for _ in range(200):
        shares, ceiling = read(*(draw.random() for _ in VARIANTS)), dict.fromkeys(VARIANTS, 0.9)
        before = claim.rule(shares, ceiling)
        after = claim.rule({v: x + draw.random() * (1 - x) for v, x in shares.items()}, ceiling)
        assert RANK[after.outcome] >= RANK[before.outcome] and set(before.met) <= set(after.met)


def test_the_variants_that_miss_the_rule_are_named():
    ceiling = dict.fromkeys(VARIANTS, 1.0)
    assert claim.short(claim.rule(read(0.5, 0.9, 0.9), ceiling)) == "C-MNIST falls short"
    assert claim.short(claim.rule(ceiling, ceiling)) == "no variant falls short"


@pytest.mark.parametrize(
    ("generators", "words"),
    [
        (["published"] * 2, "the published ones alone"),
        (["trained-0", "trained-2"], "two of our own for each variant alone"),
        (["trained-0", "published"], "the published ones and one of our own for each variant"),
    ],
)
def test_the_cgns_that_were_judged_are_named(generators, words):
    assert claim.judged_cgns(pd.DataFrame({"generator": generators})) == words


def test_usable_digits_are_those_of_a_variant_and_its_cgns():
    rows = [
        ("usable_digits", "colored", "published", 9.0),
        ("usable_digits", "colored", "trained-0", 6.0),
        ("usable_digits", "colored", "trained-1", 7.0),
        ("usable_digits", "wildlife", "published", 4.0),
        ("mask_iou", "colored", "published", 0.5),
    ]
    frame = pd.DataFrame(rows, columns=["metric", "variant", "generator", "value"])
    assert claim.usable(frame, "colored", "published") == 9
    assert claim.usable(frame, "colored") == 6.5


def test_nothing_was_found_where_nothing_was_run():
    frame = page.tracked("claim-1-mnist", "mini").live
    assert claim.finding(frame[:0], "trained") == Finding(NOT_RUN)
    assert claim.finding(frame, "trained").effects


JUDGED = [  # variant, generator, usable digits, share read
    ("wildlife", "trained-0", 8, 0.5),
    ("colored", "edge-0", 9, 0.8),
    ("colored", "trained-1", 6, 0.3),
    ("colored", "trained-0", 5, 0.2),
    ("colored", "published", 10, 0.9),
]


def test_our_retrainings_stand_beside_the_studys(page_of):
    """method 2.9, the study's file: 5.6 without the edge loss, 9.7 with it"""
    rows = [
        {"variant": v, "generator": g, "metric": metric, "value": float(value)}
        for v, g, usable, share in JUDGED
        for metric, value in (("usable_digits", usable), ("image_read", share))
    ]
    table = claim.by_recipe(page_of("claim-1-mnist", claim_1_mnist=pd.DataFrame(rows)))
    assert table["Usable digits"].tolist() == ["10", "5, 6", "9", "8"]
    assert table["Mean"].tolist() == ["10.0", "5.5", "9.0", "8.0"]
    assert table["Study, mean"].tolist() == [NONE, "5.6", "9.7", NONE]


def test_the_table_has_a_row_for_each_cgn_and_the_ceiling_in_brackets():
    this = page.tracked("claim-1-mnist", "mini", "edge-loss")
    table = claim.quality(this)
    cgns = sum(frame.run.nunique() for frame in this.ours.values())
    assert len(table) == cgns and table["Data"].is_monotonic_increasing
    assert table["Image read"].str.fullmatch(r"\d+\.\d \(\d+\.\d\)").all()
