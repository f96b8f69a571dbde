"""The switches of claim 2 in a real browser, and what every page weighs.

`make browser` builds first.
"""

import numpy as np
import pytest
from browser import EVERY, HTML

from cgnbook import kept, page, switchboard
from cgnbook.drawing import arrays_of
from cgnlib.experiments import ABLATIONS
from links import soup

pytestmark = pytest.mark.browser

LOSSES = "book/07_claim2.html"
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
    said = losses.locator(".losses [aria-live]").inner_text()
    assert "without L_bg" in said and "no CGN was trained without two" in said


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


def test_without_scripts_and_on_paper_everything_is_there(browser, site, losses):
    losses.emulate_media(media="print")
    assert losses.locator(".losses-panel:visible").count() == len(ABLATIONS)
    assert not losses.locator(".losses-board").is_visible()
    losses.emulate_media(media="screen")
    context = browser.new_context(java_script_enabled=False)
    still = context.new_page()
    still.goto(site + LOSSES)
    assert still.locator(".losses-panel:visible").count() == len(ABLATIONS)
    context.close()


@pytest.mark.parametrize("name", EVERY)
def test_no_page_weighs_more_than_three_megabytes(browser, name):
    """With every script that it loads, its own and the theme's; `browser`: the book is built."""
    scripts = {script["src"].partition("?")[0] for script in soup(HTML / name)("script", src=True)}
    files = [HTML / name, *((HTML / name).parent / script for script in scripts)]
    assert sum(path.stat().st_size for path in files) < 3e6
