"""The extension that puts the sources of a number into its page, on a book of two pages."""

import json

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import v4
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

CONF = """
extensions = ["myst_nb", "citations"]
nb_execution_mode = "off"
html_theme = "basic"
"""
SOURCES = [{"who": "Study", "rows": "1 of <test_accuracy>"}]
PREFIX = "application/papermill.record/"


def glued(name: str, text: str, **about) -> dict:
    scrapbook = {"scrapbook": {"name": name, "mime_prefix": PREFIX}}
    return v4.new_output("display_data", {f"{PREFIX}text/plain": text}, metadata=scrapbook | about)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, BeautifulSoup]:
    folder = tmp_path_factory.mktemp("book")
    outputs = [
        glued("a", "81.464", cited=SOURCES),
        glued("b", "3"),
        glued("c", "'39 and 81'", cited=SOURCES),
    ]
    text = "# Title\n\nSome {glue:text}`a:.1f`, {glue:text}`b` and {glue:text}`c:s`."
    cell = v4.new_code_cell("glue()", metadata={"tags": ["remove-cell"]}, outputs=outputs)
    cell.execution_count = 1
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    book = v4.new_notebook(cells=[cell, v4.new_markdown_cell(text)], metadata=python)
    nbformat.write(book, folder / "index.ipynb")
    (folder / "other.md").write_text("---\norphan: true\n---\n# Other\n\nNo numbers.\n")
    (folder / "conf.py").write_text(CONF)
    with docutils_namespace():
        app = Sphinx(*[folder] * 2, folder / "html", folder / "trees", "html", status=None)
        app.build()
    return {
        name: BeautifulSoup((folder / f"html/{name}.html").read_text(), "html.parser")
        for name in ("index", "other")
    }


def test_a_number_has_its_value_and_its_sources(pages):
    number, words = pages["index"].find_all("data")
    assert (number.get_text(), number["value"], number["class"]) == ("81.5", "81.464", ["cited"])
    assert words.get_text() == words["value"] == "39 and 81"
    assert json.loads(number["data-sources"]) == SOURCES
    assert pages["index"].p.get_text() == "Some 81.5, 3 and 39 and 81."


def test_only_pages_with_such_numbers_load_the_script(pages):
    assert pages["index"].find("script", src="cited/cited.js")
    assert pages["index"].find("link", href="cited/cited.css")
    assert not pages["other"].find("script", src="cited/cited.js")
