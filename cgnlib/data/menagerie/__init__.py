"""The menagerie: a small world in which an image is a silhouette, a texture and a background.

It has the property that the CGN paper assumes of natural images, with the truth known: ten
classes, each with its own family of each, and a true mask for every image.  64 x 64, rendered by
seed and index: image i is the same in any batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cgnlib.data.menagerie import draws, patterns, silhouettes
from cgnlib.errors import CGNError

SIZE = 64
CLASSES = tuple(family.__name__ for family in silhouettes.FAMILIES)
TEXTURES = tuple(family.__name__ for family in patterns.TEXTURES)
BACKGROUNDS = tuple(family.__name__ for family in patterns.BACKGROUNDS)
SPLITS = ("agree", "conflict", "mixed_same", "mixed_rand", "decorrelated")
_POSE, _PROPORTIONS, _TEXTURE, _BACKGROUND, _COLOURS, _WARP, _GRAIN, _CLASSES = range(0, 80, 10)


def factors(split: str, seed: int, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The classes of shape, texture and background of each item, int64 [B] each.

    agree: all three are one class, as in the training data of a shortcut learner.  conflict: a
    shape in the texture of another class, before the background of a third.  mixed_same and
    mixed_rand: shape and texture agree, before a background of the same class from another image
    or of a class drawn from all.  decorrelated: three independent draws.
    Raises CGNError for an unknown split.
    """
    if split not in SPLITS:
        raise CGNError(f"unknown split {split!r}: choose {', '.join(SPLITS)}")

    def draw(part: int, high: int = 10) -> Tensor:
        return draws.integers(seed, index, _CLASSES + part, high)

    shape = draw(0)
    if split == "conflict":
        texture = (shape + 1 + draw(1, 9)) % 10
        background = draw(2, 8)
        for taken in torch.stack([shape, texture]).sort(0).values:
            background = background + (background >= taken)
        return shape, texture, background
    if split == "mixed_rand":
        return shape, shape, draw(2)
    if split == "decorrelated":
        return shape, draw(1), draw(2)
    return shape, shape, shape


def render(
    shape: Tensor,
    texture: Tensor,
    background: Tensor,
    seed: int,
    index: Tensor,
    backdrop: Tensor | None = None,
    bare: bool = False,
) -> tuple[Tensor, Tensor]:
    """Draw items of the given classes ([B] each): images [B, 3, 64, 64] in -1...1 and true masks.

    Everything else about item i (pose, proportions, colours, clutter, grain) is a function of
    seed and index.  backdrop: the items whose backgrounds are used instead of their own.  bare:
    leave the object out.  Masks are [B, 1, 64, 64] in 0...1, antialiased.
    """
    backdrop = index if backdrop is None else backdrop
    mask, light = silhouette(shape, seed, index).split(1, 1)
    if bare:
        mask = torch.zeros_like(mask)
    fg, bg = surface(texture, seed, index), scenery(background, seed, backdrop)
    return compose(mask, light, fg, bg, seed, index), mask


def compose(
    mask: Tensor, light: Tensor, fg: Tensor, bg: Tensor, seed: int, index: Tensor
) -> Tensor:
    """Images in -1...1 from their parts, with the grain of their items."""
    fg = (fg + 1) * light - 1
    x = torch.lerp(bg, fg, mask)
    grain = draws.uniform(seed, index, _GRAIN, 1, SIZE, SIZE) - 0.5
    return (x + 0.08 * grain).clamp(-1, 1)


