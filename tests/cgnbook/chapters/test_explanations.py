"""Explanations: tables and figures from records and runs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cgnbook import page, records
from cgnbook.chapters import explanations
from cgnbook.names import NONE
from cgnbook.records import AUTHORS
from cgnlib.experiments import VARIANTS

DIGITS = {f"study_iou_{y}": 0.4 for y in range(10)}
EVERY = {metric: 0.3 for metric in explanations.MEASURES.values()} | DIGITS
EVERY |= {"study_iou_empty": 0.41, "study_iou_unrelated": 0.29, "digit_read": 0.7}


def frame(generator="trained-0", **change):
    rows = []
    for variant in VARIANTS:
        for train_on in explanations.TRAINED_ON:
            for seed in (0, 1):
                for metric, value in (EVERY | change).items():
                    row = dict.fromkeys(records.COLUMNS, "") | {"metric": metric, "seed": seed}
                    row |= {"variant": variant, "train_on": train_on, "value": value + seed / 10}
                    rows.append(row | {"generator": generator if train_on == "cgn" else ""})
    return pd.DataFrame(rows, columns=records.COLUMNS)


def test_the_overlap_table_ends_each_variant_with_no_map():
    table = explanations.overlap(frame())
    assert len(table) == 9
    first, _, bare = table.iloc[:3].to_dict("records")
    assert first["Study's IoU"] == "30.0–40.0 (2)" and first["AP"] == "30.0–40.0 (2)"
    assert bare["Trained on"] == "no map at all"
    assert (bare["Study's IoU"], bare["Foreground"]) == ("41.0–51.0 (2)", NONE)


def test_the_study_stands_beside_ours(page_of):
    """method 7.3: cached and recomputed overall values"""
    table = explanations.against_study(page_of("explanations", frame()))
    table = table.set_index(["Data", "Trained on"])
    row = table.loc[("DC-MNIST", "Original")]
    assert (row["Study"], row["Recomputed"]) == ("37.4", "37.6") or row["Study"] == "37.3"
    assert (row[AUTHORS], row["This run (mini)"], row["Masks swapped"]) == (
        NONE, "30.0–40.0 (2)", "29.0–39.0 (2)",
    )  # fmt: skip


def test_the_reference_is_that_of_the_published_cgns(page_of):
    both = pd.concat([frame(), frame("published", study_iou=0.6)])
    table = explanations.against_study(page_of("explanations", frame(), explanations=both))
    table = table.set_index(["Data", "Trained on"])
    assert table.loc[("W-MNIST", "CGN"), AUTHORS] == "60.0–70.0 (2)"


def test_readings_have_dashes_where_nothing_was_read():
    table = explanations.readings(frame())
    assert table["Digit"].tolist() == ["70.0–80.0 (2)"] * 6
    assert set(table["Background"]) == {NONE}


@pytest.fixture
def results(tmp_path):
    found = []
    for variant in VARIANTS:
        for train_on in explanations.TRAINED_ON:
            folder = tmp_path / f"{variant}-{train_on}"
            folder.mkdir()
            rng = np.random.default_rng(0)
            np.savez(
                folder / "embedding.npz",
                embedding=rng.normal(size=(30, 2)),
                digit=np.arange(30) % 10,
            )
            heat = np.full((10, 32, 32), 1.0 if train_on == "cgn" else 0.0)
            x = rng.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
            np.savez(folder / "samples.npz", x=x, heat=heat)
            settings = {"train_on": train_on}
            run = SimpleNamespace(variant=variant, train_on=train_on, settings=settings)
            found.append(SimpleNamespace(folder=folder, run=run))
    return found


def test_every_test_image_is_a_point(results, figures):
    explanations.embeddings(results)
    (drawn,) = figures
    points = [sum(len(c.get_offsets()) for c in axis.collections) for axis in drawn.axes]
    assert points == [30] * 6


def test_hot_places_are_bright(results, figures):
    explanations.heat_maps(results, n=4)
    (drawn,) = figures
    canvas = drawn.axes[0].images[0].get_array()
    image, cold, hot = (canvas[34 * row : 34 * row + 32] for row in range(3))
    assert hot.mean() > cold.mean() and image.shape[1] == 4 * 34 - 2


def test_a_mark_for_each_digit_and_seed(page_of, figures):
    explanations.by_digit(page_of("explanations", frame()))
    (drawn,) = figures
    marks = [line for line in drawn.axes[1].lines if line.get_marker() == "o"]
    assert len(marks) == 20 and all(len(mark.get_ydata()) == 2 for mark in marks)


def test_overlap_is_judged_beyond_its_seeds():
    rows = [
        {"variant": v, "train_on": t, "metric": "study_iou", "value": value}
        for v, pairs in (
            ("colored", ((0.5, 0.6), (0.1, 0.2))),
            ("double_colored", ((0.1, 0.2), (0.5, 0.6))),
            ("wildlife", ((0.1, 0.4), (0.3, 0.5))),
        )
        for t, values in zip(("original", "cgn"), pairs, strict=True)
        for value in values
    ]
    assert explanations.changes(pd.DataFrame(rows)) == (
        "raises the number on DC-MNIST; lowers it on C-MNIST; "
        "on W-MNIST moves it by no more than the seeds differ"
    )
    assert "W-MNIST" in explanations.changes(page.tracked("explanations", "mini").live)
