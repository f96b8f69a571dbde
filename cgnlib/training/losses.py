"""One function for each loss term.  Masks are [B, 1, H, W] in 0...1, scores [B]."""

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_mse(fake: Tensor) -> Tensor:
    """Least-squares adversarial loss of a generator: mean of (D(x_gen) - 1)^2."""
    return (fake - 1).square().mean()


def discriminator_mse(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares loss of a discriminator: half the sum over the real and the fake batch."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def generator_bce(fake: Tensor) -> Tensor:
    """Cross-entropy adversarial loss of the GAN baseline's generator."""
    return F.softplus(-fake).mean()


def discriminator_bce(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy loss of the GAN baseline's discriminator, half the sum over both batches."""
    return (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2


def mask_entropy(mask: Tensor) -> Tensor:
    """Mean binary entropy of the mask, in bits (L_binary without its weight).

    mask: strictly between 0 and 1, as the clamped shape mechanism gives it.
    """
    return -(mask * mask.log2() + (1 - mask) * (1 - mask).log2()).mean()


def edge_mass(mask: Tensor) -> Tensor:
    """Mask mass at the border less mass in the centre, as a share of the image.

    The study's addition against inverted masks; the centre is rows and columns 6...24 of 32 (its
    border is off by one, kept as it was).  The study sums over three equal mask channels.
    """
    centre = mask[:, :, 6:25, 6:25].sum()
    return 3 * (mask.sum() - 2 * centre) / (mask.numel() / mask.shape[1])


def border_coverage(mask: Tensor, width: int = 3) -> Tensor:
    """Mean of the mask within `width` pixels of the image's edge, where no digit reaches.

    Ours: it asks for nothing but that the digit, and not what is around it, is the mask.
    """
    inside = mask[:, :, width:-width, width:-width]
    return (mask.sum() - inside.sum()) / (mask.numel() - inside.numel())


def gram(features: Tensor) -> Tensor:
    """Gram matrix of [B, C, H, W] features over positions, divided by C*H*W: [B, C, C]."""
    flat = features.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2)) / features[0].numel()


def gram_distance(generated: list[Tensor], target: list[Tensor], factors: list[float]) -> Tensor:
    """Sum over layers of factor times the mean absolute difference of Gram matrices (L_perc).

    Images are paired by their position in the batch; the target side carries no gradient.
    """
    total = generated[0].new_zeros(())
    for ours, theirs, factor in zip(generated, target, factors, strict=True):
        total = total + factor * (gram(ours) - gram(theirs)).abs().mean()
    return total


def mask_bounds(mask: Tensor, low: float = 0.1, high: float = 0.9) -> Tensor:
    """How far the mean mask of an image lies outside low...high, averaged over images.

    Keeps masks from vanishing and from filling the image (L_mask).  Source: CGN paper, ImageNet.
    """
    coverage = mask.flatten(1).mean(1)
    return (F.relu(low - coverage) + F.relu(coverage - high)).mean()
