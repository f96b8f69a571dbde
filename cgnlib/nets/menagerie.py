"""The menagerie's readers: one small convolutional net, with a head for each question."""

import torch
from torch import Tensor, nn


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
