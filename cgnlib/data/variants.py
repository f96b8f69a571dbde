"""MNIST and its three biased variants, rendered on tensors.

`colored` (C-MNIST): the digit's colour follows the label.  `double_colored` (DC-MNIST): digit
and background colour do.  `wildlife` (W-MNIST): digit and background texture do.  In the test
split every cue but the shape is drawn at random.  `digits`: the bare binary masks.

The colours of C-MNIST were never published: ours are a documented substitute, inferred from
the published CGN (see the chapter on the method).
"""

import copy

import torch
from torch import Tensor

from cgnlib import chance
from cgnlib.data import digits, textures
from cgnlib.data.digits import SIZE, Digits
from cgnlib.data.images import Images, to_signed
from cgnlib.errors import CGNError

COLOR_STD = 0.02**0.5  # C-MNIST: a variance of 0.02 on [0, 1], clipped
DOUBLE_COLOR_STD = 0.01  # DC-MNIST: on [0, 1], never clipped

COLORS = (
    (230, 25, 75),  # red
    (0, 128, 128),  # teal
    (255, 225, 25),  # yellow
    (0, 130, 200),  # blue
    (245, 130, 48),  # orange
    (145, 30, 180),  # purple
    (70, 240, 240),  # cyan
    (250, 190, 190),  # pink
    (210, 245, 60),  # lime
    (128, 0, 0),  # maroon
)
BACKGROUND_COLORS = (
    (0, 100, 0),  # darkgreen
    (0, 0, 139),  # darkblue
    (176, 48, 96),  # maroon
    (255, 69, 0),  # orangered
    (255, 255, 0),  # yellow
    (222, 184, 135),  # burlywood
    (0, 255, 0),  # lime
    (0, 255, 255),  # aqua
    (255, 0, 255),  # fuchsia
    (100, 149, 237),  # cornflower
)
OBJECT_COLORS = BACKGROUND_COLORS[4:] + BACKGROUND_COLORS[:4]


def load(
    name: str,
    digits_of: str,
    split: str,
    rng: torch.Generator,
    textures_of: str = "procedural",
    association: str | None = None,
) -> "Variant":
    """One split of a variant, or of the bare `digits`.

    digits_of, textures_of: where they are from.  association: `label` (each cue follows
    the label), `random` (each cue is drawn uniformly and on its own), or None for the split's own
    rule: `label` in train, `random` in test.
    Raises CGNError for a name of another kind, and for what is missing or damaged.
    """
    if name not in CLASSES:
        raise CGNError(f"unknown variant {name!r}: choose {', '.join(CLASSES)}")
    plain = digits.load_digits(digits_of, split, name)
    association = association or {"train": "label", "test": "random"}[split]
    if association not in ("label", "random"):
        raise CGNError(f"unknown association {association!r}: choose label or random")
    return CLASSES[name](name, plain, rng, association == "random", textures_of)


