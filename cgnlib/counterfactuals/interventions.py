"""Interventions: one mechanism of a scene gets another class or other noise, the rest stays."""

from typing import NamedTuple

import torch
from torch import Tensor

from cgnlib.counterfactuals.mechanisms import Source


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


def draw_classes(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Independent classes of n scenes, and others, none of them the same, [n, 3] each."""
    y = torch.randint(10, (n, 3), generator=rng)
    return y, (y + torch.randint(1, 10, (n, 3), generator=rng)) % 10


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
