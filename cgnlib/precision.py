"""The arithmetic of training and of sets: bfloat16 products where a CPU multiplies them natively.

Convolutions and matrix products of a mixed call take bfloat16 operands and add them up in float32.
Trained weights, optimisers, masks, Gram matrices and losses stay in float32, and so does every
evaluation; a texture that is stored as bytes may be off by some levels.  On a GPU, where bfloat16
was not measured, all is stored in float32 and cuDNN's convolutions multiply in TF32 where the card
can (Ampere and later): torch's default, which is left as it is.
"""

import os
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from cgnlib.errors import CGNError

FLOAT32, BFLOAT16 = "float32", "bfloat16"


def of(device: torch.device, usual: str = "") -> str:
    """`bfloat16` or `float32`: on a CPU what CGN_PRECISION says, else the usual, else the faster.

    Raises CGNError when CGN_PRECISION is neither.
    """
    told = os.environ.get("CGN_PRECISION", "") or usual
    if told not in ("", FLOAT32, BFLOAT16):
        raise CGNError(f"CGN_PRECISION is {told!r}: set it to float32 or bfloat16, or unset it")
    if device.type != "cpu":
        return FLOAT32
    return told or (BFLOAT16 if _native() else FLOAT32)


def mixed(call: Callable, device: torch.device) -> Callable:
    """The call with its products in the arithmetic of the device; what it returns is float32.

    call: a net or a method of one, which returns a tensor or a list of tensors.
    """
    if of(device) == FLOAT32:
        return call

    def run(*args):
        with torch.autocast(device.type, torch.bfloat16):
            found = call(*args)
        return found.float() if isinstance(found, Tensor) else [part.float() for part in found]

    return run


@cache
def _native() -> bool:
    """Whether this CPU multiplies bfloat16; elsewhere it is emulated, and slower than float32."""
    able = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch does not tell
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