class Variant:
    """Digits whose cues are known and whose rendering is repeatable.

    fg, bg: the classes of the cues, [N]; for C-MNIST bg is all zeros, its background is black.
    mask: the true shapes, [N, 1, 32, 32] bool.
    Rendering is fresh at every access for DC- and W-MNIST (colour noise, crop positions), as
    the CGN sees them while training; C-MNIST's colour jitter is drawn once for each image.
    """

    def __init__(
        self, name: str, plain: Digits, rng: torch.Generator, drawn: bool, textures_of: str
    ):
        self.rng, self.y = rng, plain.labels
        self.fg = self.bg = self.y
        if drawn:
            self.fg, self.bg = torch.randint(0, 10, (2, len(self.y)), generator=rng)
        self.mask = digits.digit_masks(plain, name)
        self._prepare(plain, textures_of)

    def _prepare(self, plain: Digits, textures_of: str) -> None:
        """What else a variant renders from."""

    def __len__(self) -> int:
        return len(self.y)

    @property
    def device(self) -> torch.device:
        return self.y.device

    def to(self, device: torch.device) -> "Variant":
        """The split in the memory of a device, with a generator there."""
        if device.type == self.device.type:
            return self
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        moved.rng = chance.like(self.rng, device)
        return moved

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, 3, 32, 32] float32 in about -1...1, channels last in memory, and labels."""
        x = self._render(index)
        x = to_signed(x) if x.dtype == torch.uint8 else x
        return x.permute(0, 3, 1, 2), self.y[index]

    def freeze(self) -> Images:
        """The whole split rendered once, in order: what classifiers train and are tested on."""
        parts = [self._render(part) for part in torch.arange(len(self)).split(1000)]
        return Images(torch.cat(parts), self.y)

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        """Foregrounds (of = 0) or backgrounds (1) of the given classes ([B]), drawn afresh.

        [B, S, S, 3] with S = 1 for a colour (0...1) and S = 32 for a texture (bytes).
        """
        raise NotImplementedError

    def strokes(self, index: Tensor) -> Tensor:
        """Shapes as they are rendered, [B, 1, 32, 32] in 0...1: grey ones in C-MNIST."""
        return self.mask[index].float()

    def _render(self, index: Tensor) -> Tensor:
        """[B, 32, 32, 3]: uint8, or for DC-MNIST float32 in about -1.08...1.08."""
        mask = self.mask[index].squeeze(1).unsqueeze(-1)
        fg, bg = (self.cue(of, c[index], self.rng) for of, c in enumerate((self.fg, self.bg)))
        return torch.where(mask, fg, bg)


class Colored(Variant):
    """C-MNIST: grey strokes in a jittered colour, on black."""

    def _prepare(self, plain: Digits, textures_of: str) -> None:
        self.bg = torch.zeros_like(self.y)
        self._grey = digits.resize_pil(plain.images).float() / 255
        self._color = self.cue(0, self.fg, self.rng)

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        n, device = len(classes), classes.device
        if of == 1:
            return torch.zeros(n, 1, 1, 3, device=device)
        jitter = COLOR_STD * torch.randn(n, 3, generator=rng, device=device)
        colors = torch.tensor(COLORS, device=device)[classes] / 255
        return (colors + jitter).clamp(0, 1).view(-1, 1, 1, 3)

    def strokes(self, index: Tensor) -> Tensor:
        return self._grey[index].unsqueeze(1)

    def _render(self, index: Tensor) -> Tensor:
        return (self._grey[index].unsqueeze(-1) * self._color[index] * 255).round_().to(torch.uint8)


class DoubleColored(Variant):
    """DC-MNIST: a colour on the digit and one behind it, with a little noise."""

    def _prepare(self, plain: Digits, textures_of: str) -> None:
        self._palettes = torch.tensor([OBJECT_COLORS, BACKGROUND_COLORS]) / 255

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        noise = torch.randn(len(classes), 3, generator=rng, device=classes.device)
        return (self._palettes[of][classes] + DOUBLE_COLOR_STD * noise).view(-1, 1, 1, 3)

    def _render(self, index: Tensor) -> Tensor:
        return super()._render(index).mul_(2).sub_(1)


class Wildlife(Variant):
    """W-MNIST: a window of a striped texture on the digit, of a veined one behind it."""

    def _prepare(self, plain: Digits, textures_of: str) -> None:
        self._textures = textures.load(textures_of)

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        # every place of every texture, [2, 10, 125, 125, 32, 32, 3]; a view
        crops = self._textures.unfold(2, SIZE, 1).unfold(3, SIZE, 1).permute(0, 1, 2, 3, 5, 6, 4)
        size, device = (2, len(classes)), classes.device
        rows, columns = torch.randint(crops.shape[2], size, generator=rng, device=device)
        return crops[of, classes, rows, columns]


class Bare(Variant):
    """The masks themselves, white on black: what a probe of masks learns from."""

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        shade = 0 if of else 255
        return classes.new_full((len(classes), 1, 1, 3), shade, dtype=torch.uint8)


CLASSES = {
    "colored": Colored,
    "double_colored": DoubleColored,
    "wildlife": Wildlife,
    "digits": Bare,
}
