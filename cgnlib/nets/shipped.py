"""Weights that come with the book, in half precision, and the record of their training.

The menagerie's pretrained parts; a CGN of each MNIST variant, and three classifiers of W-MNIST,
trained here at the paper's size.  Scripts in data_prep/ make them (`ship.py`), in folders beside
themselves.
"""

import json
from pathlib import Path

from torch import nn

from cgnlib import paths
from cgnlib.data import sources
from cgnlib.errors import CGNError, MissingError, reason
from cgnlib.nets import weights

FOLDER = paths.ROOT / "data_prep" / "menagerie"
NAMES = ("biggan", "u2net", "classifier", "probe")  # of the menagerie
CGN = "cgn-"  # before the name of a variant
CNN = "cnn-"  # before a variant and what the classifier learned from


def record(name: str) -> dict:
    """How a part was made and how good it is; its sha256 among it.

    Raises CGNError when the record is missing or is none.
    """
    path = file_of(name).with_suffix(".json")
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict) or "sha256" not in found:
            raise ValueError("it has no sha256")
    except (OSError, ValueError, TypeError) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): {_again(path)}") from error
    return found


def look(name: str) -> Path:
    """The file of a part that is there with its record, not yet checked.

    Raises MissingError where it is not there, CGNError for a record that is none.
    """
    path = file_of(name)
    if not paths.is_file(path):
        raise MissingError(f"{path} is missing: {_again(path)}")
    record(name)
    return path


def check(name: str) -> Path:
    """The file of a part, its checksum that of its record.  Raises CGNError."""
    path = look(name)
    if (found := sources.sha256(path)) != record(name)["sha256"]:
        raise CGNError(f"{path} has sha256 {found}, not that of its record: {_again(path)}")
    return path


def load(name: str, net: nn.Module) -> nn.Module:
    """Load a shipped part into a net of its layout, whole or not at all, in evaluation mode.

    Raises CGNError when the file is missing, is not the one of its record or has another layout.
    """
    path = check(name)
    return weights.load(net, path, mend=_again(path)).eval()


def file_of(name: str) -> Path:
    """Where a part is kept, with its record beside it."""
    folder = FOLDER.with_name("mnists") if name.startswith((CGN, CNN)) else FOLDER
    return folder / f"{name}.safetensors"


def _again(path: Path) -> str:
    return f"restore it with `git checkout -- {path}`"
