"""Files of weights, published and our own: one saver, one loader; whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import torch as safetensors
from torch import Tensor, nn

from cgnlib.errors import CGNError, reason

Net = TypeVar("Net", bound=nn.Module)
TORCH = (b"PK", b"\x80")  # how checkpoints of torch begin: a zip, and before torch 1.6 a pickle
AGAIN = "fetch or make the file again"


def save(net: nn.Module, path: Path) -> None:
    """Write a net's weights as safetensors: whole under its name, or not there."""
    write(net.state_dict(), path)


def write(state: Mapping[str, Tensor], path: Path) -> None:
    """As `save`, of named tensors."""
    part = path.with_suffix(".part")
    # written here: the library's own files would be for their owner alone
    part.write_bytes(safetensors.save({key: value.contiguous() for key, value in state.items()}))
    part.replace(path)


def load(net: Net, path: Path, mend: str = AGAIN) -> Net:
    """Load a file into a net: every tensor, or CGNError and the net is as it was.

    mend: what the error tells to do.  The mode and the memory format stay the net's.
    """
    state, own = read(path, mend), net.state_dict()
    if wrong := _difference(state, own):
        raise CGNError(
            f"{path} does not hold the weights of this {type(net).__name__} ({wrong}): {mend}"
        )
    net.load_state_dict(state, strict=True)
    return net


def read(path: Path, mend: str = AGAIN) -> dict[str, Tensor]:
    """The named tensors of a file, on the CPU, without the `module.` of a parallel wrapper.

    Of a training's checkpoint they are its `state_dict`.  Whether the file is of safetensors or of
    torch is told from its content; code in it is never run.
    Raises CGNError when it is missing, damaged or holds anything else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            of_torch = file.read(2).startswith(TORCH)
        if of_torch:
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            state = safetensors.load_file(path)
    except Exception as error:
        raise CGNError(f"{path} cannot be read as weights ({reason(error)}): {mend}") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise CGNError(f"{path} holds no named tensors: {mend}")
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def _difference(state: dict[str, Tensor], own: dict[str, Tensor]) -> str | None:
    """The first way in which a file differs from a net, or None.

    Batches that a batch norm has seen: torch counts from none in a file older than the count.
    """
    counts = {key for key in own if key.endswith("num_batches_tracked")}
    needed = own.keys() if counts & state.keys() else own.keys() - counts
    for found, keys in (("lacks", needed - state.keys()), ("has", state.keys() - own.keys())):
        if keys:
            return f"it {found} {len(keys)} that the other lacks, {min(keys)} among them"
    for key, value in state.items():
        if value.shape != own[key].shape:
            return f"{key} is {list(value.shape)}, not {list(own[key].shape)}"
        if value.is_floating_point() != own[key].is_floating_point():
            return f"{key} is {value.dtype}, not {own[key].dtype}"
    return None
