"""Digit classifiers and their CGNs, from the records of every source."""

import pandas as pd
import pytest

from cgnbook import digits, page, records

JUDGED = [  # variant, generator, usable digits, share read
    ("wildlife", "trained-0", 8, 0.5),
    ("colored", "edge-0", 9, 0.8),
    ("colored", "trained-1", 6, 0.3),
    ("colored", "trained-0", 5, 0.2),
    ("colored", "published", 10, 0.9),
]
LEARNED = [  # variant, generator, training set, accuracies
    ("colored", "published", "cgn", (0.93, 0.91)),
    ("colored", "published", "original+cgn", (0.9,)),
    ("colored", "trained-0", "cgn", (0.3,)),
    ("colored", "trained-1", "cgn", (0.6, 0.65)),
    ("colored", "", "original", (0.36,)),
    ("colored", "trained-0", "gan", (0.4,)),
    ("wildlife", "trained-0", "cgn", (0.4,)),
]


def frame():
    judged = [
        {"variant": v, "generator": g, "metric": metric, "value": float(value)}
        for v, g, usable, read in JUDGED
        for metric, value in (("usable_digits", usable), ("image_read", read), ("mask_iou", 0.5))
    ]
    learned = [
        {"variant": v, "generator": g, "train_on": t, "metric": "test_accuracy", "value": a}
        for v, g, t, accuracies in LEARNED
        for a in accuracies
    ]
    return pd.DataFrame([*judged, *learned], columns=records.COLUMNS).fillna({"train_on": ""})


def test_a_cgn_is_a_row_with_its_own_classifiers():
    found = digits.cgns(frame())
    assert list(found.columns) == digits.COLUMNS
    assert found.generator.tolist() == [
        "published", "trained-0", "trained-1", "edge-0", "trained-0",
    ]  # fmt: skip
    assert found.usable.tolist() == [10, 5, 6, 9, 8]
    assert found.alone.tolist() == [[0.93, 0.91], [0.3], [0.6, 0.65], [], [0.4]]
    assert found.union.tolist() == [[0.9], [], [], [], []]


def test_accuracies_are_those_of_one_kind_of_cgn_and_of_all_else():
    assert digits.accuracies(frame()) == {
        "colored": {
            "cgn": [0.93, 0.91], "original+cgn": [0.9], "original": [0.36], "gan": [0.4],
        }
    }  # fmt: skip
    own = digits.accuracies(frame(), "trained")
    assert own["colored"]["cgn"] == [0.3, 0.6, 0.65] and own["wildlife"] == {"cgn": [0.4]}
    assert digits.accuracies(frame()[:0]) == {}


def test_means_and_the_gain_of_a_gan():
    of = {
        "colored": {"gan": [0.4, 0.2], "original": [0.2]},
        "wildlife": {"gan": [0], "original": [1]},
    }
    assert digits.means(of)["colored"] == pytest.approx({"gan": 0.3, "original": 0.2})
    assert digits.gan_gain(of) == pytest.approx(10)


def test_the_studys_accuracies_have_the_form_of_ours():
    """Its Table 3, and Table 2 of the paper"""
    told = page.tracked("claim-3-mnist", "mini").told("mnist-classification")
    study = digits.accuracies(told[told.source == "Study"])
    paper = digits.accuracies(told[told.source == "Paper"])
    assert study["wildlife"]["original+cgn"] == pytest.approx([0.628])
    assert paper["colored"]["original+cgn"] == pytest.approx([0.951])
    assert {len(values) for by in study.values() for values in by.values()} == {1}
    assert digits.gan_gain(study) < 1
