"""The list of deviations: whole, and what it says of our code is there."""

import ast
import importlib
from pathlib import Path

import pytest

from cgnbook.chapters import deviations
from cgnlib import experiments

ROOT = Path(__file__).resolve().parents[3]
ROWS = deviations.read().to_dict("records")


def setting(path: str) -> object:
    """`full.digits.cgn.wildlife.ngf`: attributes of a profile, and keys of its tables."""
    name, *parts = path.split(".")
    value = experiments.profile(name)
    for part in parts:
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def there(entry: str) -> bool:
    """A setting with its value, a name in a module, a module, or a file of the repository."""
    path, equals, value = entry.partition(" = ")
    if equals:
        return setting(path) == ast.literal_eval(value)
    if "/" in entry or entry.endswith(".cff"):
        return (ROOT / entry).is_file()
    module, _, names = entry.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    for name in filter(None, names.split(".")):
        found = getattr(found, name, None)
    return found is not None


def test_what_a_row_says_of_our_code_is_there():
    entries = [(row["id"], entry) for row in ROWS for entry in row["checked"].split("; ")]
    assert len(entries) > 100
    assert not [f"{row}: {entry}" for row, entry in entries if not there(entry)]


@pytest.mark.parametrize(
    "wrong",
    [
        "full.digits.cgn.wildlife.ngf = 7",
        "cgnlib.no_such_module:loss",
        "cgnlib.training.losses:no_such_loss",
        "cgnlib.training.losses:edge_mass.nothing",
        "book/no_such_file.md",
    ],
)
def test_the_check_finds_what_is_wrong(wrong):
    assert not there(wrong)


def test_every_row_says_what_this_book_does_and_what_shows_it():
    assert all(row["this_book"] and row["checked"] for row in ROWS)
    assert len({row["topic"] for row in ROWS}) == len(ROWS)
    assert set(deviations.counts()) == set(deviations.KINDS)
    assert all(deviations.counts().values())


def test_every_row_is_of_one_kind_and_tells_where_it_was_found():
    shown = {kind: deviations.of(kind) for kind in deviations.KINDS}
    assert {kind: len(rows) for kind, rows in shown.items()} == deviations.counts()
    assert sum(map(len, shown.values())) == len(ROWS)
    for rows in shown.values():
        assert list(rows)[:5] == list(deviations.COLUMNS.values())
        assert rows["Remark"].str.contains("found in: .").all()
