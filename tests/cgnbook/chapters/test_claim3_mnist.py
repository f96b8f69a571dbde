"""Claim 3 on the MNISTs: the rule, its facts, its tables and figures."""

import random
from types import SimpleNamespace

import pandas as pd
import pytest

from cgnbook import page
from cgnbook.chapters import claim3_mnist as claim
from cgnbook.names import NONE
from cgnbook.records import AUTHORS, TRAINED
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, Finding
from cgnlib.experiments import TRAIN_SETS, VARIANTS, PublishedCGN

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}


def of(colored, double_colored=(0.9,), wildlife=(0.9,), original=(0.1, 0.2), gan=(0.15,)):
    """Accuracies by the values of counterfactual training."""
    cgn = dict(zip(VARIANTS, (colored, double_colored, wildlife), strict=True))
    return {v: {"original": original, "gan": gan, "cgn": values} for v, values in cgn.items()}


@pytest.mark.parametrize(
    ("cgn", "outcome", "met"),
    [
        (([0.9, 0.8], [0.7], [0.6]), REPRODUCED, VARIANTS),
        (([0.9, 0.8], [0.4], [0.4]), PARTLY, ("colored",)),
        (([0.9, 0.4], [0.9], [0.4]), PARTLY, ("double_colored",)),  # the worst seed decides
        (([0.3], [0.4], [0.2]), NOT, ()),
        (([0.9], [0.9], []), NOT_RUN, ()),
    ],
)
def test_outcomes(cgn, outcome, met):
    verdict = claim.rule(of(*cgn))
    assert (verdict.outcome, verdict.met) == (outcome, met) and str(verdict) == outcome


@pytest.mark.parametrize("left_out", ["original", "gan", "cgn"])
def test_without_a_training_set_it_was_not_run(left_out):
    found = of([0.9])
    del found["wildlife"][left_out]
    assert claim.rule(found).outcome == NOT_RUN
    del found["wildlife"]
    assert claim.rule(found).outcome == NOT_RUN


def test_a_gan_that_helps_as_much_refutes_the_claim():
    assert claim.rule(of([0.9], gan=(0.1, 0.61))).outcome == NOT


def test_effects_are_mean_gains():
    effects = claim.rule(of([0.9, 0.7], [0.2])).effects
    assert effects == pytest.approx({"colored": 0.65, "double_colored": 0.05, "wildlife": 0.75})


@pytest.mark.parametrize(("cgn", "other"), [(0.5, 0.2), (0.4, 0.1), (0.7, 0.4), (0.9, 0.6)])
def test_a_lead_of_just_the_margin_counts(cgn, other):
    def outcome(value):
        return claim.rule(of(*[[value]] * 3, original=(other,), gan=(0.1,)), margin=0.3).outcome

    assert outcome(cgn) == REPRODUCED and outcome(cgn - 1e-4) == NOT


def test_better_counterfactuals_never_worsen_the_verdict():
    draw = random.Random(0)
    seen = set()
    for _ in range(300):
        found = {
            v: {s: [draw.random() ** p for _ in range(2)] for s, p in
                (("original", 3), ("gan", 3), ("cgn", 0.5))}
            for v in VARIANTS
        }  # fmt: skip
        before = claim.rule(found)
        better = {
            v: sets | {"cgn": [a + draw.random() * (1 - a) for a in sets["cgn"]]}
            for v, sets in found.items()
        }
        worse = {
            v: sets | {"gan": [min(1, a + 0.2) for a in sets["gan"]]} for v, sets in found.items()
        }
        assert RANK[claim.rule(better).outcome] >= RANK[before.outcome]
        assert RANK[claim.rule(worse).outcome] <= RANK[before.outcome]
        assert set(before.met) <= set(claim.rule(better).met)
        seen.add(before.outcome)
    assert seen == set(RANK)


def test_points_are_differences_of_means_with_the_range_of_all_pairs():
    found = claim.finding(of([0.8, 0.9], [0.8, 0.9], [0.8, 0.9]))
    assert found.effects[0] == "C-MNIST +70 (+60 to +80)"
    assert found.unit == "points gained (range over seeds)"
    assert found.outcome == REPRODUCED and list(found.values.values()) == pytest.approx([70] * 3)


def test_single_runs_have_no_range_and_say_so():
    found = claim.finding(of([0.8], original=(0.1,)))
    assert found.effects[0] == "C-MNIST +70" and found.unit.endswith("(single runs)")


def test_effects_are_told_also_where_the_rule_lacks_a_cell():
    found = claim.finding(of([0.8], gan=()))
    assert found.outcome == NOT_RUN and len(found.effects) == len(VARIANTS)
    assert claim.finding({}) == Finding(NOT_RUN)


def test_the_union_is_judged_beyond_its_seeds():
    def said(union, alone):
        return claim.union_against_alone({"wildlife": {"original+cgn": union, "cgn": alone}})

    assert said((0.5, 0.6), (0.3, 0.4)) == "the union is better on W-MNIST"
    assert said((0.1, 0.2), (0.3, 0.4)) == "the union is worse on W-MNIST"
    assert said((0.1, 0.35), (0.3, 0.4)) == "on W-MNIST the seeds overlap"


def test_seeds_that_were_run_are_counted():
    assert claim.seeds_run({"colored": {"cgn": [0.5, 0.6]}}) == "two seeds each"
    assert claim.seeds_run({"colored": {"cgn": [0.5]}}) == "one seed each"
    assert claim.seeds_run({"a": {"cgn": [0.5], "original": [0.1] * 5}}) == "one to five seeds each"


