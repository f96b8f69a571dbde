"""The index of the search: every paragraph under its section, and what a page makes of it."""

import json
from types import SimpleNamespace

from docutils import nodes

import paragraphs

LONG = "A paragraph that is long enough to be found."


def page() -> nodes.document:
    made = nodes.document(None, None)
    outer, inner = nodes.section(ids=["first"]), nodes.section(ids=["second"])
    outer += [nodes.title("", "First"), nodes.paragraph("", LONG), nodes.paragraph("", "Short.")]
    item = nodes.list_item("", nodes.paragraph("", f"{LONG}\nOf a list."))
    inner += [nodes.title("", "Second"), nodes.bullet_list("", item)]
    inner += nodes.figure("", nodes.caption("", f"{LONG} Of a figure."))
    outer += inner
    made += outer
    return made


def test_a_paragraph_stands_under_its_nearest_heading():
    assert paragraphs.sections(page()) == [
        ("first", "First", [LONG]),
        ("second", "Second", [f"{LONG} Of a list.", f"{LONG} Of a figure."]),
    ]


def test_a_term_of_the_glossary_is_a_section_of_its_own():
    made = nodes.document(None, None)
    section = nodes.section("", nodes.title("", "Glossary"), ids=["glossary"])
    item = nodes.definition_list_item("", nodes.term("", "gate", ids=["term-gate"]))
    item += nodes.definition("", nodes.paragraph("", LONG))
    section += nodes.definition_list("", item)
    made += section
    assert paragraphs.sections(made) == [("term-gate", "gate", [LONG])]


def test_a_page_that_was_not_written_anew_is_in_the_index_as_well(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "searchindex.js").write_text("old")
    app = SimpleNamespace(outdir=tmp_path, paragraphs={})
    app.builder = SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html")
    resolve = lambda name, builder: paragraphs.gather(app, page(), name)  # noqa: E731
    titles = {"a": nodes.title("", "A title")}
    app.env = SimpleNamespace(found_docs={"a"}, titles=titles, get_and_resolve_doctree=resolve)
    paragraphs.write(app, None)
    text = (tmp_path / "_static/paragraphs.js").read_text()
    [found] = json.loads(text.removeprefix("PARAGRAPHS = ").removesuffix(";\n"))
    assert found[:2] == ["a.html", "A title"] and found[2][0] == ["first", "First", [LONG]]
    assert not (tmp_path / "searchindex.js").exists()
