"""Classifiers of claim 3 on ImageNet and the menagerie: a plain ResNet, and three heads on one.

Names follow the published ensemble: `backbone.*`, `m_shape.1.*`, `m_texture.1.*`, `m_bg.1.*`.
Images come in as the backbone expects them, [B, 3, H, W].
"""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

HEADS = ("shape", "texture", "bg")
SUBJECTS = (*HEADS, "avg", "shape_texture")  # who decides, in an ensemble


def small_resnet() -> ResNet:
    """torchvision's ResNet with one basic block a stage, for the menagerie's ten classes."""
    return ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)


class Plain(nn.Module):
    """A classifier with one head, under the name of one subject."""

    def __init__(self, net: nn.Module, subject: str = "plain"):
        super().__init__()
        self.net, self.subject = net, subject

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits by subject, [B, K]."""
        return {self.subject: self.net(x)}


class Ensemble(nn.Module):
    """The invariant classifier: a head each for shape, texture and background on one backbone.

    The heads are new; batch norms keep their statistics in training mode too, while their scale
    and shift learn.  Source: CGN paper, invariant classifiers; published code.
    """

    def __init__(self, net: ResNet, rng: torch.Generator):
        super().__init__()
        self.backbone = nn.Sequential(*list(net.children())[:-1])
        width, classes = net.fc.in_features, net.fc.out_features
        for head in HEADS:
            linear = nn.utils.skip_init(nn.Linear, width, classes)
            bound = width**-0.5  # the bounds of nn.Linear's own initialisation
            nn.init.uniform_(linear.weight, -bound, bound, generator=rng)
            nn.init.uniform_(linear.bias, -bound, bound, generator=rng)
            setattr(self, f"m_{head}", nn.Sequential(nn.Flatten(), linear))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits by subject, [B, K] each: every head; `avg`, the mean of the three;
        `shape_texture`, the mean of two, which leaves the background out."""
        z = self.backbone(x)
        shape, texture, bg = (getattr(self, f"m_{head}")(z) for head in HEADS)
        mean = (shape + texture + bg) / 3
        return dict(zip(SUBJECTS, (shape, texture, bg, mean, (shape + texture) / 2), strict=True))

    def train(self, mode: bool = True) -> "Ensemble":
        """Training mode of all but the batch norms."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self
