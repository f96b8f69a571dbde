"""Sphinx extension: a number that a cell computed tells where it is from.

`page.glue` keeps the sources of a fact beside it; here they become an attribute of a `<data>`
element, which the script of book/_interactive/cited shows on tap, hover and focus.  Only pages with
such numbers load it, and without scripts they read as ever.
"""

import json

from docutils import nodes
from myst_nb.ext.glue.roles import PasteTextRole
from myst_nb.ext.glue.utils import retrieve_glue_data
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

FILES = "cited/"  # where the build puts book/_interactive/cited


class cited(nodes.inline):
    """A number with its sources.  value: as Python has it.  sources: JSON."""


class CitingRole(PasteTextRole):
    """`{glue:text}`, whose result knows its sources where the fact does."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found, messages = super().run()
        if messages or not isinstance(found[0], nodes.inline):
            return found, messages
        kept = retrieve_glue_data(self.document, self.text.rsplit(":", 1)[0])
        if sources := kept.metadata.get("cited"):
            value = str(kept.data["text/plain"]).strip("'")
            found = [cited("", "", *found, value=value, sources=json.dumps(sources))]
        return found, messages


def visit_cited(self: HTML5Translator, node: cited) -> None:
    """Open the element."""
    about = {"value": node["value"], "data-sources": node["sources"]}
    self.body.append(self.starttag(node, "data", "", CLASS="cited", **about))


def depart_cited(self: HTML5Translator, node: cited) -> None:
    """Close it."""
    self.body.append("</data>")


def load(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document) -> None:
    """Let a page with such numbers load what shows their sources."""
    if doctree and next(doctree.findall(cited), None):
        path = context["pathto"](FILES, True)
        context["body"] += f'<link rel="stylesheet" href="{path}cited.css">'
        context["body"] += f'<script src="{path}cited.js" defer></script>'


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.setup_extension("myst_nb")
    app.add_role_to_domain("glue", "text", CitingRole(), override=True)
    app.add_node(cited, html=(visit_cited, depart_cited))
    app.connect("html-page-context", load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
