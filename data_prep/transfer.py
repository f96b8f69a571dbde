"""One file over HTTP: what stopped half-way goes on from there, if the server still has it."""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from cgnlib.errors import reason

TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 3  # at one url, each from where the last one stopped
BLOCK = 2**18
CUT_OFF = (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException)


class Unreachable(Exception):
    """One url does not give the file; another may."""


def part_of(path: Path) -> Path:
    """Where a file lies while it is not whole; beside it, PART.from names its url and version."""
    return path.with_name(f"{path.name}.part")


def forget(part: Path) -> None:
    """Start from nothing the next time."""
    part.unlink(missing_ok=True)
    _from(part).unlink(missing_ok=True)


def download(url: str, part: Path, checked: bool) -> None:
    """Append to `part` until it is whole.

    checked: a checksum will tell a mixture of two versions; without one, only what the server
    calls the same version goes on.  Raises Unreachable, after some attempts, and OSError where
    the file cannot be written; what came is kept.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _transfer(url, part, checked)
        except CUT_OFF as error:
            if attempt == ATTEMPTS:
                raise Unreachable(f"{reason(error)}; what came is in {part}") from error


def _transfer(url: str, part: Path, checked: bool) -> None:
    start, version = _kept(url, part, checked)
    request = urllib.request.Request(url, headers={"User-Agent": "cgn-book"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if version:
            request.add_header("If-Range", version)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies behind what we have: it is whole, or another file
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return
            forget(part)
            raise ConnectionError("the server has another file than before") from error
        raise Unreachable(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, CUT_OFF):
            raise error.reason from error
        raise Unreachable(reason(error)) from error
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise Unreachable(_page(url))
        start, total = _range(answer, start)
        _append(answer, part, start, total, url)


def _kept(url: str, part: Path, checked: bool) -> tuple[int, str]:
    """How many bytes of an earlier try can be used, and the version they are of, if known."""
    try:
        known = json.loads(_from(part).read_text())
        start, same = part.stat().st_size, known["url"] == url
        version = known["version"] if same else ""
    except (OSError, ValueError, KeyError, TypeError):
        start, version = 0, ""
    if not start or not (checked or version):
        forget(part)
        return 0, ""
    return start, version


def _range(answer: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Where the answer starts, and how large the whole file is, None where it is not said."""
    if answer.status != 206:
        length = answer.headers.get("Content-Length")
        return 0, int(length) if length else None
    stated = answer.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", stated)
    if not found or int(found[1]) != start:
        raise Unreachable(f"the server answered with another part than asked for ({stated!r})")
    return start, None if found[3] == "*" else int(found[3])


def _append(
    answer: http.client.HTTPResponse, part: Path, start: int, total: int | None, url: str
) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    etag = answer.headers.get("ETag", "")
    version = answer.headers.get("Last-Modified", "") if etag[:2] in ("", "W/") else etag
    _from(part).write_text(json.dumps({"url": url, "version": version}))
    bar = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None,
        desc=part.name.removesuffix(".part"),
    )  # fmt: skip
    with bar, part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        while block := answer.read(BLOCK):
            if start == 0 and file.tell() == 0 and _looks_like_a_page(block):
                raise Unreachable(_page(url))
            file.write(block)
            bar.update(len(block))
        size = file.tell()
    if total is not None and size != total:
        raise ConnectionError(f"cut off after {size:,} of {total:,} bytes")


def _looks_like_a_page(block: bytes) -> bool:
    return block[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _page(url: str) -> str:
    """What it means that a page came in place of a file."""
    if "google.com" in url and (found := re.search(r"[?&]id=([\w-]+)", url)):
        return (
            "Google Drive sent a page and not the file (too many downloads today, or it is gone): "
            f"try https://drive.google.com/file/d/{found[1]}/view in a browser"
        )
    return "the server sent a page and not the file"


def _from(part: Path) -> Path:
    return part.with_suffix(".from")
