"""Sphinx extension: boxes below their figures, and tables that are numbered as tables.

MyST-NB wraps every output of a cell with a caption in a figure, and knows no other kind.  So the
box of a figure becomes the output of a cell of its own, and a figure whose name begins with `tab-`
becomes a table with its caption above.  A drawing becomes a part of the page, from which it takes
its colours and letters.  On the way a box learns what only the book knows: the name
and number of its figure and the chapter it stands in.  What is written or drawn by hand gets a box
that says so.  The box of a summary in the text is glued there, and only learns its chapter.
"""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

BOX = '<details class="evidence"'
DRAWING = "image/svg+xml"
PAGE = "python book/_press/execute.py"
KINDS = {"fig": ("figure", "Fig."), "tab": ("table", "Table")}


class table_figure(nodes.figure):
    """What a figure is, but counted with the tables."""


class table_caption(nodes.caption):
    """The caption of a `table_figure`, which stands before the table."""


class NumberTables(SphinxTransform):
    """Before Sphinx collects what can be referred to, which it does at priority 850."""

    default_priority = 500

    def apply(self) -> None:
        for old in list(self.document.findall(nodes.figure)):
            if any(name.startswith("tab-") for name in old["names"]):
                new = table_figure("", **old.attributes)
                captions = [child for child in old if isinstance(child, nodes.caption)]
                new += [table_caption("", "", *caption.children) for caption in captions]
                new += [child for child in old if child not in captions]
                new["classes"].append("table-figure")
                new.source, new.line = old.source, old.line
                old.replace_self(new)
                for label in new["ids"]:
                    self.document.ids[label] = new


