"""Noise and classes of counterfactuals for the BigGAN-based CGNs."""

from collections.abc import Iterable

import torch
from torch import Tensor

from cgnlib.errors import CGNError
from cgnlib.measures.disentanglement import FACTORS

MODES = ("random", "random_same", "best_classes", "fixed_classes")
MECHANISMS = FACTORS  # each is for the factor of its name
VARIED = {"shape": (0,), "text": (1,), "bg": (2,), "all": (0, 1, 2)}
# By mechanism, the classes that the mode `best_classes` draws from.
BEST_CLASSES = {
    "shape": (
        *(9, 18, 22, 35, 56, 63, 96, 97, 119, 207, 225, 260, 275, 323, 330, 350, 370, 403, 411),
        *(414, 427, 438, 439, 441, 460, 484, 493, 518, 532, 540, 550, 559, 561, 570, 604, 647),
        *(688, 713, 724, 749, 751, 756, 759, 779, 780, 802, 814, 833, 841, 849, 850, 859, 869),
        *(872, 873, 874, 876, 880, 881, 883, 894, 897, 898, 900, 907, 930, 933, 945, 947, 949),
        *(950, 953, 963, 966, 967, 980),
    ),
    "texture": (
        *(12, 15, 18, 25, 54, 66, 72, 130, 145, 207, 251, 267, 271, 275, 293, 323, 385, 388, 407),
        *(409, 427, 438, 439, 441, 454, 461, 468, 482, 483, 486, 490, 492, 509, 530, 555, 607),
        *(608, 629, 649, 652, 681, 688, 719, 720, 728, 737, 741, 751, 756, 779, 800, 810, 850),
        *(852, 854, 869, 881, 907, 911, 930, 936, 937, 938, 941, 949, 950, 951, 954, 957, 959),
        *(963, 966, 985, 987, 992),
    ),
    "background": (
        *(7, 9, 20, 30, 35, 46, 50, 65, 72, 93, 96, 97, 119, 133, 147, 337, 350, 353, 354, 383),
        *(429, 460, 693, 801, 888, 947, 949, 952, 953, 955, 958, 970, 972, 973, 974, 977, 979),
        998,
    ),
}


def truncated_noise(n: int, size: int, truncation: float, rng: torch.Generator) -> Tensor:
    """Latents u, [n, size]: truncation times a normal distribution cut off at -2 and 2.

    By the inverse distribution function in double precision.  Raises CGNError for a truncation
    outside (0, 1].  Source: published code (the paper calls the noise a spherical Gaussian).
    """
    check_truncation(truncation)
    low, high = torch.special.ndtr(torch.tensor([-2.0, 2.0], dtype=torch.float64)).tolist()
    uniform = torch.rand(n, size, generator=rng, dtype=torch.float64, device=rng.device)
    z = torch.special.ndtri(low + (high - low) * uniform).clamp_(-2, 2)
    return (truncation * z).float()


def draw_classes(
    mode: str,
    n: int,
    num_classes: int,
    rng: torch.Generator,
    fixed: tuple[int, int, int] | None = None,
    lists: dict[str, tuple[int, ...]] | None = None,
) -> Tensor:
    """Classes of shape, texture and background, [n, 3] int64.

    mode: `random` (three independent draws), `random_same` (one draw for all three; the study's,
    for the inception score), `best_classes` (independent draws from `lists`, by mechanism; the
    published ones where it is None) or `fixed_classes` (`fixed`, n times).
    Raises CGNError for another mode, for classes outside 0...num_classes - 1, and for `fixed` or
    `lists` with a mode that has no use for it.
    """
    if mode not in MODES:
        raise CGNError(f"unknown mode {mode!r}: choose {', '.join(MODES)}")
    if (fixed is not None) != (mode == "fixed_classes"):
        raise CGNError("three fixed classes go with the mode fixed_classes, and only with it")
    if lists is not None and mode != "best_classes":
        raise CGNError(f"the mode {mode} draws from no lists: use best_classes")

    def draw(high: int) -> Tensor:
        return torch.randint(high, (n,), generator=rng, device=rng.device)

    if mode == "random":
        return torch.stack([draw(num_classes) for _ in MECHANISMS], 1)
    if mode == "random_same":
        return draw(num_classes)[:, None].repeat(1, 3)
    if mode == "fixed_classes":
        if len(fixed) != 3:
            raise CGNError(f"{len(fixed)} fixed classes: give one for each of {MECHANISMS}")
        _check_classes(fixed, num_classes)
        return torch.tensor(fixed, device=rng.device).repeat(n, 1)
    lists = BEST_CLASSES if lists is None else lists
    columns = []
    for mechanism in MECHANISMS:
        if not (known := lists.get(mechanism)):
            raise CGNError(f"there is no list of classes for {mechanism}")
        _check_classes(known, num_classes)
        columns.append(torch.tensor(known, device=rng.device)[draw(len(known))])
    return torch.stack(columns, 1)


def interpolation(
    num_classes: int, start: tuple[int, int, int], target: int, midpoints: int, vary: str
) -> list[Tensor]:
    """Class vectors on the way from `start` to `target`, for shape, texture and background.

    Each is [midpoints + 2, num_classes], linear between one-hot vectors, both ends included.
    vary: which mechanism goes there (`shape`, `text`, `bg` or `all`); the others stay at start.
    Source: published code, which steps 6 midpoints and draws a target where none is given.
    """
    if vary not in VARIED:
        raise CGNError(f"cannot vary {vary!r}: choose {', '.join(VARIED)}")
    if midpoints < 0 or len(start) != 3:
        raise CGNError(f"needs three start classes and midpoints, not {start} and {midpoints}")
    _check_classes((*start, target), num_classes)
    one_hot = torch.eye(num_classes)
    share = torch.linspace(0, 1, midpoints + 2)[:, None]
    ends = [target if i in VARIED[vary] else first for i, first in enumerate(start)]
    return [
        torch.lerp(one_hot[first], one_hot[end], share)
        for first, end in zip(start, ends, strict=True)
    ]


def check_truncation(truncation: float) -> None:
    """Raises CGNError outside (0, 1]."""
    if not 0 < truncation <= 1:
        raise CGNError(f"truncation {truncation} is not above 0 and at most 1")


def _check_classes(classes: Iterable[int], num_classes: int) -> None:
    for c in classes:
        if not 0 <= c < num_classes:
            raise CGNError(f"there is no class {c}: use 0 to {num_classes - 1}")
