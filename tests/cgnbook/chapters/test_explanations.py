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
    found = explanations.against_study(page_of("explanations", frame()))
    of = found[(found.variant == "double_colored") & (found.train_on == "original")]
    by = of.groupby("whose").value.apply(list)
    assert by["Study"] == [pytest.approx(0.374, abs=1e-3)]
    assert by["Study, recomputed"] == [pytest.approx(0.376, abs=1e-3)]
    assert by["This run (mini)"] == [0.3, 0.4] and AUTHORS not in by
    assert by[explanations.SWAPPED] == [0.29, 0.39]


def test_the_reference_is_that_of_the_published_cgns(page_of):
    both = pd.concat([frame(), frame("published", study_iou=0.6)])
    found = explanations.against_study(page_of("explanations", frame(), explanations=both))
    of = found[(found.variant == "wildlife") & (found.train_on == "cgn")]
    assert of.value[of.whose == AUTHORS].tolist() == [0.6, 0.7]


def test_what_was_not_read_has_no_mark(page_of, figures):
    explanations.readings(page_of("explanations", frame()))
    heights = {y for line in figures[0].axes[0].lines[:-1] for y in line.get_ydata()}
    assert heights == {1}  # the digit, of this run: the only cue that the frame has


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
                **dict.fromkeys(("fg", "bg"), np.arange(30) // 3),
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
    points = [[len(c.get_offsets()) for c in axis.collections] for axis in drawn.axes]
    assert points == [[25, 3, 3]] * 6  # the others, those of the cue, of the digit; one is both


def test_hot_places_are_bright(results, figures):
    explanations.heat_maps(results, n=4)
    (drawn,) = figures
    canvas = drawn.axes[0].images[0].get_array()
    image, cold, hot = (canvas[34 * row : 34 * row + 32] for row in range(3))
    assert hot.mean() > cold.mean() and image.shape[1] == 4 * 34 - 2


def test_a_mark_for_each_run(page_of, figures):
    explanations.iou(page_of("explanations", frame()))
    explanations.readings(page_of("explanations", frame()))
    for drawn in figures:
        marks = [line for line in drawn.axes[1].lines if line.get_marker() == "o"]
        assert any(len(mark.get_ydata()) == 2 for mark in marks)
        hollow = {line.get_label() for line in marks if line.get_markerfacecolor() == "white"}
        assert hollow == {"learned from originals"}


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
