"""Claim 2: the rule, what each source says, its tables and its panels."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cgnbook import ablations, drawing, page
from cgnbook.chapters import claim2 as claim
from cgnbook.names import ABLATED, NONE
from cgnbook.records import AUTHORS, TRAINED
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, UNRUN, Finding, Verdict

ABLATIONS = ("shape", "texture", "background", "reconstruction", "none")
BASE = {"inception_score": [90.0, 110.0], "mask_coverage": [0.3, 0.5]}  # means 100 and 0.4
AS_TOLD = {
    "shape": (-0.5, 0),
    "reconstruction": (-0.5, 0),
    "texture": (0.5, 0.5),
    "background": (0.5, -0.5),
}
# method: Table 1 as told, by source and loss left out: inception score, mask coverage
TOLD = {
    "Paper": {
        "shape": (85.9, 0.2), "texture": (198.4, 0.9), "background": (195.6, 0.1),
        "reconstruction": (38.4, 0.3), "none": (130.2, 0.3), "biggan": (202.9, None),
    },
    "Study": {
        "shape": (100.8, 0.3), "texture": (186.5, 0.4), "background": (200.9, 0.1),
        "reconstruction": (19.3, 0.4), "none": (156.1, 0.3),
    },
    "Study, cached": {
        "shape": (109.66, 0.262), "texture": (187.08, 0.411), "background": (210.34, 0.064),
        "reconstruction": (17.17, 0.346),
    },
}  # fmt: skip


def judge(measured, share=0.1, classes=1000):
    """The rule, in a world whose score has room."""
    return claim.rule(measured, classes, share)


def ablated(**changes):
    """All losses, and each ablation with a relative change of (score, coverage)."""
    by = {"none": BASE}
    for name in AS_TOLD:
        score, coverage = changes.get(name, (0, 0))
        by[name] = {
            "inception_score": [100 * (1 + score)],
            "mask_coverage": [0.4 * (1 + coverage)],
        }
    return by


def test_the_papers_trends_reproduce_the_claim():
    verdict = judge(ablated(**AS_TOLD))
    assert verdict.outcome == REPRODUCED and verdict.met == tuple(claim.TRENDS)
    effects = [round(effect, 6) for effect in verdict.effects.values()]
    assert effects == [-0.5, -0.5, 0.5, 0.5, 0.5, -0.5]


def test_no_change_and_the_opposite_change_refute_it():
    opposite = {name: (-score, -coverage) for name, (score, coverage) in AS_TOLD.items()}
    for by in (ablated(), ablated(**opposite)):
        verdict = judge(by)
        assert (verdict.outcome, verdict.met) == (NOT, ())
        assert verdict.effects.keys() == claim.TRENDS.keys()


def change(trend, by):
    """What a change of `by` in the way of one trend makes of the verdict."""
    ablation, metric, sign = claim.TRENDS[trend]
    pair = (sign * by, 0) if metric == "inception_score" else (0, sign * by)
    return ablated(**{ablation: pair})


@pytest.mark.parametrize("trend", claim.TRENDS)
def test_each_trend_counts_alone_in_its_direction(trend):
    verdict = judge(change(trend, 0.2))
    assert (verdict.outcome, verdict.met) == (PARTLY, (trend,))
    assert abs(verdict.effects[trend]) == pytest.approx(0.2)
    assert all(effect == pytest.approx(0) for t, effect in verdict.effects.items() if t != trend)
    assert judge(change(trend, -0.2)).outcome == NOT


def test_a_change_of_just_the_share_counts():
    for trend, share in product(claim.TRENDS, (0.05, 0.1, 0.3)):
        assert judge(change(trend, share), share).met == (trend,)
        assert judge(change(trend, share - 1e-4), share).met == ()


def test_means_over_seeds_decide():
    by = ablated()
    by["shape"]["inception_score"] = [20.0, 150.0]  # one seed rises, the mean falls to 85
    verdict = judge(by)
    assert verdict.met == ("without L_shape the inception score falls",)
    assert verdict.effects[verdict.met[0]] == pytest.approx(-0.15)


@pytest.mark.parametrize(
    ("ablation", "metric"),
    [
        *[(ablation, "inception_score") for ablation in ("none", *AS_TOLD)],
        *[(ablation, "mask_coverage") for ablation in ("none", "texture", "background")],
    ],
)
def test_a_missing_number_is_not_run(ablation, metric):
    whole = ablated(**AS_TOLD)
    rest = {name: values for name, values in whole[ablation].items() if name != metric}
    for of in (whole[ablation] | {metric: []}, rest):
        assert judge(whole | {ablation: of}) == UNRUN
    del whole[ablation]
    assert judge(whole) == UNRUN and claim.finding(whole, 1000) == Finding(NOT_RUN)


def test_other_cgns_and_masks_that_no_trend_speaks_of_do_not_matter():
    by = ablated(**AS_TOLD)
    for name in ("shape", "reconstruction"):
        del by[name]["mask_coverage"]
    by |= {"biggan": {"inception_score": [1.0]}, "published": {}}
    assert judge(by) == judge(ablated(**AS_TOLD))


def test_trends_of_several_seeds_are_counted_seed_by_seed():
    base = {"inception_score": [100.0, 100.0], "mask_coverage": [0.3, 0.3]}
    without = {"inception_score": [50.0, 100.0], "mask_coverage": [0.3, 0.3]}
    found = claim.finding({"none": base} | dict.fromkeys(AS_TOLD, without), 1000)
    assert found.effects == ("2 of 6 trends (0 to 2)",) and found.values == {"met": 2, "of": 6}


def test_a_score_at_the_end_of_its_scale_cannot_rise():
    """Ten classes, a score of 9.5: neither rise is possible, and each counts for nobody."""
    base = {"inception_score": [9.5], "mask_coverage": [0.3]}
    without = {"inception_score": [5.0], "mask_coverage": [0.2]}
    by = {"none": base} | {name: without for name in AS_TOLD}
    found = claim.rule(by, classes=10)
    assert found.undecided == (
        "without L_text the inception score rises", "without L_bg the inception score rises",
    )  # fmt: skip
    assert len(found.met) == 3 and found.outcome == PARTLY
    said = claim.finding(by, 10)
    assert said.effects == ("3 of 4 trends, two more undecided",)
    assert said.values == {"met": 3, "of": 4}
    assert claim.rule(by, classes=11).undecided == ()


def test_a_loss_is_needed_where_fewer_parts_are_read_without_it():
    reads = {"none": 0.7, "shape": 0.8, "texture": 0.6, "background": 0.2, "reconstruction": 0.3}
    measured = {a: {"all_read": [v]} for a, v in reads.items()}
    said = claim.by_probe(measured)
    assert "three of the four groups" in said and said.endswith(
        "without the losses on the mask it is no fewer"
    )
    measured["shape"]["all_read"] = [0.1]
    assert "four of the four groups" in claim.by_probe(measured)


def test_where_no_probe_was_asked_it_says_so():
    measured = {a: {"inception_score": [30.0]} for a in ABLATIONS}
    assert claim.by_probe(measured).startswith("no reader was asked")
    assert claim.mask_loss(measured) == {}


# --- tables


def frame(*rows):
    """Records of (ablation, metrics of one run)."""
    made = [
        {"removed": ablation, "metric": metric, "value": value}
        for ablation, metrics in rows
        for metric, value in metrics.items()
    ]
    return pd.DataFrame(made)


def scores(score, coverage=None, spread=0.25, width=0.125):
    found = {"inception_score": score, "inception_score_spread": spread}
    if coverage is not None:
        found |= {"mask_coverage": coverage, "mask_coverage_spread": width}
    return found


LIVE = frame(
    ("shape", scores(3.456, 0.25)),
    ("none", scores(5.0, 0.5, spread=0.25)),
    ("none", scores(7.0, 0.25, spread=0.75)),
    ("biggan", scores(9.0)),
)


def test_what_was_told_is_the_published_table(page_of):
    of = claim.of(page_of("claim-2"))
    for source, rows in TOLD.items():
        wanted = {}
        for name, (score, coverage) in rows.items():
            wanted[name] = {"inception_score": [score]}
            wanted[name] |= {} if coverage is None else {"mask_coverage": [coverage]}
        assert of[source] == wanted, source


def test_the_verdicts_of_paper_and_study(page_of):
    """All six trends in the paper and in the article; the cached rows lack the whole model."""
    judged = claim.verdicts(page_of("claim-2"))
    assert judged["Paper"].outcome == judged["Study"].outcome == REPRODUCED
    assert list(judged) == ["Paper", "Study", TRAINED, "This run (mini)"]
    rise = judged["Paper"].effects["without L_text the mask covers more"]
    assert rise == pytest.approx(0.9 / 0.3 - 1)


@pytest.fixture
def table(page_of):
    return claim.table(page_of("claim-2", LIVE)).set_index(["Measure", "CGN"])


def test_the_table_has_the_rows_of_the_paper(table):
    names = [ABLATED[name] for name in ABLATIONS]
    assert list(table.index) == [
        *[("Inception score", name) for name in (*names, "BigGAN itself")],
        *[("Mask coverage", name) for name in names],
    ]
    assert list(table.columns) == [*TOLD, TRAINED, "This run (mini)"]


def test_the_table_tells_what_others_reported(table):
    for source, ((measure, removed), cell) in product(TOLD, table["Paper"].items()):
        (name,) = (k for k, v in ABLATED.items() if v == removed)
        score, coverage = TOLD[source].get(name, (None, None))
        value, digits = (score, 1) if measure == "Inception score" else (coverage, 2)
        cell = table.loc[(measure, removed), source]
        assert cell == (NONE if value is None else f"{value:.{digits}f}"), (source, measure)


def test_the_table_shows_means_and_spreads_of_ours(table):
    cells = table["This run (mini)"]
    assert cells["Inception score", "all losses"] == "6.00 ± 1.41 (2) [0.50]"
    assert cells["Mask coverage", "all losses"] == "0.38 ± 0.18 (2) [0.12]"
    assert cells["Inception score", "without L_shape"] == "3.46 [0.25]"
    assert cells["Mask coverage", "without L_shape"] == "0.25 [0.12]"
    assert cells["Inception score", "BigGAN itself"] == "9.00 [0.25]"
    assert (
        cells["Inception score", "without L_text"]
        == cells["Mask coverage", "without L_rec"]
        == NONE
    )
    assert set(table[TRAINED]) == {NONE}


def test_published_weights_have_a_row_where_they_were_run(page_of):
    this = page_of("claim-2", LIVE, claim_2=frame(("published", scores(150.0, 0.3))))
    made = claim.table(this).set_index(["Measure", "CGN"])
    assert len(made) == 13
    for measure, cell in (("Inception score", "150.00 [0.25]"), ("Mask coverage", "0.30 [0.12]")):
        row = made.loc[measure, "all losses, published weights"]
        assert row[AUTHORS] == cell
        assert row["This run (mini)"] == row["Paper"] == row["Study"] == NONE


def test_trends_are_changes_in_the_papers_direction(figures):
    this = page.tracked("claim-2", "mini")
    claim.trends(this)
    (axis,) = figures[0].axes
    of = {line.get_label(): line.get_xdata() for line in axis.lines}
    for source, verdict in claim.verdicts(this).items():
        for x, (trend, (*_, sign)) in zip(of[source], claim.TRENDS.items(), strict=True):
            assert x == pytest.approx(np.clip(100 * sign * verdict.effects[trend], -15, 100))
            assert (x >= 10) == (trend in verdict.met)  # those in the shade are met


@pytest.mark.filterwarnings("error")
def test_a_change_beyond_the_axis_leaves_the_figure_its_room(figures, monkeypatch):
    signs = enumerate(claim.TRENDS.items())
    far = {trend: 50 * sign * (-1) ** i for i, (trend, (*_, sign)) in signs}
    found = Verdict(PARTLY, far, ())
    monkeypatch.setattr(claim, "verdicts", lambda this: {"This run": found})
    claim.trends(page.tracked("claim-2", "mini"))
    drawing.svg(figures[0])
    (axis,) = figures[0].axes
    assert [text.get_text() for text in axis.texts] == ["5000", "-5000"] * 3


def test_the_facts_speak_of_the_losses_on_the_mask():
    this = page.tracked("claim-2", "mini")
    facts, of = claim.facts(this), ablations.measured(this.reference)
    assert facts["shape-without"] == pytest.approx(100 * sum(of["shape"]["shape_read"]) / 3)
    assert (facts["n-reference"], facts["met-paper"]) == (3, 6)
    found = claim.findings(this)
    said = [*found["Study"].effects, *found[TRAINED].effects, *found[this.label].effects]
    told = [facts[f"counted-{source}"] for source in claim.COUNTED]
    assert all(a.startswith(b) for a, b in zip(said, told, strict=True)) and len(told) == 3


def test_panels_show_one_class_of_the_first_cgn_of_each_setting(figures, sampled):
    results = [sampled("none"), sampled("texture", 100), sampled("biggan", 7)]
    assert claim.panels({"here": results}, 3).markup == "ablation-panels"
    (axis,) = figures[0].axes
    assert sampled.levels(axis) == [[3, 23, 33, 43], [103, 123, 133, 143]]
    labels = [text.get_text() for text in axis.get_yticklabels()]
    assert labels == ["all losses", "without L_text"]
    (ring,) = axis.patches  # round the texture of the second row
    assert to_hex(ring.get_edgecolor()) == drawing.CUES["texture"]
    assert ring.get_xy() == pytest.approx((66 - 1.5, 66 - 1.5))
