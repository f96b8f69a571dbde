"""Files that a page carries in itself, as links that download them without a network."""

import base64
import gzip
import io
import zipfile
from collections.abc import Mapping

import numpy as np
import pandas as pd
from PIL import Image

LARGE = 60_000  # bytes; a longer table is packed


def table(rows: pd.DataFrame, name: str, word: str, unit: str) -> str:
    """A link that downloads a table as CSV; a large one is packed."""
    content, kind = rows.to_csv(index=False, lineterminator="\n").encode(), "text/csv"
    if len(content) > LARGE:
        content, kind, name = gzip.compress(content, mtime=0), "application/gzip", f"{name}.gz"
    return link(content, kind, name, f"{word}, {len(rows)} {unit}")


def zipped(pictures: Mapping[str, np.ndarray]) -> bytes:
    """Pictures as PNG files in one archive, the same bytes whenever it is made."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, pixels in pictures.items():
            png = io.BytesIO()
            Image.fromarray(pixels).save(png, "png", optimize=True)
            opened.writestr(zipfile.ZipInfo(f"{name}.png"), png.getvalue())
    return archive.getvalue()


def link(content: bytes, kind: str, name: str, words: str) -> str:
    """A link that downloads a file.  kind: its MIME type.  name: under which it is saved."""
    data = base64.b64encode(content).decode()
    return f'<a download="{name}" href="data:{kind};base64,{data}">{words} ({name})</a>'