class Menagerie:
    """The first n items of a split, rendered on demand.

    y, texture, background: their classes, int64 [n]; a classifier is asked for y, the shape.
    """

    def __init__(self, split: str, n: int, seed: int = 0):
        self.split, self.seed, self.index = split, seed, torch.arange(n)
        self.y, self.texture, self.background = factors(split, seed, self.index)

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and shape classes of the given items."""
        x, _ = self.masked(index)
        return x, self.y[index]

    def backdrops(self, index: Tensor) -> Tensor:
        """The backgrounds of the given items without their objects."""
        return render(*self._classes(index), self.seed, index, bare=True)[0]

    def masked(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and true masks of the given items."""
        backdrop = index + (1 << 24) if self.split.startswith("mixed") else None
        return render(*self._classes(index), self.seed, index, backdrop)

    def _classes(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.y[index], self.texture[index], self.background[index]


def _grid(n: int) -> tuple[Tensor, Tensor]:
    line = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.expand(n, -1, -1), y.expand(n, -1, -1)


def _signed(seed: int, index: Tensor, stream: int, count: int) -> Tensor:
    """`count` numbers in -1...1 for each item, [count, B, 1, 1]."""
    return (draws.uniform(seed, index, stream, count) * 2 - 1).T[..., None, None]


def _tint(image: Tensor, seed: int, index: Tensor, stream: int) -> Tensor:
    """A small shift of each colour channel."""
    return image + 0.1 * _signed(seed, index, stream, 3).transpose(0, 1)


def _by_class(draw: Callable[[int, int, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of classes [B], seed and index [B], of one that draws items of a single class."""

    def drawn(classes: Tensor, seed: int, index: Tensor) -> Tensor:
        order = classes.argsort(stable=True)
        present, counts = classes[order].unique_consecutive(return_counts=True)
        items = zip(present.tolist(), order.split(counts.tolist()), strict=True)
        return torch.cat([draw(c, seed, index[of_c]) for c, of_c in items])[order.argsort()]

    return drawn


@_by_class
def silhouette(c: int, seed: int, index: Tensor) -> Tensor:
    """True masks in 0...1, and the light on the object in 0...1: [B, 2, 64, 64]."""
    x, y = _grid(len(index))
    turn, scale, aspect, right, down, flip = _signed(seed, index, _POSE, 6)
    scale = 0.88 + 0.12 * scale
    bend = 0.06 * draws.smooth_noise(seed, index, _WARP, 3, SIZE)
    sway = 0.06 * draws.smooth_noise(seed, index, _WARP + 1, 3, SIZE)
    x, y = (x - 0.13 * right + bend) / scale, (y - 0.13 * down + sway) / scale
    cos, sin = (0.25 * turn).cos(), (0.25 * turn).sin()
    x, y = x * cos + y * sin, y * cos - x * sin
    x, y = x * flip.sign() * (1 + 0.08 * aspect), y * (1 - 0.08 * aspect)
    k = _signed(seed, index, _PROPORTIONS, 4).transpose(0, 1)
    depth = silhouettes.FAMILIES[c](x, y, k) * scale
    mask = (0.5 - depth * (SIZE / 2)).clamp(0, 1)
    light = 1 - 0.35 * (1 + depth * 9).clamp(0, 1)  # a rim darker than the middle
    return torch.stack([mask, light], 1)


@_by_class
def surface(c: int, seed: int, index: Tensor) -> Tensor:
    """Textures that fill the image, [B, 3, 64, 64]."""
    x, y = _grid(len(index))
    turn, scale, right, down = _signed(seed, index, _TEXTURE, 4)
    x, y = x * (1 + 0.12 * scale) + right, y * (1 + 0.12 * scale) + down
    cos, sin = (0.2 * turn).cos(), (0.2 * turn).sin()
    x, y = x * cos + y * sin, y * cos - x * sin
    n = draws.smooth_noise(seed, index, _TEXTURE + 1, 4, SIZE)
    k = _signed(seed, index, _TEXTURE + 2, 4).transpose(0, 1)
    share = patterns.TEXTURES[c](x, y, n, k)
    image = patterns.blend(*patterns.TEXTURE_COLOURS[c], share)
    return _tint(image, seed, index, _COLOURS)


@_by_class
def scenery(c: int, seed: int, index: Tensor) -> Tensor:
    """Backgrounds, [B, 3, 64, 64]."""
    x, y = _grid(len(index))
    n = draws.smooth_noise(seed, index, _BACKGROUND, 5, SIZE)
    k = _signed(seed, index, _BACKGROUND + 1, 4).transpose(0, 1)
    return _tint(patterns.BACKGROUNDS[c](x, y, n, k), seed, index, _COLOURS + 1)
