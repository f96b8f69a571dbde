"""Compose, sample and store counterfactual images of the MNIST CGNs, and samples of the GANs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cgnlib import precision
from cgnlib.data.images import Images, to_bytes
from cgnlib.nets.mnist import CGN, GAN, compose

BATCH = 100  # labels drawn at a time, as in the published code


def interventions(
    net: CGN, y: Tensor, rng: torch.Generator, n: int = 1, mixed: bool = False
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
    """n counterfactuals of each of a batch of shapes: (mask, fg, bg, y_fg, y_bg), n times.

    The mask is drawn once and kept; each time the textures get noise of their own and labels that
    are two independent permutations of y.  y: [B].  The net should be in evaluation mode.
    rng: on the CPU, wherever the net is.  mixed: textures in the arithmetic of `precision`, for
    what is stored as bytes.
    """
    device = net.label_emb.weight.device
    foreground, background = (
        precision.mixed(call, device) if mixed else call
        for call in (net.foreground, net.background)
    )
    y = y.to(device)
    mask = net.mask(net.draw_latent(len(y), rng), y)
    for _ in range(n):
        y_fg, y_bg = (y[torch.randperm(len(y), generator=rng).to(y.device)] for _ in range(2))
        fg = foreground(net.draw_latent(len(y), rng), y_fg, rng)
        bg = background(net.draw_latent(len(y), rng), y_bg, rng)
        yield mask, fg, bg, y_fg, y_bg


@torch.inference_mode()
def sample_cgn(net: CGN, size: int, per_shape: int, rng: torch.Generator) -> Iterator[Images]:
    """Batches of counterfactuals, labelled by their shape, until `size` images are made.

    per_shape: how many textures and backgrounds each shape is shown with.
    """
    net.eval()
    for _ in range(size // BATCH // per_shape):
        y = torch.randint(0, 10, (BATCH,), generator=rng)
        for mask, fg, bg, _, _ in interventions(net, y, rng, per_shape, mixed=True):
            yield Images(to_stored(compose(mask, fg, bg)).cpu(), y)


@torch.inference_mode()
def sample_gan(net: GAN, size: int, per_shape: int, rng: torch.Generator) -> Iterator[Images]:
    """Batches of GAN images, until `size` are made; per_shape only sets how labels repeat."""
    net.eval()
    make = precision.mixed(net, net.label_emb.weight.device)
    for _ in range(size // BATCH // per_shape):
        y = torch.randint(0, 10, (BATCH,), generator=rng)
        for _ in range(per_shape):
            u = net.draw_latent(len(y), rng)
            yield Images(to_stored(make(u, y.to(u.device))).cpu(), y)


def set_size(size: int, per_shape: int) -> int:
    """How many images a set of a declared size really has: whole batches only, as published."""
    return size // BATCH // per_shape * per_shape * BATCH


def to_stored(x: Tensor) -> Tensor:
    """[B, 3, H, W] in -1...1 as [B, H, W, 3] bytes: a quarter of the memory of floats."""
    return to_bytes(x.permute(0, 2, 3, 1).contiguous())
