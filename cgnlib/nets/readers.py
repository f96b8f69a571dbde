"""The menagerie's readers: one small convolutional net, with a head for each question."""

import torch
from torch import Tensor, nn

from cgnlib.nets.mnist import N_CLASSES, SIZE
from cgnlib.nets.reader import PLAN


class Reader(nn.Module):
    """Reads classes off 64-pixel images.

    heads: how many classes each head tells apart.  x: [B, 3, 64, 64] in -1...1.  Returns the
    logits of each head, [B, classes].
    """

    def __init__(self, heads: tuple[int, ...] = (10,)):
        super().__init__()
        plan = ((3, 32, 2), (32, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 96, 2))
        self.body = nn.Sequential(*(_unit(*widths) for widths in plan))
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
    """Three heads on one small convolutional net; no part of the study.

    x: [B, 3, 32, 32] in about -1...1.  Returns logits [B, 10, 3], of shape, texture, background.
    """

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out, stride in PLAN:
            conv = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
            layers += [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.heads = nn.Linear(PLAN[-1][1] * (SIZE // 8) ** 2, 3 * N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        return self.heads(self.body(x)).unflatten(1, (N_CLASSES, 3))
