"""Print the whole book as one PDF, and say on its front page where that is.

The book is built once more, as one page; Chromium prints that page without a network.  The result
is _build/html/cgn-book.pdf, whole or not at all.  Build the book first: make book.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from sources import ROOT
from surroundings import environment

NAME = "cgn-book.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing that the browser or a page asks of another machine gets an answer.
ALONE = [
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SCRIPTED_MS = 120_000  # of the page's own time, which ends with its last script: formulas are set
PATIENCE_S = 600
PLACE = re.compile(r'<p class="pdf-edition"[^>]*>.*?</p>', re.S)
# What a reader of paper has no use for: navigation, data to download, what only a script fills
LEFT_OUT = (
    ".bd-header, .bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary, .bd-footer, "
    "details.evidence, summary, .composer, noscript"
)


def browser() -> str:
    """The Chromium of this machine; CHROMIUM in the environment names another."""
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if found is None:
        missing = f"CHROMIUM={named} is no program" if named else "no Chromium on this machine"
        raise SystemExit(f"{missing}: install chromium, or name one: make pdf CHROMIUM=PATH")
    return found


def destination(href: str, names: set[str]) -> str | None:
    """Where a link of the printed book goes: the web, a name inside the book, or nowhere."""
    parts = urlsplit(href)
    if parts.scheme in {"http", "https", "mailto"}:
        return href
    chapter = f"document-book/{Path(parts.path).stem}"
    inside = parts.fragment or (chapter if parts.path.endswith(".html") else "")
    return f"#{inside}" if inside in names else None


def for_print(html: str) -> str:
    """The one page as it is printed: code unfolded, no script but MathJax, links that lead on."""
    page = BeautifulSoup(html, "html.parser")
    page.html["data-theme"] = "light"
    for tag in page.select(LEFT_OUT):
        tag.decompose()
    for script in page.find_all("script"):
        if "mathjax" not in f"{script.get('src')} {script.string}".lower():
            script.decompose()
    for folded in page.find_all("details"):
        folded.unwrap()
    for citation in page.select(".bibtex-citation[id]"):  # ids that the bibliography has too
        del citation["id"]
    for sheet in page.select('link[rel="stylesheet"][href^="../"]'):  # as seen from a chapter
        sheet["href"] = sheet["href"].removeprefix("../")
    names = {tag["id"] for tag in page.find_all(id=True)}
    for link in page.find_all("a", href=True):
        target = destination(link.attrs.pop("href"), names)
        if target:
            link["href"] = target
    return str(page)


def one_page(root: Path) -> Path:
    """Build the book as a single page; in one page some labels meet, so warnings do not count."""
    output = root / "_build/pdf"
    shutil.rmtree(output, ignore_errors=True)
    tool = Path(sys.executable).with_name("jupyter-book")
    options = ["--builder", "singlehtml", "--path-output", str(output)]
    command = [tool, "build", *options, str(root)]
    with environment() as env:
        done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace")
    page = output / "_build/singlehtml/index.html"
    if done.returncode or not page.exists():
        raise SystemExit(f"{done.stdout}{done.stderr}\nthe book as one page was not built")
    page.write_text(for_print(page.read_text(encoding="utf-8")), encoding="utf-8")
    return page


def print_page(page: Path, target: Path) -> None:
    """Let Chromium print a page; the target is written whole or stays as it was."""
    with tempfile.TemporaryDirectory(prefix=".pdf-", dir=target.parent) as private:
        draft = Path(private) / target.name
        flags = ["--headless", "--disable-gpu", *ALONE, f"--user-data-dir={private}/profile"]
        flags += ["--no-sandbox"] if os.geteuid() == 0 else []
        flags += [f"--virtual-time-budget={SCRIPTED_MS}", "--no-pdf-header-footer"]
        flags += ["--generate-pdf-document-outline", f"--print-to-pdf={draft}", page.as_uri()]
        done = subprocess.run(
            [browser(), *flags], capture_output=True, text=True, timeout=PATIENCE_S
        )
        if done.returncode or not is_whole(draft):
            raise SystemExit(f"{done.stderr[-2000:]}\nChromium printed no PDF; see above")
        os.replace(draft, target)


def is_whole(pdf: Path) -> bool:
    """Is there a PDF with its beginning and its end?"""
    content = pdf.read_bytes() if pdf.exists() else b""
    return content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")


def announce(index: str, size: int) -> str:
    """The front page with its place for the PDF filled.  size: bytes.  Raises without a place."""
    words = f"The whole book to print: {NAME}, {size / 1e6:.1f} MB"
    link = f'<p class="pdf-edition"><a href="{NAME}">{words}</a></p>'
    filled, places = PLACE.subn(link, index)
    if places != 1:
        raise SystemExit(f"the front page has {places} places for the PDF, not one: make book")
    return filled


def main(
    argv: list[str] | None = None, html: Path = ROOT / "_build/html", root: Path = ROOT
) -> int:
    """Print the book of a root, put the PDF beside its built pages, and link it there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    index, target = html / "index.html", html.resolve() / NAME
    if not index.exists():
        raise SystemExit("the book is not built: make book")
    browser()
    print_page(one_page(root), target)
    size = target.stat().st_size
    draft = index.with_suffix(".part")
    draft.write_text(announce(index.read_text(encoding="utf-8"), size), encoding="utf-8")
    os.replace(draft, index)
    print(f"pdf: {html.name}/{NAME}, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
