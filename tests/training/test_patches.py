"""Texture grids: windows from inside the mask, tiled; the same as a loop over images."""

import pytest
import torch
import torch.nn.functional as F

from cgnlib.errors import CGNError
from cgnlib.experiments.recipes import MENAGERIE_MECHANISMS, Patches
from cgnlib.training.patches import draw_windows, texture_grid


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def resize(x, side):
    return F.interpolate(x, (side, side), mode="bicubic", align_corners=False)


def drawn_grid(x, mask, rng, patches):
    return texture_grid(x, mask, draw_windows(len(x), patches, rng), patches)


def slow_texture_grid(x, mask, rng, patches):
    """One image, one window, one cell at a time."""
    size, patch, best, grid = patches.size, patches.patch, patches.best, patches.grid
    draws = torch.randint(best, (len(x), grid**2), generator=rng)
    targets = []
    for image, m, chosen in zip(resize(x, size), resize(mask, size), draws, strict=True):
        windows = []
        for i in range(size - patch + 1):
            for j in range(size - patch + 1):
                mean = m[0, i : i + patch, j : j + patch].double().mean().item()
                windows.append((mean, i, j))
        windows.sort(reverse=True)
        rows = []
        for r in range(grid):
            cells = []
            for c in range(grid):
                _, i, j = windows[chosen[r * grid + c]]
                cells.append(image[:, i : i + patch, j : j + patch])
            rows.append(torch.cat(cells, 2))
        targets.append(torch.cat(rows, 1))
    return resize(torch.stack(targets), x.shape[-1])


@pytest.fixture
def x(rng):
    return torch.rand(3, 3, 40, 40, generator=rng) * 2 - 1


@pytest.fixture
def mask(rng):
    return torch.rand(3, 1, 40, 40, generator=rng)


def cells(tiled, patch, grid):
    """[B, 3, grid * patch, grid * patch] as [B, grid^2, 3, patch, patch]."""
    parts = tiled.unflatten(3, (grid, patch)).unflatten(2, (grid, patch))
    return parts.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


@pytest.mark.parametrize(
    ("side", "patches"),
    [
        (40, Patches(size=20, patch=5, best=30, grid=4)),
        (40, Patches(size=24, patch=4, best=12, grid=3)),
        (40, Patches(size=40, patch=9, best=1, grid=2)),
        (40, Patches(size=12, patch=12, best=1, grid=2)),
        (64, MENAGERIE_MECHANISMS.patches),
        (256, Patches()),
    ],
    ids=["smaller", "gaps", "one", "whole", "menagerie", "paper"],
)
def test_the_same_as_a_loop_over_images(side, patches, rng):
    n = 1 if side == 256 else 3
    x, mask = (torch.rand(n, c, side, side, generator=rng) for c in (3, 1))
    found = drawn_grid(x, mask, seeded(), patches)
    assert found.shape == x.shape
    assert torch.equal(found, slow_texture_grid(x, mask, seeded(), patches))


def test_patches_come_from_inside_the_object():
    """Object 1, background 0: a grid of patches that fit into the object is all object."""
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 4:20, 6:22] = 1
    mask[1, :, 14:30, 2:18] = 1
    patches = Patches(size=32, patch=8, best=50, grid=4)  # tiled, they are as large as the image
    x = mask.expand(-1, 3, -1, -1)
    assert (drawn_grid(x, mask, seeded(), patches) == 1).all()
    assert (drawn_grid(x, 1 - mask, seeded(), patches) == 0).all()


@pytest.mark.parametrize("value", [0.0, 0.3, 0.9999])
def test_a_constant_mask_gives_windows_of_the_image(value, x):
    mask = torch.full((3, 1, 40, 40), value)
    found = cells(drawn_grid(x, mask, seeded(), Patches(40, 8, 50, 5)), 8, 5)
    windows = x.unfold(2, 8, 1).unfold(3, 8, 1).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    for drawn, all_of_them in zip(found, windows, strict=True):
        assert all((cell == all_of_them).flatten(1).all(1).any() for cell in drawn)


def test_an_image_does_not_depend_on_the_rest_of_the_batch(x, mask):
    patches, draws = Patches(size=20, patch=5, best=30, grid=4), seeded()
    pairs = zip(x.split(1), mask.split(1), strict=True)
    alone = [drawn_grid(image, its_mask, draws, patches) for image, its_mask in pairs]
    assert torch.equal(drawn_grid(x, mask, seeded(), patches), torch.cat(alone))


def test_windows_are_drawn_anew_and_with_replacement(x, mask):
    def draw(seed):
        return drawn_grid(x, mask, seeded(seed), Patches(40, 10, 10, 4))

    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))
    distinct = [len(torch.unique(c.flatten(1), dim=0)) for c in cells(draw(0), 10, 4)]
    assert all(1 < n <= 10 for n in distinct)  # 16 cells of 10 windows


def test_the_global_state_is_left_alone_and_nothing_has_a_gradient(x, mask):
    before = torch.get_rng_state()
    patches = Patches(size=20, patch=5, best=30, grid=4)
    found = drawn_grid(x.requires_grad_(), mask.requires_grad_(), seeded(), patches)
    assert not found.requires_grad
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"size": 8, "patch": 9}, "patches of 9 pixels do not fit images of 8"),
        ({"patch": 0}, "patches of 0 pixels"),
        ({"size": 20, "patch": 15, "best": 37}, "cannot keep 37 of 36 windows"),
        ({"best": 0}, "cannot keep 0"),
        ({"grid": 0}, "a grid of 0 x 0"),
    ],
)
def test_impossible_sizes_are_errors(sizes, message, x, mask):
    with pytest.raises(CGNError, match=message):
        texture_grid(x, mask, torch.zeros(3, 1).long(), Patches(**sizes))
