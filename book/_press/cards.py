"""Sphinx extension: a table that is too wide for a phone is a card for each row there.

On a wide screen it stays what it is.  Widths are counted in letters: words may wrap, numbers not.
The style sheet has the cards; what a row is about becomes their heading, and each number has its
column's beside it.
"""

import re

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

TABLE = re.compile(r'<table id="T_[^"]*">.*?</table>', re.S)  # as `cgnbook.tables.show` writes it
ROOM = 44  # letters of a line of a table on a phone
PADDING = 1.5
NUMBER = re.compile(r"[-–−+\d]")  # how the cell of a number begins


def width(column: list[str]) -> float:
    """The letters that a column needs.  column: its heading and its cells."""
    heading, *cells = column
    chunks = [*heading.split(), *(c for cell in cells for c in _chunks(cell))]
    return max(map(len, chunks), default=0) + PADDING


def _chunks(cell: str) -> list[str]:
    return [cell] if NUMBER.match(cell) else cell.split()


def carded(found: re.Match) -> str:
    """A table with the class `wide`, labels and headings of cards, if it needs them."""
    soup = BeautifulSoup(found[0], "html.parser")
    head, *rows = [_cells(row) for row in soup("tr")] or [[]]  # a table may be empty
    columns = [[cell.get_text() for cell in column] for column in zip(head, *rows, strict=True)]
    if sum(map(width, columns)) <= ROOM:
        return found[0]
    words = [not any(map(NUMBER.match, cells)) for _, *cells in columns]
    about = min(max(1, [*words, False].index(False)), 2)
    for row in rows:
        for i, (cell, (label, *_)) in enumerate(zip(row, columns, strict=True)):
            cell["data-label"] = label
            cell["class"] += ["about"] * (i < about) + ["none"] * (cell.get_text() == "–")
    soup.table["class"] = "wide"
    return str(soup)


def _cells(row: Tag) -> list[Tag]:
    return row(["th", "td"])


def card_tables(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Prepare the tables of a page for a phone."""
    if "body" in context:
        context["body"] = TABLE.sub(carded, context["body"])


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("html-page-context", card_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
