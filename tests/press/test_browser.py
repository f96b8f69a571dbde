"""The built book in a real browser: every page, in both themes, on a phone and on a desk.

`make browser` builds first.  What the pages look like is left in _build/screens, but not in CI,
where nobody would look: the pictures take most of the time.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import pytest
import torch
from browser import CHAPTERS, EVERY, HTML
from bs4 import BeautifulSoup

import links
import pdf
from cgnbook import composing
from cgnbook.chapters import composer
from sources import ROOT

pytestmark = pytest.mark.browser

SCREENS = ROOT / "_build/screens"
WIDTHS = {1440: 900, 390: 844}
THEMES = ("light", "dark")
COMPOSER = "book/02_composer.html"
# By how much the page, an arrow to a neighbour or a wide table is cut off.
OVER = """Math.max(...[document.documentElement,
    ...document.querySelectorAll(".prev-next-area a, .output:has(.wide)"),
].map((box) => box.scrollWidth - box.clientWidth))"""
# The theme looks 0.3 s after a change of width which boxes scroll, and lets the keyboard in there.
RESIZED = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 500)))"


@dataclass
class Visit:
    """What a page did when it was opened.  By theme, and by width in pixels."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    violations: dict[str, list[str]] = field(default_factory=dict)
    overflow: dict[str, int] = field(default_factory=dict)
    nameless: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def visits(tab, site) -> dict[str, Visit]:
    """Every page, opened once and looked at in both themes and widths."""
    return {name: visit(tab, site, name) for name in EVERY}


