"""The blocks of BigGAN-deep as functions of their weights, for training and for folded copies."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(NamedTuple):
    """What a residual block needs: four affines, four kernels, the last bias, the last 1/sigma."""

    affines: list[tuple[Tensor, Tensor]]  # each [B, C, 1, 1]
    kernels: list[Tensor]
    bias: Tensor
    inverse: Tensor | None  # None where the kernels are normalised already
    doubles: bool

    def __call__(self, x: Tensor) -> Tensor:
        skip = x[:, : self.kernels[3].shape[0]]  # the first half, where the block halves
        if self.doubles:
            skip = F.interpolate(skip, scale_factor=2, mode="nearest")
        x = _pointwise(affine_relu(x, *self.affines[0]), self.kernels[0])
        x = affine_relu(x, *self.affines[1])
        if self.doubles:
            x = F.conv_transpose2d(x, self.kernels[1], stride=2, padding=1)
        else:
            x = F.conv2d(x, self.kernels[1], padding=1)
        x = F.conv2d(affine_relu(x, *self.affines[2]), self.kernels[2], padding=1)
        x = _pointwise(affine_relu(x, *self.affines[3]), self.kernels[3], self.bias)
        return skip + x if self.inverse is None else torch.addcmul(skip, x, self.inverse)


class Attention(NamedTuple):
    """Self-attention from every position to the maxima of 2x2 windows."""

    theta: Tensor
    phi: Tensor
    g: Tensor
    o: Tensor  # times gamma

    def __call__(self, x: Tensor) -> Tensor:
        query = _pointwise(x, self.theta)
        key, value = (F.max_pool2d(_pointwise(x, w), 2) for w in (self.phi, self.g))
        query, key, value = (t.flatten(2).transpose(1, 2) for t in (query, key, value))
        weights = torch.bmm(query, key.transpose(1, 2)).softmax(-1)
        mixed = torch.bmm(weights, value).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + _pointwise(mixed, self.o)


def block_of(layer: nn.Module, cond: Tensor, row: int) -> Block:
    """The parts of a library block, sigma moved from the weights into the affines."""
    affines, kernels, ahead = [], [], None
    for k in range(4):
        bn, conv = getattr(layer, f"bn_{k}"), getattr(layer, f"conv_{k}")
        std, shift = affine_of_statistics(bn, row)
        gain = 1 + F.linear(cond, bn.scale.weight_orig) / sigma_of(bn.scale)
        offset = F.linear(cond, bn.offset.weight_orig) / sigma_of(bn.offset)
        scale, shift = gain * std, torch.addcmul(offset, gain, shift)
        if ahead is not None:  # the convolution in front, still times sigma and without its bias
            sigma, bias = ahead
            scale, shift = scale / sigma, torch.addcmul(shift, scale, bias)
        affines.append(as_channels(scale, shift))
        kernels.append(kernel_of(conv.weight_orig, k == 1 and layer.up_sample))
        ahead = sigma_of(conv), conv.bias
    sigma, bias = ahead
    return Block(affines, kernels, bias * sigma, 1 / sigma, layer.up_sample)


def attention_of(layer: nn.Module) -> Attention:
    names = ("theta", "phi", "g", "o_conv")
    theta, phi, g, o = (normalised(getattr(layer, f"snconv1x1_{name}")) for name in names)
    return Attention(theta, phi, g, o * layer.gamma)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution as a product of matrices; the result is channels last."""
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def affine_relu(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """relu(x * scale + shift) with scale and shift per image and channel, [B or 1, C, 1, 1]."""
    return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype)).relu_()  # maps stay as they come


def affine_of_statistics(bn: nn.Module, row: int) -> tuple[Tensor, Tensor]:
    """(1/std, -mean/std) of a row of stored statistics, [C] each."""
    std = (bn.running_vars[row] + bn.eps).rsqrt()
    return std, -bn.running_means[row] * std


def as_channels(*values: Tensor) -> list[Tensor]:
    """[..., C] to [..., C, 1, 1]."""
    return [value[..., None, None] for value in values]


def to_map(start: Tensor) -> Tensor:
    """[B, 4*4*C], channels fastest, to [B, C, 4, 4]: channels last in memory as it stands."""
    return start.view(len(start), 4, 4, -1).permute(0, 3, 1, 2)


def kernel_of(weight: Tensor, doubles: bool) -> Tensor:
    """The kernel as it is, or for nearest doubling in front: 4x4, to be transposed at stride 2."""
    if not doubles:
        return weight
    wide = F.pad(weight, (0, 1)) + F.pad(weight, (1, 0))
    wide = F.pad(wide, (0, 0, 0, 1)) + F.pad(wide, (0, 0, 1, 0))
    return wide.flip(2, 3).transpose(0, 1)


def sigma_of(layer: nn.Module) -> Tensor:
    """The layer's spectral norm, after one power iteration where it is in training mode."""
    matrix, u, v = layer.weight_orig.flatten(1), layer.weight_u, layer.weight_v
    if layer.training:
        with torch.no_grad():
            (eps,) = {hook.eps for hook in layer._forward_pre_hooks.values()}
            v.copy_(F.normalize(torch.mv(matrix.t(), u), dim=0, eps=eps))
            u.copy_(F.normalize(torch.mv(matrix, v), dim=0, eps=eps))
    return torch.dot(u.clone(), torch.mv(matrix, v.clone()))  # the next iteration is in place


def normalised(layer: nn.Module) -> Tensor:
    return layer.weight_orig / sigma_of(layer)
