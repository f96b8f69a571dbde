"""The painter of the first page in a real browser: its networks are torch's, and it keeps its word.

`make browser` builds first.
"""

import re

import pytest
import torch
from browser import HTML
from torch import Tensor

import networks
from cgnbook import composing, painter
from cgnlib.chance import generator
from cgnlib.counterfactuals.digits import interventions
from cgnlib.data import variants
from cgnlib.data.images import to_signed
from cgnlib.measures.heat import HeatMaps
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CGN, CNN

pytestmark = pytest.mark.browser

NEAR = 1e-4
MECHANISMS = ("shape", "texture", "background")
# What the engine answers to some calls, typed arrays as lists.
ASK = """async calls => {
    const engine = Engine.start(WEIGHTS), found = [];
    const flat = (x) => ArrayBuffer.isView(x) ? [...x] : Object.values(x).map(flat);
    for (const call of calls) found.push(flat((await engine.ask(...call)).found));
    return found;
}"""


@pytest.fixture
def opened(tab, site):
    """The first page, fresh, with the example on it."""
    tab.set_viewport_size({"width": 1440, "height": 900})
    return opening(tab, f"{site}index.html")


def opening(tab, address: str):
    tab.goto("about:blank")  # an address that differs behind # alone would load nothing
    tab.goto(address)
    tab.wait_for_selector(".painter[data-rests]")
    return tab


def rested(tab, act) -> str:
    """The address of the picture once the page has answered what `act` does."""
    before = tab.get_attribute(".painter", "data-rests")
    act()
    tab.wait_for_function(
        "before => document.querySelector('.painter').dataset.rests !== before", arg=before
    )
    return tab.get_attribute(".painter", "data-rests")


