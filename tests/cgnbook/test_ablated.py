"""Classifiers on ablated CGNs: points, table, correlations and the figure, from records."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cgnbook import ablated, records
from cgnbook.names import NONE
from cgnlib.experiments import ABLATIONS

SHARES = dict(zip(ABLATIONS, (0.6, 0.8, 0.5, 0.2, 0.4), strict=True))


def row(**more):
    return dict.fromkeys(records.COLUMNS, "") | {"variant": "menagerie"} | more


def learned(train_on, value, **more):
    return [row(metric=m, value=value, train_on=train_on, **more) for m in ablated.MEASURES]


@pytest.fixture
def scores():
    """Disentanglement of the renderer, of two CGNs a setting, and of a CGN of another world."""
    made = [row(run="disentanglement-menagerie-truth-s0", removed="truth", value=0.5)]
    for ablation, share in SHARES.items():
        for seed in (0, 1):
            run = f"disentanglement-menagerie-{ablation}-s{seed}"
            named = {"removed": ablation, "generator": f"trained-{seed}"}
            made.append(row(run=run, value=share / 2 + seed / 100, **named))
    made.append(row(run="disentanglement-colored-g0-s0", generator="trained-0", value=0.1)
                | {"variant": "colored"})  # fmt: skip
    frame = pd.DataFrame(made, columns=records.COLUMNS).assign(metric="disentanglement")
    return pd.concat([frame, frame.assign(metric="control", value=0.9)])


@pytest.fixture
def classifiers():
    """One for each CGN but the last, the plain one, and three heads without counterfactuals."""
    made = learned("plain", 0.9) + learned("real", 0.2) + learned("real", 0.4)
    for ablation, share in SHARES.items():
        for seed in (0, 1):
            if (ablation, seed) != (tuple(ABLATIONS)[-1], 1):
                named = {"removed": ablation, "generator": f"trained-{seed}", "seed": seed}
                made += learned("real+cgn", share**2, **named)
    return pd.DataFrame(made, columns=records.COLUMNS)


def test_a_point_joins_a_cgn_and_the_classifier_that_learned_from_it(scores, classifiers):
    found = ablated.points(scores, classifiers).set_index(["removed", "generator"])
    assert len(found) == 2 * len(ABLATIONS) - 1  # nothing learned from the last CGN
    assert (tuple(ABLATIONS)[-1], "trained-1") not in found.index
    for (ablation, generator), of in found.iterrows():
        share = SHARES[ablation] + 0.02 * (generator == "trained-1")
        assert of.share == pytest.approx(share)
        assert of["shape/cue_shape"] == pytest.approx(SHARES[ablation] ** 2)


def test_the_summary_ends_with_the_classifier_without_counterfactuals(scores, classifiers):
    table = ablated.summary(ablated.points(scores, classifiers), classifiers)
    assert len(table) == len(ABLATIONS) + 1
    assert table["Disentanglement"].tolist()[0] == "61.0 ± 1.4"
    assert table.iloc[4, 1] == "40.0"  # a single one has no spread
    assert table.iloc[-1].tolist()[:3] == ["no counterfactuals", NONE, "30.0 ± 14.1"]


def test_correlations_are_of_ranks(scores, classifiers):
    found = ablated.points(scores, classifiers)
    facts = ablated.facts(found)
    assert facts["n-cgns"] == len(found)
    assert 0.9 < facts["rho-shape"] < 1  # ties of two seeds, otherwise in order
    found["shape/cue_shape"] = -found.share
    assert ablated.facts(found)["rho-shape"] == pytest.approx(-1)


def test_a_mark_stands_for_each_cgn(scores, classifiers, monkeypatch):
    kept = []
    monkeypatch.setattr(ablated.evidence, "show", lambda *_: kept.append(plt.gcf()))
    found = ablated.points(scores, classifiers)
    ablated.scatter(found, classifiers)
    for axis in kept[0].axes:
        marks = axis.lines[:-1]
        assert sum(len(line.get_xdata()) for line in marks) == len(found)
        assert axis.lines[-1].get_ydata()[0] == pytest.approx(30)
    plt.close("all")
