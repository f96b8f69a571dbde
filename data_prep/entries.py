"""What an entry of the table of sources stands for on disk, and what is downloaded for it."""

from pathlib import Path

from cgnlib import paths
from cgnlib.data import sources

ARCHIVES = "downloads"  # under CGN_DATA: archives on their way


def downloads(name: str) -> list[dict]:
    """What is fetched for a name: dicts of file (under CGN_DATA), urls, size, and sha256 or md5.

    An entry of one file, of several files in a folder, or of an archive that becomes a folder.
    """
    entry = sources.table()[name]
    if "file" in entry:
        return [entry]
    if "archive" in entry:
        return [entry | {"file": f"{ARCHIVES}/{entry['archive']}"}]
    return [
        part
        | {
            "file": f"{entry['folder']}/{part['name']}",
            "urls": [url + part["name"] for url in entry["urls"]],
        }
        for part in entry["files"]
    ]


def size(name: str) -> int:
    """Bytes to download for a name."""
    return sum(part["size"] for part in downloads(name))


def place(name: str) -> Path:
    """The file or folder that a name stands for."""
    entry = sources.table()[name]
    return paths.data() / entry.get("file", entry.get("folder", ""))