def place_boxes(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the box of every figure a cell of its own, and tell it whose it is."""
    if not app.env.doc2path(page).endswith(".ipynb"):
        return
    notebook, cells = json.loads(source[0]), []
    profile = notebook["metadata"].get("cgn", {}).get("profile")
    chapter = page.rpartition("/")[2] + (f" --profile {profile}" if profile else "")
    for cell in notebook["cells"]:
        cells.append(cell)
        said = cell["metadata"].get("mystnb", {})
        name = said.get("figure", {}).get("name", "")
        for output in cell.get("outputs", []):
            if DRAWING in output.get("data", {}):
                drawing = "".join(output["data"][DRAWING])
                output["data"] = {"text/html": inlined(drawing, said.get("image", {}).get("alt"))}
        boxes = [output for output in cell.get("outputs", []) if BOX in markup_of(output)]
        for output in boxes:
            output["data"][html_of(output)] = named(markup_of(output), name, chapter)
        if name.startswith("fig-") and boxes:
            cell["outputs"] = [output for output in cell["outputs"] if output not in boxes]
            tags = {"tags": ["remove-input"]}
            cells.append(cell | {"id": f"{cell['id']}-box", "metadata": tags, "outputs": boxes})
    source[0] = json.dumps(notebook | {"cells": cells})


def inlined(drawing: str, alt: str | None) -> str:
    """A drawing as a part of a page; KeyError where nothing says in words what it shows."""
    if not alt:
        raise KeyError("a drawing without an alternative text")
    words = escape(" ".join(alt.split()))
    return drawing.replace("<svg", f'<svg role="img" aria-label="{words}"', 1)


def html_of(output: dict) -> str:
    """The kind under which an output has its HTML, if any: shown, or glued for the text."""
    return next((kind for kind in output.get("data", {}) if kind.endswith("text/html")), "")


def markup_of(output: dict) -> str:
    """The HTML of an output; the format keeps it in one piece or in lines."""
    return "".join(output.get("data", {}).get(html_of(output), ""))


def named(markup: str, name: str, chapter: str) -> str:
    """A box that says whose it is, with files of that name.

    chapter: as the command has it that makes it again, with its profile.
    """
    markup = markup.replace(BOX, f'{BOX} data-of="{name}"').replace(PAGE, f"{PAGE} {chapter}")
    if not name:
        return markup
    file = re.escape(re.search(r'data-name="([^"]*)"', markup)[1])
    return re.sub(rf'(download="|\(){file}-', rf"\g<1>{name}-", markup)


def finish_boxes(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add the boxes of what is made by hand, make its drawings a part of the page, and number all
    boxes."""
    boxed = set(re.findall(r'data-of="([\w-]+)"', " ".join(r.astext() for r in raws(doctree))))
    for node in [*doctree.findall(nodes.table), *doctree.findall(nodes.figure)]:
        for name in node["names"][:1]:
            if name not in boxed and name[:4] in ("fig-", "tab-"):
                box = nodes.raw("", by_hand(app, node, name, page), format="html")
                node.parent.insert(node.parent.index(node) + 1, box)
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            drawing = (Path(app.srcdir) / image["uri"]).read_text(encoding="utf-8")
            image.replace_self(nodes.raw("", inlined(drawing, image.get("alt")), format="html"))
    for raw in raws(doctree):
        if found := re.search(r'data-of="((fig|tab)-[\w-]+)"', raw.astext()):
            kind, word = KINDS[found[2]]
            label = nodes.make_id(found[1])
            numbers = (of.get(kind, {}).get(label) for of in app.env.toc_fignumbers.values())
            number = ".".join(map(str, next(filter(None, numbers), ())))
            title = f"Data and provenance of {word} {number}"
            raw.children = [nodes.Text(raw.astext().replace("Data and provenance", title, 1))]


def raws(doctree: nodes.document) -> Iterator[nodes.raw]:
    """The pieces of HTML on a page."""
    yield from doctree.findall(nodes.raw)


def by_hand(app: Sphinx, node: nodes.Element, name: str, page: str) -> str:
    """The box of a table that is written, or a figure that is drawn, in the text itself."""
    source = f"<code>{page}.md</code>, written by hand; no run, no seed"
    if isinstance(node, nodes.table):
        text = io.StringIO()
        rows = [[cell.astext() for cell in row] for row in node.findall(nodes.row)]
        csv.writer(text, lineterminator="\n").writerows(rows)
        content, file, mime = text.getvalue().encode(), f"{name}-by-hand.csv", "text/csv"
        words = f"Data, {len(rows) - 1} rows"
    else:
        image = next(node.findall(nodes.image))["uri"]
        content, mime = (Path(app.srcdir) / image).read_bytes(), "image/svg+xml"
        file, words = f"{name}-by-hand.svg", "Drawing"
        source = f"<code>{image}</code>, drawn by hand; no run, no seed"
    data = base64.b64encode(content).decode()
    return (
        f'{BOX} data-of="{name}"><summary><span>Data and provenance</span> '
        f'<span class="profile-badge scale-none">by hand</span></summary>'
        f'<p><a download="{file}" href="data:{mime};base64,{data}">{words} ({escape(file)})</a>'
        f"</p><dl><dt>Made by</dt><dd>{source}</dd></dl></details>"
    )


def visit_table_figure(self: HTML5Translator, node: table_figure) -> None:
    """As a figure is."""
    self.visit_figure(node)


def depart_table_figure(self: HTML5Translator, node: table_figure) -> None:
    """A figure would close its caption here."""
    self.body.append("</figure>\n")


def visit_table_caption(self: HTML5Translator, node: table_caption) -> None:
    """As the caption of a figure is."""
    self.visit_caption(node)


def depart_table_caption(self: HTML5Translator, node: table_caption) -> None:
    """Close what a figure would close at its end."""
    start = len(self.body)
    self.depart_caption(node)
    self.body[start:] = [text.replace("this image", "this table") for text in self.body[start:]]
    self.body.append("</figcaption>\n")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.add_enumerable_node(table_figure, "table", html=(visit_table_figure, depart_table_figure))
    app.add_node(table_caption, html=(visit_table_caption, depart_table_caption))
    app.add_transform(NumberTables)
    app.connect("source-read", place_boxes)
    app.connect("doctree-resolved", finish_boxes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
