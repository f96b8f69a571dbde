"""Classifiers with heads: from records and reported numbers to what the rules look at."""

import pandas as pd
import pytest

from cgnbook import heads
from cgnbook.names import NONE


def test_measures_are_sorted_by_training_set_and_subject(classifiers):
    by = heads.measured(classifiers)
    assert list(by) == ["plain", "real", "real+cgn"]
    assert by["plain"]["plain"]["bg_gap"] == [0.25, 0.25]
    assert by["real+cgn"]["shape"]["shape_bias"] == [0.7, 0.8]
    counted = classifiers.assign(metric="real_images")  # belongs to no subject
    assert heads.measured(counted) == {}


def test_the_rules_look_at_the_plain_classifier_and_the_heads(classifiers):
    of = heads.deciding(heads.measured(classifiers))
    assert of["plain"]["bg_gap"] == [0.25, 0.25] and of["avg"]["bg_gap"] == [0.5, 0.5]
    assert heads.deciding({}) == {"plain": {}}


def test_reported_numbers_have_the_form_of_ours(page_of):
    """method 8.3 and 8.4"""
    this = page_of("claim-3-imagenet")
    told = {name: heads.by_source(this, name) for name in ("shape-bias", "backgrounds")}

    def of(table, source, subject, measure):
        (value,) = heads.deciding(told[table][source])[subject][measure]
        return value

    for source, values in (
        ("Paper", {"plain": 0.221, "shape": 0.548, "texture": 0.167, "bg": 0.229}),
        ("Study", {"plain": 0.221, "shape": 0.491, "texture": 0.205, "bg": 0.257}),
    ):
        for subject, value in values.items():
            assert of("shape-bias", source, subject, "shape_bias") == pytest.approx(value)
    for measure, plain, mine in (("bg_gap", 0.073, 0.049), ("mixed_rand", 0.789, 0.683)):
        assert of("backgrounds", "Study", "plain", measure) == pytest.approx(plain)
        assert of("backgrounds", "Study", "shape_texture", measure) == pytest.approx(mine)
    # what the article does not print is that of the cached epoch
    assert of("backgrounds", "Study", "avg", "mixed_rand") == pytest.approx(0.6553)


def test_a_source_without_a_number_has_a_dash():
    sources = {"One": {"plain": {"plain": {"m": [0.25, 0.35]}}}, "Other": {}}
    made = heads.compared(sources, {"Title": ("m", ["plain", "avg"])})
    assert made["One"].tolist() == ["25.0–35.0 (2)", NONE] and set(made["Other"]) == {NONE}
    assert made["Who decides"].tolist() == ["plain classifier", "mean of the heads"]


def test_contradictions_are_numbers_that_several_sources_give():
    bias = heads.contradictions("shape-bias").set_index(["Trained on", "Number"])
    talk = bias.loc[("IN + CGN, shape head", "shape bias"), "Talk"]
    assert talk == "54.8 / 57.6"
    assert bias.loc[("IN-mini + CGN", "top-1"), "Cached"] == "56.2"
    ground = heads.contradictions("backgrounds")
    assert set(ground["Number"]) == {"BG-gap", "IN-9", "Mixed-Rand", "Mixed-Same"}


def test_a_plain_number_is_told_apart_from_the_invariant_one():
    rows = pd.DataFrame(
        [
            ("plain", "in", "anyone", "plain/m", 0.1),
            ("real+cgn", "imagenet", "Paper", "avg/m", 0.2),
            ("real+cgn", "imagenet", "Study", "avg/m", 0.3),  # quotes the paper
        ],
        columns=["train_on", "variant", "source", "metric", "value"],
    )
    assert heads.told(rows, "Paper")["real+cgn"] == {"avg": {"m": [0.2]}}
    assert heads.told(rows, "Study") == {"plain": {"plain": {"m": [0.1]}}}
