"""The chapters keep the rules of the house, and a broken rule would be named."""

import re
from pathlib import Path

import nbformat
import pytest

import rules
from sources import ROOT, failed_of, notebooks, source_of, tags

SOURCES = [path for path in map(source_of, notebooks(ROOT)) if path.exists()]

# How many cells of a chapter nbval does not compare; a chapter that is not named has none.
# To raise a number is a decision: say in the commit what the cell prints and what checks it.
IGNORED: dict[str, int] = {
    "index": 2,
    "02_composer": 3,
    "05_claim1_mnist": 2,
    "06_claim1_imagenet": 2,
    "07_claim2": 4,
    "08_claim3_mnist": 4,
    "09_claim3_shape_bias": 4,
    "10_claim3_backgrounds": 4,
    "11_explanations": 1,
    "12_disentanglement": 3,
    "13_set_size": 2,
    "14_union": 5,
    "15_out_of_distribution": 1,
    "16_discussion": 2,
    "18_cost": 1,
}


# Numbers of a text that tell no source: what stands on the page beside them, or runs took.
UNCITED = {
    "03_method": {"hidden", "seen", "paper-dc"},
    "05_claim1_mnist": {"film-edge-weight", "film-other-weight"},
    "18_cost": {"expected", "taken"},
}


def test_every_notebook_in_the_book_is_a_page():
    found = {path for folder in (ROOT, ROOT / "book") for path in folder.glob("*.ipynb")}
    stray = found - set(notebooks(ROOT)) - {failed_of(page) for page in notebooks(ROOT)}
    assert not stray, "in no chapter of _toc.yml, so never checked"


def test_the_chapters_keep_the_rules():
    assert not [f"{s.name}: {defect}" for s in SOURCES for defect in rules.defects(s)]


def test_ignored_cells_are_counted():
    counts = {
        source.stem: sum("nbval-ignore-output" in tags(c) for c in rules.code_cells(source))
        for source in SOURCES
    }
    assert {name: n for name, n in counts.items() if n} == IGNORED


@pytest.mark.parametrize("path", notebooks(ROOT), ids=lambda path: path.stem)
def test_numbers_of_a_text_cite_themselves(path):
    """Those that were measured or reported, which are no whole numbers."""
    named = set(re.findall(r"\{glue:text\}`([\w-]+)", source_of(path).read_text()))
    cells = nbformat.read(path, as_version=4).cells
    glued = {
        output.metadata.scrapbook.name: output
        for cell in cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    of = {name: glued[name] for name in named & glued.keys()}
    measured = {name for name, output in of.items() if FRACTION.match(told(output))}
    silent = {name for name in measured if not of[name].metadata.get("cited")}
    assert silent == UNCITED.get(path.stem, set())


FRACTION = re.compile(r"-?\d+\.\d|.*e-\d")


def told(output) -> str:
    """What a glued output says, as text."""
    return next(iter(output.data.values()))


def test_some_chapters_show_clocks():
    cells = [cell for source in SOURCES for cell in rules.code_cells(source)]
    assert any(rules.CLOCKS.search(cell.source) for cell in cells)


def test_the_committed_notebooks_are_what_a_fresh_machine_runs():
    for path in filter(Path.exists, notebooks(ROOT)):
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.cgn.profile in {None, "mini"}, path.name


def cell(source: str, *options: str) -> str:
    """A code cell as it stands in a text."""
    return "\n".join(["```{code-cell} ipython3", *options, "", source, "```", ""])


FIGURE = [
    "---",
    "tags: [hide-input]",
    "mystnb:",
    "  figure: {name: fig-a, caption: A}",
    "  image: {alt: A}",
    "---",
]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cell("x = 1", ":tags: [mine]"), "code cell 1 has tags outside the closed list: mine"),
        (cell("x = 1", ":name: mine"), "code cell 1 says name of itself, which no page shows"),
        (cell("x = 1") + cell("x = 1\n" * 21), "code cell 2 has 21 lines"),
        (cell("x = 1\n\n" * 20), None),
        (cell("class Net: ..."), "code cell 1 defines the class Net"),
        (cell('open("runs/a.txt")'), "code cell 1 holds the path runs/a.txt"),
        (cell('read("a.csv")'), "code cell 1 holds the path a.csv"),
        (cell("draw()", *FIGURE), None),
        (cell("draw()", ":tags: [hide-input]"), "code cell 1 hides its input and is no figure"),
        (cell("draw()", *FIGURE[:4], "---"), "code cell 1 hides its input and is no figure"),
        ("---\ntocdepth: 1\n---\n\n" + cell("x = 1"), "has other front matter, or no code cell"),
        ("# No code\n", "has other front matter, or no code cell"),
        ("---\njupytext:\n  notebook_metadata_filter: -all\n---\n\n# No code\n", None),
        (cell("cost.hours(results)"), "code cell 1 shows what a run took"),
        (cell("cost.hours(results)", ":tags: [nbval-ignore-output]"), None),
    ],
)
def test_a_rule_of_cells_is_kept(tmp_path, text, said):
    source = tmp_path / "chapter.md"
    source.write_text(text)
    found = list(rules.defects(source))
    assert len(found) == (said is not None) and all(d.startswith(said) for d in found)


CLAIM = ROOT / "book/08_claim3_mnist.md"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(claim-3", "(claim-4", "has no label (claim-3...)= before its title"),
        (":tags: [parameters]", "", "has not one cell of parameters"),
        ("## Verdict", "## Result", "has no section Verdict"),
        ("```{code-cell} ipython3", "```python", "has 0 code cells: a claim has 12 to 20"),
    ],
)
def test_a_rule_of_claims_is_kept(tmp_path, old, new, said):
    source = tmp_path / CLAIM.name
    source.write_text(CLAIM.read_text().replace(old, new))
    assert said in list(rules.defects(source))


def test_a_claim_has_short_cells(tmp_path):
    source = tmp_path / CLAIM.name
    source.write_text(CLAIM.read_text().replace("\n```\n", "\nx = 1" * 9 + "\n```\n"))
    assert any("lines in the median" in defect for defect in rules.defects(source))
