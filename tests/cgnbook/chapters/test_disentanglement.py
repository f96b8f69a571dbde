"""Disentanglement, what it is worth, and head maps: from records and runs."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cgnbook import drawing, page, records
from cgnbook.chapters import disentanglement
from cgnbook.names import NONE
from cgnbook.records import AUTHORS, TRAINED
from cgnlib.counterfactuals.draws import MECHANISMS
from cgnlib.experiments import ABLATIONS, VARIANTS

TRUTH = {"control": 0.9, "leak": 0.1, "disentanglement": 0.8}
CGN = {"control": 0.7, "leak": 0.3, "disentanglement": 0.4}
WORLDS = (*VARIANTS, "menagerie")


def rows(run, metrics, **more):
    blank = dict.fromkeys(records.COLUMNS, "")
    return [blank | {"run": run, "metric": m, "value": v} | more for m, v in metrics.items()]


def matrix(diagonal, off):
    """Of every mechanism and factor; diversity beside it."""
    return {f"moved_{a}_{b}": diagonal if a == b else off for a in MECHANISMS for b in MECHANISMS}


def diversity(shape, texture, background):
    return dict(
        zip((f"diversity_{m}" for m in MECHANISMS), (shape, texture, background), strict=True)
    )


@pytest.fixture
def frame():
    """Each world's renderer and one CGN; a reader of digits beside them, which has no source."""
    made = rows("reader-wildlife-s0", {"shape_accuracy": 0.9}, variant="wildlife")
    for variant in WORLDS:
        named = {"variant": variant, "generator": "trained-0", "removed": ""}
        true = TRUTH | matrix(1.0, 0.0) | diversity(0.2, 0.1, 0.0)
        of_cgn = CGN | matrix(0.8, 0.25) | diversity(0.1, 0.2, 0.3)
        made += rows(f"disentanglement-{variant}-truth-s0", true, variant=variant)
        if variant == "menagerie":
            named |= {"removed": "none"}
        made += rows(f"disentanglement-{variant}-g0-s0", of_cgn, **named)
    return pd.DataFrame(made, columns=records.COLUMNS)


@pytest.fixture
def scores(frame):
    return disentanglement.scores(frame)


def test_the_renderer_comes_first_in_each_world(scores):
    table = disentanglement.summary(scores)
    assert table["Data"].tolist() == [
        name for name in disentanglement.WORLDS.values() for _ in range(2)
    ]
    assert table.iloc[0].tolist() == ["C-MNIST", "the renderer", "90.0", "10.0", "80.0"]
    assert table.iloc[1].tolist() == ["C-MNIST", "CGN, seed 0", "70.0", "30.0", "40.0"]
    assert table.iloc[7, 1].startswith("CGN, all losses")


def test_a_share_is_a_part_of_what_the_renderer_scores(frame):
    cgns = disentanglement.cgns(disentanglement.scores(frame))
    assert cgns.set_index("variant").share.to_dict() == dict.fromkeys(WORLDS, pytest.approx(0.5))
    alone = frame[~frame.run.str.contains("-truth-")]  # without a renderer there is no share
    assert disentanglement.scores(alone).share.isna().all()


def test_leaks_are_those_of_the_cgns_that_are_named_as_the_first(frame):
    mine = frame.run == "disentanglement-menagerie-g0-s0"
    other = frame[mine].assign(run="disentanglement-menagerie-x-s0", removed="shape", value=1.0)
    again = frame[mine].assign(run="disentanglement-menagerie-none-s1", value=0.75)
    found = disentanglement.scores(pd.concat([frame, again, other]))
    assert disentanglement.leaks(found, "menagerie") == pytest.approx(
        {"leak-texture-truth": 0, "leak-background-truth": 0,
         "leak-texture-cgn": 50, "leak-background-cgn": 50}
    )  # fmt: skip


def test_diversity_is_a_share_of_the_renderers(scores):
    table = disentanglement.diversity(scores)
    assert len(table) == 4  # the renderer is what the others are measured by
    assert table.iloc[0, 2:].tolist() == ["50", "200", NONE]  # a black background has none


def test_points_are_shares_of_the_renderer_and_mean_accuracies(frame):
    shared = {"metric": "test_accuracy", "variant": "wildlife"}
    classifiers = pd.DataFrame(
        [
            shared | {"generator": "trained-0", "train_on": "cgn", "value": 0.4},
            shared | {"generator": "trained-0", "train_on": "cgn", "value": 0.6},
            shared | {"generator": "trained-0", "train_on": "original+cgn", "value": 1.0},
            shared | {"generator": "trained-1", "train_on": "cgn", "value": 1.0},
        ]
    )
    found = disentanglement.points(pd.concat([frame, classifiers]))
    assert found.to_dict("records") == [
        {"variant": "wildlife", "name": "CGN, seed 0", "share": pytest.approx(0.5), "n": 2,
         "accuracy": pytest.approx(0.5)},
    ]  # fmt: skip
    assert disentanglement.points(frame).empty


