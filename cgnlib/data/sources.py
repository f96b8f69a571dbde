"""Downloaded files: where they come from, and whether what lies there is what it should be."""

import hashlib
import re
import tomllib
from functools import cache
from pathlib import Path

from cgnlib import paths
from cgnlib.errors import CGNError, MissingError, ending, legible, reason

ALWAYS = {"about": str, "licence": str, "urls": list}
PART = {"name": str, "size": int}
KINDS = {  # by what tells them apart: what an entry says besides
    "files": {"folder": str, "files": list},
    "archive": {"folder": str, "archive": str, "inside": list, "images": dict, "unpacked": int}
    | {"sha256": str, "size": int},
    "file": {"file": str, "sha256": str, "size": int},
}


class Table(dict[str, dict]):
    """Entries by name.  Raises CGNError for one that is not there."""

    def __missing__(self, name: str) -> dict:
        path = paths.sources()
        raise CGNError(f"{path} has no {name!r}: restore it with `git checkout -- {path}`")


@cache
def table() -> Table:
    """data_prep/sources.toml: by name, what lies where under CGN_DATA and where it comes from.

    Raises CGNError where it is no such table, and where an entry lacks what its kind says.
    """
    path = paths.sources()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, entry in found.items():
            _check(name, entry)
        return Table(found)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): restore it with `git checkout -- {path}`"
        ) from error


def _check(name: str, entry: dict) -> None:
    kind = next((kind for key, kind in KINDS.items() if key in entry), KINDS["file"])
    by_hand = {} if entry.get("urls") else {"page": str}
    said = [(entry, ALWAYS | kind | by_hand), *((part, PART) for part in entry.get("files", ()))]
    for where, keys in said:
        for key, wanted in keys.items():
            if not isinstance(where.get(key), wanted):
                raise ValueError(f"{name} says no {key}, or none that is {wanted.__name__}")
    if not all(isinstance(url, str) for url in entry["urls"]):
        raise ValueError(f"{name} has a url that is no text")


def command(name: str) -> str:
    """What the user types to get it; with a file of their own where it cannot be downloaded."""
    entry = table()[name]
    own = "" if entry["urls"] else f" --from {_offered(entry)}"
    return f"python data_prep/fetch.py {name}{own}"


def get_it(name: str) -> str:
    """What to do where it is missing, for the end of an error message."""
    entry, got = table()[name], f"`{command(name)}` or set CGN_DATA to where it is"
    if entry["urls"]:
        return f"get it with {got}"
    return f"download {_offered(entry)} from {entry['page']}, then {got}"


def _offered(entry: dict) -> str:
    """What its publisher calls a file or an archive."""
    return entry.get("archive") or Path(entry["file"]).name


@legible()
def find(name: str) -> Path:
    """The path of a file of the table, its checksum checked.  Nothing is downloaded.

    Where the table states none (sha256 is empty), FILE.sha256 beside the file has to: written by
    fetch.py at the first download, or by the user for a copy of their own; its first word is at
    least eight hexadecimal digits, as `sha256sum` writes it.
    Raises CGNError, with the command that mends it, when the file is missing or is another one,
    or when nobody states its checksum.
    """
    path, stated = look(name)
    if not (found := sha256(path)).startswith(stated):
        raise CGNError(f"{path} has sha256 {found}, not {stated}: move it away and {get_it(name)}")
    return path


@legible()
def look(name: str) -> tuple[Path, str]:
    """The path of a file that is there, not yet checked, and what its sha256 has to start with.

    Raises CGNError as `find` does, MissingError where nothing is there.
    """
    entry = table()[name]
    path = paths.data() / entry["file"]
    if not paths.is_file(path):
        where = f" (from {entry['urls'][0]})" if entry["urls"] else ""
        raise MissingError(f"{path} is missing: {get_it(name)}{where}")
    stated = entry["sha256"] or recorded(path)
    if not stated:
        raise CGNError(
            f"no checksum of {path} is published: if you trust your copy, state its own with "
            f"`sha256sum {path} > {beside(path)}`"
        )
    return path, stated


def beside(path: Path) -> Path:
    """FILE.sha256, the checksum that was recorded of a file or an unpacked folder."""
    return path.with_name(f"{path.name}.sha256")


def recorded(path: Path) -> str:
    """The checksum in the file beside `path`, empty where there is none."""
    record = beside(path)
    words = record.read_text(errors="replace").split() if paths.is_file(record) else []
    return words[0] if words and re.fullmatch("[0-9a-f]{8,64}", words[0]) else ""


def sha256(path: Path) -> str:
    """The sha256 of a file's content, computed once as long as the file does not change."""
    state = ending(path).stat()
    return _sha256(path, state.st_mtime_ns, state.st_size)


@cache
def _sha256(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
