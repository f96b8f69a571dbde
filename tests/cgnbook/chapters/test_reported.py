"""The tables of the appendix: every reported number stands in one of them, as it was printed."""

import csv
import re

from cgnbook.chapters import reported
from cgnbook.names import NONE
from cgnlib import paths

with (paths.records() / "reported.csv").open(newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))


def numbers(table: str) -> list[str]:
    """The numbers in the cells of a reported table's tables, without their spread."""
    found = []
    for make in reported.TABLES[table]:
        shown = make()
        if table == "compute":
            found += [re.search(r"[\d.]+", cost)[0] for cost in shown["Cost"]]
            continue
        for column in shown:
            for cell in shown[column]:
                if re.fullmatch(r"[\d./ ±]+", cell) and column not in ("Digit", "Counterfactuals"):
                    found += [part.split(" ± ")[0] for part in cell.split(" / ")]
    return found


def test_every_reported_table_has_tables():
    assert set(reported.TABLES) == {row["table"] for row in ROWS}


def test_every_number_is_listed_once_and_as_printed():
    for table in reported.TABLES:
        printed = sorted(row["value"] for row in ROWS if row["table"] == table)
        assert sorted(numbers(table)) == printed, table


def test_spreads_stand_beside_their_numbers():
    text = {t: "\n".join(make().to_csv() for make in of) for t, of in reported.TABLES.items()}
    spread = [row for row in ROWS if row["spread"]]
    assert len(spread) > 5
    assert not [r for r in spread if f"{r['value']} ± {r['spread']}" not in text[r["table"]]]


def test_a_number_stands_where_its_names_meet():
    table = reported.ablation().set_index(["Measure", "Left out"])
    assert table.loc[("Mask coverage", "L_text"), "Paper"] == "0.9"
    assert table.loc[("Inception score", "BigGAN itself"), "Article"] == NONE
    table = reported.epochs().set_index(["Who decides", "Measure"])
    assert table.loc[("shape and texture heads", "BG-gap"), "34"] == "4.92"
    table = reported.classification().set_index(["Data", "Trained on"])
    assert table.loc[("W-MNIST", "Original + CGN"), "Article"] == "96.8 / 62.8"


def test_two_numbers_of_one_name_share_a_cell():
    table = reported.shape_bias().set_index(["Trained on", "Measure"])
    assert table.loc[("IN + CGN, shape head", "shape bias"), "Talk"] == "54.8 / 57.6"


def test_tables_fit():
    shown = [make for of in reported.TABLES.values() for make in of]
    assert not [make.__name__ for make in shown if len(make().columns) > 8]


def test_usable_digits_by_edge_loss():
    table = reported.usable_digits()
    assert list(table["Usable digits, mean"]) == ["5.62", "8.90", "9.65"]
    assert set(table["Retrainings"]) == {"47", "20"}
