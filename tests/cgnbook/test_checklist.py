"""The checklist: five items, and what it points to is there."""

from pathlib import Path

import pytest

from cgnbook import checklist

ROOT = Path(__file__).resolve().parents[2]
FILES = [file for _, _, files in checklist.ITEMS.values() for file in files]


def test_there_are_five_items():
    assert len(checklist.table()) == len(checklist.ITEMS) == 5


@pytest.mark.parametrize("file", FILES)
def test_what_an_item_points_to_is_there(file):
    assert (ROOT / file).is_file()


@pytest.mark.parametrize("command", [c for _, c, _ in checklist.ITEMS.values()])
def test_a_command_stands_in_the_instructions(command):
    told = [(ROOT / name).read_text() for name in ("README.md", "book/19_reproduce.md", "Makefile")]
    told += [path.read_text() for path in (ROOT / "book").glob("0*.md")]
    words = command.removeprefix("make ") + ":" if command == "make venv" else command
    assert any(words in text for text in told)