def test_heads_have_a_row_for_each_subject_that_was_asked():
    made = []
    for train_on, subjects in (("plain", ["plain"]), ("real", ["shape", "texture", "bg", "avg"])):
        for seed in (0, 1):
            for i, subject in enumerate(subjects):
                of = {"heat_inside": 0.2 + i / 10, "average_precision": 0.5}
                of |= {"heat_inside_swapped": 0.1 + seed / 10}
                named = {f"{layer}/{subject}/{m}": v for layer in ("fine", "study")
                         for m, v in of.items()}  # fmt: skip
                made += rows(f"head-maps-{train_on}-s{seed}", named, train_on=train_on, seed=seed)
    table = disentanglement.heads(pd.DataFrame(made, columns=records.COLUMNS))
    assert len(table) == 5 and list(table.columns[2:]) == ["Inside", "Swapped", "AP"]
    assert table.iloc[0, 2:].tolist() == ["20.0 (2)", "10.0–20.0 (2)", "50.0 (2)"]
    assert table["Inside"].tolist()[1:] == [f"{20 + 10 * i}.0 (2)" for i in range(4)]


# --- figures


def test_marks_say_in_percent_what_moves(frame, figures):
    disentanglement.moved(frame)
    lines = figures[0].axes[0].lines
    of = {name: [line.get_xdata()[0] for line in lines if line.get_label() == name]
          for name in ("the renderer", "CGN")}  # fmt: skip
    assert of == {"the renderer": [0] * 6, "CGN": [pytest.approx(25)] * 6}
    colours = [line.get_color() for line in lines if line.get_label() == "CGN"]
    assert colours[:2] == [drawing.CUES["texture"], drawing.CUES["background"]]


def test_a_factor_that_was_not_read_stays_blank(frame, figures):
    unread = frame.metric.str.endswith("_background") & (frame.variant == "colored")
    disentanglement.moved(frame[~unread | ~frame.metric.str.startswith("moved_")])
    lines = figures[0].axes[0].lines
    assert sum(line.get_label() == "CGN" for line in lines) == 4


def test_a_mark_for_each_cgn(figures):
    columns = ["variant", "name", "share", "n", "accuracy"]
    here = pd.DataFrame([("wildlife", "x", 0.5, 2, 0.4), ("colored", "x", 0.6, 2, 0.5)],
                        columns=columns)  # fmt: skip
    disentanglement.scatter({"This run (mini)": here, AUTHORS: here[:1]})
    (drawn,) = figures
    places = [
        [(x, y) for line in axis.lines for x, y in zip(*line.get_data(), strict=True)]
        for axis in drawn.axes
    ]
    assert places == [[pytest.approx((60, 50))], [], [pytest.approx((50, 40))] * 2]
    first, second = drawn.axes[2].lines
    assert first.get_marker() != second.get_marker()


def test_marks_are_told_apart_by_whose_cgn_it_is():
    this = page.tracked("disentanglement", "mini", *disentanglement.ON_DIGITS[1:])
    there = this.reference_of(*disentanglement.ON_DIGITS)
    found = disentanglement.kinds(disentanglement.points(there)[:2], there, this.label)
    assert [len(of) for of in found.values()] == [2, 12, 3]
    assert list(found) == [this.label, TRAINED, AUTHORS]


def test_scenes_of_the_first_cgn_stand_above_their_interventions(tmp_path, figures):
    results = []
    for variant in WORLDS:
        for name, level in (("truth", 10), ("first", 120), ("second", 250)):
            folder = tmp_path / f"{variant}-{name}"
            folder.mkdir()
            side = 64 if variant == "menagerie" else 32
            images = {
                row: np.full((8, side, side, 3), level + i, np.uint8)
                for i, row in enumerate(("base", *MECHANISMS))
            }
            np.savez(folder / "samples.npz", **images)
            run = SimpleNamespace(variant=variant, behind=None if name == "truth" else name)
            results.append(SimpleNamespace(run=run, folder=folder))
    disentanglement.interventions(results, n=5)
    (drawn,) = figures
    canvas = drawn.axes[3].images[0].get_array()
    assert [int(canvas[66 * row + 3, 3, 0]) for row in range(4)] == [120, 121, 122, 123]
    assert canvas.shape[1] == 5 * 66 - 2
    labels = [t.get_text() for t in drawn.axes[0].get_yticklabels()]
    assert labels == ["scene", "new shape", "new texture", "new background"]


