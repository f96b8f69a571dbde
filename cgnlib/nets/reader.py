"""The reader of the MNIST variants: names digit, foreground and background of one image."""

import torch
from torch import Tensor, nn

from cgnlib.nets.mnist import N_CLASSES, SIZE

PLAN = ((3, 16, 1), (16, 32, 2), (32, 48, 2), (48, 64, 2))  # channels in and out, stride


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
