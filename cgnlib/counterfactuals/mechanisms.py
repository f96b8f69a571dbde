"""Shape, texture and background one by one: of CGNs, and of the renderers that know the truth.

A source makes a part from a mechanism (0 shape, 1 texture, 2 background), the classes y of some
scenes ([B]), the take (0 for the noise a scene has, 1 for other noise) and the scenes' numbers
([B], consecutive).  A part depends on nothing else: what another mechanism does cannot change it.
The first channel of a shape is its mask in 0...1; `compose` makes an image of three parts.
"""

from typing import Protocol

import torch
from torch import Tensor

from cgnlib.chance import generator
from cgnlib.counterfactuals import draws
from cgnlib.data import images, menagerie, variants
from cgnlib.nets import mnist
from cgnlib.nets.imagenet import FoldedCGN
from cgnlib.nets.mnist import MASK_MAX, MASK_MIN

OTHER = 1 << 24  # added to an item's number, in the menagerie, for other noise


class Source(Protocol):
    def part(self, mechanism: int, y: Tensor, take: int, index: Tensor) -> Tensor: ...

    def compose(self, parts: list[Tensor], index: Tensor) -> Tensor:
        return mnist.compose(*parts)


class DigitCGN(Source):
    """The mechanisms of an MNIST CGN, each with noise of its own, as in its counterfactuals."""

    def __init__(self, net: mnist.CGN, seed: int):
        self.net, self.seed = net.eval(), seed
        self._make = net.mask, net.foreground, net.background

    def part(self, mechanism: int, y: Tensor, take: int, index: Tensor) -> Tensor:
        rng = generator(self.seed, "part", mechanism, take, int(index[0]))
        u = self.net.draw_latent(len(y), rng)
        if mechanism == 0:
            return self.net.mask(u, y)
        return self._make[mechanism](u, y, rng)  # the same shift for every class


class DigitRenderer(Source):
    """The renderer of an MNIST variant: held-out digits, and cues drawn afresh.

    Other noise is another digit of the class, other jitter, another crop.
    """

    def __init__(self, name: str, digits_of: str, textures_of: str, seed: int):
        self.data = variants.load(name, digits_of, "test", generator(seed, "digits"), textures_of)
        self.seed = seed
        self._of_class = [(self.data.y == c).nonzero()[:, 0] for c in range(mnist.N_CLASSES)]

    def part(self, mechanism: int, y: Tensor, take: int, index: Tensor) -> Tensor:
        rng = generator(self.seed, "part", mechanism, take, int(index[0]))
        if mechanism == 0:
            place = torch.rand(len(y), generator=rng)
            pools = [self._of_class[c] for c in y.tolist()]
            chosen = [
                pool[int(p * len(pool))] for p, pool in zip(place.tolist(), pools, strict=True)
            ]
            return self.data.strokes(torch.stack(chosen))
        x = self.data.cue(mechanism - 1, y, rng)
        x = images.to_signed(x) if x.dtype == torch.uint8 else x * 2 - 1
        return x.permute(0, 3, 1, 2).expand(-1, -1, mnist.SIZE, mnist.SIZE)


class MenagerieCGN(Source):
    """The mechanisms of a CGN over BigGAN: one latent for all three, as published."""

    def __init__(self, net: FoldedCGN, seed: int, device: torch.device):
        self.net, self.seed, self.device = net.to(device), seed, device
        self._make = net.f_shape, net.f_text, net.f_bg

    def part(self, mechanism: int, y: Tensor, take: int, index: Tensor) -> Tensor:
        rng = generator(self.seed, "latent", take, int(index[0]))
        size = self.net.f_shape.config.z_dim
        u = draws.truncated_noise(len(y), size, self.net.truncation, rng)
        made = self._make[mechanism](u.to(self.device), y.to(self.device))
        if mechanism == 0:
            made = self.net.u2net(made).clamp(MASK_MIN, MASK_MAX)
        return made.cpu()


class Renderer(Source):
    """The menagerie's renderer.  The light on an object goes with its shape."""

    def __init__(self, seed: int):
        self.seed = seed

    def part(self, mechanism: int, y: Tensor, take: int, index: Tensor) -> Tensor:
        make = (menagerie.silhouette, menagerie.surface, menagerie.scenery)[mechanism]
        return make(y, self.seed, index + take * OTHER)

    def compose(self, parts: list[Tensor], index: Tensor) -> Tensor:
        shape, fg, bg = parts
        return menagerie.compose(shape[:, :1], shape[:, 1:], fg, bg, self.seed, index)
