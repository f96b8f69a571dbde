"""Are the mechanisms independent?  Interventions on one of them, and what readers see of it.

Columns of classes and readings, [N, 3], are the factors shape, texture and background; so are the
mechanisms, in the same order.  A factor that cannot be read (C-MNIST's background) is left out of
`factors`.  Method: an intervention on a mechanism should change its own factor and no other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cgnlib.generation import MECHANISMS
from cgnlib.mechanisms import Source

FACTORS = MECHANISMS


class Scenes(NamedTuple):
    """Images of the same scenes before and after interventions, [B, 3, S, S] each.

    by_class: one for each mechanism, whose class alone is another; by_noise: whose noise alone is.
    spread: mean absolute difference of the two takes of each mechanism, [B, 3], in 0...1.
    mask: of the scenes as they are, [B, 1, S, S].
    """

    base: Tensor
    by_class: list[Tensor]
    by_noise: list[Tensor]
    spread: Tensor
    mask: Tensor


def draw_classes(n: int, rng: torch.Generator, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Independent classes of n scenes, and others, none of them the same, [n, 3] each."""
    y = torch.randint(classes, (n, 3), generator=rng)
    return y, (y + torch.randint(1, classes, (n, 3), generator=rng)) % classes


def intervene(source: Source, y: Tensor, other: Tensor, index: Tensor) -> Scenes:
    """Compose scenes of classes y ([B, 3]), and again after each intervention.

    other: the classes that interventions bring in, one mechanism at a time.
    """
    base = [source.part(m, y[:, m], 0, index) for m in range(3)]
    by_class, by_noise, spread = [], [], []
    for m in range(3):
        again = source.part(m, y[:, m], 1, index)
        for images, part in (
            (by_class, source.part(m, other[:, m], 0, index)),
            (by_noise, again),
        ):
            images.append(source.compose([*base[:m], part, *base[m + 1 :]], index))
        first, second = (base[m][:, :1], again[:, :1]) if m == 0 else (base[m], again)
        distance = (first - second).abs().mean((1, 2, 3))
        spread.append(distance if m == 0 else distance / 2)  # colours are in -1...1
    whole = source.compose(base, index)
    return Scenes(whole, by_class, by_noise, torch.stack(spread, 1), base[0][:, :1])


def wanted(y: Tensor, other: Tensor, mechanism: int) -> Tensor:
    """The classes of scenes after the class of one mechanism was exchanged, [N, 3]."""
    classes = y.clone()
    classes[:, mechanism] = other[:, mechanism]
    return classes


def moved(before: Tensor, after: Sequence[Tensor]) -> Tensor:
    """Share of scenes whose reading changes, [mechanism, factor].

    before: readings [N, 3]; after: the same, one for each mechanism intervened on.
    """
    return torch.stack([(before != now).double().mean(0) for now in after])


def named(after: Sequence[Tensor], y: Tensor, other: Tensor) -> Tensor:
    """Share of scenes read as they were asked for, [mechanism, factor]."""
    return torch.stack(
        [(now == wanted(y, other, m)).double().mean(0) for m, now in enumerate(after)]
    )


def control(named: Tensor, factors: Sequence[int]) -> float:
    """Mean share of scenes in which the class given to a mechanism is then read, 0...1."""
    return named.diagonal()[list(factors)].mean().item()


def leak(moved: Tensor, factors: Sequence[int]) -> float:
    """Mean share of scenes in which a factor changes that another mechanism is for, 0...1."""
    apart = ~torch.eye(3, dtype=torch.bool)[:, list(factors)]
    return moved[:, list(factors)][apart].mean().item()


def disentanglement(named: Tensor, moved: Tensor, factors: Sequence[int]) -> float:
    """Control less leak: 1 where each mechanism rules its own factor and no other.

    0 for mechanisms that rule nothing, and for those that rule everything at once.
    """
    return control(named, factors) - leak(moved, factors)
