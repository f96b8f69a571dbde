"""What the live pictures of the book have in common: how a page loads them, and what it carries."""

import base64
import io

import numpy as np
from PIL import Image

SHARED = ("live/live.css", "live/live.js")


def loaded(*paths: str, folder: str = "../") -> str:
    """Elements that load style sheets and scripts of book/_interactive, after those of all live
    pictures.  folder: the way from the page to where the build puts the files."""
    return "".join(
        f'<link rel="stylesheet" href="{folder}{path}">' if path.endswith(".css")
        else f'<script src="{folder}{path}" defer></script>'
        for path in (*SHARED, *paths)
    )  # fmt: skip


def picture(pixels: np.ndarray, words: str) -> str:
    """A picture that a page carries.  pixels: [H, W, 3] or [H, W] bytes.  words: what it shows."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "png", optimize=True)
    return image(png.getvalue(), "png", words)


def image(content: bytes, kind: str, words: str) -> str:
    """A file of a picture that a page carries.  kind: of the file.  words: what it shows."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{words}" src="data:image/{kind};base64,{data}">'
