"""Unbiased readers: small convolutional nets that name the cues of an image."""

import torch
from torch import Tensor, nn

from cgnlib.nets.mnist import N_CLASSES, SIZE

# Channels in and out, and the stride of each layer.
MENAGERIE = ((3, 32, 2), (32, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 96, 2))
DIGITS = ((3, 16, 1), (16, 32, 2), (32, 48, 2), (48, 64, 2))


class Reader(nn.Module):
    """Reads classes off the menagerie's images.

    heads: how many classes each head tells apart.  x: [B, 3, 64, 64] in -1...1.  Returns the
    logits of each head, [B, classes].
    """

    def __init__(self, heads: tuple[int, ...] = (10,)):
        super().__init__()
        self.body = nn.Sequential(*(_unit(*widths) for widths in MENAGERIE))
        self.heads = nn.ModuleList(nn.Linear(96, classes) for classes in heads)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self.features(x)
        return tuple(head(features) for head in self.heads)

    def features(self, x: Tensor) -> Tensor:
        """The [B, 96] features that the heads read."""
        return self.body(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))


def _unit(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()
    )


class CueReader(nn.Module):
    """Names shape, texture and background of an image of an MNIST variant; no part of the study.

    x: [B, 3, 32, 32] in about -1...1.  Returns logits [B, 10, 3], of shape, texture, background.
    """

    def __init__(self):
        super().__init__()
        layers = (layer for widths in DIGITS for layer in _unit(*widths))
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.heads = nn.Linear(DIGITS[-1][1] * (SIZE // 8) ** 2, 3 * N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        return self.heads(self.body(x)).unflatten(1, (N_CLASSES, 3))
