"""The built book, served, and a browser to open it in."""

from collections.abc import Iterator

import pytest
from browser import EVERY, HTML, chromium, serving


@pytest.fixture(scope="module")
def browser():
    if not all((HTML / page).exists() for page in EVERY):
        pytest.skip("the book is not built: make browser builds it first")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving(HTML) as address:
        yield address


@pytest.fixture(scope="module")
def tab(browser):
    """One tab for all pages, so that fonts and scripts load once."""
    context = browser.new_context(reduced_motion="reduce")
    yield context.new_page()
    context.close()
