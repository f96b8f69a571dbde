"""Whether a chapter that was executed again says what it said before.

Who made the numbers, when and for how long is left out, where pages tell it: in the boxes, in the
table of provenance, and in the files that both carry.  All else counts, pictures too, and seconds
where they are what a table or a figure shows.
"""

import base64
import csv
import gzip
import io
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from sources import BROKEN

MAKING = {"commit", "device", "python", "torch", "seconds", "finished"}  # columns of records
FACTS = ("Commit", "Compute", "Device", "Versions", "Wall time")
TOLD = re.compile(rf"(>(?:{'|'.join(FACTS)})\b[^<]*</(?:dt|td)>\s*<(?:dd|td)[^>]*>)[^<]*")
CARRIED = re.compile(r'href="data:(text/csv|application/gzip);base64,([^"]+)"')


def says_the_same(notebook: Path, fresh: NotebookNode) -> bool:
    """Whether a notebook on disk, which may be missing or damaged, says what a fresh one does."""
    try:
        read = nbformat.reads(jupytext.writes(fresh, fmt="ipynb"), as_version=4)
        return said(nbformat.read(notebook, as_version=4)) == said(read)
    except BROKEN:
        return False


def said(notebook: NotebookNode) -> object:
    """All of a notebook but who made its numbers, when and for how long."""
    record = notebook.metadata.cgn | {"seconds": type(notebook.metadata.cgn.seconds)}
    return _plain([notebook.cells, notebook.metadata | {"cgn": record}])


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return CARRIED.sub(_numbers, TOLD.sub(r"\1", value)) if isinstance(value, str) else value


def _numbers(link: re.Match) -> str:
    """A carried table without what is told of its making."""
    content = base64.b64decode(link[2])
    text = (gzip.decompress(content) if link[1] == "application/gzip" else content).decode()
    rows = [
        row for row in csv.reader(io.StringIO(text, newline="")) if row[:1] and row[0] not in FACTS
    ]
    kept = [place for place, name in enumerate(rows[0]) if name not in MAKING]
    return repr([[row[place] for place in kept] for row in rows])
