"""Numbers that cite themselves, in a real browser.  `make browser` builds first."""

import json

import pytest

pytestmark = pytest.mark.browser

PAGE = "book/08_claim3_mnist.html"


@pytest.fixture
def chapter(tab, site):
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(site + PAGE)
    tab.wait_for_selector("data.cited[tabindex]")
    return tab


def test_a_number_tells_its_sources_on_hover_tap_and_focus(chapter):
    number, note = chapter.locator("data.cited").first, chapter.locator("#cited-note")
    sources = json.loads(number.get_attribute("data-sources"))
    ways = {
        number.hover: lambda: chapter.mouse.move(0, 0),
        number.click: chapter.locator("article h1").click,
        number.focus: lambda: chapter.keyboard.press("Escape"),
    }
    for tell, silence in ways.items():
        assert not note.is_visible()
        tell()
        assert all(text in note.inner_text() for of in sources for text in of.values())
        assert number.get_attribute("aria-describedby") == "cited-note"
        silence()
    assert not note.is_visible() and number.get_attribute("aria-describedby") is None


def test_what_it_tells_fits_a_phone(chapter):
    chapter.set_viewport_size({"width": 390, "height": 844})
    for number in chapter.locator("data.cited").all()[:8]:
        number.focus()  # which scrolls, and the note goes along
        chapter.wait_for_timeout(100)
        box = chapter.locator("#cited-note").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844


def test_without_scripts_a_number_is_a_number(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + PAGE)
    number = page.locator("data.cited").first
    assert number.inner_text() and number.get_attribute("tabindex") is None
    context.close()
