"""The chapters keep the rules of the book: tags, checked outputs, the anatomy of a claim."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

import guard
from sources import ROOT, failed_of, notebooks, read_source, source_of, tags

SOURCES = [path for path in map(source_of, notebooks(ROOT)) if path.exists()]
CLAIMS = [path for path in SOURCES if "_claim" in path.name]

# How many cells of a chapter nbval does not compare; a chapter that is not named has none.
# To raise a number is a decision: say in the commit what the cell prints and what checks it.
IGNORED: dict[str, int] = {
    "index": 1,
    "02_composer": 3,
    "05_claim1_mnist": 3,
    "06_claim1_imagenet": 3,
    "07_claim2": 5,
    "08_claim3_mnist": 6,
    "09_claim3_shape_bias": 5,
    "10_claim3_backgrounds": 5,
    "11_explanations": 3,
    "12_disentanglement": 4,
    "13_set_size": 4,
    "14_union": 4,
    "15_out_of_distribution": 1,
    "18_cost": 1,
    "16_discussion": 2,
}

# What a run took, and where: another machine says otherwise, though nothing has changed.
CLOCKS = re.compile(r"\.env\[|costs?\.(hours|by_kind)|(tables|page)\.provenance")
A_PATH = re.compile(r"^(/|~|\.\.?/)|^(runs|data|book)/|\.(csv|json|npz|png|pth?|safetensors)$")


def code_cells(source: Path) -> list[NotebookNode]:
    """The code cells of a chapter's text."""
    return [cell for cell in read_source(source).cells if cell.cell_type == "code"]


def lines(cell: NotebookNode) -> int:
    """How many lines of a cell a reader has to read."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def by_name(paths: list[Path]):
    """Parametrise over chapters."""
    return pytest.mark.parametrize("source", paths, ids=lambda path: path.stem)


def test_every_notebook_in_the_book_is_a_page():
    found = {path for folder in (ROOT, ROOT / "book") for path in folder.glob("*.ipynb")}
    stray = found - set(notebooks(ROOT)) - {failed_of(page) for page in notebooks(ROOT)}
    assert not stray, "in no chapter of _toc.yml, so never checked"


def test_the_table_of_ignored_cells_names_chapters():
    assert set(IGNORED) <= {source.stem for source in SOURCES}


@by_name(SOURCES)
def test_tags_come_from_the_closed_list(source):
    assert set().union(*map(tags, read_source(source).cells)) <= guard.TAGS


@by_name(SOURCES)
def test_ignored_cells_are_counted(source):
    ignored = sum("nbval-ignore-output" in tags(cell) for cell in code_cells(source))
    assert ignored == IGNORED.get(source.stem, 0)


def test_some_chapters_show_clocks():
    assert sum(bool(CLOCKS.search(cell.source)) for s in SOURCES for cell in code_cells(s)) > 5


@by_name(SOURCES)
def test_clocks_are_not_compared(source):
    timed = [cell for cell in code_cells(source) if CLOCKS.search(cell.source)]
    assert all("nbval-ignore-output" in tags(cell) for cell in timed)


@by_name(SOURCES)
def test_a_hidden_input_is_a_figure_with_name_caption_and_text(source):
    for cell in code_cells(source):
        if "hide-input" in tags(cell):
            shown = cell.metadata.get("mystnb", {})
            assert {"name", "caption"} <= set(shown.get("figure", {})), cell.source
            assert shown.get("image", {}).get("alt"), cell.source


@by_name([source for source in SOURCES if source.with_suffix(".ipynb").exists()])
def test_the_committed_notebook_is_what_a_fresh_machine_runs(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    assert not [cell for cell in notebook.cells if guard.INJECTED in tags(cell)]
    assert notebook.metadata.cgn.profile in {None, "mini"}


@by_name(CLAIMS)
def test_a_claim_has_short_visible_cells(source):
    lengths = [lines(cell) for cell in code_cells(source)]
    assert 12 <= len(lengths) <= 20
    assert statistics.median(lengths) <= 6
    assert max(lengths) <= 20


@by_name(CLAIMS)
def test_a_claim_calls_the_package_and_defines_nothing_big(source):
    for cell in code_cells(source):
        for node in ast.walk(ast.parse(cell.source)):  # a magic or a !pip does not parse
            assert not isinstance(node, ast.ClassDef), cell.source
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not A_PATH.search(node.value), f"a path in a chapter: {node.value}"


@by_name(CLAIMS)
def test_a_claim_has_its_label_its_parameters_and_its_sections(source):
    text = source.read_text()
    number = re.search(r"_claim(\d)", source.name)[1]
    assert re.search(rf"^\(claim-{number}[\w-]*\)=\n+# ", text, re.M), "no label before the title"
    assert sum("parameters" in tags(cell) for cell in code_cells(source)) == 1
    for heading in ("Protocol", "Against the paper", "Verdict", "Reproduce this chapter"):
        assert re.search(rf"^## .*{heading}", text, re.M | re.I), f"no section {heading}"
