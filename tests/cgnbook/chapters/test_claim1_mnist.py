"""Claim 1 on the MNISTs: the rule, its facts, its tables."""

import random

import numpy as np
import pandas as pd
import pytest

from cgnbook import page
from cgnbook.chapters import claim1_mnist as claim
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, Finding
from cgnlib import experiments, runs
from cgnlib.experiments import VARIANTS

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}
CEILING = {"colored": 1.0, "double_colored": 0.9, "wildlife": 1.0}


def read(*shares):
    """What is read of the CGNs of each variant: one share for each, or a tuple of them."""
    by = (share if isinstance(share, tuple) else (share,) for share in shares)
    return {
        v: {f"trained-{i}": share for i, share in enumerate(of)}
        for v, of in zip(VARIANTS, by, strict=False)
    }


@pytest.mark.parametrize(
    ("shares", "outcome", "met"),
    [
        ((0.9, 0.72, 0.8), REPRODUCED, VARIANTS),
        ((0.79, 0.72, 0.1), PARTLY, ("double_colored",)),  # four fifths of what is possible
        ((0.79, 0.71, 0.1), NOT, ()),
        (((0.1, 0.9), 0.1, 0.1), PARTLY, ("colored",)),  # the best CGN decides
        ((0.9, 0.72), NOT_RUN, ()),
    ],
)
def test_outcomes(shares, outcome, met):
    verdict = claim.rule(read(*shares), CEILING)
    assert (verdict.outcome, verdict.met) == (outcome, met)


@pytest.mark.parametrize(
    ("shares", "outcome", "met"),
    [
        (((0.9, 0.8), 0.8, 0.8), REPRODUCED, 4),
        (((0.9, 0.1), 0.1, 0.1), PARTLY, 1),  # one good CGN is not a recipe that finds them
        (((0.7, 0.1), 0.1, 0.1), NOT, 0),
        ((0.9, 0.8), NOT_RUN, 0),
    ],
)
def test_of_a_recipe_every_cgn_counts(shares, outcome, met):
    verdict = claim.recipe_rule(read(*shares), CEILING)
    assert (verdict.outcome, len(verdict.met)) == (outcome, met)


def test_effects_are_shares_of_the_ceiling():
    effects = claim.rule(read((0.6, 0.3), 0.45, 0.5), CEILING).effects
    assert list(effects.values()) == pytest.approx([0.6, 0.5, 0.5])


def test_a_weak_reader_may_not_judge():
    weak = CEILING | {"wildlife": 0.71}
    for found in (claim.rule(read(0.9, 0.8, 0.7), weak), claim.recipe_rule(read(1, 1, 0.7), weak)):
        assert found.outcome == PARTLY and len(found.met) == 2
        assert [name.split()[0] for name in found.undecided] == ["wildlife"]
    assert claim.rule(read(0.1, 0.1, 0.7), weak).outcome == NOT


def test_a_worse_reader_never_betters_the_verdict():
    """It reads fewer digits, made ones as much less as real ones."""
    draw = random.Random(3)
    for _ in range(300):
        made, ceiling = [draw.random() for _ in VARIANTS], 0.75 + draw.random() / 4
        worse = draw.random()
        before = claim.rule(read(*made), dict.fromkeys(VARIANTS, ceiling))
        after = claim.rule(
            read(*(worse * m for m in made)), dict.fromkeys(VARIANTS, worse * ceiling)
        )
        assert set(after.met) <= set(before.met)


def test_better_reading_never_worsens_the_verdict():
    draw = random.Random(1)
    for _ in range(200):
        shares, ceiling = [draw.random() for _ in VARIANTS], dict.fromkeys(VARIANTS, 0.9)
        before = claim.rule(read(*shares), ceiling)
        after = claim.rule(read(*(x + draw.random() * (1 - x) for x in shares)), ceiling)
        assert RANK[after.outcome] >= RANK[before.outcome] and set(before.met) <= set(after.met)


