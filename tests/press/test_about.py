"""What a page says of itself to those who have not opened it, and what it asks of a browser."""

from types import SimpleNamespace

import pytest
from docutils import nodes

import about
import landmarks
import offline

APP = SimpleNamespace(
    config=SimpleNamespace(html_title="A book", html_baseurl="", html_theme_options={}),
    builder=SimpleNamespace(get_target_uri=lambda page: f"{page}.html"),
)


def page(*paragraphs: str) -> nodes.document:
    made = nodes.document(None, None)
    section = nodes.section()
    section += [nodes.paragraph("", "", nodes.Text(text)) for text in paragraphs]
    figure = nodes.figure("", nodes.caption("", "", nodes.Text("no text")))
    figure += nodes.paragraph("", "", nodes.Text("nor this"))
    made += [figure, section]
    return made


def test_a_page_is_described_by_its_first_paragraph():
    context = {"title": 'The "title"', "metatags": "<meta old />"}
    about.describe(APP, "page", "", context, page("Zeros\nin green.", "More."))
    assert context["metatags"].splitlines() == [
        "<meta old />",
        '<meta name="description" content="Zeros in green." />',
        '<meta property="og:type" content="article" />',
        '<meta property="og:title" content="The &quot;title&quot;" />',
        '<meta property="og:description" content="Zeros in green." />',
        '<meta property="og:site_name" content="A book" />',
    ]


def test_a_page_without_text_has_no_description():
    context = {"title": "Search"}
    about.describe(APP, "search", "", context, None)
    assert context == {"title": "Search"}
    about.describe(APP, "page", "", context, page())
    assert "description" not in context["metatags"]


@pytest.mark.parametrize("text", ["word " * 100, "word " * 40])
def test_a_long_description_ends_with_a_word(text):
    said = about.shortened(text)
    assert len(said) <= about.LONGEST + 2 and set(said.split()) <= {"word", "…"}


TWICE = '<link rel="preload" as="font" type="font/woff2" crossorigin href="a.woff2" />\n'
TWICE += '<script src="../_static/vendor/fontawesome/6/js/all.min.js?digest=a"></script>\n'
KEPT = '<script src="../_static/scripts/bootstrap.js"></script>'
ICON, SILENT = (
    '<i class="fa-solid fa-bars"></i>',
    '<i aria-hidden="true" class="fa-solid fa-bars"></i>',
)


@pytest.mark.parametrize(
    ("failure", "left"), [(None, KEPT + SILENT), (OSError(), TWICE + KEPT + ICON)]
)
def test_icons_come_with_the_style_sheet_alone(tmp_path, failure, left):
    (tmp_path / "book").mkdir()
    made = tmp_path / "book/a.html"
    made.write_text(TWICE + KEPT + ICON)
    builder = SimpleNamespace(format="html")
    offline.drop_icons(SimpleNamespace(builder=builder, outdir=tmp_path), failure)
    assert made.read_text() == left


def test_the_keyboard_gets_at_a_table_that_scrolls():
    table = '<div class="output text_html"><style type="text/css">'
    other = '<div class="output text_html"><details>'
    context = {"body": table + other}
    landmarks.reach_tables(None, "page", "", context, None)
    assert context["body"] == table.replace("><style", ' tabindex="0"><style') + other
