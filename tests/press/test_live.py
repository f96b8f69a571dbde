"""The switches of claim 2, the gate and the films in a real browser: what they show is true.

`make browser` builds first.
"""

import re

import numpy as np
import pytest
import torch
from browser import EVERY, HTML
from PIL import Image

from cgnbook import film, gate, kept, page, switchboard
from cgnbook.drawing import arrays_of
from cgnlib import paths
from cgnlib.data.images import to_signed
from cgnlib.experiments import ABLATIONS
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CNN
from links import soup

pytestmark = pytest.mark.browser

LOSSES = "book/07_claim2.html"
GATE = "book/14_union.html"
FILM = "book/05_claim1_mnist.html"
# The pixels of the picture or canvas that is found, bytes.
PIXELS = """image => {
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
    canvas.width = image.naturalWidth || image.width;
    canvas.height = image.naturalHeight || image.height;
    context.drawImage(image, 0, 0);
    const all = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [canvas.height, canvas.width, all.filter((_, i) => i % 4 < 3)];
}"""


def pixels(found) -> np.ndarray:
    """What a picture shows, [H, W, 3] bytes."""
    height, width, values = found.evaluate(
        f"image => {{ const [h, w, x] = ({PIXELS})(image); return [h, w, [...x]]; }}"
    )
    return np.array(values, np.uint8).reshape(height, width, 3)


def opening(tab, address: str):
    tab.goto("about:blank")  # an address that differs behind # alone would load nothing
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(address)
    return tab


@pytest.fixture
def losses(tab, site):
    """The chapter of claim 2, fresh."""
    opening(tab, site + LOSSES).wait_for_selector(".losses-board")
    return tab


def shown(tab) -> str:
    """The setting whose panel is shown; there is one."""
    [panel] = tab.locator(".losses-panel:visible").all()
    return panel.get_attribute("data-without")


def test_each_switch_shows_what_was_trained_without_it(losses):
    """Pictures are the kept ones, to the pixel, and numbers those of the record."""
    arrays = {r.run.ablation: arrays_of(r) for r in kept.read("claim-2")}
    this = page.tracked("claim-2", "mini")
    of = switchboard.table({"full": switchboard.ablations.measured(this.reference)})
    switches = losses.locator(".losses-switches input")
    for i, name in enumerate(["none", *(a for a in ABLATIONS if a != "none")]):
        if i:
            switches.nth(i - 1).click()
        assert shown(losses) == name
        panel = losses.locator(f'[data-without="{name}"]')
        for part, image in zip(switchboard.PARTS, panel.locator("img").all(), strict=True):
            wanted = arrays[name][part][1]
            assert np.array_equal(pixels(image), np.broadcast_to(wanted, (64, 64, 3)))
        for row in of[of.ablation == name].itertuples():
            _, unit, form = switchboard.MEASURES[row.metric]
            cell = panel.locator(f'tr[data-metric="{row.metric}"] td').first
            assert cell.inner_text() == form.format(unit * row.value)


def test_two_losses_are_never_off(losses):
    switches = losses.locator(".losses-switches input")
    for i in (0, 2):
        switches.nth(i).click()
        assert [s.is_checked() for s in switches.all()] == [j != i for j in range(4)]
    said = losses.locator(".losses [aria-live]")
    assert "without two of these groups" in said.inner_text()
    assert said.locator("sub").inner_text() == "bg" and "_" not in said.inner_text()


def test_pictures_stay_where_they_are_when_a_switch_is_turned(losses):
    def height() -> float:
        """Of all that is above the pictures."""
        board, panel = (f".losses-{part}:visible" for part in ("board", "panel"))
        return losses.locator(panel).bounding_box()["y"] - losses.locator(board).bounding_box()["y"]

    for width in (1440, 390, 360):
        losses.set_viewport_size({"width": width, "height": 844})
        heights = [height()]
        for switch in losses.locator(".losses-switches input").all():
            switch.click()
            heights.append(height())
        assert heights == pytest.approx([heights[0]] * 5, abs=0.5)
        switch.click()


def test_the_switches_work_by_keyboard_and_address(losses, site):
    losses.focus(".losses-switches input")
    losses.keyboard.press("Tab")
    losses.keyboard.press("Space")
    assert shown(losses) == "texture" and losses.url.endswith("#loss=2")
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert losses.evaluate(ring) == "solid"
    opening(losses, f"{site}{LOSSES}#loss=4").wait_for_selector(".losses-board")
    assert shown(losses) == "reconstruction"
    opening(losses, f"{site}{LOSSES}#loss=9").wait_for_selector(".losses-board")
    assert shown(losses) == "none"


@pytest.fixture
def opened_gate(tab, site):
    """The chapter of the union, fresh, once every step was asked."""
    opening(tab, site + GATE).wait_for_selector(".gate[data-swept]")
    return tab


