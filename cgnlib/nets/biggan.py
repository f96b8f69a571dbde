"""BigGAN-deep: its configurations, a fast pass through the library's net, and a folded copy.

The net itself is `pytorch_pretrained_biggan.BigGAN`, so parameters keep their published names
and the spectral norms their legacy form.  `generate` computes what its `forward` does, values,
gradients and power iterations alike, in fewer passes over memory:

- a convolution runs on the raw weight; 1/sigma goes into the affine behind it;
- a conditional batch norm is one multiply-add, its statistics looked up in one row;
- doubling followed by a 3x3 convolution is one transposed convolution, 4/9 of the products;
- the last convolution makes the three channels that are kept, not all of them.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgnlib.errors import CGNError
from cgnlib.nets.synthesis import (
    Attention,
    Block,
    affine_of_statistics,
    affine_relu,
    as_channels,
    attention_of,
    block_of,
    kernel_of,
    normalised,
    sigma_of,
    to_map,
)

if TYPE_CHECKING:
    from pytorch_pretrained_biggan import BigGAN


@dataclass(frozen=True)
class Config:
    """What `pytorch_pretrained_biggan.BigGANConfig` holds, without importing it (boto3).

    z_dim: latents and class embeddings have this size each, and a condition is the two side by
    side; the library never reads class_embed_dim.  layers: (doubles, in, out) of each block, in
    multiples of channel_width; out is in, or half of it.  n_stats: stored truncations, 0...1.
    """

    output_dim: int
    z_dim: int
    class_embed_dim: int
    channel_width: int
    num_classes: int
    layers: tuple[tuple[bool, int, int], ...]
    attention_layer_position: int
    eps: float = 1e-4
    n_stats: int = 51


def _blocks(*widths: int) -> tuple[tuple[bool, int, int], ...]:
    """From each width to the next, a block that keeps the size and one that doubles it."""
    return tuple(row for a, b in pairwise(widths) for row in ((False, a, a), (True, a, b)))


BIGGAN_256 = Config(
    output_dim=256, z_dim=128, class_embed_dim=128, channel_width=128, num_classes=1000,
    layers=_blocks(16, 16, 8, 8, 4, 2, 1), attention_layer_position=8,
)  # fmt: skip

BIGGAN_REHEARSED = replace(BIGGAN_256, channel_width=8)

# Ten classes at 64 pixels; attention at 16.  1.2 M parameters.
BIGGAN_MENAGERIE = Config(
    output_dim=64, z_dim=64, class_embed_dim=64, channel_width=16, num_classes=10,
    layers=_blocks(16, 8, 4, 2, 1), attention_layer_position=4,
)  # fmt: skip


def build(config: Config) -> "BigGAN":
    """A BigGAN with random weights; the last batch norm, unset in the library, is 1 and 0."""
    from pytorch_pretrained_biggan import BigGAN  # imports boto3, a second and more

    net = BigGAN(config)
    nn.init.ones_(net.generator.bn.weight)
    nn.init.zeros_(net.generator.bn.bias)
    return net


def statistics_row(config: Config, truncation: float) -> int:
    """The row of stored batch-norm statistics that belongs to a truncation.

    Raises CGNError outside (0, 1] and between two rows: there the library mixes them with
    their weights exchanged.
    """
    steps = config.n_stats - 1
    row = round(truncation * steps) if 0 < truncation <= 1 else 0
    if row == 0 or abs(row / steps - truncation) > 1e-6:
        raise CGNError(
            f"no batch-norm statistics are stored for truncation {truncation}: "
            f"choose a multiple of {1 / steps:g} above 0, at most 1"
        )
    return row


def generate(net: "BigGAN", u: Tensor, classes: Tensor, truncation: float) -> Tensor:
    """Images [B, 3, S, S] in (-1, 1), as `net(u, one_hot(classes), truncation)` makes them.

    u: [B, z_dim]; classes: [B] int64, or class vectors [B, num_classes], which may be mixtures.
    In training mode each spectral norm takes one power iteration.  Raises CGNError for a class,
    a shape or a truncation that the net has not.
    """
    row = statistics_row(net.config, truncation)
    cond = _condition(net.config, net.embeddings.weight, u, classes)
    generator = net.generator
    start = F.linear(cond, generator.gen_z.weight_orig) / sigma_of(generator.gen_z)
    x = to_map(start + generator.gen_z.bias.to(start.dtype))
    for layer in generator.layers:
        run = block_of(layer, cond, row) if hasattr(layer, "conv_0") else attention_of(layer)
        x = run(x)
    rgb = generator.conv_to_rgb
    x = affine_relu(x, *_last_affine(generator.bn, row))
    # Only the rows that are kept: the others get no gradient but that of sigma, as in the library.
    x = F.conv2d(x, rgb.weight_orig[:3], padding=1) / sigma_of(rgb)
    return torch.tanh(x + rgb.bias[:3].view(1, 3, 1, 1))


class Folded(nn.Module):
    """A BigGAN frozen at one truncation: plain weights, one linear layer for all batch norms.

    Call it as `folded(u, classes)`.  Equal to the net in evaluation up to rounding; it follows
    no later change of it.  Made by `fold`.
    """

    def __init__(self, net: "BigGAN", truncation: float):
        super().__init__()
        self.config, self.truncation = net.config, truncation
        row = statistics_row(net.config, truncation)
        generator, rgb = net.generator, net.generator.conv_to_rgb
        self._keep("embedding", net.embeddings.weight)
        self._keep("start_weight", normalised(generator.gen_z))
        self._keep("start_bias", generator.gen_z.bias)
        self.n_layers, self.sizes, self.doubles = len(generator.layers), [], {}
        weights, biases = [], []  # of the linear layer that gives every affine
        for i, layer in enumerate(generator.layers):
            if hasattr(layer, "conv_0"):
                self._fold_block(i, layer, row, weights, biases)
            else:
                for name, value in attention_of(layer)._asdict().items():
                    self._keep(f"{name}_{i}", value)
        self._keep("affine_weight", torch.cat(weights).to(net.embeddings.weight.dtype))
        self._keep("affine_bias", torch.cat(biases).to(net.embeddings.weight.dtype))
        scale, shift = _last_affine(generator.bn, row)
        self._keep("last_scale", scale)
        self._keep("last_shift", shift)
        self._keep("rgb_weight", normalised(rgb)[:3])
        self._keep("rgb_bias", rgb.bias[:3])

    def forward(self, u: Tensor, classes: Tensor) -> Tensor:
        cond = _condition(self.config, self.embedding, u, classes)
        x = to_map(F.linear(cond, self.start_weight, self.start_bias))
        affine = F.linear(cond, self.affine_weight, self.affine_bias)
        affines = iter(as_channels(*affine.split(self.sizes, 1)))
        for i in range(self.n_layers):
            if i in self.doubles:
                pairs = [(next(affines), next(affines)) for _ in range(4)]
                kernels = [getattr(self, f"conv_{k}_{i}") for k in range(4)]
                run = Block(pairs, kernels, getattr(self, f"bias_{i}"), None, self.doubles[i])
            else:
                run = Attention(*(getattr(self, f"{name}_{i}") for name in Attention._fields))
            x = run(x)
        x = affine_relu(x, self.last_scale, self.last_shift)
        return torch.tanh(F.conv2d(x, self.rgb_weight, self.rgb_bias, padding=1))

    def _fold_block(self, i: int, layer: nn.Module, row: int, weights: list, biases: list) -> None:
        """One block's kernels, and its rows of the linear layer that gives every affine."""
        self.doubles[i] = layer.up_sample
        bias: Tensor | float = 0.0  # of the convolution in front
        for k in range(4):
            bn, conv = getattr(layer, f"bn_{k}"), getattr(layer, f"conv_{k}")
            self._keep(f"conv_{k}_{i}", kernel_of(normalised(conv), k == 1 and layer.up_sample))
            std, shift = (v.double() for v in affine_of_statistics(bn, row))
            scale, offset = (normalised(part).double() for part in (bn.scale, bn.offset))
            ahead = shift / std + bias  # shift / std is minus the mean
            scale = scale * std[:, None]
            weights += [scale, offset + ahead[:, None] * scale]
            biases += [std, ahead * std]
            self.sizes += [len(std)] * 2
            bias = conv.bias.double()
        self._keep(f"bias_{i}", layer.conv_3.bias)

    def _keep(self, name: str, value: Tensor) -> None:
        value = value.detach().clone()
        if value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        self.register_buffer(name, value)


