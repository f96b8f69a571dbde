"""What paper, released code, study and this book do, where they differ: a tracked, checked list."""

import pandas as pd

from cgnbook import boxes, reported, tables

COLUMNS = {
    "topic": "Topic",
    "paper": "Paper, as quoted",
    "official_code": "Released code",
    "study": "Study",
    "this_book": "This book",
}
MADE = "read by hand; `book/records/inconsistencies.csv` names the places"
# What a row is about, by the first part of its id.
KINDS = {
    "code": "the paper, the released code or the study contradicts another",
    "hard": "somebody found it hard, or could not repeat it",
    "article": "the article contradicts itself or the study's code",
    "book": "this book departs from all of them",
}


def read() -> pd.DataFrame:
    """Every row of the list, as text.  Raises CGNError when it lacks a column."""
    return reported.as_printed("inconsistencies.csv", ["id", *COLUMNS, "note", "where", "checked"])


def kind_of(table: pd.DataFrame) -> pd.Series:
    """The kind of each row, a key of KINDS."""
    return table["id"].str.partition("-")[0]


def shown(kind: str) -> boxes.Shown:
    """The rows of a kind as cards, shut away."""
    rows = of(kind)
    return tables.sentences(rows, f"inconsistencies-{kind}", MADE, folded=f"{len(rows)} entries")


def of(kind: str) -> pd.DataFrame:
    """The rows of a kind: who does what, with the remark, where it was found, and our code."""
    table = read()
    table = table[kind_of(table) == kind]
    table = table.assign(source="found in: " + table["where"])
    remarks = table["note"].str.cat(table["source"], sep="; ").str.removeprefix("; ")
    names = {"topic": "Topic", **{k: v for k, v in COLUMNS.items() if k != "topic"}}
    shown = table[list(COLUMNS)].rename(columns=names)
    return shown.assign(**{"Remark": remarks, "In our code": table["checked"]})


def counts() -> dict[str, int]:
    """How many rows there are of each kind."""
    return kind_of(read()).value_counts().reindex(list(KINDS)).to_dict()
