"""Sphinx extension: what a search engine, or a link to a page somewhere else, can show of it.

And where the source of the book is.
"""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx

LONGEST = 200  # letters of a description
PICTURE = "_static/figures/samples.png"
SOURCE = '<p class="source-edition" hidden></p>'  # a place on the first page


def describe(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Give a page its description: its first paragraph of text."""
    if not isinstance(doctree, nodes.document):
        return
    paragraphs = (p.astext() for p in doctree.findall(nodes.paragraph) if inside_text(p))
    said = shortened(next(paragraphs, ""))
    facts = {"og:type": "article", "og:title": context.get("title", ""), "og:description": said}
    facts["og:site_name"] = app.config.html_title
    if base := app.config.html_baseurl.rstrip("/"):
        facts["og:url"] = f"{base}/{app.builder.get_target_uri(page)}"
        facts["og:image"] = f"{base}/{PICTURE}"
    tags = [f'<meta name="description" content="{escape(said)}" />'] * bool(said)
    tags += [f'<meta property="{k}" content="{escape(v)}" />' for k, v in facts.items() if v]
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def link_source(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Say on the first page where the source is, if _config.yml has a repository_url."""
    if (url := app.config.html_theme_options.get("repository_url")) and "body" in context:
        link = f'<p class="source-edition"><a href="{escape(url)}">The source of this book</a></p>'
        context["body"] = context["body"].replace(SOURCE, link)


def inside_text(paragraph: nodes.paragraph) -> bool:
    """Is this a paragraph of a section, and not of a table, a figure or a list?"""
    return isinstance(paragraph.parent, nodes.section)


def shortened(text: str) -> str:
    """The text in one line, cut after a word."""
    words = " ".join(text.split())
    if len(words) <= LONGEST:
        return words
    return words[: words.rindex(" ", 0, LONGEST)] + " …"


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("html-page-context", describe)
    app.connect("html-page-context", link_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
