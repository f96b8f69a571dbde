"""Downloaded files: where they come from, and whether what lies there is what it should be."""

import hashlib
import re
import tomllib
from functools import cache
from pathlib import Path

from cgnlib import paths
from cgnlib.errors import CGNError


@cache
def table() -> dict[str, dict]:
    """data_prep/sources.toml: by name, the file under CGN_DATA, its urls, sha256 and licence."""
    return tomllib.loads((paths.ROOT / "data_prep" / "sources.toml").read_text())


def find(name: str) -> Path:
    """The path of a file of the table, its checksum checked.  Nothing is downloaded.

    Where the table states none (sha256 is empty), the user has to: in FILE.sha256 beside the
    file, its first word at least eight hexadecimal digits, as `sha256sum` writes it.
    Raises CGNError, with the command that mends it, when the file is missing or is another one,
    or when nobody states its checksum.
    """
    entry = table()[name]
    path = paths.data() / entry["file"]
    get = f"get it with `python data_prep/fetch.py {name}` or set CGN_DATA to where it is"
    if not path.is_file():
        raise CGNError(f"{path} is missing: {get} (from {entry['urls'][0]})")
    stated = entry["sha256"] or _stated_by_user(path)
    if not (found := sha256(path)).startswith(stated):
        raise CGNError(f"{path} has sha256 {found}, not {stated}: move it away and {get}")
    return path


def _stated_by_user(path: Path) -> str:
    """The checksum in the file beside `path`.  Raises CGNError when there is none."""
    beside = path.with_name(f"{path.name}.sha256")
    words = beside.read_text(errors="replace").split() if beside.is_file() else []
    if not words or not re.fullmatch("[0-9a-f]{8,64}", words[0]):
        raise CGNError(
            f"no checksum of {path} is published: if you trust your copy, state its own with "
            f"`sha256sum {path} > {beside}`"
        )
    return words[0]


def checksum(name: str) -> str:
    """The sha256 of a file of the table, whole.  Raises CGNError as `find` does."""
    return sha256(find(name))


def sha256(path: Path) -> str:
    """The sha256 of a file's content, computed once as long as the file does not change."""
    state = path.stat()
    return _sha256(path, state.st_mtime_ns, state.st_size)


@cache
def _sha256(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
