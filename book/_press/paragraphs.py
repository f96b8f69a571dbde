"""Sphinx extension: a search over paragraphs, which works from disk as well.

Sphinx's own index knows pages by words; to show where they stand it fetches the pages, which a
browser refuses to a page on disk.  Here the paragraphs themselves are the index, a script that
only the page of the search loads: _static/paragraphs.js sets PARAGRAPHS to a list of pages, each
with its address, title and sections, and these with their anchor, heading and paragraphs.
book/_static/search.js looks in them.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

Section = tuple[str, str, list[str]]
SHORTEST = 20  # letters of a paragraph that is worth a line


def sections(doctree: nodes.document) -> list[Section]:
    """Anchor, heading and paragraphs of each section, in reading order.

    Captions are paragraphs as well, and a term of the glossary is a section.
    """
    found: dict[str, Section] = {}
    for part in doctree.findall(lambda n: isinstance(n, nodes.paragraph | nodes.caption)):
        section = part.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        text = " ".join(part.astext().split())
        if section is None or len(text) < SHORTEST:
            continue
        anchor, heading = section["ids"][0], section.next_node(nodes.title).astext()
        if isinstance(part.parent, nodes.definition):  # of the glossary
            term = part.parent.parent.next_node(nodes.term)
            anchor, heading = (term["ids"] or [anchor])[0], term.astext()
        found.setdefault(anchor, (anchor, heading, []))[2].append(text)
    return list(found.values())


def gather(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Keep what a page says."""
    app.paragraphs[page] = sections(doctree)  # type: ignore[attr-defined]


def write(app: Sphinx, failure: Exception | None) -> None:
    """Write the index, and take Sphinx's own out of the book."""
    if failure or app.builder.name != "html":
        return
    pages = []
    for page in sorted(app.env.found_docs):
        if page not in app.paragraphs:  # was not written anew
            app.env.get_and_resolve_doctree(page, app.builder)
        title = app.env.titles[page].astext()
        pages.append([app.builder.get_target_uri(page), title, app.paragraphs[page]])
    text = json.dumps(pages, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "_static/paragraphs.js").write_text(f"PARAGRAPHS = {text};\n", "utf-8")
    (Path(app.outdir) / "searchindex.js").unlink(missing_ok=True)


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.paragraphs = {}  # type: ignore[attr-defined]
    app.connect("doctree-resolved", gather, priority=400)  # before terms have their definitions
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
