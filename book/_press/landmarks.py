"""Sphinx extension: what a screen reader needs and the theme or docutils leave out.

The title of the book in the side bar stands outside every landmark; a template of ours wraps it.
The entries of a bibliography have a role that ARIA has withdrawn; in their list they are items.
A wide table moves to and fro on a narrow screen: the keyboard has to get at it.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

WITHDRAWN, ITEM = 'role="doc-biblioentry"', 'role="listitem"'


TABLE = re.compile(r'(<div class="output text_html")(>\s*<style)')  # how a table of ours begins


def reach_tables(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Let the keyboard stop at the box in which a table scrolls."""
    if "body" in context:
        context["body"] = TABLE.sub(r'\1 tabindex="0"\2', context["body"])


def list_citations(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Make the entries of a bibliography the items of the list that they stand in."""
    if "body" in context:
        context["body"] = context["body"].replace(WITHDRAWN, ITEM)


def setup(app: Sphinx) -> dict:
    """Called by Sphinx; our templates come before those of the theme."""
    app.config.templates_path.insert(0, str(Path(__file__).with_name("theme")))
    app.connect("html-page-context", list_citations)
    app.connect("html-page-context", reach_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
