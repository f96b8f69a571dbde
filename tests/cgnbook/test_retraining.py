"""CGNs of one recipe side by side: rows, tables, and what the draw decides."""

import pandas as pd
import pytest

from cgnbook import records, retraining
from cgnbook.names import NONE

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
    ("wildlife", "trained-0", "cgn", (0.4,)),
]


def frames():
    judged = [
        {"variant": v, "generator": g, "metric": metric, "value": str(value)}
        for v, g, usable, read in JUDGED
        for metric, value in (("usable_digits", usable), ("image_read", read), ("mask_iou", 0.5))
    ]
    learned = [
        {"variant": v, "generator": g, "train_on": t, "metric": "test_accuracy", "value": a}
        for v, g, t, accuracies in LEARNED
        for a in accuracies
    ]
    return [pd.DataFrame(rows, columns=records.COLUMNS) for rows in (judged, learned)]


def test_a_cgn_is_a_row_with_its_own_classifiers():
    found = retraining.cgns(*frames())
    assert found.generator.tolist() == [
        "published", "trained-0", "trained-1", "edge-0", "trained-0",
    ]  # fmt: skip
    assert found.usable.tolist() == [10, 5, 6, 9, 8]
    assert found.alone.tolist() == [[0.93, 0.91], [0.3], [0.6, 0.65], [], [0.4]]
    assert found.union.tolist() == [[0.9], [], [], [], []]


def test_our_retrainings_stand_beside_the_studys():
    """method 2.9, the study's file: 5.6 without the edge loss, 9.7 with it"""
    table = retraining.usable(retraining.cgns(frames()[0]))
    assert table["Usable digits"].tolist() == ["10", "5, 6", "9", "8"]
    assert table["Mean"].tolist() == ["10.0", "5.5", "9.0", "8.0"]
    assert table["Study, mean"].tolist() == [NONE, "5.6", "9.7", NONE]


def test_a_cgn_without_classifiers_is_left_out_of_their_table():
    table = retraining.accuracies(retraining.cgns(*frames()))
    assert table["CGN"].tolist() == [
        "the authors' weights", "as published, seed 0", "as published, seed 1",
        "as published, seed 0",
    ]  # fmt: skip
    assert table["CGN alone"].tolist()[:2] == ["92.0 ± 1.4 (2)", "30.0"]
    assert table["Original + CGN"].tolist() == ["90.0", NONE, NONE, NONE]


def test_the_draw_is_told_from_the_spread_of_classifiers():
    found = retraining.facts(retraining.cgns(*frames()))
    assert found["apart-colored"] == pytest.approx(32.5) and found["apart-wildlife"] == 0
    assert found["within"] == pytest.approx(5) and found["cgns"] == 4
    assert found["rank"] == pytest.approx(1)  # W-MNIST's one CGN is compared with no other
    assert all(type(value) in (float, int) for value in found.values())  # as `glue` wants them


def test_the_rank_correlation_is_that_within_a_data_set():
    found = retraining.cgns(*frames())
    found.loc[found.generator == "trained-1", "read"] = 0.1  # ranks 3, 2, 1; of accuracies 3, 1, 2
    assert retraining.facts(found)["rank"] == pytest.approx(0.5)