@pytest.fixture(scope="module")
def classifiers() -> dict[str, CNN]:
    return {name: shipped.load(name, CNN()) for name in painter.ASKED}


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Real digits with cues by chance, and counterfactuals, [N, 3, 32, 32]."""
    real = variants.load("wildlife", "mnist-5k", "test", generator(0, "engine"))
    x, _ = real.batch(torch.arange(0, 1000, 25))
    net = shipped.load(painter.MAKER, CGN())
    with torch.inference_mode():
        mask, fg, bg, *_ = next(
            interventions(net, torch.arange(10).repeat(2), generator(0, "engine"))
        )
        return torch.cat([x, mask * fg + (1 - mask) * bg]).contiguous()


def test_the_classifiers_are_torchs(opened, classifiers, images):
    """Probabilities, and Grad-CAM as the chapter on explanations has it."""
    for name, net in classifiers.items():
        calls = [["classify", name, x.flatten().tolist()] for x in images]
        found = opened.evaluate(ASK, calls)
        p, heat = (torch.tensor(part) for part in zip(*found, strict=True))
        with torch.inference_mode():
            assert (net(images).exp() - p).abs().max() < NEAR
        with HeatMaps(net, net.model[8]) as maps:
            wanted = maps(images)
        got = torch.nn.functional.interpolate(heat.view(-1, 1, 8, 8), (32, 32), mode="bilinear")
        assert (wanted - got[:, 0]).abs().max() < NEAR * max(1, wanted.max())
        assert len(set(p.argmax(1).tolist())) > 5


def test_the_mechanisms_are_torchs(opened):
    """Mask, texture and background of every class, at full width."""
    net = shipped.load(painter.MAKER, CGN())
    u, y = net.draw_latent(10, generator(0, "engine")), torch.arange(10)
    with torch.inference_mode():
        given = net._input(u, y)
        wanted = [net.mask(u, y), net.f_text1(given), net.f_text2(given)]
    for mechanism, parts in zip(MECHANISMS, wanted, strict=True):
        calls = [["part", painter.MAKER, mechanism, int(c), u[c].tolist()] for c in y]
        got = torch.tensor(opened.evaluate(ASK, calls))
        assert (parts.flatten(1) - got).abs().max() < NEAR


def test_the_scripts_carry_the_shipped_files(opened):
    """Whole, with the record that has their sha256."""
    hashes = opened.evaluate("""async () => Object.fromEntries(await Promise.all(
        Object.entries(WEIGHTS).map(async ([name, { safetensors, record }]) => {
            const bytes = Uint8Array.from(atob(safetensors), (letter) => letter.charCodeAt(0));
            const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
            const hex = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
            return [name, [hex, record.sha256]];
        })))""")
    assert set(hashes) == {painter.MAKER, *painter.ASKED} < set(networks.NAMES)
    for name, (found, told) in hashes.items():
        assert found == told == shipped.record(name)["sha256"]


def shown(tab, name: str) -> tuple[Tensor, Tensor, int]:
    """What a classifier was shown, [3, 32, 32] bytes, its bars, [10], and its answer."""
    pixels, bars, answer = tab.evaluate(
        """name => {
            const box = document.querySelector(`[data-subject="${name}"]`);
            const canvas = box.querySelector("canvas"), context = canvas.getContext("2d");
            const all = context.getImageData(0, 0, canvas.width, canvas.height).data;
            const pixels = [], step = canvas.width / 32;
            for (let c = 0; c < 3; c++) for (let i = 0; i < 32; i++) for (let j = 0; j < 32; j++)
                pixels.push(all[4 * (i * step * canvas.width + j * step) + c]);
            const bars = [...box.querySelectorAll("li")];
            const answer = box.querySelector(".live-answer").textContent;
            return [pixels, bars.map((bar) => +bar.style.getPropertyValue("--p")), +answer];
        }""",
        name,
    )
    return torch.tensor(pixels, dtype=torch.uint8).view(3, 32, 32), torch.tensor(bars), answer


def check(tab, classifiers) -> dict[str, int]:
    """Both pictures are the same, and bars and answers are torch's of these very bytes; the heat
    maps are off from then on."""
    tab.uncheck(".painter .live-bar label:has-text('looks') input")
    said, pictures = {}, []
    for name, net in classifiers.items():
        x, bars, answer = shown(tab, name)
        with torch.inference_mode():
            p = net(to_signed(x[None])).exp()[0]
        assert (p - bars).abs().max() < NEAR and p.argmax() == answer
        pictures.append(x)
        said[painter.ASKED[name]] = answer
    assert torch.equal(*pictures)
    return said


def easel(tab) -> tuple[float, float, float]:
    """Left, top and side of the pad, which is on the screen."""
    pad = tab.locator(".painter-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    return box["x"], box["y"], box["width"]


def choose(tab, cue: str, label: int) -> None:
    tab.locator(f'.painter fieldset[data-cue="{cue}"] input').nth(label).click()


def counts(tab) -> list[str]:
    return tab.locator(".painter-count").all_inner_texts()


def test_it_opens_with_an_example_that_works(opened, classifiers):
    """The one goes by the paint, the other by the digit; nothing is in the address yet."""
    said = check(opened, classifiers)
    assert said["originals"] in (7, 1) and said["counterfactuals"] == 3
    assert counts(opened) == ["fooled 1 of 1", "fooled 0 of 1"]
    assert "#" not in opened.url


def test_a_digit_is_drawn_and_painted(opened, classifiers):
    """By mouse: a one on the texture of 4 and the background of 8."""
    for cue, label in zip(painter.CUES, (1, 4, 8), strict=True):
        rested(opened, lambda cue=cue, label=label: choose(opened, cue, label))
    glyph = check(opened, classifiers) and shown(opened, next(iter(classifiers)))[0]
    x, y, side = easel(opened)

    def draw():
        opened.mouse.move(x + 0.6 * side, y + 0.15 * side)
        opened.mouse.down()
        opened.mouse.move(x + 0.4 * side, y + 0.85 * side, steps=20)
        opened.mouse.up()

    code = rested(opened, draw)
    assert re.fullmatch(r"paint=148\.1\.~[\w-]{20,}", code)
    said = check(opened, classifiers)
    drawn = shown(opened, next(iter(classifiers)))[0]
    assert not torch.equal(drawn, glyph) and said["counterfactuals"] == 1
    assert rested(opened, lambda: opened.get_by_role("button", name="Clear").click())
    assert opened.get_by_text("Draw a 1 here").is_visible()
    bare = shown(opened, next(iter(classifiers)))[0]
    changed = (bare != drawn).any(0).float().mean()
    assert 0.05 < changed < 0.2  # what the pen had covered


def test_a_shared_address_shows_the_same(opened, classifiers, site):
    """With the strokes of the reader, in a fresh page."""
    rested(opened, lambda: choose(opened, "background", 5))
    x, y, _ = easel(opened)
    opened.mouse.move(x + 60, y + 60)
    opened.mouse.down()
    opened.mouse.move(x + 200, y + 90, steps=9)
    opened.mouse.move(x + 100, y + 260, steps=9)
    code = rested(opened, opened.mouse.up)
    before = {name: shown(opened, name)[1] for name in classifiers}
    assert opened.url.endswith(f"#{code}")
    assert opened.get_attribute(".painter .live-link", "href") == f"#{code}"
    opening(opened, f"{site}index.html#{code}")
    assert opened.get_attribute(".painter", "data-rests") == code
    check(opened, classifiers)
    for name, bars in before.items():  # strokes in an address are rounded
        assert (shown(opened, name)[1] - bars).abs().max() < 0.2
    for wrong in ("paint=37", "paint=371.1.A", "paint=371.x", "the-claims-so-far"):
        opening(opened, f"{site}index.html#{wrong}")
        assert opened.get_attribute(".painter", "data-rests").startswith("paint=371.1")


def test_the_link_copies_the_address_or_shows_it(opened):
    """A page may write to the clipboard; where it may not, the address is there to be copied."""
    link = opened.locator(".painter .live-link")
    address = opened.evaluate("document.querySelector('.live-link').href")
    for refused in (False, True):
        opened.evaluate(
            """refused => Object.defineProperty(navigator, "clipboard", { configurable: true,
                value: { writeText: async (text) => {
                    if (refused) throw new Error("refused");
                    window.copied = text;
                } } })""",
            refused,
        )
        link.click()
        if not refused:
            opened.get_by_text("Copied").wait_for()
            assert opened.evaluate("copied") == address == opened.url
    assert opened.locator(".live-shown").input_value() == address
    assert opened.evaluate("getSelection().toString()") == address


def test_it_works_by_keyboard_and_speaks(opened, classifiers):
    said = opened.locator(".painter .live-said")
    assert "3 in the texture of 7, before the background of 1" in said.inner_text()
    opened.focus(".painter .live-first")
    for _ in range(4):  # clear, heat, link, digit
        opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.name") == "painter-digit"
    rested(opened, lambda: opened.keyboard.press("ArrowRight"))
    assert "A 4 in the texture of 7" in said.inner_text()
    ring = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert opened.evaluate(ring) == "solid"
    check(opened, classifiers)


def test_surprises_are_counted_once_each(opened, classifiers):
    surprise = opened.get_by_role("button", name="Surprise me")
    codes = {rested(opened, surprise.click) for _ in range(5)}
    assert len(codes) == 5 and all(c.endswith("of 6") for c in counts(opened))
    digits = [re.match(r"paint=(\d)(\d)(\d)", code).groups() for code in codes]
    assert all(len(set(three)) == 3 for three in digits)
    fooled = [int(re.search(r"\d+", count)[0]) for count in counts(opened)]
    assert fooled[0] > fooled[1]
    check(opened, classifiers)


def test_a_phone_has_picture_answers_and_controls_on_one_screen(opened):
    opened.set_viewport_size({"width": 390, "height": 844})
    box = opened.locator(".painter .live-now").bounding_box()
    assert box["height"] < 700 and box["width"] <= 390


def test_it_opens_from_disk(browser, classifiers):
    page = browser.new_page(reduced_motion="reduce")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    opening(page, (HTML / "index.html").as_uri())
    check(page, classifiers)
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))]
    page.close()


@pytest.fixture
def studio(tab, site):
    """The composer's page, whose painter has more doors."""
    tab.set_viewport_size({"width": 1440, "height": 900})
    return opening(tab, f"{site}book/02_composer.html")


