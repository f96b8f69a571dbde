"""Check the built book without a network: links, anchors, pictures, and what a page loads.

A page of this book loads nothing from elsewhere; links that a reader may click are free to.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from sources import ROOT, pages

LOADED = ("script", "img", "iframe", "source", "video", "audio", "embed", "track", "object")
NOT_LOADED = {"author", "canonical", "index", "license", "next", "prev", "search"}
CSS_URL = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
SCRIPT_URL = re.compile(r"""["'`](https?://(?!www\.w3\.org/)[^"'`\s]+)""")


@cache
def soup(page: Path) -> BeautifulSoup:
    """A built page, parsed."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page: Path) -> set[str]:
    """The fragments that a page can be entered at."""
    return {tag.get("id") or tag.get("name") for tag in soup(page).select("[id], a[name]")}


def is_outside(url: str) -> bool:
    """Does the address leave the book for the network?"""
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme in {"http", "https", "ftp"}


def loads(page: BeautifulSoup) -> Iterator[str]:
    """Every address that a browser fetches to show the page."""
    for tag in page.find_all(LOADED):
        yield from (tag[key] for key in ("src", "data", "poster") if tag.get(key))
        for candidate in tag.get("srcset", "").split(","):
            yield from candidate.split()[:1]
    for tag in page.find_all("link", href=True):
        if NOT_LOADED.isdisjoint(tag.get("rel", [])):
            yield tag["href"]
    styles = [tag.get_text() for tag in page.find_all("style")]
    for text in styles + [tag["style"] for tag in page.find_all(style=True)]:
        yield from CSS_URL.findall(text)
    for script in page.find_all("script", src=False):
        yield from SCRIPT_URL.findall(script.get_text())


def link_defect(url: str, page: Path, root: Path) -> str | None:
    """What is wrong with a relative link on a page, if anything."""
    parts = urlsplit(url)
    if is_outside(url) or parts.scheme:
        return None
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target = target / "index.html"
    if not target.exists():
        return f"link to a missing file: {url}"
    if not target.is_relative_to(root):
        return f"link out of the book: {url}"
    fragment = unquote(parts.fragment)
    if fragment and target.suffix == ".html" and fragment not in anchors(target):
        return f"link to a missing anchor: {url}"
    return None


def alt_defect(image: Tag) -> str | None:
    """Does a picture say what it shows?  Sphinx falls back to the file name, which says nothing."""
    alt, name = (image.get("alt") or "").strip(), image.get("src", "")[:120]
    if alt and not name.endswith(alt) and Path(alt).suffix != ".png":
        return None
    return f"picture without alternative text: {name}"


def page_defects(page: Path, root: Path) -> Iterator[str]:
    """Every defect of one built page."""
    page_soup = soup(page)
    for url in loads(page_soup):
        if is_outside(url):
            yield f"loads from the network: {url[:120]}"
        elif defect := link_defect(url, page, root):
            yield defect
    for anchor in page_soup.find_all("a", href=True):
        if defect := link_defect(anchor["href"], page, root):
            yield defect
    yield from filter(None, map(alt_defect, page_soup.find_all("img")))


def main(html: Path = ROOT / "_build/html", root: Path = ROOT) -> int:
    """Check every page and style sheet of the built book; 1 if there is a defect."""
    html = html.resolve()
    wanted = [html / page.relative_to(root).with_suffix(".html") for page in pages(root)]
    found = [f"{page.relative_to(html)}: not built" for page in wanted if not page.exists()]
    built = [page for page in sorted(html.rglob("*.html")) if "_static" not in page.parts]
    for page in built:
        found += [f"{page.relative_to(html)}: {defect}" for defect in page_defects(page, html)]
    for sheet in sorted(html.rglob("*.css")):
        for url in CSS_URL.findall(sheet.read_text(encoding="utf-8", errors="replace")):
            found.append(f"{sheet.relative_to(html)}: loads from the network: {url}")
    found = list(dict.fromkeys(found))
    print(*found, sep="\n") if found else print(f"links: {len(built)} pages in order")
    return 1 if found else 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
