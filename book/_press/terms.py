"""Sphinx extension: a term of the glossary explains itself where a page first uses it.

The text stays plain: the first time that a paragraph of a page uses a term, the word becomes a
button whose definition shows on hover, tap and focus.  That takes no script; book/_static/terms.js
lets Escape put a definition away and keeps it on the screen.
"""

import re
from collections.abc import Iterator, Mapping

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.writers.html5 import HTML5Translator

GLOSSARY = "book/glossary"
# Where a word is not explained: it is a heading or a label, leads elsewhere, or is no prose.
LEFT = (nodes.title, nodes.reference, nodes.literal, nodes.math, nodes.table, nodes.raw, nodes.term)
LEFT += (nodes.figure, nodes.Inline)


class defined(nodes.inline):
    """A term where it is explained.  about: its definition.  id: of that on the page."""


def definitions(env: BuildEnvironment) -> dict[str, str]:
    """What each term of the glossary means, in lower case, each spelling by itself."""
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        meaning = " ".join(item.next_node(nodes.definition).astext().split())
        found |= {term.astext().lower(): meaning for term in item.findall(nodes.term)}
    return found


def prose(doctree: nodes.document) -> Iterator[nodes.Text]:
    """The plain words of paragraphs and lists, in reading order."""
    for paragraph in list(doctree.findall(nodes.paragraph)):
        around = []
        while (node := (around[-1] if around else paragraph).parent) is not None:
            around.append(node)
        if not any(isinstance(node, LEFT) for node in around):
            yield from (text for text in paragraph.children if isinstance(text, nodes.Text))


def explain(doctree: nodes.document, meanings: Mapping[str, str]) -> None:
    """Turn the first use of each meaning on a page into a `defined`."""
    left = dict(meanings)
    for text in prose(doctree):
        made: list[nodes.Node] = []
        rest = str(text)
        while left and (found := pattern(left).search(rest)):
            meaning = left[found[0].lower()]
            left = {term: of for term, of in left.items() if of != meaning}
            name = "term-" + nodes.make_id(found[0])
            made += [nodes.Text(rest[: found.start()])] if found.start() else []
            made.append(defined("", "", nodes.Text(found[0]), about=meaning, name=name))
            rest = rest[found.end() :]
        if made:
            text.parent.replace(text, [*made, nodes.Text(rest)] if rest else made)


def pattern(terms: Mapping[str, str]) -> re.Pattern:
    """Any of some terms as a whole word; of two that begin alike, the longer."""
    words = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def on_page(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Explain the terms of a page, but for the glossary itself."""
    if app.builder.name == "html" and page != GLOSSARY and GLOSSARY in app.env.found_docs:
        explain(doctree, definitions(app.env))


def visit_defined(self: HTML5Translator, node: defined) -> None:
    """Open the button."""
    about = {"type": "button", "aria-describedby": node["name"]}
    self.body.append('<span class="defined">' + self.starttag(node, "button", "", **about))


def depart_defined(self: HTML5Translator, node: defined) -> None:
    """Close it, and put what it means beside it."""
    meaning = self.encode(node["about"])
    self.body.append(f'</button><span role="tooltip" id="{node["name"]}">{meaning}</span></span>')


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.add_node(defined, html=(visit_defined, depart_defined))
    app.connect("doctree-resolved", on_page)
    app.add_js_file("terms.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