def test_the_facts_of_the_text_are_those_of_the_table():
    found = disentanglement.scores(records.read("disentanglement", "mini"))
    of = disentanglement.of_cgns(found)
    shapes = [float(cell) for cell in disentanglement.diversity(found)["Shape"]]
    assert round(of["variety-least"]) == min(shapes) and round(of["variety-most"]) == max(shapes)
    assert 0 < of["diagonal"] <= 100 and 0 <= of["into-shape"] <= 100


def cgns(*accuracies, variant="colored"):
    """CGNs of rising disentanglement."""
    rows = [(variant, f"CGN, seed {i}", i / 10, 1, a) for i, a in enumerate(accuracies)]
    return pd.DataFrame(rows, columns=["variant", "name", "share", "n", "accuracy"])


def test_ranks_are_compared_within_a_variant():
    rhos, chance = disentanglement.association(cgns(0.1, 0.2, 0.9, 0.95))
    assert rhos == {"colored": pytest.approx(1)}
    assert chance == pytest.approx(1 / 24, abs=0.01)  # one order of four
    other = cgns(0.9, 0.5, 0.1, variant="wildlife")
    rhos, less = disentanglement.association(pd.concat([cgns(0.1, 0.2, 0.9, 0.95), other]))
    assert rhos["wildlife"] == pytest.approx(-1) and less > chance
    # worse on average, but as well ordered: a comparison across variants would see no order
    low = cgns(0.01, 0.02, 0.03, variant="wildlife").assign(share=[5.0, 6.0, 7.0])
    both, chance = disentanglement.association(pd.concat([cgns(0.7, 0.8, 0.9), low]))
    assert list(both.values()) == pytest.approx([1, 1]) and chance == pytest.approx(
        1 / 36, abs=0.01
    )


def test_an_order_by_chance_is_no_association():
    _, chance = disentanglement.association(cgns(0.5, 0.1, 0.9, 0.4))
    assert chance > 0.3
    assert disentanglement.association(cgns(0.1, 0.2)) == ({}, 1.0)


# --- CGNs made worse on purpose

SHARES = dict(zip(ABLATIONS, (0.6, 0.8, 0.5, 0.2, 0.4), strict=True))
LAST = tuple(ABLATIONS)[-1]


def learned(train_on, value, **more):
    metrics = dict.fromkeys(disentanglement.MEASURES, value)
    return rows("robustness", metrics, variant="menagerie", train_on=train_on, **more)


@pytest.fixture
def on_ablated():
    """Disentanglement of the renderer and of two CGNs a setting, and of a CGN of another world; a
    classifier for each CGN but the last, the plain one, and two that saw no counterfactuals."""
    made = rows("disentanglement-menagerie-truth-s0", {"disentanglement": 0.5},
                variant="menagerie", removed="truth")  # fmt: skip
    made += rows("disentanglement-colored-g0-s0", {"disentanglement": 0.1},
                 variant="colored", generator="trained-0")  # fmt: skip
    made += learned("plain", 0.9) + learned("real", 0.2) + learned("real", 0.4)
    for ablation, share in SHARES.items():
        for seed in (0, 1):
            named = {"removed": ablation, "generator": f"trained-{seed}", "variant": "menagerie"}
            found = {"disentanglement": share / 2 + seed / 100, "control": 0.9}
            made += rows(f"disentanglement-menagerie-{ablation}-s{seed}", found, **named)
            if (ablation, seed) != (LAST, 1):
                of = {name: named[name] for name in ("removed", "generator")}
                made += learned("real+cgn", share**2, **of)
    return pd.DataFrame(made, columns=records.COLUMNS).astype({"value": float})


def test_a_point_joins_a_cgn_and_the_classifier_that_learned_from_it(on_ablated):
    found = disentanglement.made_worse(on_ablated).set_index(["removed", "generator"])
    assert len(found) == 2 * len(ABLATIONS) - 1  # nothing learned from the last CGN
    assert (LAST, "trained-1") not in found.index
    for (ablation, generator), of in found.iterrows():
        share = SHARES[ablation] + 0.02 * (generator == "trained-1")
        assert of.share == pytest.approx(share)
        assert of["shape/cue_shape"] == pytest.approx(SHARES[ablation] ** 2)


def test_correlations_are_of_ranks(on_ablated):
    found = disentanglement.made_worse(on_ablated)
    assert 0.9 < disentanglement.rho_shape(found) < 1  # ties of two seeds, otherwise in order
    found["shape/cue_shape"] = -found.share
    assert disentanglement.rho_shape(found) == pytest.approx(-1)


def test_a_mark_stands_for_each_cgn_made_worse(on_ablated, figures):
    disentanglement.worse_scatter(on_ablated)
    for axis in figures[0].axes:
        marks = sum(len(line.get_xdata()) for line in axis.lines[:-1])
        assert marks == len(disentanglement.made_worse(on_ablated))
        assert axis.lines[-1].get_ydata()[0] == pytest.approx(30)