def _last_affine(bn: nn.Module, row: int) -> list[Tensor]:
    """Scale and shift of the batch norm that knows no condition, [1, C, 1, 1] each."""
    scale, shift = affine_of_statistics(bn, row)
    return as_channels((scale * bn.weight)[None], (shift * bn.weight + bn.bias)[None])


def fold(net: "BigGAN", truncation: float) -> Folded:
    """A frozen copy of a generator at one truncation, for generation and for `biggan_GT`.

    In whichever mode the net is, its singular vectors are used as they stand.  Raises CGNError
    where no statistics are stored for the truncation.
    """
    training = net.training
    with torch.inference_mode(False), torch.no_grad():
        try:
            return Folded(net.eval(), truncation).eval()
        finally:
            net.train(training)


def _condition(config: Config, embedding: Tensor, u: Tensor, classes: Tensor) -> Tensor:
    """Latent and class embedding side by side, [B, 2*z_dim].  Raises CGNError for a wrong input.

    A class that is not there is told on a CPU alone: to look at classes on a GPU would wait for all
    that it has still to do, eight times a pass, and its own assertion ends the program there.
    """
    b, n = len(u), config.num_classes
    if u.shape != (b, config.z_dim):
        raise CGNError(f"noise has shape {list(u.shape)}: make it [B, {config.z_dim}]")
    if classes.is_floating_point():
        if classes.shape != (b, n):
            raise CGNError(f"class vectors have shape {list(classes.shape)}: make them [{b}, {n}]")
        return torch.cat([u, F.linear(classes, embedding)], 1)
    if classes.shape != (b,) or classes.dtype != torch.int64:
        kind = str(classes.dtype).removeprefix("torch.")
        raise CGNError(f"classes are {kind} of shape {list(classes.shape)}: make them int64 [{b}]")
    if b and classes.device.type == "cpu" and (classes.min() < 0 or classes.max() >= n):
        wrong = classes[(classes < 0) | (classes >= n)][0].item()
        raise CGNError(f"there is no class {wrong}: choose from 0 to {n - 1}")
    return torch.cat([u, embedding.t()[classes]], 1)
