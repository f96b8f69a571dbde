"""Ten silhouettes as signed distances: negative inside, in units of half an image.

x, y: [B, H, W], right and down, about -1...1; k: [B, 4, 1, 1] in -1...1, a shape's proportions.
"""

import math
from functools import reduce

import torch
from torch import Tensor


def fish(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    body = ellipse(x + 0.14, y, 0.58 + 0.06 * k[:, 0], 0.34 + 0.06 * k[:, 1])
    tail = polygon(x, y, [(0.28, 0), (0.82, -0.38), (0.7, 0), (0.82, 0.38)])
    fin = polygon(x, y, [(-0.3, -0.24), (0.2, -0.56), (0.22, -0.2)])
    return union(body, tail, fin)


def mushroom(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    cap = torch.maximum(
        ellipse(x, y + 0.02, 0.72 + 0.06 * k[:, 0], 0.66 + 0.08 * k[:, 1]), y - 0.06
    )
    stem = box(x, y - 0.36, 0.18 + 0.05 * k[:, 2], 0.38, 0.1)
    return union(cap, stem)


def star(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    # fold the plane onto one tenth of the star, then measure to its only edge
    angle = torch.atan2(x, -y)
    part = 2 * math.pi / 5
    angle = (angle + part / 2).remainder(part) - part / 2
    radius = torch.hypot(x, y)
    px, py = radius * angle.sin().abs(), radius * angle.cos()
    inner = 0.4 + 0.06 * k[:, 0]
    ax, ay = torch.zeros_like(inner), torch.full_like(inner, 0.86)
    bx, by = inner * math.sin(math.pi / 5), inner * math.cos(math.pi / 5)
    ex, ey = bx - ax, by - ay
    return ((px - ax) * -ey + (py - ay) * ex) / torch.hypot(ex, ey)


def key(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    bow = ring(x + 0.46, y, 0.26 + 0.03 * k[:, 0], 0.12)
    shaft = box(x - 0.28, y, 0.54, 0.1, 0.02)
    first = box(x - 0.48, y - 0.2, 0.08, 0.16 + 0.03 * k[:, 1], 0.0)
    second = box(x - 0.74, y - 0.22, 0.08, 0.2 + 0.03 * k[:, 2], 0.0)
    return union(bow, shaft, first, second)


def heart(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    x = x.abs() / (1 + 0.08 * k[:, 0])
    lobe = ellipse(x - 0.34, y + 0.22, 0.38, 0.38)
    return union(
        lobe, polygon(x, y, [(-0.1, -0.28), (0.34, -0.3), (0.655, -0.005), (0, 0.74), (-0.1, 0.74)])
    )


def moon(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    disc = ellipse(x, y, 0.78, 0.78)
    bite = ellipse(x - 0.4 - 0.06 * k[:, 0], y + 0.1 * k[:, 1], 0.62, 0.62)
    return torch.maximum(disc, -bite)


def mug(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    cup = box(x + 0.16, y, 0.48 + 0.04 * k[:, 0], 0.58 + 0.06 * k[:, 1], 0.1)
    return union(cup, ring(x - 0.4, y, 0.28 + 0.03 * k[:, 2], 0.09))


def umbrella(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    canopy = ellipse(x, y + 0.02, 0.84, 0.72 + 0.06 * k[:, 0])
    scallop = 0.02 - 0.1 * (x * 3.5 * math.pi / 1.7).cos().abs()
    canopy = torch.maximum(canopy, y - scallop)
    stick = box(x, y - 0.3, 0.05, 0.42, 0.02)
    hook = torch.maximum(ring(x - 0.15, y - 0.7, 0.15, 0.05), 0.68 - y)
    return union(canopy, stick, hook)


def cactus(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    trunk = box(x, y, 0.19, 0.82, 0.19)
    left = union(
        box(x + 0.34, y - 0.1, 0.26, 0.11, 0.1),
        box(x + 0.5, y + 0.14 + 0.08 * k[:, 0], 0.11, 0.32, 0.11),
    )
    right = union(
        box(x - 0.34, y - 0.3, 0.26, 0.11, 0.1),
        box(x - 0.5, y - 0.04 + 0.08 * k[:, 1], 0.11, 0.36, 0.11),
    )
    return union(trunk, left, right)


def house(x: Tensor, y: Tensor, k: Tensor) -> Tensor:
    walls = box(x, y - 0.36, 0.52 + 0.05 * k[:, 0], 0.42, 0.0)
    roof = polygon(x, y, [(-0.78, 0.0), (0, -0.76), (0.78, 0.0)])
    chimney = box(x - 0.42, y + 0.5, 0.1, 0.22, 0.0)
    return union(walls, roof, chimney)


def union(*parts: Tensor) -> Tensor:
    return reduce(torch.minimum, parts)


def ellipse(x: Tensor, y: Tensor, a, b) -> Tensor:
    """Distance to an ellipse of half axes a and b, to first order."""
    scaled = torch.hypot(x / a, y / b)
    slope = torch.hypot(x / (a * a), y / (b * b)).clamp_min(1e-6)
    return scaled * (scaled - 1) / slope


def box(x: Tensor, y: Tensor, a, b, corner: float) -> Tensor:
    """Distance to a box of half sides a and b with rounded corners."""
    dx, dy = x.abs() - a + corner, y.abs() - b + corner
    outside = torch.hypot(dx.clamp_min(0), dy.clamp_min(0))
    return outside + torch.maximum(dx, dy).clamp_max(0) - corner


def ring(x: Tensor, y: Tensor, radius, width: float) -> Tensor:
    """Distance to an annulus around the origin."""
    return (torch.hypot(x, y) - radius).abs() - width


def polygon(x: Tensor, y: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Distance to a polygon: to the nearest edge, signed by crossing parity."""
    nearest = torch.full_like(x, 4.0)
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = x - ax, y - ay
        along = ((wx * ex + wy * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        nearest = torch.minimum(nearest, (wx - along * ex).square() + (wy - along * ey).square())
        if ey:
            inside ^= ((y >= ay) != (y >= by)) & (wx < wy * (ex / ey))
    return torch.where(inside, -nearest.sqrt(), nearest.sqrt())


FAMILIES = (fish, mushroom, star, key, heart, moon, mug, umbrella, cactus, house)
