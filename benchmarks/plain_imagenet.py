"""Training of the CGN over BigGAN in its plain form: what the fast path is timed against.

The library's own pass through each generator, a saliency net with its batch norms, every window of
every image cut out before the best are chosen.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.experiments.recipes import MechanismsRecipe, Patches
from cgnlib.nets.imagenet import TRAINED, ImageNetCGN
from cgnlib.nets.mnist import compose
from cgnlib.training import losses


def texture_grid(x: Tensor, mask: Tensor, patches: Patches) -> Tensor:
    """The texture loss's target, as of `patches.texture_grid`."""
    size, patch, grid, grids = (patches.size,) * 2, patches.patch, patches.grid, []
    for image, shape in zip(x, mask, strict=True):
        small, scores = (F.interpolate(part[None], size, mode="bicubic") for part in (image, shape))
        windows = F.unfold(small, patch)[0].T
        score = F.unfold(scores, patch)[0].mean(0)
        best = score.topk(patches.best).indices
        chosen = best[torch.randint(patches.best, (grid**2,))]
        cut = windows[chosen].view(grid, grid, 3, patch, patch)
        tiled = cut.permute(2, 0, 3, 1, 4).reshape(1, 3, *(grid * patch,) * 2)
        grids.append(F.interpolate(tiled, image.shape[-2:], mode="bicubic"))
    return torch.cat(grids)


def made(net: ImageNetCGN, u: Tensor, y: Tensor, truncation: float) -> tuple[Tensor, ...]:
    """(x_gt, mask, fg, bg, bg_mask), as `ImageNetCGN.forward` makes them."""
    one_hot = F.one_hot(y, net.config.num_classes).float()
    with torch.no_grad():
        x_gt = net.biggan_GT(u, one_hot, truncation)
    premask, fg, bg = (getattr(net, name)(u, one_hot, truncation) for name in TRAINED)
    mask = net.u2net(premask).clamp(1e-4, 0.9999)
    return x_gt, mask, fg, bg, net.u2net(bg)


def loss(features: nn.Module, parts: tuple[Tensor, ...], recipe: MechanismsRecipe) -> Tensor:
    """The sum of all six losses.  features: gives the maps that the Gram distances are taken of."""
    x_gt, mask, fg, bg, bg_mask = parts
    w, x_gen = recipe.weights, compose(mask, fg, bg)
    perceptual = losses.gram_distance(features(x_gen), features(x_gt), w.perc)
    grid = texture_grid(x_gt, mask.detach(), recipe.patches)
    texture = losses.gram_distance(features(fg), features(grid), w.text)
    l1 = w.l1 * F.l1_loss(x_gen, x_gt)
    binary, bounds = w.binary * losses.mask_entropy(mask), w.mask * losses.mask_bounds(mask)
    return l1 + perceptual + binary + bounds + texture + w.bg * bg_mask.mean()


def steps(net: ImageNetCGN, features: nn.Module, recipe: MechanismsRecipe) -> Iterator[None]:
    """Training, a step of one pass at a time, for ever."""
    net.train()
    optimisers = [
        torch.optim.Adam(getattr(net, name).parameters(), lr)
        for name, lr in zip(TRAINED, recipe.lr, strict=True)
    ]
    rng = torch.Generator().manual_seed(0)
    while True:
        y = torch.randint(net.config.num_classes, (recipe.batch,))
        u = truncated_noise(recipe.batch, net.config.z_dim, recipe.truncation, rng)
        loss(features, made(net, u, y, recipe.truncation), recipe).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        yield
