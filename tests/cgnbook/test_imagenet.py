"""Tables and figures of the ImageNet claims, from hand-made records and the reported numbers."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from cgnbook import boxes, imagenet, records, verdict
from cgnbook import names as names_cgnbook
from cgnbook.names import NONE
from cgnlib import experiments, runs
from cgnlib.data.menagerie import CLASSES
from cgnlib.nets import shipped

MINI = experiments.profile("mini")
ABLATIONS = ("shape", "texture", "background", "reconstruction", "none")
EMPTY = pd.DataFrame(columns=records.COLUMNS)

# method: Table 1 as told, by source and loss left out: inception score, mask coverage
TOLD = {
    "paper": {
        "shape": (85.9, 0.2), "texture": (198.4, 0.9), "background": (195.6, 0.1),
        "reconstruction": (38.4, 0.3), "none": (130.2, 0.3), "biggan": (202.9, None),
    },
    "article": {
        "shape": (100.8, 0.3), "texture": (186.5, 0.4), "background": (200.9, 0.1),
        "reconstruction": (19.3, 0.4), "none": (156.1, 0.3),
    },
    "cached": {
        "shape": (109.66, 0.262), "texture": (187.08, 0.411), "background": (210.34, 0.064),
        "reconstruction": (17.17, 0.346),
    },
}  # fmt: skip


def frame(*rows):
    """Records of (ablation, seed, metrics)."""
    made = [
        {"removed": ablation, "seed": seed, "metric": metric, "value": value}
        for ablation, seed, metrics in rows
        for metric, value in metrics.items()
    ]
    return pd.DataFrame(made, columns=records.COLUMNS)


def scores(score, coverage=None, spread=0.25, width=0.125):
    found = {"inception_score": score, "inception_score_spread": spread}
    if coverage is not None:
        found |= {"mask_coverage": coverage, "mask_coverage_spread": width}
    return found


LIVE = frame(
    ("shape", 0, scores(3.456, 0.25)),
    ("none", 0, scores(5.0, 0.5, spread=0.25)),
    ("none", 1, scores(7.0, 0.25, spread=0.75)),
    ("biggan", 0, scores(9.0)),
)


# --- numbers by ablation


@pytest.mark.parametrize("source", TOLD)
def test_what_was_told_is_the_published_table(source):
    wanted = {}
    for name, (score, coverage) in TOLD[source].items():
        wanted[name] = {"inception_score": [score]}
        wanted[name] |= {} if coverage is None else {"mask_coverage": [coverage]}
    assert imagenet.told(source) == wanted


def test_measured_lists_each_metric_over_runs():
    found = imagenet.measured(LIVE)
    assert list(found) == ["shape", "none", "biggan"]
    assert found["none"]["inception_score"] == [5.0, 7.0]
    assert found["none"]["mask_coverage_spread"] == [0.125, 0.125]
    assert found["biggan"] == {"inception_score": [9.0], "inception_score_spread": [0.25]}
    assert imagenet.measured(EMPTY) == {}
    words = LIVE.assign(value=LIVE["value"].astype(str))  # as a file may hold them
    assert imagenet.measured(words) == found


@pytest.mark.parametrize("source", TOLD)
def test_told_numbers_take_the_way_of_measured_ones(source):
    told = imagenet.told(source)
    rows = [(name, 0, {m: v for m, (v,) in by.items()}) for name, by in told.items()]
    assert imagenet.measured(frame(*rows)) == told


def test_verdicts_of_the_reported_tables():
    """All six trends in the paper and in the article; the cached rows lack the whole model."""
    judged = {source: verdict.losses_needed(imagenet.told(source)) for source in TOLD}
    assert judged["paper"].outcome == judged["article"].outcome == verdict.REPRODUCED
    assert judged["cached"].outcome == verdict.NOT_RUN
    rise = judged["paper"].effects["without L_text the mask covers more"]
    assert rise == pytest.approx(0.9 / 0.3 - 1)


def test_readings_are_means_and_the_probes_own_accuracy(monkeypatch):
    ceiling = {"shape": 0.9, "texture": 0.8, "background": 0.7}
    monkeypatch.setattr(shipped, "record", lambda name: {"probe": ceiling | {"seed": 0}}[name])
    by = {"none": {"shape_read": [0.5, 0.7], "texture_read": [0.1], "background_read": [0.2]}}
    assert imagenet.readings(by) == (
        pytest.approx({"shape": 0.6, "texture": 0.1, "background": 0.2}),
        ceiling,
    )
    assert imagenet.readings(by, "shape") == imagenet.readings({}) == ({}, ceiling)


# --- tables


@pytest.fixture
def table():
    made = imagenet.ablation(EMPTY, LIVE, "This run (mini)")
    return made.set_index(["Measure", "Left out"])


def test_the_ablation_table_has_the_rows_of_the_paper(table):
    names = [names_cgnbook.REMOVED[name] for name in ABLATIONS]
    assert list(table.index) == [
        *[("Inception score", name) for name in (*names, "BigGAN itself")],
        *[("Mask coverage", name) for name in names],
    ]
    assert list(table.columns) == [
        "Paper", "Study", "Study, cached", "Reference run", "This run (mini)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "source"), [("Paper", "paper"), ("Study", "article"), ("Study, cached", "cached")]
)
def test_the_ablation_table_tells_what_others_reported(column, source, table):
    for (measure, removed), cell in table[column].items():
        (name,) = (k for k, v in names_cgnbook.REMOVED.items() if v == removed)
        score, coverage = TOLD[source].get(name, (None, None))
        value, digits = (score, 1) if measure == "Inception score" else (coverage, 2)
        assert cell == (NONE if value is None else f"{value:.{digits}f}"), (measure, removed)


def test_the_ablation_table_shows_means_and_spreads_of_ours(table):
    cells = table["This run (mini)"]
    assert cells["Inception score", "none"] == "6.00 ± 1.41 (2) [0.50]"
    assert cells["Mask coverage", "none"] == "0.38 ± 0.18 (2) [0.12]"
    assert cells["Inception score", "L_shape"] == "3.46 [0.25]"
    assert cells["Mask coverage", "L_shape"] == "0.25 [0.12]"
    assert cells["Inception score", "BigGAN itself"] == "9.00 [0.25]"
    assert cells["Inception score", "L_text"] == cells["Mask coverage", "L_rec"] == NONE
    assert set(table["Reference run"]) == {NONE}


def test_published_weights_have_a_row_where_they_were_run():
    reference = frame(("published", 0, scores(150.0, 0.3)))
    made = imagenet.ablation(reference, LIVE, "This run").set_index(["Measure", "Left out"])
    assert len(made) == 13
    for measure, cell in (("Inception score", "150.00 [0.25]"), ("Mask coverage", "0.30 [0.12]")):
        row = made.loc[measure, "none, published weights"]
        assert row["Reference run"] == cell
        assert row["This run"] == row["Paper"] == row["Study"] == NONE


def test_trends_are_held_or_not_with_their_change():
    trends = list(verdict.TRENDS)
    effects = {trend: -0.256 if i % 2 else 0.5 for i, trend in enumerate(trends)}
    judged = {
        "Paper": verdict.Verdict(verdict.PARTLY, effects, (trends[0], trends[3])),
        "Mine": verdict.Verdict(verdict.NOT_RUN, {}, ()),
    }
    made = imagenet.trends(judged)
    assert list(made.columns) == ["Trend in the paper", "Paper", "Mine"]
    assert list(made["Trend in the paper"]) == trends
    assert list(made["Paper"]) == [
        "yes (+50%)", "no (-26%)", "no (+50%)", "yes (-26%)", "no (+50%)", "no (-26%)",
    ]  # fmt: skip
    assert list(made["Mine"]) == [NONE] * 6


def test_quality_shows_readings_in_percent():
    masks = {"mask_iou": 0.5, "mask_binary": 0.75}
    names = ("shape", "texture", "background", "all")
    read = {f"{name}_read": share for name, share in zip(names, (0.1, 0.2, 0.3, 0.4), strict=True)}
    ours = frame(
        ("none", 0, masks | read),
        ("none", 1, masks | read | {"shape_read": 0.2, "mask_iou": 0.7}),
        ("texture", 0, masks | read),
        ("biggan", 0, scores(9.0)),
    )
    made = imagenet.quality({"Reference run": frame(("published", 0, masks)), "This run": ours})
    assert made[["Source", "Left out"]].values.tolist() == [
        ["Reference run", "none, published weights"],
        ["This run", "none"],
        ["This run", "L_text"],
    ]
    published, none, texture = made.drop(columns=["Source", "Left out"]).to_dict("records")
    assert none == {
        "Runs": 2, "Shape": "15 ± 7", "Texture": "20 ± 0", "Background": "30 ± 0",
        "All three": "40 ± 0", "Mask IoU": "0.60", "Mask binary": "75 ± 0",
    }  # fmt: skip
    assert texture["Runs"] == 1 and texture["Shape"] == "10"
    assert published["Shape"] == published["All three"] == NONE
    assert published["Mask IoU"] == "0.50"


def test_the_records_of_the_parts_are_facts_in_lines(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for name in shipped.NAMES:
        about = {"sha256": name + "0" * 40, "accuracy": 0.123456, "epochs": 3000}
        about |= {"iou": 0.5} if name == "u2net" else {}
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
    made = imagenet.pretrained().set_index("Fact")
    assert list(made.columns) == [imagenet.PARTS[name] for name in shipped.NAMES]
    assert list(made.index) == ["epochs", "accuracy", "mask IoU", "sha256, first 12 digits"]
    assert made["BigGAN"].tolist() == ["3,000", "0.1235", NONE, "biggan000000"]
    assert made["U2-Net"].tolist() == ["3,000", "0.1235", "0.5", "u2net0000000"]


def test_every_fact_of_the_shipped_parts_is_shown():
    facts = {fact for name in shipped.NAMES for fact in shipped.record(name)}
    assert facts <= set(imagenet.FACTS)


# --- figures


@pytest.fixture
def shown(monkeypatch):
    """The figures that are shown, instead of showing them."""
    plt.switch_backend("Agg")
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    monkeypatch.setattr(boxes, "box", lambda name, data, *sources, pictures: name)
    yield figures
    plt.close("all")


@pytest.fixture
def result(tmp_path):
    """Makes a result with grey samples: of 10 classes, each part has its own level."""

    def make(ablation, shift=0):
        run = experiments.quality(MINI, experiments.mechanisms(MINI, ablation, 0))
        folder = tmp_path / run.id
        folder.mkdir()
        names = ("mask", "premask", "fg", "bg", "x_gen", "x_gt")
        arrays = {
            name: np.full((10, 64, 64, 3), 10 * i + shift, np.uint8)
            + np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
            for i, name in enumerate(names)
        }
        arrays["counterfactual"] = np.zeros((24, 64, 64, 3), np.uint8)
        arrays["counterfactual"] += np.arange(24, dtype=np.uint8).reshape(24, 1, 1, 1)
        arrays["classes"] = np.arange(72).reshape(24, 3) % 10
        np.savez_compressed(folder / "samples.npz", **arrays)
        return runs.Result(run, folder)

    return make


def labels(axis, which):
    return [text.get_text() for text in getattr(axis, f"get_{which}ticklabels")()]


def levels(axis):
    """The grey in the middle of each tile."""
    canvas = axis.images[0].get_array()
    return canvas[32::66, 32::66, 0].tolist()


def test_panels_show_classes_by_parts(shown, result):
    assert imagenet.panels(result("none"), (2, 7)).markup == "panels"
    (figure,) = shown
    (axis,) = figure.axes
    assert levels(axis) == [[2, 12, 22, 32, 42, 52], [7, 17, 27, 37, 47, 57]]
    assert labels(axis, "y") == [CLASSES[2], CLASSES[7]]
    assert labels(axis, "x")[0] == "mask $m$" and len(labels(axis, "x")) == 6


def test_ablation_panels_show_one_class_of_each_cgn(shown, result):
    results = [result("none"), result("texture", 100)]
    assert imagenet.ablation_panels(results, 3).markup == "ablation-panels"
    (axis,) = shown[0].axes
    assert levels(axis) == [[3, 13, 23, 33, 43], [103, 113, 123, 133, 143]]  # without x_gt
    assert labels(axis, "y") == ["none", "$L_{text}$"]


@pytest.mark.parametrize("n", [6, 12])
def test_counterfactuals_carry_the_names_of_their_classes(n, shown, result):
    assert imagenet.counterfactuals(result("none"), n).markup == "counterfactuals"
    axes = shown[0].axes
    assert len(axes) == n
    for i, axis in enumerate(axes):
        assert levels(axis) == [[i]]
        names = [CLASSES[c % 10] for c in range(3 * i, 3 * i + 3)]
        assert axis.get_xlabel() == "\n".join(names)


def test_renderings_are_named_rows(shown):
    x = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 3, 64, 64)
    assert imagenet.renderings(iter([("up", x), ("down", x.flip(0))])).markup == "renderings"
    (axis,) = shown[0].axes
    assert labels(axis, "y") == ["up", "down"]
    assert levels(axis) == [[0, 128, 255], [255, 128, 0]]


def test_imagenet_classes_are_shown_by_number(result, shown):
    made = result("none")
    paper = experiments.profile("paper")
    run = experiments.quality(paper, experiments.mechanisms(paper, "none", 0))
    imagenet.panels(runs.Result(run, made.folder), (0, 9))
    assert labels(shown[0].axes[0], "y") == ["15", "947"]
