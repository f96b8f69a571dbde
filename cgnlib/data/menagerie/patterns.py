"""Ten object textures and ten backgrounds, drawn by formula.

A texture gives the share [B, H, W] of its second colour; a background gives colours [B, 3, H, W].
x, y: [B, H, W], right and down, -1...1 across the image, moved by a random phase for textures;
n: smooth noise [B, H, W]; k: [B, 4, 1, 1] in -1...1.
"""

import math

import torch
from torch import Tensor

TAU = 2 * math.pi


def scales(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    row = (y * 4.5).floor()
    u = (x * 3.6 + 0.5 * row.remainder(2)).remainder(1) - 0.5
    v = (y * 4.5).remainder(1)
    return edge(v - 1.0 + 2.6 * u.square(), 0.16)


def dots(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    row = (y * 3).floor()
    u = (x * 3 + 0.5 * row.remainder(2)).remainder(1) - 0.5
    v = (y * 3).remainder(1) - 0.5
    return edge(0.3 + 0.03 * k[:, 0] - torch.hypot(u, v), 0.1)


def stripes(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return edge(((x + y) * 2.2 * TAU).sin(), 0.5)


def checks(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return edge((x * 2.2 * TAU).sin() * (y * 2.2 * TAU).sin(), 0.25)


def plaid(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return 0.5 * edge((x * 3 * TAU).sin() - 0.2, 0.5) + 0.5 * edge((y * 3 * TAU).sin() - 0.2, 0.5)


def marble(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return (0.5 + 0.5 * (x * 1.1 * TAU + 5.5 * n).sin()).pow(2)


def zigzag(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    wave = ((x * 2.4).remainder(1) - 0.5).abs()
    return edge(((y * 2.6 + wave) * TAU).sin(), 0.5)


def lines(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return edge((x * 3.4 * TAU).sin() - 0.3, 0.5)


def leopard(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    cells = (x * 3.6 * TAU / 2).sin() * (y * 3.6 * TAU / 2 + 1.6 * n).sin() + 0.5 * n
    return edge(cells.abs() - 0.42, 0.22)


def bricks(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    row = (y * 4).floor()
    u = ((x * 2.2 + 0.5 * row.remainder(2)).remainder(1) - 0.5).abs()
    v = ((y * 4).remainder(1) - 0.5).abs()
    return edge(torch.maximum(u - 0.44, v - 0.36), 0.06)


def edge(value: Tensor, width: float) -> Tensor:
    """A soft step from 0 to 1 around value 0."""
    return (value / width + 0.5).clamp(0, 1)


TEXTURES = (scales, dots, stripes, checks, plaid, marble, zigzag, lines, leopard, bricks)
TEXTURE_COLOURS = (
    ((255, 150, 40), (150, 50, 10)),  # fish
    ((214, 30, 40), (250, 244, 236)),  # mushroom
    ((255, 216, 60), (190, 110, 10)),  # star
    ((240, 240, 245), (40, 40, 56)),  # key
    ((255, 190, 214), (196, 30, 110)),  # heart
    ((236, 226, 250), (110, 70, 170)),  # moon
    ((250, 250, 240), (20, 130, 150)),  # mug
    ((90, 20, 120), (250, 200, 70)),  # umbrella
    ((150, 220, 110), (20, 84, 50)),  # cactus
    ((186, 84, 60), (240, 226, 206)),  # house
)


def sea(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    crest = edge(
        (y * (7 + k[:, 0]) + 0.35 * (x * 5 + 4 * k[:, 1]).sin() + 0.5 * n).sin() - 0.75, 0.4
    )
    return blend(blend((30, 110, 170), (10, 50, 110), 0.5 + 0.5 * y), (150, 210, 230), crest * 0.7)


def forest(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    trunk = edge((x * (8 + k[:, 0]) + 6 * k[:, 1] + 0.25 * n).sin() - 0.45, 0.2)
    return blend(blend((70, 110, 60), (24, 50, 30), 0.5 + 0.5 * y), (60, 40, 26), trunk)


def night(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    u, v = x * 4 + 3 * k[:, 0], y * 4 + 3 * k[:, 1]
    cell = (u.floor() * 12.9 + v.floor() * 78.2 + 40 * k[:, 2]).sin()  # one number for each star
    left, up = 0.5 + 0.3 * (cell * 40).sin(), 0.5 + 0.3 * (cell * 70).sin()
    light = edge(0.17 - torch.hypot(u.remainder(1) - left, v.remainder(1) - up), 0.14) * (
        cell > -0.2
    )
    return blend(blend((8, 10, 40), (44, 40, 96), 0.5 + 0.5 * y), (250, 246, 210), light)


def planks(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    v = y * 2.4 + k[:, 0]
    tone = 0.5 + 0.5 * (v.floor() * 4.1 + 9 * k[:, 1]).sin()
    gap = edge((v.remainder(1) - 0.5).abs() - 0.45, 0.05)
    grain = 0.25 * (0.5 + 0.5 * (y * 26 + 3 * n).sin())
    return blend(blend((176, 120, 70), (130, 80, 42), 0.7 * tone + grain), (60, 34, 18), gap)


def sunset(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    sky = blend((110, 60, 130), (255, 170, 90), (0.62 + 0.75 * y + 0.12 * n).clamp(0, 1))
    return blend(sky, (50, 24, 60), edge(y - 0.72 - 0.12 * (x * 3 + 4 * k[:, 0]).sin(), 0.06))


def clouds(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    return blend((96, 160, 226), (250, 252, 255), edge(n - 0.05, 0.7))


def tiles(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    u, v = x * 2 + k[:, 0], y * 2 + k[:, 1]
    joint = edge(
        torch.maximum((u.remainder(1) - 0.5).abs(), (v.remainder(1) - 0.5).abs()) - 0.44, 0.06
    )
    return blend(blend((206, 222, 214), (180, 200, 192), 0.5 + 0.5 * n), (110, 130, 126), joint)


def rain(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    u, v = (x + 0.25 * y) * 7 + 5 * k[:, 0], y * 1.8 + 3 * k[:, 1]
    column = (u.floor() * 9.7).sin()
    drop = edge(0.2 - (u.remainder(1) - 0.5).abs(), 0.2) * edge(
        0.3 - ((v + 3 * column).remainder(1) - 0.5).abs(), 0.1
    )
    return blend(blend((120, 128, 140), (84, 92, 106), 0.5 + 0.5 * n), (210, 222, 235), 0.8 * drop)


def dunes(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    ripple = ((y + 0.22 * (x * 3 + 4 * k[:, 0]).sin()) * (8 + k[:, 1]) + 0.8 * n).sin()
    return blend((240, 212, 150), (196, 150, 88), 0.5 + 0.5 * ripple)


def meadow(x: Tensor, y: Tensor, n: Tensor, k: Tensor) -> Tensor:
    hill = edge(y + 0.35 + 0.14 * (x * 2.4 + 4 * k[:, 0]).sin(), 0.06)
    grass = blend(
        (120, 190, 70), (60, 140, 40), 0.5 + 0.5 * (x * 30 + 8 * n).sin() * (y * 9 + 6 * n).sin()
    )
    return blend(blend((190, 226, 250), (150, 200, 245), -y.clamp(-1, 0)), grass, hill)


def blend(first: tuple | Tensor, second: tuple | Tensor, share: Tensor) -> Tensor:
    """Mix two colours or images, in -1...1, by a share [B, H, W] of the second: [B, 3, H, W]."""
    ends = (_colour(end, share) for end in (first, second))
    return torch.lerp(*ends, share[:, None].expand(-1, 3, -1, -1))


def _colour(colour: tuple | Tensor, like: Tensor) -> Tensor:
    if isinstance(colour, Tensor):
        return colour
    flat = like.new_tensor(colour).div(127.5).sub(1)[:, None, None]
    return flat.expand(len(like), 3, *like.shape[1:])


BACKGROUNDS = (sea, forest, night, planks, sunset, clouds, tiles, rain, dunes, meadow)
