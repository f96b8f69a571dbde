"""What the box under a figure or a table offers, as a reader gets it."""

import base64
import gzip
import io
import re
import zipfile

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup, Tag
from PIL import Image


def parsed(markup: str) -> Tag:
    """The one box in some HTML."""
    (box,) = BeautifulSoup(markup, "html.parser").select("details.evidence")
    return box


def facts(box: Tag) -> dict[str, str]:
    """What it says, by term."""
    return {dt.text: dt.find_next_sibling("dd").text for dt in box.select("dt")}


def content_of(link: Tag) -> tuple[str, bytes]:
    """The kind of a file that a link downloads, and its bytes."""
    kind, data = re.fullmatch(r"data:([\w/]+);base64,(.*)", link["href"]).groups()
    return kind, base64.b64decode(data)


def file_of(link: Tag) -> pd.DataFrame:
    """The table that a link downloads, as text."""
    kind, content = content_of(link)
    assert link["download"].endswith(".csv.gz" if kind == "application/gzip" else ".csv")
    content = gzip.decompress(content) if kind == "application/gzip" else content
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def pictures_of(box: Tag) -> dict[str, np.ndarray]:
    """The pixels of the pictures that a box offers, by name; none where it has none."""
    found = {}
    for link in box.select('a[href^="data:application/zip"]'):
        with zipfile.ZipFile(io.BytesIO(content_of(link)[1])) as opened:
            for name in opened.namelist():
                found[name.removesuffix(".png")] = np.asarray(Image.open(opened.open(name)))
    return found