def mechanisms(tab) -> list[Tensor]:
    """Mask, texture and background as they are shown, [3, 32, 32] bytes each."""
    found = tab.evaluate("""() => [...document.querySelectorAll(".painter-mechanism canvas")]
        .map((c) => [...c.getContext("2d").getImageData(0, 0, 32, 32).data])
        .map((data) => data.filter((_, i) => i % 4 < 3))""")
    return [torch.tensor(x, dtype=torch.uint8).view(32, 32, 3).permute(2, 0, 1) for x in found]


def turn(tab, mechanism: int, steps: int) -> None:
    """Turn the noise of a mechanism by keyboard."""
    tab.locator(".painter-mechanism input").nth(mechanism).focus()
    for _ in range(steps):
        tab.keyboard.press("ArrowRight")


def test_noise_of_a_mechanism_changes_its_own_part_alone(studio, classifiers):
    for which in range(3):
        before = mechanisms(studio)
        code = rested(studio, lambda which=which: turn(studio, which, 1))
        after = mechanisms(studio)
        same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert same == [i != which for i in range(3)]
        check(studio, classifiers)
    assert code.endswith(".cgn010101")


def test_what_is_shown_is_composed_of_the_mechanisms(studio, classifiers):
    mask, texture, background = mechanisms(studio)
    studio.uncheck(".painter .live-bar label:has-text('looks') input")
    x, *_ = shown(studio, next(iter(classifiers)))
    composed = composing.compose(mask, texture, background)
    assert (
        composed.int() - x.int()
    ).abs().max() <= 2  # the parts are rounded once more to be shown


