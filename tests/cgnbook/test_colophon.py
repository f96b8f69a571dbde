"""The box to cite, and the licences: complete, and in step with the files they come from."""

import re
from pathlib import Path

from cgnbook import colophon
from cgnlib.data import sources

ROOT = Path(__file__).resolve().parents[2]


def test_book_paper_and_study_are_to_be_cited():
    text = colophon.citations()
    assert re.findall(r"^@(\w+){(\w+),$", text, re.M) == [
        ("misc", "cgnbook"),
        ("inproceedings", "sauer2021"),
        ("article", "bagad2022"),
    ]
    assert "doi = {10.5281/zenodo.6574635}" in text
    assert "author = {{The CGN reproduction book authors}}" in text
    assert "author = {Sauer, Axel and Geiger, Andreas}" in text


def test_braces_are_balanced_and_values_are_there():
    text = colophon.citations()
    assert text.count("{") == text.count("}")
    assert "None" not in text and "{}" not in text


def test_every_source_has_its_terms():
    table = colophon.licences()
    text = "\n".join(table["What"])
    for name, entry in sources.table().items():
        assert re.search(rf"\b{re.escape(name)}\b", text)
        assert entry["licence"] in set(table["Terms"])


def test_the_files_of_the_licences_are_there():
    for terms in colophon.PARTS.values():
        for file in re.findall(r"\b(LICENSE[\w-]*)", terms):
            assert (ROOT / file).is_file()
    assert "CC BY 4.0" in (ROOT / "LICENSE-TEXT").read_text()
    assert "MIT License" in (ROOT / "LICENSE").read_text()
