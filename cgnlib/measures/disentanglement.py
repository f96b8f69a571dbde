"""Are the mechanisms independent?  Interventions on one of them, and what readers see of it.

Columns of classes and readings, [N, 3], are the factors shape, texture and background; so are the
mechanisms, in the same order.  A factor that cannot be read (C-MNIST's background) is left out of
`factors`.  Method: an intervention on a mechanism should change its own factor and no other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

FACTORS = ("shape", "texture", "background")


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
