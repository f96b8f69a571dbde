"""A wide table is cards on a phone, and stays the table that it is on a wide screen."""

import pandas as pd
from bs4 import BeautifulSoup

import cards
from cgnbook import tables


def shown(*rows: dict[str, object]) -> BeautifulSoup:
    markup = tables.show(pd.DataFrame(rows), "made", "no run").markup
    context = {"body": f"<p>before</p>{markup}"}
    cards.card_tables(None, "page", "", context, None)
    return BeautifulSoup(context["body"], "html.parser")


ROW = {"Data": "C-MNIST", "Trained on": "Original", "Paper": "–", "Study": "92.9 ± 0.4 (5)"}


def test_a_wide_table_has_what_cards_show():
    row = ROW | {f"Trained here {i}": "81.4 ± 0.4 (5)" for i in range(3)}
    page = shown(row, row | {"Data": "W-MNIST"})
    assert "wide" in page.table["class"] and page.p.text == "before"
    cells = page.tbody.tr("td")
    assert [cell["data-label"] for cell in cells] == list(row)
    assert [cell.text for cell in page.select("tr:first-child td.about")] == ["C-MNIST", "Original"]
    assert [cell.text for cell in page.select("tr:first-child td.none")] == ["–"]
    assert [cell.text for cell in cells] == list(row.values())


def test_a_narrow_table_is_left_as_it_is():
    assert not shown(ROW).table.get("class")


def test_an_empty_table_is_left_as_it_is():
    """As that of a verdict which nothing decided, in a rehearsal."""
    assert shown().table.get_text().strip() == ""


def test_words_may_wrap_and_numbers_may_not():
    assert cards.width(["A long heading", "words that wrap"]) == 7 + cards.PADDING
    assert cards.width(["x", "92.9 ± 0.4 (5)"]) == 14 + cards.PADDING
