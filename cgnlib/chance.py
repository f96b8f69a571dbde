"""One owner of chance: a generator for every place in the experiment."""

import hashlib
from collections.abc import Callable

import torch
from torch import nn


def generator(seed: int, *path: str | int) -> torch.Generator:
    """A generator of its own for a seed and a place in the experiment (a role, an epoch)."""
    digest = hashlib.sha256(repr((seed, *path)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def seeded(build: Callable[[], nn.Module], rng: torch.Generator) -> nn.Module:
    """Build a net whose default initialisation draws from `rng` and not from the global state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        return build()


def like(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """The generator itself on the CPU; for a GPU one of the same seed that draws there."""
    if device.type == "cpu":
        return rng
    return torch.Generator(device).manual_seed(rng.initial_seed())
