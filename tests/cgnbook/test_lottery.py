"""The lottery of retraining: what the study counted, what was measured here, and their picture."""

import pytest

from cgnbook import lottery, page
from cgnbook.records import AUTHORS, TRAINED


@pytest.fixture(scope="module")
def this():
    return page.tracked("claim-1-mnist", "mini", "claim-3-mnist", "edge-loss")


def test_the_studys_retrainings_are_those_of_its_file(this):
    """method 2.9: of 47 as published 4, 8, 13, 10, 4, 5 and 3 kept 3 to 9 digits; of 20 with the
    edge loss 2, 3 and 15 kept 8 to 10."""
    plain, edge = (lottery.study(this, recipe) for recipe in lottery.RECIPES)
    assert [plain[kept] for kept in range(11)] == [0, 0, 0, 4, 8, 13, 10, 4, 5, 3, 0]
    assert {kept: n for kept, n in edge.items() if n} == {8: 2, 9: 3, 10: 15}


def test_counts_that_do_not_add_up_are_refused(this, monkeypatch):
    told = this.told("edge-loss", generator="edge")
    monkeypatch.setattr(page.Page, "told", lambda *_, **__: told[~told.metric.str.contains("10_")])
    with pytest.raises(ValueError, match="5 of 20 retrainings"):
        lottery.study(this, "edge")


def test_the_facts_are_of_c_mnist_alone(this):
    found = lottery.facts(this)
    assert (found["lottery-trained-runs"], found["lottery-trained-kept"]) == (47, 0)
    assert (found["lottery-edge-runs"], found["lottery-edge-kept"]) == (20, 15)
    assert found["lottery-told-accuracy"] == pytest.approx(89.8)
    assert found["lottery-edge-accuracy"] == pytest.approx(88.4, abs=0.05)
    assert found["lottery-trained-n"] == found["lottery-edge-n"] == 3


def test_every_retraining_is_drawn_once_and_by_its_kind(this, figures):
    assert lottery.drawn(this, "again").markup == "again"
    plain, edge, learned = figures[0].axes
    assert [round(bar.get_height()) for bar in edge.patches] == [0] * 8 + [2, 3, 15]
    mine = lottery.ours(this)
    for axis, recipe in ((plain, "trained"), (edge, "edge")):
        marks = [float(line.get_xdata()[0]) for line in axis.lines if line.get_label() == TRAINED]
        assert sorted(marks) == sorted(mine.usable[mine.recipe == recipe])
    theirs = [line for axis in (plain, edge) for line in axis.lines if line.get_label() == AUTHORS]
    assert [float(line.get_xdata()[0]) for line in theirs] == [10]
    kinds = [line.get_label() for line in learned.lines]
    assert (kinds.count(TRAINED), kinds.count(AUTHORS), kinds.count("Study")) == (6, 1, 2)
