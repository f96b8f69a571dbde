"""Files of weights: published `.pth` and our `.safetensors`, loaded whole or not at all."""

from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cgnlib.errors import CGNError, reason

Net = TypeVar("Net", bound=nn.Module)


def read(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU, without the `module.` of a parallel wrapper.

    Raises CGNError when it is missing, damaged or holds anything else.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CGNError(
            f"{path} cannot be read as weights ({reason(error)}): fetch or make the file again"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise CGNError(f"{path} holds no named tensors: use the file that it was published as")
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def load(net: Net, path: Path) -> Net:
    """Load a file into a net: every tensor, or CGNError and the net is as it was."""
    state, own = read(path), net.state_dict()
    if wrong := _difference(state, own):
        raise CGNError(
            f"{path} does not hold the weights of this {type(net).__name__} ({wrong}): "
            f"use the file that belongs to it"
        )
    net.load_state_dict(state, strict=True)
    return net


def _difference(state: dict[str, Tensor], own: dict[str, Tensor]) -> str | None:
    """The first way in which a file differs from a net, or None."""
    for found, keys in (("lacks", own.keys() - state.keys()), ("has", state.keys() - own.keys())):
        if keys:
            return f"it {found} {len(keys)} that the other lacks, {min(keys)} among them"
    for key, value in own.items():
        if state[key].shape != value.shape:
            return f"{key} is {list(state[key].shape)}, not {list(value.shape)}"
        if state[key].is_floating_point() != value.is_floating_point():
            return f"{key} is {state[key].dtype}, not {value.dtype}"
    return None
