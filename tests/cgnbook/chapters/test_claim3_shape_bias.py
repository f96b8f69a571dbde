"""Claim 3, shape bias: the rule, its facts, tables and figure."""

import math

import pytest

from cgnbook import heads, records
from cgnbook.chapters import claim3_shape_bias as claim
from cgnbook.names import NONE
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, UNRUN, Finding
from cgnlib import experiments
from cgnlib.measures import decisions


def bias(**change):
    return {"plain": [0.3, 0.4], "shape": [0.6, 0.7], "texture": [0.1, 0.2]} | change


def test_the_lowest_seed_is_compared_with_the_highest():
    found = claim.rule(bias())
    assert found.outcome == REPRODUCED and len(found.met) == 2
    assert list(found.effects.values()) == pytest.approx([0.3, 0.5])
    below = claim.rule(bias(shape=[0.49, 0.9]))
    assert below.outcome == PARTLY and "texture head" in below.met[0]
    assert claim.rule(bias(shape=[0.5, 0.9])).outcome == REPRODUCED  # the very margin
    assert claim.rule(bias(shape=[0.1, 0.9])).outcome == NOT


@pytest.mark.parametrize("missing", ["plain", "shape", "texture"])
def test_a_head_without_a_bias_is_not_run(missing):
    assert claim.rule(bias(**{missing: []})) == UNRUN


def test_the_finding_is_a_lead_in_points(classifiers):
    found = claim.finding(heads.measured(classifiers))
    assert found.effects[0] == "over the plain classifier +50 (+45 to +55)"
    caveat = "the plain classifier goes by shape or texture in 30% of images"
    assert found.unit == f"points of shape bias (range over seeds); {caveat}"
    assert claim.decided_by_either({}) is None
    assert claim.finding({}) == Finding(NOT_RUN)


def test_verdicts_of_every_source(page_of, classifiers):
    found = claim.verdicts(page_of("claim-3-imagenet", classifiers))
    outcomes = {source: verdict.outcome for source, verdict in found.items()}
    assert outcomes == {
        "Paper": REPRODUCED, "Study": REPRODUCED, "Trained here (full)": NOT_RUN,
        "This run (mini)": REPRODUCED,
    }  # fmt: skip


def test_the_facts(page_of, classifiers):
    """method: the range over the cached epochs, and top-1 on held-out counterfactuals"""
    facts = claim.facts(page_of("claim-3-imagenet", claim_3_imagenet=classifiers))
    wanted = {"epoch-low": 46.3, "epoch-high": 57.8, "reference-mean": 50, "reference-plain": 25}
    wanted |= {"told-shape": 9.66, "told-texture": 84.12, "told-bg": 27.53}
    assert {name: facts[name] for name in wanted} == pytest.approx(wanted)
    assert (facts["verdict-reference"].outcome, facts["met-live"]) == (REPRODUCED, 0)
    decided = claim.decided(heads.measured(classifiers))
    assert decided == pytest.approx({"bias-plain": 25, "bias-shape": 75, "bias-mean": 50})


def test_a_classifier_that_goes_by_neither_cue_has_no_shape_bias(classifiers):
    undecided = classifiers[classifiers.metric != "avg/shape_bias"]
    found = claim.decided(heads.measured(undecided))
    assert math.isnan(found["bias-mean"]) and found["bias-plain"] == pytest.approx(25)


def test_the_table(page_of, classifiers):
    table = claim.table(page_of("claim-3-imagenet", classifiers))
    table = table.set_index(["Measure", "Who decides"])
    assert table.loc[("Shape bias", "shape head")].to_dict() == {
        "Paper": "54.8", "Study": "49.1", "Trained here (full)": NONE,
        "This run (mini)": "70.0–80.0 (2)",
    }  # fmt: skip
    # undefined is no 0
    assert table.loc[("Shape bias", "background head"), "This run (mini)"] == NONE
    assert table.loc[("Top-5 accuracy", "mean of the heads"), "Study"] == "79.1"


def test_a_row_for_each_subject_with_a_cue_of_its_own(page_of, classifiers):
    table = claim.own_cues(page_of("claim-3-imagenet", classifiers))
    assert set(table["Who decides"]) == {
        "plain classifier", "shape head", "texture head", "background head",
    }  # fmt: skip


def test_the_real_stimuli_are_read_from_the_tracked_decisions():
    runs = experiments.grid("full", "real-stimuli")
    table = claim.real_stimuli(runs)
    for run, row in zip(runs, table.itertuples(index=False), strict=False):
        tracked = decisions.read(records.decisions_of(run))
        assert len(tracked) == 1280
        of = decisions.shape_bias(tracked)
        assert of.n == 1200 and row[1].startswith(f"{100 * of.value:.1f} (")
        assert (row[2], row[3]) == (str(of.n_shape), str(of.n_texture))
    assert table.iloc[-2:, 1].tolist() == ["95.9", "22.1"]


def test_the_records_of_the_real_stimuli_are_those_of_their_decisions():
    tracked = records.read("real-stimuli", "full")
    for run in experiments.grid("full", "real-stimuli"):
        mine = tracked[tracked.run == run.id].set_index("metric")
        assert (mine.spec == run.digest()).all()
        of = decisions.shape_bias(decisions.read(records.decisions_of(run)))
        value = mine.loc["efficientnet-lite0/shape_bias"]
        assert float(value["value"]) == pytest.approx(of.value) and int(value["n"]) == 1280


def test_the_bars_add_up(classifiers, figures, monkeypatch):
    monkeypatch.setattr(records, "frame", lambda results: classifiers)
    claim.cue_shares([])
    (axis,) = figures[0].axes
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert len(ends) == 6 * 4 and max(ends) == pytest.approx(100)
    assert len(axis.get_yticklabels()) == 6
