"""Downloaded files: where they come from, and whether what lies there is what it should be."""

import hashlib
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

    Raises CGNError, with the command that gets it, when it is missing or is another file.
    """
    entry = table()[name]
    path = paths.data() / entry["file"]
    get = f"get it with `python data_prep/fetch.py {name}` or set CGN_DATA to where it is"
    if not path.is_file():
        raise CGNError(f"{path} is missing: {get} (from {entry['urls'][0]})")
    if not (found := sha256(path)).startswith(entry["sha256"]):
        raise CGNError(f"{path} has sha256 {found}, not {entry['sha256']}: move it away and {get}")
    return path


def sha256(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