def slide(tab, step: int) -> None:
    """Move the slider, and wait for what is answered there."""
    tab.locator(".gate-track input").fill(str(step))
    scene = tab.locator(".gate-scenes input:checked").get_attribute("value")
    tab.locator(".gate-track input").dispatch_event("change")
    tab.wait_for_function(
        "rests => document.querySelector('.gate').dataset.rests === rests", arg=f"{scene}.{step}"
    )


def test_the_gate_says_what_torch_says(opened_gate):
    """Of the very bytes that are shown, which are those that Python fades to."""
    ends, _ = gate.pictures()
    for step in (0, 13, gate.STEPS):
        slide(opened_gate, step)
        x = pixels(opened_gate.locator(".gate-picture canvas"))
        assert np.array_equal(x, gate.faded(ends[3], step).numpy())
        for name in gate.ASKED:
            with torch.inference_mode():
                signed = to_signed(torch.from_numpy(x)[None]).permute(0, 3, 1, 2)
                p = shipped.load(name, CNN())(signed).exp()[0]
            card = opened_gate.locator(f'.gate [data-subject="{name}"]')
            bars = card.locator("li").evaluate_all(
                "all => all.map(bar => +bar.style.getPropertyValue('--p'))"
            )
            assert (p - torch.tensor(bars)).abs().max() < 1e-4
            assert int(card.locator(".live-answer").inner_text()) == p.argmax()


def test_the_strips_and_the_mark_are_those_of_every_step(opened_gate):
    ends, cues = gate.pictures()
    said, colours = gate.answers(ends), ("digit", "texture", "background")
    for scene in (3, 8):
        opened_gate.locator(".gate-scenes input").nth(scene).click()
        opened_gate.wait_for_selector(f'.gate[data-swept="{scene}"]')
        for strip, answers in zip(
            opened_gate.locator(".gate-strip").all(), said.values(), strict=True
        ):
            shown = strip.locator("i").evaluate_all("all => all.map(cell => cell.dataset.cue)")
            of = dict(zip(cues[scene].tolist(), colours, strict=True))
            assert shown == [of.get(answer, "none") for answer in answers[scene].tolist()]
        at = gate.tip(said[gate.UNION][scene].tolist(), int(cues[scene][0]))
        told = opened_gate.locator(".gate-tip").inner_text()
        assert int(re.search(r"\d+", told)[0]) == round(100 * at / gate.STEPS)


def test_another_picture_clears_what_was_told_of_the_last(opened_gate):
    """As soon as it is shown, long before all its steps were asked."""
    opened_gate.evaluate("""() => {
        const chosen = document.querySelectorAll(".gate-scenes label")[8];
        new MutationObserver(() => { window.told = [
            document.querySelector(".gate-tip").textContent,
            document.querySelector(".gate-strip b").hidden,
            document.querySelectorAll(".gate-strip i[data-cue]").length,
        ]; }).observe(document.querySelector(".gate-tip"), { childList: true });
        chosen.click();
    }""")
    assert opened_gate.wait_for_function("window.told").json_value() == [
        "Asking at every step …", True, 0,
    ]  # fmt: skip
    opened_gate.wait_for_selector('.gate[data-swept="8"]')
    assert "tips to the digit" in opened_gate.locator(".gate-tip").inner_text()


def test_every_colour_of_the_strips_is_named(opened_gate):
    named = opened_gate.locator(".gate-key li")
    colours = named.evaluate_all("all => all.map(item => item.dataset.cue)")
    assert colours == ["digit", "texture", "background", "none"]
    assert named.last.inner_text() == "none of the three"


def test_the_gate_works_by_keyboard_speaks_and_is_shared(opened_gate, site):
    opened_gate.focus(".gate-track input")
    opened_gate.keyboard.press("ArrowRight")
    opened_gate.wait_for_selector('.gate[data-rests="3.1"]')
    said = opened_gate.locator(".gate [aria-live]").inner_text()
    assert "Learned from both:" in said and opened_gate.url.endswith("#gate=3.1")
    opening(opened_gate, f"{site}{GATE}#gate=8.20").wait_for_selector('.gate[data-swept="8"]')
    assert opened_gate.locator(".gate-track input").input_value() == "20"


def test_a_phone_shows_the_gate_on_one_screen(opened_gate):
    opened_gate.set_viewport_size({"width": 390, "height": 844})
    box = opened_gate.locator(".gate > .live-now").bounding_box()
    assert box["height"] < 844 and box["width"] <= 390


@pytest.fixture
def films(tab, site):
    """The chapter of the lottery, fresh."""
    opening(tab, site + FILM).wait_for_selector(".film-bar")
    return tab


