"""Sphinx extension: the shipped networks as scripts, which a page can load from disk as well.

engine/<name>.js sets WEIGHTS[name] to {record, safetensors}: the record of the training, with the
sha256 of the file, and the very file in base64.  That is a header of names, shapes and places in
JSON, then float16, little-endian; it was rounded once, when it was shipped (`cgnlib.nets.shipped`),
and the torch net that the book loads from it has the same numbers.
"""

import base64
import json
from pathlib import Path

from sphinx.application import Sphinx

NAMES = ("cnn-wildlife-original", "cnn-wildlife-cgn", "cnn-wildlife-union", "cgn-wildlife")


def script(name: str) -> str:
    """A shipped network as a script.  Raises CGNError where it is missing or damaged."""
    from cgnlib.nets import shipped  # brings torch, which other builds need not wait for

    content = base64.b64encode(shipped.check(name).read_bytes()).decode()
    value = {"record": shipped.record(name), "safetensors": content}
    return f"(window.WEIGHTS ??= {{}})[{json.dumps(name)}] = {json.dumps(value)};\n"


def write(app: Sphinx) -> None:
    """Put the scripts where the build puts book/_interactive/engine."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir) / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.js").write_text(script(name), encoding="utf-8")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
