"""Parts that scripts here made, put beside the book: in half precision, each with its record."""

import json

import torch
from torch import Tensor, nn

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import shipped, weights


def ship(name: str, net: nn.Module, about: dict) -> None:
    """Write a part, and its record for `shipped.record`."""
    path = shipped.file_of(name)
    path.parent.mkdir(exist_ok=True)
    weights.write({key: _small(value) for key, value in net.state_dict().items()}, path)
    about = about | {"torch": torch.__version__, "bytes": path.stat().st_size}
    about["sha256"] = sources.sha256(path)
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


def _small(value: Tensor) -> Tensor:
    small = value.half() if value.is_floating_point() else value
    if not small.isfinite().all():
        raise CGNError("weights are too large for half precision, or not finite: train again")
    return small
