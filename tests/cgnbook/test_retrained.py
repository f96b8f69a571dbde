"""Retrainings with each remedy: their table, the rule, and what so few can show."""

import pandas as pd
import pytest

from cgnbook import page, retrained
from cgnlib.experiments import Evaluation, grid

KEPT = {"plain": (5, 7, 5, 6), "edge": (10, 10, 9, 10), "border": (10, 10, 10, 10)}


def page_of(rows):
    return page.Page("lottery", "mini", (), (), rows)


def ends(rows, variant, remedy):
    return retrained.rule(retrained.trainings(page_of(rows)), variant, remedy)


@pytest.fixture
def rows():
    """As records have them: what is learned from a CGN grows with the digits that it kept."""
    found = []
    for run in grid("mini", "lottery"):
        cgn = run.behind
        remedy = cgn.name or "plain"
        kept = KEPT[remedy][cgn.seed]
        seen = isinstance(run, Evaluation)
        metric, value = ("usable_digits", kept) if seen else ("test_accuracy", kept / 10 - 0.05)
        if not seen and run.seed != cgn.seed:
            value -= 0.02  # the second classifier of a CGN
        found.append(
            {"run": run.id, "variant": run.variant, "generator": f"{remedy}-{cgn.seed}",
             "seed": run.seed, "metric": metric, "value": value, "claim": "lottery"}
        )  # fmt: skip
    return pd.DataFrame(found)


def test_every_training_is_a_row_whose_classifiers_count_together(rows):
    of = retrained.trainings(page_of(rows))
    assert len(of) == 3 * 3 * 4
    for remedy, kept in KEPT.items():
        mine = of[(of.variant == "wildlife") & (of.remedy == remedy)]
        assert tuple(mine.usable) == kept and tuple(mine.seed) == (0, 1, 2, 3)
        assert mine.accuracy.tolist() == pytest.approx([k / 10 - 0.06 for k in kept])


def test_a_remedy_ends_the_lottery_where_no_training_is_lost_and_none_far_behind(rows):
    assert [ends(rows, "colored", remedy) for remedy in KEPT] == [
        0,
        0,
        1,
    ]
    behind = rows.run.str.startswith("classifier-colored-cgn-border-g3")
    rows.loc[behind, "value"] -= 0.04
    assert ends(rows, "colored", "border")
    rows.loc[behind, "value"] -= 0.02
    assert not ends(rows, "colored", "border")
    assert ends(rows, "wildlife", "border")


def test_what_few_trainings_can_show():
    """Fisher's exact test: 3 of 3 against 0 of 3 has p = 0.1, 4 of 4 0.029, 5 of 6 0.015."""
    assert [retrained.smallest_seen(n) for n in (1, 3, 4, 6)] == [2, 4, 4, 5]


def test_the_facts_are_of_c_mnist(rows):
    rows.loc[(rows.variant == "wildlife") & (rows.metric == "usable_digits"), "value"] = 0
    found = retrained.facts(page_of(rows))
    assert (found["retrained-n"], found["retrained-seen"]) == (4, 4)
    assert [found[f"retrained-{remedy}"] for remedy in KEPT] == [5.75, 9.75, 10]
    ends = "the border loss ends the lottery, and the edge loss does not"
    assert found["retrained-ends"] == ends == retrained.said(["border"])
    assert retrained.said([]) == "neither loss ends the lottery"
    assert retrained.said(retrained.REMEDIED) == "both losses end the lottery"


def test_every_training_is_drawn(rows, figures):
    retrained.drawn(page_of(rows))
    digits = [a for a in figures[0].axes if a.get_title(loc="left")]
    for axis in digits:
        drawn = sorted(float(line.get_xdata()[0]) for line in axis.lines)
        assert drawn == sorted(k for kept in KEPT.values() for k in kept)
