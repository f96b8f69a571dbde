"""The CGN over BigGAN and U2-Net: four generators, of which three learn, and a saliency net.

Names follow the published `cgn.pth`.  Everything is told apart by a generator's configuration,
so the same class serves ImageNet at 256 pixels and the menagerie at 64.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from cgnlib.errors import CGNError
from cgnlib.nets import biggan
from cgnlib.nets.biggan import Config, fold
from cgnlib.nets.mnist import MASK_MAX, MASK_MIN, compose
from cgnlib.nets.u2net import U2Net

if TYPE_CHECKING:
    from pytorch_pretrained_biggan import BigGAN

FROZEN = ("biggan_GT", "u2net")
TRAINED = ("f_shape", "f_text", "f_bg")


class Mechanisms(NamedTuple):
    """What one pass gives.  Gradients flow into f_shape by mask, into f_text by fg, into f_bg by
    bg and bg_mask; x_gt and premask carry none."""

    x_gt: Tensor  # [B, 3, S, S], BigGAN's own image of the shape class
    mask: Tensor  # [B, 1, S, S] in 1e-4...0.9999
    premask: Tensor  # [B, 3, S, S], what the saliency net reads the mask from
    fg: Tensor  # [B, 3, S, S]
    bg: Tensor  # [B, 3, S, S]
    bg_mask: Tensor  # [B, 1, S, S] in 0...1, what is salient in the background; not clamped

    @property
    def x_gen(self) -> Tensor:
        return compose(self.mask, self.fg, self.bg)


class Composed(NamedTuple):
    """A counterfactual and its parts, as in `Mechanisms`."""

    mask: Tensor
    premask: Tensor
    fg: Tensor
    bg: Tensor

    @property
    def x_gen(self) -> Tensor:
        return compose(self.mask, self.fg, self.bg)


class ImageNetCGN(nn.Module):
    """Shape, texture and background mechanisms over one latent (CGN paper, ImageNet).

    Starts with random generators: `start_from` or a file gives them weights.  biggan_GT and
    u2net are frozen and stay in evaluation whatever the mode; they run as folded copies, made
    anew when their weights, their device or the truncation change.
    """

    def __init__(self, config: Config, u2net: U2Net):
        super().__init__()
        self.config = config
        self.biggan_GT = biggan.build(config)
        self.f_shape = biggan.build(config)
        self.f_text = biggan.build(config)
        self.f_bg = biggan.build(config)
        self.u2net = u2net
        self._copies: dict[str, tuple] = {}  # by name: (key, folded copy); no part of the state
        for name in FROZEN:
            getattr(self, name).requires_grad_(False)
        self.train(self.training)

    def start_from(self, generator: "BigGAN") -> "ImageNetCGN":
        """All four generators take the weights of a trained one, as the paper starts."""
        state = generator.state_dict()
        for name in ("biggan_GT", *TRAINED):
            getattr(self, name).load_state_dict(state, strict=True)
        return self

    def train(self, mode: bool = True) -> "ImageNetCGN":
        """Training mode of the three mechanisms alone."""
        super().train(mode)
        for name in FROZEN:
            getattr(self, name).eval()
        return self

    def forward(
        self, u: Tensor, shape: Tensor, texture: Tensor, background: Tensor, truncation: float
    ) -> Mechanisms:
        """One latent, one class for each mechanism; x_gt is of the shape class.

        u: [B, z_dim].  Classes: [B] int64 or vectors [B, num_classes].  In training mode the
        spectral norms of the mechanisms take a power iteration.  Raises CGNError for a truncation
        without stored statistics, a class or a shape that the generators do not have.
        """
        x_gt = self.draw_real(u, shape, truncation)
        saliency = self._frozen("u2net", U2Net.fold)
        premask = biggan.generate(self.f_shape, u, shape, truncation)
        fg = biggan.generate(self.f_text, u, texture, truncation)
        bg = biggan.generate(self.f_bg, u, background, truncation)
        mask = saliency(premask).clamp(MASK_MIN, MASK_MAX)
        return Mechanisms(x_gt, mask, premask.detach(), fg, bg, saliency(bg))

    def draw_real(self, u: Tensor, y: Tensor, truncation: float) -> Tensor:
        """BigGAN's own images x_gt, [B, 3, S, S], without a gradient.  Raises as `forward`."""
        folded = self._frozen("biggan_GT", lambda net: fold(net, truncation), truncation)
        with torch.no_grad():
            return folded(u, y)

    def fold(self, truncation: float) -> "FoldedCGN":
        """A frozen copy at one truncation that makes counterfactuals, faster than this net."""
        return FoldedCGN(self, truncation)

    def _frozen(self, name: str, make: Callable, *settings: float) -> nn.Module:
        """The folded copy of a frozen part, in the arithmetic of its products."""
        net = getattr(self, name)
        tensors = [*net.parameters(), *net.buffers()]
        state = tuple((t.data_ptr(), t._version, t.device) for t in tensors)
        at = tensors[0].device.type
        dtype = torch.get_autocast_dtype(at) if torch.is_autocast_enabled(at) else tensors[0].dtype
        key = (settings, state, dtype)
        if name not in self._copies or self._copies[name][0] != key:
            self._copies.pop(name, None)
            self._copies[name] = key, make(net).to(dtype)
        return self._copies[name][1]


class FoldedCGN(nn.Module):
    """A CGN frozen at one truncation: what data sets and sheets are made with."""

    def __init__(self, net: ImageNetCGN, truncation: float):
        super().__init__()
        self.truncation = truncation
        self.f_shape = fold(net.f_shape, truncation)
        self.f_text = fold(net.f_text, truncation)
        self.f_bg = fold(net.f_bg, truncation)
        self.u2net = net.u2net.fold()
        self.eval()

    def forward(
        self, u: Tensor, shape: Tensor, texture: Tensor, background: Tensor, truncation: float
    ) -> Composed:
        """As `ImageNetCGN.forward`, at the truncation of the copy (CGNError at another)."""
        if truncation != self.truncation:
            raise CGNError(
                f"this copy is folded at truncation {self.truncation}, not {truncation}: "
                f"fold the net again"
            )
        premask = self.f_shape(u, shape)
        mask = self.u2net(premask).clamp(MASK_MIN, MASK_MAX)
        return Composed(mask, premask, self.f_text(u, texture), self.f_bg(u, background))