def test_the_variants_that_miss_the_rule_are_named():
    ceiling = dict.fromkeys(VARIANTS, 1.0)
    assert claim.short(claim.rule(read(0.5, 0.9, 0.9), ceiling)) == "C-MNIST falls short"
    assert claim.short(claim.rule(read(1, 1, 1), ceiling)) == "no variant falls short"
    weak = claim.short(claim.rule(read(0.5, 0.9, 0.5), ceiling | {"wildlife": 0.7}))
    assert weak == "C-MNIST falls short, and W-MNIST cannot be judged"


def test_nothing_was_found_where_nothing_was_run():
    frame = page.tracked("claim-1-mnist", "mini").live
    assert claim.finding(frame[:0], "trained") == Finding(NOT_RUN)
    assert claim.finding(frame, "trained").effects
    assert claim.finding_of_recipe(frame[:0]) == Finding(NOT_RUN)


def test_the_recipe_is_judged_where_it_was_followed_and_the_study_counted(page_of):
    """method 2.9, the study's file: 0 of 47 end with ten digits, 15 of 20 with the edge loss."""
    rows = [
        {"variant": v, "generator": g, "metric": metric, "value": value, "n": 100}
        for v in VARIANTS
        for g, share in (("published", 0.9), ("trained-0", 0.9), ("trained-1", 0.1))
        for metric, value in (("image_read", share), ("image_read_true", 1.0))
    ]
    this = page_of("claim-1-mnist", claim_1_mnist=pd.DataFrame(rows))
    found = claim.findings_of_recipe(this)
    assert found["Trained here (full)"].effects[0] == "C-MNIST 1 of 2"
    assert found["Trained here (full)"].outcome == PARTLY
    assert found["Study"].effects == ("C-MNIST 0 of 47 with ten usable digits",)
    assert not found["Study"].marks  # it counted something else than the rule asks for
    assert found["This run (mini)"].unit == "mini trains by a recipe of its own"
    assert claim.as_published("full") and not claim.as_published("mini")


def test_both_kinds_of_the_reference_run_are_judged_apart():
    this = page.tracked("claim-1-mnist", "mini", "edge-loss")
    found = claim.findings(this)
    assert list(found) == ["Study", "Authors' weights", "Trained here (full)", this.label]
    assert "one CGN" in found["Authors' weights"].unit
    assert found["Trained here (full)"].unit.startswith("of the ceiling (best; lowest")


JUDGED = [  # variant, generator, usable digits, share read
    ("wildlife", "trained-0", 8, 0.5),
    ("colored", "edge-0", 9, 0.8),
    ("colored", "trained-1", 6, 0.3),
    ("colored", "trained-0", 5, 0.2),
    ("colored", "published", 10, 0.9),
]


def test_masks_stand_below_their_bars(figures, tmp_path):
    this, results = page.tracked("claim-1-mnist", "mini"), []
    for run in this.live[this.live.generator != "published"].run.unique():
        folder = tmp_path / run
        folder.mkdir()
        np.savez(folder / "samples.npz", mask=np.full((10, 32, 32, 3), 9, np.uint8))
        results.append(runs.Result(experiments.find("mini", run), folder))
    claim.digit_quality(this, results)
    above, below = figures[0].axes[:2]
    want = this.live[(this.live.run == results[0].run.id) & (this.live.metric == "mask_read_3")]
    assert above.patches[3].get_height() == pytest.approx(100 * want.value.iloc[0])
    assert below.images[0].get_array().shape == (32, 10 * 34 - 2, 4)


def test_the_table_has_a_row_for_each_cgn_and_the_ceiling_in_brackets():
    this = page.tracked("claim-1-mnist", "mini", "edge-loss")
    table = claim.quality(this)
    cgns = sum(frame.run.nunique() for frame in this.ours.values())
    assert len(table) == cgns and table["Data"].is_monotonic_increasing
    assert table["Image read"].str.fullmatch(r"\d+\.\d \(\d+\.\d\)").all()
