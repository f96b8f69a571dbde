"""How many counterfactuals: the study's numbers, the rule, tables and figure."""

from itertools import product

import pandas as pd
import pytest

from cgnbook import page, records
from cgnbook.chapters import set_size
from cgnbook.chapters.set_size import Effect, Steps
from cgnbook.names import NONE
from cgnlib.experiments import VARIANTS


def cells(accuracy, sizes=(100, 1000), ratios=(1, 10), seeds=2, longer=None):
    """Classifiers of W-MNIST: accuracy(size, ratio), a seed 0.02 above the other.

    longer: the accuracy of the smallest set, at one a shape, with more passes.
    """
    rows = [
        ("wildlife", size, ratio, 10, False, accuracy(size, ratio) + 0.02 * seed)
        for size, ratio, seed in product(sizes, ratios, range(seeds))
    ]
    if longer is not None:
        rows.append(("wildlife", sizes[0], 1, 100, True, longer))
    return pd.DataFrame(rows, columns=set_size.COLUMNS)


def by_size(size, ratio):
    return 0.2 if size == 100 else 0.8


# --- the study


def told():
    return set_size.sources(page.tracked("set-size", "mini"))["Study"]


def test_the_studys_numbers_are_those_of_its_file():
    """method 4.4: 50.31 and 84.86 on W-MNIST; the ratio 20 was left out on C-MNIST"""
    found = told()
    assert len(found) == 33 and set(found.variant) == set(VARIANTS)
    by = found.set_index(["variant", "size", "per_shape"]).accuracy
    assert by["wildlife", 10_000, 1] == pytest.approx(0.5031)
    assert by["wildlife", 1_000_000, 20] == pytest.approx(0.8486)
    assert by["colored", 100_000, 5] == pytest.approx(0.9323)
    assert set(found[found.variant == "colored"].per_shape) == {1, 5, 10}


def test_the_study_reads_its_own_numbers_as_the_rule_does():
    """Its reading: size matters, the ratio does not."""
    found = set_size.effects(told())
    assert {set_size.judge(found[v]) for v in VARIANTS} == {set_size.ALONE}
    assert found["wildlife"].rise > found["double_colored"].rise > found["colored"].rise > 0


# --- the rule


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        (None, set_size.NOT_RUN),
        (Effect(0.019, 0.0), set_size.NO_RISE),
        (Effect(-0.5, 0.1), set_size.NO_RISE),
        (Effect(0.3, 0.0), set_size.ALONE),
        (Effect(0.3, 0.15), set_size.ALONE),
        (Effect(0.3, 0.16), set_size.BOTH),
    ],
)
def test_the_rule(effect, outcome):
    assert set_size.judge(effect) == outcome


@pytest.mark.parametrize(
    ("many", "more", "outcome"),
    [
        (0.2, 0.6, set_size.IMAGES),
        (0.39, 0.6, set_size.IMAGES),
        (0.41, 0.6, set_size.STEPS),
        (0.7, 0.6, set_size.STEPS),
        (0.9, 0.21, set_size.NO_RISE),
    ],
)
def test_what_is_behind_a_gain(many, more, outcome):
    assert set_size.behind(Steps(100, 10, 1000, 0.2, many, more)) == outcome
    assert set_size.behind(None) == set_size.NOT_RUN


def test_only_what_makes_a_difference_has_an_effect():
    (size,) = set_size.effects(cells(by_size)).values()
    assert (size.rise, size.ratio) == (pytest.approx(0.6), pytest.approx(0))
    (ratio,) = set_size.effects(cells(lambda _, ratio: ratio / 20)).values()
    assert (ratio.rise, ratio.ratio) == (pytest.approx(0), pytest.approx(0.45))


def test_more_passes_over_the_smallest_set_are_no_part_of_the_rise():
    assert set_size.effects(cells(by_size, longer=0.51)) == set_size.effects(cells(by_size))


