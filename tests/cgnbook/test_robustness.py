"""Shape bias and backgrounds: from records to tables, figures and what verdicts are made from."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cgnbook import heads as robustness
from cgnbook import records, robustness_figures
from cgnbook import verdict as verdicts
from cgnbook.names import NONE
from cgnlib import experiments
from cgnlib.measures import decisions

EMPTY = pd.DataFrame(columns=records.COLUMNS)
MEASURES = ("real_top1", "real_top5", "counterfactual_top1", "shape_bias", "original")
MEASURES += ("mixed_same", "mixed_rand", "bg_gap", "cue_conflict")
CUES = {"cue_shape": 0.1, "cue_texture": 0.2, "cue_background": 0.6, "cue_neither": 0.1}


def frame(**subjects):
    """Records: by `training set / subject` (as real_cgn__shape), {measure: one value a seed}."""
    rows = []
    for name, of in subjects.items():
        train_on, subject = name.split("__")
        for measure, values in of.items():
            for seed, value in enumerate(values):
                row = dict.fromkeys(records.COLUMNS, "")
                row |= {"train_on": train_on.replace("_", "+"), "seed": seed, "value": value}
                rows.append(row | {"metric": f"{subject}/{measure}"})
    return pd.DataFrame(rows, columns=records.COLUMNS)


def every(value, **of):
    return {m: [value, value] for m in MEASURES} | {m: [v, v] for m, v in CUES.items()} | of


@pytest.fixture
def live():
    invariant = {
        f"real_cgn__{subject}": every(0.5)
        for subject in ("shape", "texture", "bg", "avg", "shape_texture")
    }
    invariant["real_cgn__shape"] = every(0.5, shape_bias=[0.7, 0.8])
    invariant["real_cgn__bg"].pop("shape_bias")  # undefined
    control = {f"real__{s}": every(0.4) for s in ("avg", "shape_texture")}
    return frame(plain__plain=every(0.25), **control, **invariant)


def test_measures_are_sorted_by_training_set_and_subject(live):
    by = robustness.measured(live)
    assert list(by) == ["plain", "real", "real+cgn"]
    assert by["plain"]["plain"]["bg_gap"] == [0.25, 0.25]
    assert by["real+cgn"]["shape"]["shape_bias"] == [0.7, 0.8]
    counted = frame(plain__plain={"bg_gap": [1]})
    counted["metric"] = "real_images"  # belongs to no subject
    assert robustness.measured(counted) == {}


def test_the_verdicts_get_plain_and_heads(live):
    by = robustness.measured(live)
    bias = robustness.biases(by)
    assert bias["plain"] == [0.25, 0.25] and bias["shape"] == [0.7, 0.8] and bias["bg"] == []
    assert robustness.gaps(by)["shape_texture"]["mixed_rand"] == [0.5, 0.5]
    assert verdicts.shape_heads(bias).outcome == verdicts.REPRODUCED
    assert verdicts.shape_heads(robustness.biases({})).outcome == verdicts.NOT_RUN
    assert verdicts.backgrounds(robustness.gaps({})).outcome == verdicts.NOT_RUN


def test_reported_numbers_in_the_form_of_ours():
    """method 8.3 and 8.4"""
    paper, study = (
        robustness.told_biases(s, d) for s, d in (("paper", "in"), ("article", "in-mini"))
    )
    wanted = {"plain": 0.221, "shape": 0.548, "texture": 0.167, "bg": 0.229}
    assert {name: value for name, (value,) in paper.items()} == pytest.approx(wanted)
    assert (study["shape"], study["texture"]) == ([pytest.approx(0.491)], [pytest.approx(0.205)])
    gaps = robustness.told_gaps("article", "in-mini+cgn")
    assert gaps["plain"] == {"bg_gap": [pytest.approx(0.073)], "mixed_rand": [pytest.approx(0.789)]}
    (gap,), (rand,) = gaps["shape_texture"]["bg_gap"], gaps["shape_texture"]["mixed_rand"]
    assert (gap, rand) == pytest.approx((0.049, 0.683))


def test_the_papers_numbers_pass_and_the_studys_gap_closes_from_above():
    assert verdicts.shape_heads(robustness.told_biases("paper", "in")).outcome == "reproduced"
    paper = verdicts.backgrounds(robustness.told_gaps("paper", "in+cgn"))
    study = verdicts.backgrounds(robustness.told_gaps("article", "in-mini+cgn"))
    assert (paper.outcome, study.outcome) == (verdicts.REPRODUCED, verdicts.PARTLY)
    assert study.met == ("the gap between backgrounds narrows",)


def test_the_range_over_cached_epochs():
    told = robustness.told_epochs()
    assert (told["epoch-low"], told["epoch-high"]) == (46.3, 57.8)
    assert (told["told-shape"], told["told-texture"], told["told-bg"]) == (9.66, 84.12, 27.53)


def test_the_shape_bias_table(live):
    table = robustness.shape_bias(EMPTY, live, "here").set_index(["Measure", "Who decides"])
    shape = table.loc[("Shape bias", "shape head")]
    assert shape.to_dict() == {
        "Paper": "54.8", "Study": "49.1", "Reference run": NONE, "here": "75.0 ± 7.1",
    }  # fmt: skip
    assert table.loc[("Shape bias", "background head"), "here"] == NONE  # undefined is no 0
    assert table.loc[("Top-5 accuracy", "mean of the heads"), "Study"] == "79.1"


def test_the_background_table(live):
    table = robustness.backgrounds(EMPTY, live, "here").set_index(["Test images", "Who decides"])
    gap = table.loc[("BG-gap", "shape and texture heads")]
    assert gap.to_list() == ["3.3", "4.9", NONE, "50.0 ± 0.0"]
    assert table.loc[("Mixed-Rand", "mean of the heads"), "Study"] == "65.5"
    assert table.loc[("Original", "plain classifier"), "Paper"] == "95.6"


def test_every_row_of_the_studys_background_table_is_there():
    table = robustness.borrowed()
    rows = {tuple(row) for row in table.itertuples(index=False)}
    assert ("IN", "95.6", "86.2", "78.9", "7.3", "borrowed") in rows
    assert ("Mixed-Rand", "73.3", "71.5", "71.3", "0.2", "borrowed") in rows
    assert ("IN-mini + CGN", "89.4", "75.4", "66.7", "5.0", "talk") in rows
    assert ("IN-mini + CGN", NONE, NONE, NONE, "8.7", "talk, subtracted") in rows
    assert ("IN-mini + CGN", "87.1", "73.5", "68.5", "4.9", "recomputed") in rows
    assert not table.astype(str).apply(lambda c: c.str.contains("±")).any(axis=None)


def test_contradictions_are_numbers_that_several_sources_give():
    bias = robustness.contradictions("shape-bias").set_index(["Trained on", "Number"])
    talk = bias.loc[("IN + CGN, shape head", "shape bias"), "Talk"]
    assert talk == "54.8 / 57.6"
    assert bias.loc[("IN-mini + CGN", "top-1"), "Cached"] == "56.2"
    ground = robustness.contradictions("backgrounds")
    assert set(ground["Number"]) == {"BG-gap", "IN-9", "Mixed-Rand", "Mixed-Same"}


def test_the_real_stimuli_are_read_from_the_tracked_decisions():
    runs = experiments.grid("full", "real-stimuli")
    table = robustness.real_stimuli(runs)
    for run, row in zip(runs, table.itertuples(index=False), strict=False):
        tracked = decisions.read(records.decisions_of(run))
        assert len(tracked) == 1280
        bias = decisions.shape_bias(tracked)
        assert bias.n == 1200 and row[1].startswith(f"{100 * bias.value:.1f} (")
        assert (row[2], row[3]) == (str(bias.n_shape), str(bias.n_texture))
    assert table.iloc[-2:, 1].tolist() == ["95.9", "22.1"]


def test_the_records_of_the_real_stimuli_are_those_of_their_decisions():
    tracked = records.read("real-stimuli", "full")
    for run in experiments.grid("full", "real-stimuli"):
        mine = tracked[tracked.run == run.id].set_index("metric")
        assert (mine.spec == run.digest()).all()
        bias = decisions.shape_bias(decisions.read(records.decisions_of(run)))
        value = mine.loc["efficientnet-lite0/shape_bias"]
        assert float(value["value"]) == pytest.approx(bias.value) and int(value["n"]) == 1280


def test_out_of_distribution_sets_have_dashes_where_nothing_ran(live):
    table = robustness.out_of_distribution({"mini": live}).set_index("Images")
    assert table.loc["IN-mini"].to_list() == ["75.6", "56.8", "25.0 ± 0.0", "50.0 ± 0.0"]
    assert table.loc["IN-Sketch"].to_list() == ["24.1", "11.8", NONE, NONE]


def test_heads_and_layouts(live):
    heads = robustness.counterfactual_heads(live)
    assert set(heads["Who decides"]) == {
        "plain classifier", "shape head", "texture head", "background head",
    }  # fmt: skip
    assert len(robustness.head_by_head(live)) == 8
    layouts = robustness.layouts().set_index("Folder")
    assert layouts.loc["in9", "Images"] == "4,050"
    assert layouts.loc["imagenet", "Images"] == "1,281,167 / 50,000"


def test_judged_shows_what_counts():
    verdict = verdicts.Verdict(verdicts.PARTLY, {"a": 0.5, "b": -0.01}, ("a",))
    table = robustness.judged(verdict)
    assert table["Found"].tolist() == ["+50.0 points", "-1.0 points"]
    assert table["Counts"].tolist() == [True, False]


@pytest.fixture
def axes(monkeypatch):
    """The axes of the figure that is drawn, when it is shown."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.gcf().axes))
    yield shown
    plt.close("all")


@pytest.fixture
def as_records(monkeypatch, live):
    monkeypatch.setattr(records, "frame", lambda results: live)


def test_the_bars_add_up(as_records, axes):
    robustness_figures.cue_shares([])
    (axis,) = axes
    ends = [bar.get_x() + bar.get_width() for bar in axis.patches]
    assert len(ends) == 6 * 4 and max(ends) == pytest.approx(100)
    assert len(axis.get_yticklabels()) == 6


def test_a_line_for_each_seed(as_records, axes):
    robustness_figures.background_lines([])
    (axis,) = axes
    assert len(axis.lines) == 4 * 2
    assert list(axis.lines[0].get_ydata()) == [25, 25, 25]


def test_the_menageries_tests_are_drawn(axes):
    robustness_figures.menagerie_tests(n=2)
    (axis,) = axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [
        "cue conflict", "original", "mixed-same", "mixed-rand",
    ]  # fmt: skip
