"""The texture loss's target: patches from inside the object, tiled over a whole image."""

from dataclasses import astuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import Patches


def draw_windows(n: int, patches: Patches, rng: torch.Generator) -> Tensor:
    """Which of the best windows fill the grids of n images: [n, grid^2], with replacement."""
    return torch.randint(patches.best, (n, patches.grid**2), generator=rng, device=rng.device)


@torch.no_grad()
def texture_grid(x: Tensor, mask: Tensor, drawn: Tensor, patches: Patches) -> Tensor:
    """Images of texture alone: grid x grid windows from where the mask is largest.

    x: [B, 3, H, W].  mask: [B, 1, H, W].  Both are resized to size x size; of all windows of
    patch x patch pixels the `best` with the largest mean mask are kept.  Those that `draw_windows`
    drew of them are tiled row by row without gaps and resized to H x W.  Resizing is bicubic.
    Returns [B, 3, H, W] without a gradient.
    Two traits of the published procedure are kept.  Where windows have equal means torch.topk
    chooses: for a mask that is the same all over, neighbours in the top row.  And the bicubic
    filter overshoots at hard edges, so of a hard mask the windows along its inner rim score best.
    Raises CGNError for windows that do not fit, or are fewer than `best`, or a grid of none.
    Source: CGN paper, texture loss; published code.
    """
    size, patch, best, grid = astuple(patches)
    side = size - patch + 1  # windows in a row
    if not 1 <= patch <= size:
        raise CGNError(f"patches of {patch} pixels do not fit images of {size}: use 1 to {size}")
    if not 1 <= best <= side**2:
        raise CGNError(f"cannot keep {best} of {side**2} windows: use 1 to {side**2}")
    if grid < 1:
        raise CGNError(f"a grid of {grid} x {grid} windows is no image")
    small = _resize(x, (size, size)).flatten(2)
    score = F.avg_pool2d(_resize(mask, (size, size)), patch, stride=1).flatten(1)
    kept = score.topk(best).indices
    corner = kept.gather(1, drawn.to(x.device))  # [B, grid^2], counted row by row
    first = corner // side * size + corner % side  # each window's first pixel
    offset = torch.arange(patch, device=x.device)
    pixel = first.view(-1, grid, 1, grid, 1) + offset.view(-1, 1, 1) * size + offset
    tiled = small.gather(2, pixel.view(len(x), 1, -1).expand(-1, 3, -1))
    tiled = tiled.view(len(x), 3, grid * patch, grid * patch)
    return _resize(tiled, x.shape[-2:])


def _resize(x: Tensor, shape: tuple[int, int]) -> Tensor:
    return F.interpolate(x, shape, mode="bicubic", align_corners=False)
