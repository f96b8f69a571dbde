"""A chapter in a real JupyterLab, opened in Chromium as `make edit` opens it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import chromium

import execute
import guard
from sources import ROOT

pytestmark = pytest.mark.browser

TEXT = """\
# A chapter

What it is about.

```{code-cell} ipython3
print(6 * 7)
```
"""
PATIENCE_S = 120


def becomes(file: Path, holds: Callable[[str], bool]) -> None:
    """Wait until what a file says is right."""
    end = time.monotonic() + PATIENCE_S
    while not holds(file.read_text()):
        assert time.monotonic() < end, file.read_text()
        time.sleep(0.2)


@contextmanager
def laboratory(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab that shows a folder."""
    pytest.importorskip("jupyterlab", reason="pip install -e '.[editor]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, ROOT / "book/_press/surroundings.py", "jupyter-lab", "--no-browser"]
    command += [f"--ServerApp.port={port}", "--IdentityProvider.token=", "--allow-root"]
    log = folder.with_suffix(".log")
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, start_new_session=True
        )
    try:
        becomes(log, lambda said: "is running at" in said)
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(server.pid, 15)
        server.wait()


# The file that is opened, the cell that is changed in it, and what is put at its end.
CHANGES = [
    ("chapter.ipynb", "What it is about.", " And more."),
    ("chapter.md", "print(6 * 7)", "\nprint(7 * 7)"),
]


def change(page, name: str, cell_with: str, new: str) -> None:
    """Open a file as a notebook, see its output, put something at the end of a cell, and save."""
    page.locator(".jp-DirListing-item", has_text=name).click(button="right")
    page.get_by_text("Open With", exact=True).hover()
    page.locator(".lm-Menu-itemLabel").get_by_text("Notebook", exact=True).click()
    page.locator(".jp-OutputArea-output", has_text="42").wait_for()
    page.locator(".jp-RenderedMarkdown", has_text="What it is about.").wait_for()
    cell = page.locator(".jp-Notebook .jp-Cell", has_text=cell_with)
    cell.dblclick()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(new)
    page.keyboard.press("Control+s")


def test_either_file_shows_and_saves_both(tmp_path):
    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(ROOT / "pyproject.toml", book)
    text, notebook = book / "chapter.md", book / "chapter.ipynb"
    text.write_text(TEXT)
    execute.execute(text, cwd=book)
    expected = TEXT
    with laboratory(book) as address, chromium() as browser:
        for name, old, new in CHANGES:
            expected = expected.replace(old, old + new)
            page = browser.new_page()
            page.set_default_timeout(1000 * PATIENCE_S)
            page.goto(f"{address}lab?reset")
            change(page, name, old, new)
            becomes(text, expected.__eq__)
            assert new.strip() in notebook.read_text() and '"42\\n"' in notebook.read_text()
            page.close()
    [defect] = guard.defects(notebook)
    assert defect.startswith("stale")
    execute.execute(text, cwd=book)
    assert list(guard.defects(notebook)) == [] and '"49\\n"' in notebook.read_text()
