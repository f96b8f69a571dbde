"""The numbers of the discussion: from the records that they are said to come from."""

import pandas as pd
import pytest

from cgnbook import records
from cgnbook.chapters import discussion


def test_the_study_s_single_runs():
    of = discussion.of_study()
    assert of["union-printed"] == pytest.approx(62.8)
    assert of["moved"] == pytest.approx(65.60 - 62.8)  # the same cell, in another run
    assert of["repeated"] == 5
    assert of["repeated-span"] == pytest.approx(93.57 - 92.43)
    assert (of["epoch-low"], of["epoch-high"]) == (46.3, 57.8)
    assert of["hours"] == 112 and of["hours-described"] == 200


def test_a_number_that_is_not_the_only_one_is_refused():
    with pytest.raises(ValueError, match="2 numbers"):
        discussion._only("compute", row="total-1080-ti")


def test_the_fall_is_the_difference_of_accuracies():
    of = discussion.of_union(records.read("union", "full"))
    assert 10 < of["fall"] < 25
    assert of["union-real-background"] > 10 * of["union-cgn-background"]


def accuracies(*values):
    rows = [
        {"variant": "wildlife", "train_on": name, "metric": "test_accuracy", "value": value,
         "generator": ""}
        for name, pair in values for value in pair
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_ranges_over_seeds(monkeypatch):
    monkeypatch.setattr(records, "of_claim", lambda frame, claim: frame)
    live = accuracies(("original", (0.1, 0.2)), ("gan", (0.3, 0.3)), ("original+gan", (0.0, 0.4)))
    assert discussion.of_seeds(live) == pytest.approx({"seeds-widest": 40, "seeds-median": 10})


def test_gaps_of_three_classifiers():
    rows = [
        {"train_on": train_on, "metric": f"{subject}/bg_gap", "value": value}
        for train_on, subject, values in (
            ("plain", "plain", (0.6, 0.8)),
            ("real", "shape_texture", (0.5, 0.7)),
            ("real+cgn", "shape_texture", (0.1, 0.2)),
        )
        for value in values
    ]
    assert discussion.of_control(pd.DataFrame(rows)) == pytest.approx(
        {"gap-plain": 70, "gap-control": 60, "gap-heads": 15}
    )


def test_an_empty_map_and_the_range_of_the_others():
    rows = [
        {"metric": m, "value": v, "generator": "published"}
        for m, v in (("study_iou", 0.3), ("study_iou", 0.5), ("study_iou_empty", 0.4))
    ]
    rows.append({"metric": "study_iou", "value": 0.9, "generator": "trained-0"})
    of = discussion.of_overlap(pd.DataFrame(rows))
    assert of == pytest.approx({"iou-empty": 40, "iou-least": 30, "iou-most": 50})


def test_leaks_into_shape():
    live = records.read("disentanglement", "mini")
    of = discussion.of_leaks(live, "wildlife")
    cell = live[live.run.str.contains("wildlife-g0") & (live.metric == "moved_texture_shape")]
    assert of["leak-texture-cgn"] == pytest.approx(100 * float(cell.value.iloc[0]))
    assert all(of[f"leak-{cue}-cgn"] > of[f"leak-{cue}-truth"] for cue in ("texture", "background"))


def test_the_shape_bias_of_the_mean_stands_beside_the_heads():
    rows = [
        {"train_on": train_on, "metric": f"{subject}/shape_bias", "value": value}
        for train_on, subject, values in (
            ("plain", "plain", (0.2, 0.4)),
            ("real+cgn", "shape", (0.7, 0.9)),
            ("real+cgn", "avg", (0.3, 0.5)),
        )
        for value in values
    ]
    assert discussion.of_bias(pd.DataFrame(rows)) == pytest.approx(
        {"bias-plain": 30, "bias-shape": 80, "bias-mean": 40}
    )
