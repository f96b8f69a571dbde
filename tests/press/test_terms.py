"""The glossary: its terms are used, one thing has one name, and a page explains a term once."""

import re
from types import SimpleNamespace

import pytest
from docutils import nodes

import terms
from sources import ROOT, pages

TEXTS = {
    page.stem: page.with_suffix(".md").read_text(encoding="utf-8")
    for page in pages(ROOT)
    if page.stem not in ("editing", "references")
}
GLOSSARY = re.search(r"```{glossary}\n(.*?)```", TEXTS.pop("glossary"), re.S)[1]
ENTRIES = [block.rsplit("\n  ", 1)[0].splitlines() for block in GLOSSARY.strip().split("\n\n")]
# What the book calls otherwise, and how: a reader is every unbiased judge of what a CGN made.
BANNED = {
    r"oracles?": "reader",
    r"(unbiased|independent) judges?": "reader",
    r"probes?": "reader, or a linear probe",
    r"augmented (set|data)": "union",
    r"published weights": "authors' weights",
}
ALLOWED = re.compile(
    r"linear probe|the probes? (reads the origin|say)"
)  # what is fitted to features


def prose(text: str) -> str:
    """A text without its code, its roles' targets and its front matter."""
    text = re.sub(r"\A---.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"```\{(?!figure).*?```", "", text, flags=re.S)
    return re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`", "", text)


PROSE = {name: prose(text) for name, text in TEXTS.items()}


@pytest.mark.parametrize("spellings", ENTRIES, ids=lambda of: of[0])
def test_a_term_is_used(spellings):
    wanted = terms.pattern(dict.fromkeys(spellings, ""))
    assert any(wanted.search(text) for text in PROSE.values())


@pytest.mark.parametrize("banned", BANNED)
def test_one_thing_has_one_name(banned):
    found = [
        f"{name}: {hit[0]}: say {BANNED[banned]}"
        for name, text in PROSE.items()
        for hit in re.finditer(rf".{{0,20}}\b{banned}\b.{{0,20}}", text, re.I)
        if not ALLOWED.search(hit[0])
    ]
    assert not found


def document(*texts: str) -> nodes.document:
    made, section = nodes.document(None, None), nodes.section()
    section += nodes.title("", "", nodes.Text("A reader"))
    section += [nodes.paragraph("", "", nodes.Text(text)) for text in texts]
    made += section
    return made


MEANS = {"reader": "One who reads.", "readers": "One who reads.", "gate": "A door."}


def test_the_first_use_on_a_page_is_explained_and_no_other():
    page = document("Unread. Readers and a gate, readers.", "A reader again.")
    terms.explain(page, MEANS)
    found = list(page.findall(terms.defined))
    assert [(it.astext(), it["about"]) for it in found] == [
        ("Readers", "One who reads."),
        ("gate", "A door."),
    ]
    assert page.astext().split("\n\n")[1:] == [
        "Unread. Readers and a gate, readers.",
        "A reader again.",
    ]


def test_headings_links_and_code_are_left_alone():
    page = document()
    paragraph = nodes.paragraph("", "", nodes.literal("", "gate"), nodes.Text(" and "))
    paragraph += nodes.reference("", "", nodes.Text("reader"))
    page[0] += paragraph
    terms.explain(page, MEANS)
    assert not list(page.findall(terms.defined))


@pytest.mark.parametrize(("text", "hit"), [("a gateway", None), ("non-gate", None), ("Gate.", 0)])
def test_a_term_is_a_whole_word(text, hit):
    found = terms.pattern(MEANS).search(text)
    assert (found and found.start()) == hit


def test_the_glossary_is_read_as_it_is_written():
    item = nodes.definition_list_item("", nodes.term("", "Gate"), nodes.term("", "gates"))
    item += nodes.definition("", nodes.paragraph("", "A\ndoor."))
    page = nodes.document(None, None)
    page += nodes.definition_list("", item)
    env = SimpleNamespace(get_doctree=lambda name: page)
    assert terms.definitions(env) == {"gate": "A door.", "gates": "A door."}