def test_a_mask_is_painted_and_erased(studio, classifiers):
    """A stroke adds what is under it, and another takes it away; the address has both."""
    x, y, _ = easel(studio)

    def stroke():
        studio.mouse.move(x + 20, y + 20)
        studio.mouse.down()
        studio.mouse.move(x + 20, y + 200, steps=10)
        studio.mouse.up()

    before = mechanisms(studio)[0]
    code = rested(studio, stroke)
    painted = mechanisms(studio)[0]
    assert (painted[0, 4:16, 1] == 255).all() and not torch.equal(painted, before)
    studio.check(".painter .live-bar label:has-text('erase') input")
    erased_code = rested(studio, stroke)
    erased = mechanisms(studio)[0]
    assert (erased[0, 4:16, 1] == 0).all() and "!" in erased_code and "!" not in code
    check(studio, classifiers)
    opening(studio, f"{studio.url.partition('#')[0]}#{erased_code}")
    assert torch.equal(mechanisms(studio)[0], erased)


def test_the_mask_is_taken_from_the_cgn(studio, classifiers):
    tick = studio.locator(".painter .live-bar label:has-text('mask by the CGN') input")
    assert ".pen" in rested(studio, tick.uncheck)
    assert set(mechanisms(studio)[0].unique().tolist()) == {0, 255}
    check(studio, classifiers)


def test_other_pages_load_none_of_it(tab, site):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{site}book/01_context.html")
    assert asked and not [url for url in asked if "engine/" in url or "painter/" in url]


def test_a_digit_writes_itself_where_motion_is_welcome(browser, site):
    page = browser.new_page(reduced_motion="no-preference")
    opening(page, f"{site}index.html")
    page.evaluate("window.pads = new Set()")
    page.evaluate("""() => { const pad = document.querySelector(".painter-pad");
        (function look() { pads.add(pad.toDataURL()); requestAnimationFrame(look); })(); }""")
    rested(page, lambda: choose(page, "digit", 5))
    assert page.evaluate("pads.size") > 3
    page.close()


def test_without_scripts_and_on_paper_pictures_stand_for_it(browser, site, opened):
    opened.emulate_media(media="print")
    assert opened.locator(".live-still").is_visible()
    assert not opened.locator(".painter .live-now").is_visible()
    opened.emulate_media(media="screen")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}index.html")
    images = page.locator(".live-still img")
    assert images.count() == 10 and images.first.is_visible()
    assert "0 in the texture of 4" in images.first.get_attribute("alt")
    assert page.locator(".live-still td span").count() == 20
    context.close()