def test_a_film_shows_the_moment_that_the_slider_is_at(films):
    slider = films.locator(".film-bar input")
    for moment in (0, 9, 23):
        slider.fill(str(moment))
        sections = films.locator(".film-training").all()
        for section, training in zip(sections, film.trainings(), strict=True):
            with Image.open(paths.records() / f"film/{training['run']}.webp") as strip:
                wanted = np.array(strip.convert("RGB"))[32 * moment : 32 * (moment + 1)]
            shown = np.concatenate(list(map(pixels, section.locator("canvas").all())), 1)
            assert np.abs(shown.astype(int) - wanted).mean() < 1
            marks = section.locator(".film-digits span").all_inner_texts()
            read = film.readable(training)[moment]
            signs = [" ✓" if is_read else " ✗" for is_read in read] if moment else [""] * 10
            assert marks == [f"{digit}{sign}" for digit, sign in enumerate(signs)]
            told = f"{sum(read)} of 10 read" if moment else "not trained yet"
            heading = section.locator(".live-title").inner_text()
            assert told in heading and f"evaluation, {training['usable']} are usable" in heading
            cursor = section.locator(".film-cursor").bounding_box()
            box = section.locator(".film-grid").first.bounding_box()
            share = training["steps"][moment] / training["steps"][-1]
            assert cursor["x"] == pytest.approx(box["x"] + share * box["width"], abs=2)
            assert f"{training['steps'][moment]:,} of" in films.locator(".film-step").inner_text()


def test_a_film_works_by_keyboard_speaks_and_is_shared(films, site):
    films.focus(".film-bar input")
    films.keyboard.press("Home")
    films.keyboard.press("ArrowRight")
    films.wait_for_selector('.film[data-rests="1"]')
    assert "of 10 read" in films.locator(".film [aria-live]").inner_text()
    assert films.url.endswith("#film=1")
    opening(films, f"{site}{FILM}#film=7").wait_for_selector(".film-bar")
    assert films.locator(".film-bar input").input_value() == "7"


def test_a_film_plays_when_seen_where_motion_is_welcome(browser, site, films):
    films.locator(".film").scroll_into_view_if_needed()
    films.wait_for_timeout(1000)
    assert films.locator(".film-bar input").input_value() == "23"  # it stands at its end
    films.get_by_role("button", name="Play").click()
    films.get_by_role("button", name="Pause").click()
    assert int(films.locator(".film-bar input").input_value()) < 23
    context = browser.new_context(reduced_motion="no-preference")
    moving = context.new_page()
    opening(moving, site + FILM).wait_for_selector(".film-bar")
    moving.locator(".film").scroll_into_view_if_needed()
    moving.get_by_role("button", name="Pause").wait_for()
    moving.wait_for_selector('.film[data-rests="23"]')
    assert "#" not in moving.url  # nobody asked for a moment
    context.close()


def test_a_phone_shows_a_films_digits_in_two_rows_below_controls_that_stay(films):
    films.set_viewport_size({"width": 390, "height": 844})
    tops = {box.bounding_box()["y"] for box in films.locator(".film-digits >> nth=0 >> div").all()}
    assert len(tops) == 2 and films.locator(".film canvas").first.bounding_box()["width"] > 60
    films.locator(".film-key").scroll_into_view_if_needed()
    slider = films.locator(".film-bar input").bounding_box()
    assert 0 <= slider["y"] < 200 and films.locator(".film").bounding_box()["width"] <= 390


def test_without_scripts_and_on_paper_everything_is_there(browser, site, losses):
    losses.emulate_media(media="print")
    assert losses.locator(".losses-panel:visible").count() == len(ABLATIONS)
    assert not losses.locator(".losses-board").is_visible()
    losses.emulate_media(media="screen")
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(site + LOSSES)
    assert still.locator(".losses-panel:visible").count() == len(ABLATIONS)
    still.goto(site + GATE)
    assert still.locator(".gate .live-still img:visible").count() == 20
    assert still.locator(".gate .live-still td span").count() == 60
    still.goto(site + FILM)
    assert still.locator(".film .live-still img:visible").count() == len(film.trainings())
    assert not still.locator(".film canvas").count()
    headings = still.locator(".film .live-title").all_inner_texts()
    for heading, training in zip(headings, film.trainings(), strict=True):
        assert f"{sum(film.readable(training)[-1])} of 10 read" in heading
    context.close()


@pytest.mark.parametrize("name", EVERY)
def test_no_page_weighs_more_than_three_megabytes(browser, name):
    """With every script that it loads, its own and the theme's; `browser`: the book is built."""
    scripts = {script["src"].partition("?")[0] for script in soup(HTML / name)("script", src=True)}
    files = [HTML / name, *((HTML / name).parent / script for script in scripts)]
    assert sum(path.stat().st_size for path in files) < 3 * 2**20