def test_more_passes_stand_beside_a_set_that_takes_as_many_steps():
    found = cells(by_size, sizes=(100, 500, 1000, 9000), longer=0.51)
    (of,) = set_size.repeated(found).values()
    assert (of.size, of.passes, of.larger) == (100, 100, 1000)  # 9000 has more steps
    assert (of.few, of.many, of.more) == pytest.approx((0.21, 0.51, 0.81))  # means of two seeds
    assert of.share == pytest.approx(0.5)
    table = set_size.steps({"here": found, "there": cells(by_size)})
    assert table.to_numpy().tolist() == [
        ["here", "W-MNIST", "21.0 (100 images)", "51.0 (100 passes)", "81.0 (1,000 images)"]
    ]


def test_the_larger_set_has_the_same_ratio():
    found = cells(by_size, longer=0.51)
    found = found[(found["size"] == 100) | (found.per_shape == 10)]
    (of,) = set_size.repeated(found).values()
    assert of.larger == 100 and of.more == of.few


@pytest.mark.parametrize("accuracy", [by_size, lambda size, ratio: 0.1])
def test_sizes_with_one_ratio_and_the_order_of_rows_change_nothing(accuracy):
    found = cells(accuracy)
    alone = cells(lambda *_: 0.99, sizes=(500, 5000), ratios=(1,))
    more = pd.concat([alone, found]).sample(frac=1, random_state=0)
    assert set_size.effects(more) == set_size.effects(found)


@pytest.mark.parametrize(
    "some", [{"sizes": (100,)}, {"ratios": (1,)}, {"sizes": (100, 1000), "ratios": ()}]
)
def test_a_part_of_the_grid_decides_nothing(some):
    found = cells(by_size, **some)
    assert set_size.effects(found) == {}
    table = set_size.by_rule({"here": found})
    assert table.to_numpy().tolist() == [["here", NONE, NONE, NONE, set_size.NOT_RUN]]


def test_verdicts_have_a_row_for_what_each_source_has():
    table = set_size.by_rule({"here": cells(by_size), "Study": told()})
    assert table.iloc[0].tolist() == ["here", "W-MNIST", "+60.0", "0.0", set_size.ALONE]
    assert table["Source"].tolist() == ["here"] + 3 * ["Study"]


# --- from records


def frame(*rows):
    """Records of the claim, one number a row; rows: (size, per_shape, epochs, metric, value)."""
    made = []
    for size, per_shape, epochs, metric, value in rows:
        row = dict.fromkeys(records.columns("set-size"), "") | {"metric": metric, "value": value}
        row |= {"size": size, "per_shape": per_shape, "epochs": epochs}
        made.append(row | {"variant": "colored", "train_on": "cgn"})
    return pd.DataFrame(made, columns=records.columns("set-size"))


def test_cells_are_test_accuracies_and_know_who_trained_longer():
    found = set_size.cells(
        frame(
            (100, 1, 1, "test_accuracy", 0.1),
            (100, 1, 1, "train_accuracy", 0.9),
            (100, 1, 10, "test_accuracy", 0.3),
        )
    )
    assert list(found.columns) == set_size.COLUMNS
    assert found.accuracy.tolist() == [0.1, 0.3] and found.longer.tolist() == [False, True]


def test_no_records_make_no_cells():
    assert set_size.cells(frame()).empty and set_size.effects(set_size.cells(frame())) == {}


def test_a_mark_for_each_ratio_and_a_ring_for_more_passes(monkeypatch, page_of, figures):
    here = {"Study": told(), "This run (x)": cells(by_size, longer=0.5)}
    monkeypatch.setattr(set_size, "sources", lambda this: here)
    set_size.curves(page_of("set-size"))
    wildlife = figures[0].axes[2]
    (ring,) = [line for line in wildlife.lines if line.get_markerfacecolor() == "none"]
    assert ([*ring.get_xdata()], [*ring.get_ydata()]) == ([100 * 100], [50.0])
    names = {line.get_label() for line in wildlife.lines}
    assert {"This run (x), 1 a shape", "This run (x), 10 a shape", "Study, mean"} <= names
    assert all(axis.get_ylim() == (0, 100) for axis in figures[0].axes)


def test_the_rule_is_counted_over_variants():
    found = {
        "study": {"colored": Effect(0.3, 0.01), "wildlife": Effect(0.3, 0.29)},
        "live": {"colored": Effect(0.0, 0.0)},
    }
    assert set_size.held(found) == (
        "on 1 of 2 variants in the study's numbers and on 0 of 1 variants in this run"
    )
