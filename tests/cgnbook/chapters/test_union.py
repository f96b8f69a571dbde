"""The chapter on the union: the rule for the fall, its tables, its figure."""

from itertools import product

import pandas as pd
import pytest

from cgnbook import records
from cgnbook.chapters import union
from cgnbook.chapters.union import Change
from cgnbook.names import NONE
from cgnlib.experiments import VARIANTS

HERE = "This run (mini)"
SHAPE = {  # by training set: shape followed on real images, and on counterfactuals
    "original": (0.0, 0.0),
    "cgn": (0.8, 0.9),
    "original+cgn": (0.6, 0.9),
    "original+decorrelated": (0.9, 0.7),
}


def frame(shape=SHAPE, background=0.1, seeds=(0, 1)):
    """Seeds differ by 0.1 in accuracy and in nothing else."""
    rows = []
    for train_on, (real, made) in shape.items():
        metrics = {"domain_read": 0.75, "real_follows_shape": real, "cgn_follows_shape": made}
        metrics |= {f"{d}_follows_foreground": 0.0 for d in ("real", "cgn")}
        metrics |= {f"{d}_follows_background": background for d in ("real", "cgn")}
        for seed in seeds:
            for metric, value in (metrics | {"real_accuracy": real + seed / 10}).items():
                row = dict.fromkeys(records.COLUMNS, "") | {"metric": metric, "seed": seed}
                rows.append(row | {"train_on": train_on, "value": value})
    return pd.DataFrame(rows, columns=records.COLUMNS)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (None, union.NOT_RUN),
        (Change(0.09, 0.0, 0.5), union.NO_FALL),
        (Change(-0.3, 0.5, 0.5), union.NO_FALL),
        (Change(0.2, 0.02, 0.2), union.GATE),
        (Change(0.2, -0.1, 0.11), union.GATE),
        (Change(0.2, 0.1, 0.2), union.GENERAL),
        (Change(0.2, 0.02, 0.05), union.UNEXPLAINED),
    ],
)
def test_the_rule(found, outcome):
    assert union.explain(found) == outcome


def test_a_larger_loss_on_counterfactuals_speaks_against_a_gate():
    outcomes = [union.explain(Change(0.2, lost / 100, 0.2)) for lost in range(0, 21)]
    assert outcomes == [union.GATE] * 10 + [union.GENERAL] * 11


def test_the_change_is_from_counterfactuals_alone_to_the_union():
    found = union.change(union.means(frame()))
    assert found == Change(pytest.approx(0.2), pytest.approx(0.0), pytest.approx(0.0))
    to_control = union.change(union.means(frame()), union="original+decorrelated")
    assert to_control.real == pytest.approx(-0.1)
    assert to_control.counterfactual == pytest.approx(0.2)


def test_a_missing_classifier_leaves_nothing_to_explain():
    some = {k: v for k, v in SHAPE.items() if k != "original+cgn"}
    assert union.change(union.means(frame(some))) is None
    assert union.means(pd.DataFrame(columns=records.COLUMNS)) == {}


def test_accuracies_stand_beside_the_study(page_of):
    """method 4.4: 62.8 in the study, 85.7 in the paper"""
    some = {k: v for k, v in SHAPE.items() if k != "original+decorrelated"}
    table = union.accuracy(page_of("union", frame(), union=frame(some, seeds=(0,))))
    assert list(table.columns) == ["Trained on", "Paper", "Study", "Trained here (full)", HERE]
    row = table.set_index("Trained on").loc["Original + CGN"]
    assert row.tolist() == ["85.7", "62.8", "60.0", "60.0–70.0 (2)"]
    assert table.iloc[-1, 1:].tolist() == [NONE, NONE, NONE, "90.0–100.0 (2)"]


def test_shares_of_answers_sum_to_all():
    table = union.followed(frame(background=0.05))
    assert len(table) == 8
    assert table.iloc[2].tolist() == ["CGN", "real", "80.0", "0.0", "5.0", "15.0"]
    sums = table.iloc[:, 2:].astype(float).sum(axis=1)
    assert sums.tolist() == pytest.approx([100] * 8)


def crossing(share):
    """Metrics of a classifier: share(shape, texture, background) names the background."""
    return {
        f"{'_'.join(parts)}_follows_background": share(*parts)
        for parts in product(union.DOMAINS, repeat=3)
    }


def crossing_frame(**shares):
    rows = []
    for train_on, share in shares.items():
        for metric, value in crossing(share).items():
            row = dict.fromkeys(records.COLUMNS, "") | {"metric": metric, "value": value}
            rows.append(row | {"train_on": train_on})
    return pd.DataFrame(rows, columns=records.COLUMNS)


