"""The extension that puts boxes in their place and numbers tables, on a book of one page."""

import json
from base64 import b64decode
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

import boxes
from sources import ROOT

BOX = (
    '<details class="evidence" data-name="made"><summary><span>Data and provenance</span></summary>'
    '<a download="made-mini.csv" href="data:,">Data (made-mini.csv)</a>'
    "<code>python book/_press/execute.py</code></details>"
)
BY_HAND = """
# Title

```{glue:} summary
```

{numref}`tab-a`, {numref}`fig-b`, {numref}`tab-c`

:::{list-table} Written
:name: tab-c
:header-rows: 1

* - One
  - Two
* - *a*
  - b
:::

```{figure} d.svg
:name: fig-d
:alt: A dot

Drawn by hand
```
"""
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" class="plot"><circle r="1"/></svg>'
CONF = """
extensions = ["myst_nb", "boxes"]
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
numfig = True
"""
PYTHON = {
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    "cgn": {"profile": "full"},
}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNg"
    "YGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)


def code(name: str, *outputs) -> dict:
    figure = {"figure": {"name": name, "caption": f"Caption of {name}."}}
    cell = v4.new_code_cell("show()", metadata={"mystnb": figure}, outputs=list(outputs))
    cell.execution_count = 1
    return cell


def glued() -> dict:
    """A cell that glues a box under the name `summary`."""
    output = v4.new_output(
        "display_data",
        {"application/papermill.record/text/html": BOX.replace("made", "sum")},
        metadata={"scrapbook": {"name": "summary", "mime_prefix": "application/papermill.record/"}},
    )
    cell = v4.new_code_cell("glue()", metadata={"tags": ["remove-cell"]}, outputs=[output])
    cell.execution_count = 1
    return cell


def output(**data) -> dict:
    return v4.new_output("display_data", {k.replace("_", "/"): v for k, v in data.items()})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "conf.py").write_text(CONF)
    (folder / "d.svg").write_text(DRAWING)
    cells = [
        v4.new_markdown_cell(BY_HAND),
        code("fig-b", output(image_png=PIXEL), output(text_html=BOX)),
        code("tab-a", output(text_html=f"<table id='t'><tr><td>1</td></tr></table>{BOX}")),
        glued(),
    ]
    nbformat.write(v4.new_notebook(cells=cells, metadata=PYTHON), folder / "index.ipynb")
    warnings = (folder / "warnings").open("w+")
    out = folder / "html"
    with docutils_namespace():
        app = Sphinx(
            folder, folder, out, folder / "doctrees", "html", status=None, warning=warnings
        )
        app.build()
    warnings.seek(0)
    assert warnings.read() == ""
    return BeautifulSoup((out / "index.html").read_text(), "html.parser")


def test_tables_and_figures_are_counted_apart(page):
    numbers = {
        tag["id"]: tag.select_one(".caption-number").text.strip()
        for tag in page.select("figure[id], table[id]")
        if tag["id"].startswith(("fig-", "tab-"))
    }
    assert numbers == {
        "fig-d": "Fig. 1", "fig-b": "Fig. 2", "tab-a": "Table 2", "tab-c": "Table 1",
    }  # fmt: skip
    assert [link.text for link in page.select("a.reference.internal .std-numref")] == [
        "Table 2", "Fig. 2", "Table 1",
    ]  # fmt: skip


def test_the_caption_of_a_table_is_closed_before_it(page):
    figure = page.select_one("#tab-a")
    assert figure.figcaption.find_next("table")["id"] == "t"
    assert not figure.figcaption.table
    assert "Caption of tab-a." in figure.figcaption.text
    assert figure.figcaption.a["title"] == "Link to this table"


def test_each_box_is_named_and_numbered(page):
    found = page.select("details.evidence")
    assert [box.summary.span.text for box in found] == [
        "Data and provenance",
        *(f"Data and provenance of {name}" for name in ("Table 1", "Fig. 1", "Fig. 2", "Table 2")),
    ]
    assert [box.a["download"] for box in found] == [
        "sum-mini.csv", "tab-c-by-hand.csv", "fig-d-by-hand.svg", "fig-b-mini.csv",
        "tab-a-mini.csv",
    ]  # fmt: skip
    for box in (found[0], *found[3:]):
        assert box.code.text == "python book/_press/execute.py index --profile full"
    assert not page.select_one("#fig-b details")  # it stands below, not within


def test_a_written_table_can_be_downloaded(page):
    link = page.select_one('a[download^="tab-c"]')["href"]
    assert b64decode(link.partition("base64,")[2]).decode() == "One,Two\na,b\n"


def test_a_drawing_by_hand_is_a_part_of_the_page_and_can_be_downloaded(page):
    drawing = page.select_one("#fig-d svg.plot")
    assert drawing["aria-label"] == "A dot" and drawing.circle and not page.select("#fig-d img")
    link = page.select_one('a[download^="fig-d"]')["href"]
    assert b64decode(link.partition("base64,")[2]).decode() == DRAWING


def test_drawings_by_hand_share_no_id_and_take_their_letters_from_the_page():
    drawings = sorted((ROOT / "book/_static/figures").glob("cgn*.svg"))
    soups = [BeautifulSoup(path.read_text(), "html.parser") for path in drawings]
    ids = [tag["id"] for soup in soups for tag in soup.select("[id]")]
    assert len(drawings) == 3 and len(ids) == len(set(ids))
    for soup in soups:
        inks = [tag["fill"] for tag in soup.select("text[fill], g[fill]:has(text)")]
        assert inks and all("var(" in ink or ink == "#111" for ink in inks)


def test_a_box_without_a_figure_keeps_its_files():
    assert 'download="made-mini.csv"' in boxes.named(BOX, "", "page")


def test_a_page_of_text_is_left_alone(tmp_path):
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda page: f"{page}.md"))
    source = ["# Not a notebook"]
    boxes.place_boxes(app, "page", source)
    assert source == ["# Not a notebook"]


def test_an_output_in_lines_is_read_as_one():
    cell = json.loads('{"data": {"text/html": ["<a>", "</a>"]}}')
    assert boxes.markup_of(cell) == "<a></a>"
