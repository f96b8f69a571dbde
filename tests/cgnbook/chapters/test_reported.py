"""The tables of the appendix: every reported number stands in one of them."""

import csv
import re
from types import SimpleNamespace

import pytest

from cgnbook.chapters import reported
from cgnbook.names import NONE
from cgnlib import paths

with (paths.records() / "reported.csv").open(newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


def numbers(table: str) -> list[str]:
    """The numbers in the cells of a reported table's tables, without their spread."""
    found = []
    for make in reported.TABLES[table]:
        made = make()
        if table == "compute":
            found += [re.search(r"[\d.]+", cost)[0] for cost in made["Cost"]]
            continue
        for column in made:
            for cell in made[column]:
                if re.fullmatch(r"[\d./ ±()]+", cell) and column not in (
                    "Digit",
                    "Counterfactuals",
                ):
                    found += [part.split(" ± ")[0] for part in cell.split(" / ")]
    return found


def test_every_reported_table_has_tables():
    assert set(reported.TABLES) == {row["table"] for row in ROWS}


def shown(row: dict[str, str], name: str = "value") -> str:
    whole = row["table"] == "compute"
    return row[name] if whole else reported.rounded(row[name], SimpleNamespace(**row))


def test_every_number_is_listed_once():
    for table in reported.TABLES:
        printed = sorted(shown(row) for row in ROWS if row["table"] == table)
        assert sorted(numbers(table)) == printed, table


@pytest.mark.parametrize(
    ("printed", "metric", "unit", "want"),
    [
        ("92.926", "test_accuracy", "%", "92.9"),
        ("10.05", "test_accuracy", "%", "10.1"),  # half goes up, however a float has it
        ("100", "train_accuracy", "%", "100"),  # no digit is added
        ("0.4381", "iou", "fraction", "0.438"),
        ("0.064", "mask_coverage", "fraction", "0.06"),
        ("47", "runs", "runs", "47"),
    ],
)
def test_a_number_has_no_more_decimals_than_its_column(printed, metric, unit, want):
    assert reported.rounded(printed, SimpleNamespace(metric=metric, unit=unit)) == want


def test_spreads_stand_beside_their_numbers():
    text = {t: "\n".join(make().to_csv() for make in of) for t, of in reported.TABLES.items()}
    spread = [row for row in ROWS if row["spread"]]
    assert len(spread) > 5
    for row in spread:
        n = f" ({row['n']})" * (row["n"] != "1")
        assert f"{shown(row)} ± {shown(row, 'spread')}{n}" in text[row["table"]]


def test_a_number_stands_where_its_names_meet():
    table = reported.ablation().set_index(["Measure", "Left out"])
    assert table.loc[("Mask coverage", "L_text"), "Paper"] == "0.9"
    assert table.loc[("Inception score", "BigGAN itself"), "Article"] == NONE
    table = reported.epochs().set_index(["Who decides", "Measure"])
    assert table.loc[("shape and texture heads", "BG-gap"), "34"] == "4.9"
    table = reported.classification().set_index(["Data", "Trained on"])
    assert table.loc[("W-MNIST", "Original + CGN"), "Article"] == "96.8 / 62.8"


def test_two_numbers_of_one_name_share_a_cell():
    table = reported.shape_bias().set_index(["Trained on", "By"])
    assert table.loc[("IN + CGN, shape head", "Talk"), "shape bias"] == "54.8 / 57.6"


def test_tables_fit():
    every = [make for of in reported.TABLES.values() for make in of]
    assert not [make.__name__ for make in every if len(make().columns) > 8]