def visit(tab, site: str, name: str) -> Visit:
    """Open a page, note what it does, and look at it in both themes and widths."""
    seen = Visit()

    def note_console(message):
        if message.type == "error":
            seen.complaints.append(message.text)

    listeners = {
        "request": lambda request: seen.requests.append(request.url),
        "pageerror": lambda error: seen.complaints.append(str(error)),
        "console": note_console,
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.emulate_media(color_scheme="light")
    tab.goto(site + name)
    settle(tab)
    for theme in THEMES:
        tab.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        tab.set_viewport_size({"width": 1440, "height": 900})
        tab.evaluate(RESIZED)
        seen.violations[theme] = list(violations(tab))
        for width, height in WIDTHS.items():
            tab.set_viewport_size({"width": width, "height": height})
            seen.overflow[f"{theme}, {width}"] = tab.evaluate(OVER)
            if "CI" not in os.environ:
                picture = SCREENS / f"{width}-{theme}" / f"{name.replace('/', '_')[:-5]}.png"
                tab.screenshot(path=picture, full_page=True)
    seen.nameless = tab.evaluate(
        "[...document.images].filter(i => !i.alt.trim()).map(i => i.src.slice(0, 120))"
    )
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    return seen


def settle(tab) -> None:
    """Wait until fonts are there, formulas are set and the painter has its answers; nothing slides
    or fades from then on."""
    tab.add_style_tag(content="*, ::before, ::after { transition: none !important }")
    tab.evaluate("document.fonts.ready.then(() => true)")
    tab.evaluate("window.MathJax?.startup?.promise?.then(() => true) ?? true")
    tab.wait_for_selector("body:not(:has(.painter)), .painter[data-rests]")
    tab.wait_for_selector("body:not(:has(.gate)), .gate[data-swept]")


def violations(tab) -> Iterator[str]:
    """What axe-core finds on the page as it stands: rule, element and what to do."""
    from axe_playwright_python.sync_playwright import Axe

    # with `preload` it would fetch style sheets by itself, from the wrong folder
    for found in Axe().run(tab, options={"preload": False}).response["violations"]:
        for node in found["nodes"]:
            where = " ".join(map(str, node["target"]))
            yield f"{found['id']}: {where}: {node['html'][:150]}: {found['help']}"


def defects(name: str, seen: Visit, site: str) -> Iterator[str]:
    """What is wrong with a page that was opened."""
    if not any(url.startswith(site + name) for url in seen.requests):
        yield "none of its requests was seen"
    elsewhere = [url for url in seen.requests if not url.startswith((site, "data:", "blob:"))]
    yield from (f"loads {url}" for url in elsewhere)
    yield from seen.complaints
    for theme, found in seen.violations.items():
        yield from (f"{theme}: {violation}" for violation in found)
    for where, px in seen.overflow.items():
        if px > 0:
            yield f"{where}: {px} px wider than its place"
    yield from (f"picture without a text: {url}" for url in seen.nameless)


def test_no_page_has_a_defect(visits, site):
    """It loads nothing from elsewhere, complains of nothing, is accessible, and fits."""
    assert len(visits) == len(EVERY)
    assert all(set(seen.violations) == set(THEMES) for seen in visits.values())
    assert not [f"{n}: {d}" for n, seen in visits.items() for d in defects(n, seen, site)]


def test_every_kind_of_defect_is_named():
    bad = Visit(
        ["https://x.example/a.js"], ["TypeError"], {"dark": ["button-name"]},
        {"dark, 390": 3}, ["a.png"],
    )  # fmt: skip
    assert [defect.split()[0] for defect in defects("a.html", bad, "http://here/")] == [
        "none", "loads", "TypeError", "dark:", "dark,", "picture",
    ]  # fmt: skip


def test_a_fault_would_be_found(tab, site, visits):
    """The check for accessibility sees what is wrong, here a button without a word."""
    tab.goto(site + "book/references.html")
    assert not list(violations(tab))
    tab.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [found.partition(":")[0] for found in violations(tab)] == ["button-name"]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_search_finds_paragraphs_also_on_disk(tab, site, on_disk):
    complaints = []
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    tab.goto((HTML.as_uri() + "/" if on_disk else site) + "search.html?q=readers")
    first = tab.locator("#search-results li").first
    assert first.locator("a").inner_text() == "Glossary: reader"  # where it is defined
    every = tab.locator("#search-results li").all()
    assert len(every) > 10 and all(it.locator("mark").count() for it in every[1:])
    first.locator("a").click()
    tab.wait_for_url("**/glossary.html#term-reader*")
    assert not complaints


def test_a_search_for_nothing_finds_nothing(tab, site):
    tab.goto(site + "search.html?q=zyzzyva")
    assert tab.locator("#search-results").inner_text() == "0 paragraphs with “zyzzyva”."


@pytest.mark.parametrize("width", WIDTHS)
def test_a_term_says_what_it_means_on_hover_on_tap_and_by_keyboard(tab, site, width):
    tab.set_viewport_size({"width": width, "height": WIDTHS[width]})
    tab.goto(site + "index.html")
    term = tab.locator(".defined").first
    button, note = term.locator("button"), term.locator("[role=tooltip]")
    assert not note.is_visible()
    button.hover()
    assert note.is_visible() and len(note.inner_text()) > 20
    tab.keyboard.press("Escape")
    assert not note.is_visible()
    tab.mouse.move(0, 0)
    button.focus()
    box = note.bounding_box()
    assert note.is_visible() and box["x"] >= 0 and box["x"] + box["width"] <= width
    button.evaluate("of => of.blur()")
    button.click()
    assert note.is_visible()


@pytest.fixture(scope="module")
def worlds() -> list[tuple[dict, composing.World]]:
    """What the page of the composer carries, as described there and unpacked."""
    if not (HTML / COMPOSER).exists():
        pytest.skip("the book is not built")
    soup = BeautifulSoup((HTML / COMPOSER).read_text(encoding="utf-8"), "html.parser")
    described = json.loads(soup.find(id="composer-data").string)
    return [
        (each, composer.unpack(each["data"], each["size"], each["samples"], keys(each)))
        for each in described
    ]


def keys(described: dict) -> list[str]:
    return [subject["key"] for subject in described["subjects"]]


@pytest.fixture
def open_composer(tab, site, worlds):
    """The composer's page, fresh, with its script at work."""
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(site + COMPOSER)
    tab.wait_for_selector(".composer:not([hidden])")
    return tab


def drawn(tab, part: str) -> torch.Tensor:
    """The pixels of a canvas, [3, H, W] bytes; none is transparent."""
    values = tab.evaluate(
        """part => {
            const c = document.querySelector(`.composer canvas[data-part=${part}]`);
            return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data];
        }""",
        part,
    )
    pixels = torch.tensor(values, dtype=torch.uint8)
    side = int((len(values) / 4) ** 0.5)
    pixels = pixels.view(side, side, 4).permute(2, 0, 1)
    assert (pixels[3] == 255).all()
    return pixels[:3]


def chosen(tab) -> list[tuple[int, int]]:
    """Class and sample of each cue, as the page shows them."""
    found = []
    for cue in composing.CUES:
        box = tab.locator(f'.composer fieldset[data-cue="{cue}"]')
        button = box.locator("button")
        sample = int(re.search(r"\d+", button.inner_text())[0]) - 1 if button.count() else 0
        found.append((int(box.locator("input:checked").get_attribute("value")), sample))
    return found


def check(tab, described: dict, world: composing.World) -> None:
    """Pictures and words are those of the chosen parts, computed here from the same bytes."""
    now = chosen(tab)
    index = tuple(label * described["samples"] + sample for label, sample in now)
    parts = [x[i] for x, i in zip(vars(world.parts).values(), index, strict=False)]
    for part, wanted in zip(composing.CUES, parts, strict=True):
        assert torch.equal(drawn(tab, part), wanted.expand(3, -1, -1))
    assert torch.equal(drawn(tab, "composed"), composing.compose(*parts))
    for subject, answers in world.answers.items():
        said = tab.locator(f'.composer li[data-subject="{subject}"]').inner_text()
        label, percent = answers.label[index].item(), answers.percent[index].item()
        assert f": {described['classes']['shape'][label]} ({percent}%), the class of" in said
        same = [cue for cue, (c, _) in zip(composing.CUES, now, strict=True) if c == label]
        assert ("none of the three" in said) == (not same)
        assert all(cue in said for cue in same) or "all three" in said


def test_the_composer_draws_what_the_classifiers_saw(open_composer, worlds):
    """By mouse: each world, classes, the next sample, and the two buttons."""
    tab = open_composer
    check(tab, *worlds[0])
    for i, (described, world) in enumerate(worlds):
        tab.select_option("#composer-world", str(i))
        tab.wait_for_function(
            f"document.querySelector('canvas[data-part=composed]').width === {described['size']}"
        )
        for cue, label in zip(composing.CUES, (2, 5, 8), strict=True):
            tab.locator(f'fieldset[data-cue="{cue}"] input').nth(label).click()
        assert [label for label, _ in chosen(tab)] == [2, 5, 8]
        check(tab, described, world)
        for button in tab.locator(".composer-sample").all():
            button.click()
        check(tab, described, world)
        tab.get_by_role("button", name="Shuffle").click()
        check(tab, described, world)
        tab.get_by_role("button", name="Make all three agree").click()
        assert len({label for label, _ in chosen(tab)}) == 1
        check(tab, described, world)


def test_each_world_opens_where_its_classifiers_tell_cues_apart(open_composer, worlds):
    """The first goes with texture or background, the others with what they are asked for, and no
    choice before does so; a world without such a choice is not told apart."""
    for i, (described, world) in enumerate(worlds):
        open_composer.select_option("#composer-world", str(i))
        open_composer.wait_for_timeout(500)
        n, samples = len(described["classes"]["shape"]), described["samples"]
        asked = [composing.CUES.index(subject["cue"]) for subject in described["subjects"]]
        said = [of.label[::samples, ::samples, ::samples] for of in world.answers.values()]
        telling = [
            three
            for three in permutations(range(n), 3)
            if said[0][three] in three[1:]
            and all(of[three] == three[cue] for of, cue in zip(said[1:], asked[1:], strict=True))
        ]
        assert chosen(open_composer) == [(label, 0) for label in telling[0]]


@pytest.mark.parametrize("name", [COMPOSER, "index.html"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_while_a_page_comes_alive(browser, site, name, width):
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.add_init_script("""window.moved = 0; new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) window.moved += shift.value;
    }).observe({ type: "layout-shift", buffered: true });""")
    page.goto(site + name)
    page.wait_for_selector(".painter.live-on")
    page.wait_for_timeout(300)
    assert page.evaluate("moved") < 0.02
    page.close()


def test_the_composer_works_by_keyboard(open_composer, worlds):
    tab = open_composer
    tab.focus("#composer-world")
    visited = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        visited.append(
            tab.evaluate("document.activeElement.name || document.activeElement.innerText")
        )
    assert visited == [
        "Shuffle", "Make all three agree", "composer-shape", "Sample 1 of 2: next",
        "composer-texture", "Sample 1 of 2: next", "composer-background", "Sample 1 of 2: next",
    ]  # fmt: skip
    before = chosen(tab)
    tab.keyboard.press("Enter")
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("ArrowRight")
    label = (before[2][0] + 1) % 10
    assert chosen(tab) == [*before[:2], (label, 1)]
    ring = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert tab.evaluate(ring) == "solid"
    check(tab, *worlds[0])


def test_the_composer_speaks(open_composer):
    """A screen reader hears what was composed and what the classifiers say."""
    live = open_composer.locator(".composer [aria-live=polite]")
    before = live.inner_text()
    open_composer.locator('fieldset[data-cue="background"] input').nth(9).click()
    assert "before the background of 9" in live.inner_text() != before
    alone = open_composer.locator('canvas[data-part="composed"]').get_attribute("aria-label")
    assert "before the background of 9" in alone


def test_the_composer_opens_from_disk(browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((HTML / COMPOSER).as_uri())
    page.wait_for_selector(".composer:not([hidden])")
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    page.close()


def test_without_scripts_a_picture_stands_for_the_composer(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + COMPOSER)
    assert not page.locator(".composer").is_visible()
    assert page.locator(".composer-off").is_visible()
    picture = page.locator("#fig-composer [role=img]")
    assert picture.is_visible() and len(picture.get_attribute("aria-label")) > 50
    assert re.match(r"Fig\. \d", page.locator("#fig-composer figcaption").inner_text())
    context.close()


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> Path:
    """The built book with its PDF; a copy, so that the book stays as it was built."""
    try:
        pdf.browser()
    except SystemExit as missing:
        pytest.skip(str(missing))
    if not all((HTML / page).exists() for page in EVERY):
        pytest.skip("the book is not built: make browser builds it first")
    html = shutil.copytree(HTML, tmp_path_factory.mktemp("printed") / "html")
    assert pdf.main([], html=html) == 0
    return html


def outline(content: bytes) -> list[str]:
    """The bookmarks of a PDF by Chromium, which writes them plainly or in UTF-16."""
    found = []
    for plain, coded in re.findall(rb"/Title (?:\(((?:\\.|[^\\)])*)\)|<([0-9A-F]*)>)", content):
        text = bytes.fromhex(coded.decode()).decode("utf-16") if coded else plain.decode("latin-1")
        found.append(re.sub(r"\\(.)", r"\1", text))
    return found


def test_the_pdf_has_every_chapter(printed):
    content = (printed / pdf.NAME).read_bytes()
    assert len(re.findall(rb"/Type /Page\b", content)) > 50
    bookmarks = outline(content)
    for name in CHAPTERS:
        page = BeautifulSoup((printed / name).read_text(encoding="utf-8"), "html.parser")
        title = page.select_one("article h1").get_text().removesuffix("#")
        assert title in bookmarks, name


def test_the_pdf_names_no_file_of_this_machine(printed):
    assert b"file:" not in (printed / pdf.NAME).read_bytes()


def test_the_front_page_leads_to_the_pdf(browser, printed, capsys):
    assert links.main(printed, ROOT) == 0, capsys.readouterr().out
    page = browser.new_page()
    page.goto((printed / "index.html").as_uri())
    link = page.locator(".pdf-edition a")
    assert link.is_visible() and link.get_attribute("href") == pdf.NAME
    page.close()
