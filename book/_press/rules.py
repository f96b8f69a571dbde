"""The rules of the house for a chapter's text: what its cells hold, and the anatomy of a claim."""

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from sources import read_source, tags

TAGS = {
    "parameters",
    "hide-input",
    "remove-cell",
    "remove-input",
    "nbval-ignore-output",
    "nbval-skip",
}
KEPT = {"tags", "mystnb"}  # what a cell may say of itself: the filter of Jupytext in pyproject.toml
LONGEST = 20  # lines of a cell, hidden ones included
A_PATH = re.compile(r"^(/|~|\.\.?/)|^(runs|data|book)/|\.(csv|json|npz|png|pth?|safetensors)$")
# What a run took, and where: another machine says otherwise, though nothing has changed.
CLOCKS = re.compile(r"\.env\[|costs?\.(hours|by_kind)|tables\.provenance")
PAIRED = "---\njupytext:\n  notebook_metadata_filter: "  # what Jupytext may write into front matter
SECTIONS = ("Protocol", "Against the paper", "Verdict", "Reproduce this chapter")


def code_cells(source: Path) -> list[NotebookNode]:
    """The code cells of a chapter's text."""
    return [cell for cell in read_source(source).cells if cell.cell_type == "code"]


def defects(source: Path) -> Iterator[str]:
    """Every rule that a chapter's text breaks, a line each."""
    cells, text = code_cells(source), source.read_text(encoding="utf-8")
    if (text.startswith("---") or not cells) and not text.startswith(PAIRED):
        yield "has other front matter, or no code cell: begin it as 01_context.md, for Jupytext"
    for number, cell in enumerate(cells, start=1):
        for defect in cell_defects(cell):
            yield f"code cell {number} {defect}"
    if found := re.search(r"_claim(\d)", source.name):
        yield from claim_defects(text, found[1], cells)


def cell_defects(cell: NotebookNode) -> Iterator[str]:
    """Is it short, does it call instead of defining, and does its place on the page suit it?"""
    if unknown := set(tags(cell)) - TAGS:
        yield f"has tags outside the closed list: {', '.join(sorted(unknown))}"
    if other := set(cell.metadata) - KEPT:
        yield f"says {', '.join(sorted(other))} of itself, which no page shows: take it out"
    if length(cell) > LONGEST:
        yield f"has {length(cell)} lines: more than {LONGEST} belong in the chapter's module"
    for node in ast.walk(ast.parse(cell.source)):  # a magic or a !pip does not parse
        if isinstance(node, ast.ClassDef):
            yield f"defines the class {node.name}: move it to the chapter's module"
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and A_PATH.search(text):
            yield f"holds the path {text}: let the package find the file"
    figure = cell.metadata.get("mystnb", {})
    named = {"name", "caption"} <= set(figure.get("figure", {}))
    if "hide-input" in tags(cell) and not (named and figure.get("image", {}).get("alt")):
        yield "hides its input and is no figure with a name, a caption and an alternative text"
    if CLOCKS.search(cell.source) and "nbval-ignore-output" not in tags(cell):
        yield "shows what a run took, which differs by machine: tag it nbval-ignore-output"


def length(cell: NotebookNode) -> int:
    """How many lines of a cell a reader has to read."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def claim_defects(text: str, number: str, cells: list[NotebookNode]) -> Iterator[str]:
    """Has the chapter of a claim its label, its parameters and its sections, in short cells?"""
    if not re.search(rf"^\(claim-{number}[\w-]*\)=\n+# ", text, re.M):
        yield f"has no label (claim-{number}...)= before its title"
    if sum("parameters" in tags(cell) for cell in cells) != 1:
        yield "has not one cell of parameters"
    for heading in SECTIONS:
        if not re.search(rf"^## .*{heading}", text, re.M | re.I):
            yield f"has no section {heading}"
    if not 12 <= len(cells) <= 20:
        yield f"has {len(cells)} code cells: a claim has 12 to 20"
    if cells and (median := statistics.median(map(length, cells))) > 6:
        yield f"has cells of {median:g} lines in the median: a claim has 6 or fewer"
