"""Random numbers as a function of seed, item and slot, so that item i is the same in any batch.

Counter-based: the SplitMix64 finaliser (Steele, Lea and Flood 2014) over integer counters.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_GOLDEN, _FIRST, _SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def uniform(seed: int, index: Tensor, stream: int, *shape: int) -> Tensor:
    """Numbers in [0, 1) for each item of `index` [B]: float32 [B, *shape].

    stream: tells the draws of one item apart.
    """
    count = math.prod(shape)
    item = _mix(_mix(index + (seed << 32)) + stream)
    counters = item[:, None] + torch.arange(1, count + 1) * _GOLDEN
    return ((_mix(counters) >> 40) & 0xFFFFFF).float().div_(2**24).view(len(index), *shape)


def integers(seed: int, index: Tensor, stream: int, high: int) -> Tensor:
    """Whole numbers in 0...high - 1 for each item of `index`: int64 [B]."""
    return (uniform(seed, index, stream, 1)[:, 0] * high).long().clamp_max(high - 1)


def smooth_noise(seed: int, index: Tensor, stream: int, cells: int, size: int) -> Tensor:
    """Noise of `cells` bumps across the image, about -1...1: [B, size, size]."""
    lattice = uniform(seed, index, stream, 1, cells + 1, cells + 1) * 2 - 1
    return F.interpolate(lattice, (size, size), mode="bicubic", align_corners=True)[:, 0]


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift (torch's is arithmetic)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
