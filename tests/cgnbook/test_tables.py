"""Tables as the page prints them: what is there for the eye, and not in the data."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from cgnbook import tables
from cgnlib import experiments


def cells(table: pd.DataFrame) -> list[str]:
    made = BeautifulSoup(tables.show(table, "name", "by hand").markup, "html.parser").table
    return [cell.decode_contents() for cell in made.select("td")]


@pytest.mark.parametrize(
    "value, printed",
    [
        ("-1.3", "−1.3"),
        ("yes (-34%)", "yes (−34%)"),
        ("mnist-5k", "mnist-5k"),
        ("2022-01-27", "2022-01-27"),
        ("C-MNIST", "C-MNIST"),
        (1770, "1,770"),
        (True, "yes"),
        (False, "no"),
        ("without L_bg", "without <i>L</i><sub>bg</sub>"),
        ("a < b", "a &lt; b"),
    ],
)
def test_a_cell_is_printed_as_in_a_book(value, printed):
    assert cells(pd.DataFrame({"A": [value]})) == [printed]


@pytest.mark.parametrize(
    "values, printed",
    [
        ([], tables.NONE),
        ([0.5], "50.0"),
        ([0.6, 0.5], "50.0–60.0 (2)"),  # no deviation of two
        ([0.5, 0.5], "50.0 (2)"),
        ([0.4, 0.5, 0.6], "50.0 ± 10.0 (3)"),
    ],
)
def test_a_spread_says_of_how_many_runs_it_is(values, printed):
    assert tables.spread(values) == printed


def test_only_long_columns_wrap():
    short, long = "x" * tables.LONG, "x " * tables.LONG
    markup = tables.show(pd.DataFrame({"A": [short], "B": [long]}), "name", "by hand").markup
    rules = BeautifulSoup(markup, "html.parser").style.text.split("}")
    wrapping = [rule for rule in rules if "white-space: normal" in rule]
    assert wrapping and all("col1" in rule and "col0" not in rule for rule in wrapping)


def test_the_groups_of_a_kind_stand_together():
    table = tables.protocol(experiments.grid("mini", "claim-3-mnist"))
    kinds = table["Run"].tolist()
    assert kinds == sorted(kinds, key=kinds.index)
    assert len(set(kinds)) < len(kinds)
    assert "1 epoch, batch 16" in table["Size"].tolist()


def test_a_path_may_break_and_a_number_may_not():
    table = pd.DataFrame({"A": ["cgnlib/report/page.py, 3.14"]})
    markup = tables.sentences(table, "name", "by hand").markup
    assert "cgnlib/<wbr>report/<wbr>page.<wbr>py, 3.14</td>" in markup