def test_how_far_ours_lie_from_the_studys_numbers():
    """The largest distance of all may be another set's: it is told by training set."""
    study = {v: {"cgn": [0.9], "gan": [0.3]} for v in ("colored", "wildlife")}
    ours = {"colored": {"cgn": [0.8, 0.9], "gan": [0.4]}, "wildlife": {"cgn": [0.87]}}
    assert claim.off(study, ours) == pytest.approx({"cgn": 5, "gan": 10})


# --- the draw of the CGN

CGNS = pd.DataFrame(  # variant, recipe, generator, usable digits, share read, accuracies
    [
        ("colored", "published", "published", 10, 0.9, [0.93, 0.91], [0.9]),
        ("colored", "trained", "trained-0", 5, 0.2, [0.3], []),
        ("colored", "trained", "trained-1", 6, 0.3, [0.6, 0.65], []),
        ("colored", "edge", "edge-0", 9, 0.8, [], []),
        ("wildlife", "trained", "trained-0", 8, 0.5, [0.4], []),
    ],
    columns=["variant", "recipe", "generator", "usable", "read", "alone", "union"],
)


def test_the_draw_is_told_from_the_spread_of_classifiers():
    found = claim.draw(CGNS)
    assert found["apart-colored"] == pytest.approx(32.5) and found["apart-wildlife"] == 0
    assert found["within"] == pytest.approx(5) and found["cgns"] == 4
    assert found["rank"] == pytest.approx(1)  # W-MNIST's one CGN is compared with no other
    assert all(type(value) in (float, int) for value in found.values())  # as `glue` wants them


def test_the_rank_correlation_is_that_within_a_data_set():
    found = CGNS.assign(read=[0.9, 0.2, 0.1, 0.8, 0.5])  # ranks 3, 2, 1; of accuracies 3, 1, 2
    assert claim.draw(found)["rank"] == pytest.approx(0.5)


def test_a_cgn_without_classifiers_is_left_out_of_their_table(monkeypatch):
    monkeypatch.setattr(claim, "cgns", lambda this: CGNS)
    table = claim.by_cgn(None)
    assert table["CGN"].tolist() == [
        "the authors' weights", "as published, seed 0", "as published, seed 1",
        "as published, seed 0",
    ]  # fmt: skip
    assert table["CGN alone"].tolist()[:2] == ["91.0–93.0 (2)", "30.0"]
    assert table["Original + CGN"].tolist() == ["90.0", NONE, NONE, NONE]


# --- tables and figures


@pytest.fixture(scope="module")
def this():
    return page.tracked("claim-3-mnist", "mini", "claim-1-mnist", "edge-loss")


def test_the_table_has_every_source_and_no_column_mixes_kinds(this):
    table = claim.accuracy(this, "test_accuracy")
    assert len(table) == 3 * len(TRAIN_SETS)
    rows = table.set_index(["Data", "Trained on"])
    union = rows.loc[("C-MNIST", "Original + CGN")]
    assert (union["Paper"], union["Study"]) == ("95.1", "95.9")  # its Table 2, its Table 3
    assert "(5)" in union[AUTHORS] and "(5)" in union[TRAINED] and "(2)" in union[this.label]
    assert union[AUTHORS] != union[TRAINED]
    assert rows[AUTHORS].eq(NONE).sum() == 9  # a set without a CGN has nobody's weights


def test_the_union_is_set_against_counterfactuals_alone(this):
    """method 4.4: on W-MNIST the study has 62.8 in union and 79.8 alone"""
    table = claim.union_less_alone(this).set_index("Data")
    assert list(table.columns) == ["Study", AUTHORS, TRAINED, this.label]
    studied = claim.told(this)["wildlife"]
    apart = 100 * (studied["original+cgn"][0] - studied["cgn"][0])
    assert table.loc["W-MNIST", "Study"] == f"{apart:+.1f}" and apart < -10
    facts = claim.facts(this)
    assert table.loc["W-MNIST", AUTHORS] == f"{-facts['lost-authors-wildlife']:+.1f}"


def test_contrast_is_told_from_the_decisions(tmp_path):
    rows = pd.DataFrame({"label": [1, 1, 1], "fg": [0, 1, 2], "bg": [4, 5, 0]})
    rows.assign(item=range(3), prediction=[1, 2, 1]).to_csv(tmp_path / "decisions.csv")

    def result(variant, train_on, behind=None):
        run = SimpleNamespace(variant=variant, train_on=train_on, behind=behind)
        return SimpleNamespace(run=run, folder=tmp_path)

    published = PublishedCGN(variant="double_colored", profile="full")
    others = [result("colored", "cgn"), result("double_colored", "original")]
    others.append(result("double_colored", "cgn", published))
    table = claim.by_contrast([result("double_colored", "cgn"), *others], "cgn")
    assert table["Test images"].tolist() == [2, 1]
    assert table["Accuracy, %"].tolist() == ["50.0", "100.0"]


def test_a_mark_for_each_run_and_each_reported_number(this, figures):
    claim.dots(this)
    (drawn,) = figures
    live = this.live[this.live.metric == "test_accuracy"]
    for axis, variant in zip(drawn.axes, VARIANTS, strict=True):
        by = {}
        for line in axis.lines[1:]:
            by.setdefault(line.get_label(), []).extend(line.get_xdata())
        assert sorted(by[this.label]) == sorted(100 * live.value[live.variant == variant])
        assert len(by["Study"]) == len(by["Paper"]) == len(TRAIN_SETS)
        assert len(by[AUTHORS]) == 10 and len(by[TRAINED]) == 25  # of five seeds each