def test_an_effect_belongs_to_the_part_that_makes_it():
    alone = union.effects(crossing(lambda m, f, b: 0.4 * (b == "real")), "background")
    assert alone == pytest.approx({"shape": 0, "texture": 0, "background": 0.4})
    both = crossing(lambda m, f, b: 0.1 * (m == "real") - 0.2 * (f == "real"))
    found = union.effects(both, "background")
    assert found == pytest.approx({"shape": 0.1, "texture": -0.2, "background": 0})
    joint = crossing(lambda m, f, b: 0.4 * (m == b == "real"))  # shared where both are needed
    found = union.effects(joint, "background")
    assert found == pytest.approx({"shape": 0.2, "texture": 0, "background": 0.2})
    assert union.effects({}, "background") is None


def test_what_a_part_adds_is_said_in_points(page_of):
    asked = crossing_frame(cgn=lambda m, f, b: 0.3 * (b == "real"), original=lambda *_: 0.5)
    table = union.added(page_of("union", asked, union=frame()), "background")
    assert table.to_numpy().tolist() == [
        [HERE, "Original", "+0.0", "+0.0", "+0.0"],
        [HERE, "CGN", "+0.0", "+0.0", "+30.0"],
    ]


def test_probes_have_a_row_for_each_classifier(page_of):
    table = union.probes(page_of("union", frame({"cgn": (0.8, 0.9)}, seeds=(0,))))
    assert table[HERE].tolist() == [NONE, "75.0", NONE, NONE]


def test_a_bar_for_each_share(page_of, figures):
    union.bars(page_of("union", frame(), union=frame()))
    [axis] = figures[0].axes
    assert len(axis.patches) == 32
    widths = [bar.get_width() for bar in axis.patches]
    assert sum(widths) == pytest.approx(800) and min(widths) >= -1e-9


# --- mixtures of originals and counterfactuals

MIXED = {0.1: (0.8, 0.02, 0.01), 0.5: (0.6, 0.2, 0.02), 0.9: (0.2, 0.6, 0.5)}


def mixtures(seeds=(0, 1)):
    """By share, on every variant: accuracy, and backgrounds named on real images and on
    counterfactuals."""
    rows = []
    for share, (accuracy, real, made) in MIXED.items():
        metrics = {"test_accuracy": accuracy, "real_follows_background": real}
        metrics |= {"cgn_follows_background": made, "real_follows_shape": accuracy}
        metrics |= {"cgn_follows_shape": 0.9 - made, "real_follows_foreground": 0.0}
        for metric, value in (metrics | {"cgn_follows_foreground": 0.0}).items():
            for variant, seed in product(VARIANTS, seeds):
                row = {"variant": variant, "share": share, "metric": metric, "seed": seed}
                rows.append(row | {"value": value + seed / 100})
    return pd.DataFrame(rows)


ENDS = {"cgn": [0.8, 0.82], "original": [0.1], "original+cgn": [0.7, 0.6]}


@pytest.fixture
def mixed(page_of):
    """The page of a reference run whose mixtures have some seeds."""
    claim_3 = pd.DataFrame(
        {
            "variant": v,
            "train_on": t,
            "generator": "published",
            "metric": "test_accuracy",
            "value": a,
        }
        for v in VARIANTS
        for t, of in ENDS.items()
        for a in of
    )

    def make(seeds=(0, 1)):
        reference = {"union": frame(background=0.0), "union_shares": mixtures(seeds)}
        return page_of("union", frame(), **reference, claim_3_mnist=claim_3)

    return make


def test_mixtures_lie_between_the_two_ends(mixed):
    found = union.by_share(mixed())["wildlife"]
    assert list(found) == [0.0, 0.1, 0.5, 0.9, 1.0]
    assert found[0.0] == [0.8, 0.82] and found[0.5] == pytest.approx([0.6, 0.61])


def test_the_rule_is_put_to_every_mixture(mixed):
    this = mixed(seeds=(0,))
    looks = union.by_look(this)
    assert list(looks) == [0.0, 0.1, 0.5, 0.9, 1.0] and looks[0.0]["real_follows_shape"] == 0.8
    found = union.mixtures(this)
    assert found["rule-half"] == union.GATE and found["rule-most"] == union.GENERAL
    assert found["lost-half"] == pytest.approx(21) and found["lost-most"] == pytest.approx(61)
    assert (found["fall-least"], found["fall-most"]) == pytest.approx((10, 22))
    assert found["half-real-background"] == pytest.approx(20)


def test_the_figure_shows_every_share(mixed, figures):
    union.tipping(mixed())
    *panels, last = figures[0].axes
    assert len(panels) == 3 and len(last.lines) == 4
    for mean, *points in (panel.lines for panel in panels):
        assert list(mean.get_xdata()) == [0, 10, 50, 90, 100]
        assert len(points) == 5 and len(points[0].get_xdata()) == len(ENDS["cgn"])
    for line in last.lines:
        assert list(line.get_xdata()) == [0, 10, 50, 90, 100]
