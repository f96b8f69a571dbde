"""What the tests of pages drive: a server for the built book, and a Chromium to open it in."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pdf import ALONE, NAMES
from sources import ROOT, pages

HTML = ROOT / "_build/html"
CHAPTERS = [page.relative_to(ROOT).with_suffix(".html").as_posix() for page in pages(ROOT)]
EVERY = [*CHAPTERS, "search.html"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address under which a folder is served on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def chromium():
    """A headless Chromium: that of the system, or else Playwright's own.  Skips without one."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[browser]'")
    with api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip(
                f"no {NAMES[0]} on this machine: install it, or playwright install chromium"
            )
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*ALONE, *root])
        yield browser
        browser.close()
