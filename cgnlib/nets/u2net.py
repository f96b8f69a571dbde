"""U2-Net, the saliency net that reads a mask off an image (Qin et al. 2020).

Parameter names follow the published `u2net.pth`, so it loads with strict=True.  Images are
[B, 3, H, W] as the generators make them, -1...1: not normalised, not resized (CGN code).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

DEPTHS = (7, 6, 5, 4, 4, 4)  # of stages 1 to 6
POOLED = 4  # stages; the other two are dilated instead
Widths = tuple[tuple[int, int], ...]  # (middle, output) channels of each stage

PUBLISHED = (
    ((32, 64), (32, 128), (64, 256), (128, 512), (256, 512), (256, 512)),
    ((16, 64), (32, 64), (64, 128), (128, 256), (256, 512)),
)
SMALL = (((8, 16),) * 6, ((8, 16),) * 5)


class _Unit(nn.Module):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, c_in: int, c_out: int, dilation: int = 1):
        super().__init__()
        self.conv_s1 = nn.Conv2d(c_in, c_out, 3, padding=dilation, dilation=dilation)
        self.bn_s1 = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn_s1(self.conv_s1(x)), inplace=True)


class _Stage(nn.Module):
    """Residual U-block of stage i, on the way down or up: units down, and one less up.

    Pooled by two between the units, or (dilated) at one size with dilations 1, 2, 4, 8.
    """

    def __init__(self, i: int, c_in: int, mid: int, c_out: int):
        super().__init__()
        self.depth, self.dilated = DEPTHS[i - 1], i > POOLED
        self.rebnconvin = _Unit(c_in, c_out)
        for k in range(1, self.depth + 1):
            dilation = 2 ** (k - 1) if self.dilated else 1 + (k == self.depth)
            setattr(self, f"rebnconv{k}", _Unit(c_out if k == 1 else mid, mid, dilation))
        for k in range(self.depth - 1, 0, -1):
            dilation = 2 ** (k - 1) if self.dilated else 1
            setattr(self, f"rebnconv{k}d", _Unit(2 * mid, c_out if k == 1 else mid, dilation))

    def forward(self, x: Tensor) -> Tensor:
        x = self.rebnconvin(x)
        skips = [self.rebnconv1(x)]
        for k in range(2, self.depth):
            above = skips[-1] if self.dilated else _halve(skips[-1])
            skips.append(getattr(self, f"rebnconv{k}")(above))
        deep = getattr(self, f"rebnconv{self.depth}")(skips[-1])
        for k in range(self.depth - 1, 0, -1):
            deep = getattr(self, f"rebnconv{k}d")(_joined(deep, skips.pop()))
        return deep + x


class U2Net(nn.Module):
    """Saliency of each pixel, [B, 1, H, W] in 0...1: the fused map d0, unstretched.

    encoder, decoder: (middle, output) channels of stage1..6 and of stage1d..5d.
    """

    def __init__(self, encoder: Widths, decoder: Widths):
        super().__init__()
        c_in = 3
        for i, (mid, c_out) in enumerate(encoder, 1):
            setattr(self, f"stage{i}", _Stage(i, c_in, mid, c_out))
            c_in = c_out
        outputs = [c_out for _, c_out in decoder] + [encoder[-1][1]]
        for i, (mid, c_out) in enumerate(decoder, 1):
            c_in = outputs[i] + encoder[i - 1][1]
            setattr(self, f"stage{i}d", _Stage(i, c_in, mid, c_out))
        for i, c_out in enumerate(outputs, 1):
            setattr(self, f"side{i}", nn.Conv2d(c_out, 1, 3, padding=1))
        self.outconv = nn.Conv2d(6, 1, 1)

    @classmethod
    def published(cls) -> "U2Net":
        """The layout of `u2net.pth`: 44.0 M parameters, 798 tensors."""
        return cls(*PUBLISHED)

    @classmethod
    def small(cls) -> "U2Net":
        """The same net, thin, for images of 64 pixels."""
        return cls(*SMALL)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.outconv(self._sides(x))
        # not in bfloat16, where a mask reaches its bound, and has no gradient, far too early
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).sigmoid()

    def logits(self, x: Tensor) -> Tensor:
        """Scores before the sigmoid, [B, 7, H, W]: the fused map, then the six side maps.

        For training: U2-Net's loss is the sum of the cross-entropies of all seven.
        """
        sides = self._sides(x)
        return torch.cat([self.outconv(sides), sides], 1)

    def fold(self) -> "U2Net":
        """A frozen copy that computes the same as this net in evaluation, faster.

        Its batch norms are folded into the convolutions; gradients still reach the image.
        """
        with torch.inference_mode(False), torch.no_grad():
            folded = copy.deepcopy(self).eval()
            for unit in folded.modules():
                if isinstance(unit, _Unit) and isinstance(unit.bn_s1, nn.BatchNorm2d):
                    unit.conv_s1 = fuse_conv_bn_eval(unit.conv_s1, unit.bn_s1)
                    unit.bn_s1 = nn.Identity()
            return folded.requires_grad_(False).to(memory_format=torch.channels_last)

    def _sides(self, x: Tensor) -> Tensor:
        """The six side maps at full size, [B, 6, H, W], before the sigmoid."""
        skips = [self.stage1(x)]
        for i in range(2, 7):
            skips.append(getattr(self, f"stage{i}")(_halve(skips[-1])))
        deep = skips.pop()
        maps = [self.side6(deep)]
        for i in range(5, 0, -1):
            deep = getattr(self, f"stage{i}d")(_joined(deep, skips.pop()))
            maps.append(getattr(self, f"side{i}")(deep))
        return torch.cat([_resize(side, x) for side in reversed(maps)], 1)


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


def _joined(deep: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([_resize(deep, skip), skip], 1)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, corners aligned, to the height and width of `like`."""
    size = like.shape[-2:]
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=True)
