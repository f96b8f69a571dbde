"""Networks of the MNIST study: CGN, GAN generator, two discriminators and the classifier.

Parameter names follow the published checkpoints, so these load with strict=True.
Images are [B, 3, 32, 32] in -1...1, labels [B] int64, latents [B, Z].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_CLASSES = 10
SIZE = 32
MASK_MIN, MASK_MAX = 1e-4, 0.9999


class UpConv(nn.Conv2d):
    """Nearest upsampling by two followed by a 3x3 convolution without bias, in one pass.

    Each pixel of the small map is seen by a 4x4 kernel at stride 2: the same sums as in the
    two-step form at 4/9 of the multiplications.  Weights keep the layout of `nn.Conv2d`.
    """

    def __init__(self, c_in: int, c_out: int):
        super().__init__(c_in, c_out, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = F.avg_pool2d(F.pad(self.weight, (1, 1, 1, 1)), 2, stride=1, divisor_override=1)
        return F.conv_transpose2d(x, kernel.flip(2, 3).transpose(0, 1), stride=2, padding=1)


def shuffle_texture(x: Tensor, rng: torch.Generator) -> Tensor:
    """Shift each image circularly by a random offset, so that no shape survives in a texture.

    The published code tiles the texture 2x2 and crops at offsets 0...H; offsets 0 and H show
    the same window, so shift 0 has twice the weight.  x: [B, C, H, W], H = W.
    """
    b, c, h, w = x.shape
    shift = torch.randint(0, h + 1, (2, b, 1), generator=rng, device=rng.device).to(x.device)
    rows, cols = (torch.arange(h, device=x.device) + shift) % h
    image = torch.arange(b, device=x.device).view(b, 1, 1) * (h * w)
    order = (image + rows.view(b, h, 1) * w + cols.view(b, 1, w)).flatten()
    shifted = x.permute(0, 2, 3, 1).reshape(-1, c).index_select(0, order)
    return shifted.view(b, h, w, c).permute(0, 3, 1, 2)


class _Reshape(nn.Module):
    """[B, C*h*w] to [B, C, h, w], channels last in memory: the faster layout from here on."""

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape).contiguous(memory_format=torch.channels_last)


def _unit(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution, its batch norm and a leaky ReLU."""
    return [conv, nn.BatchNorm2d(conv.out_channels), nn.LeakyReLU(0.2, inplace=True)]


def _up(c_in: int, c_out: int) -> list[nn.Module]:
    # nn.Identity stands where the published code has an upsampling layer: UpConv does both,
    # and the parameters keep their published indices.
    return [nn.Identity(), *_unit(UpConv(c_in, c_out))]


def _start(z: int, channels: int) -> list[nn.Module]:
    """The smallest map of a mechanism, a quarter of the image's size."""
    side = SIZE // 4
    return [nn.Linear(z, channels * side**2), _Reshape(channels, side, side)]


def _shape_mechanism(z: int, ngf: int) -> nn.Sequential:
    return nn.Sequential(
        *_start(z, 2 * ngf),
        nn.InstanceNorm2d(2 * ngf),
        *_up(2 * ngf, ngf),
        nn.InstanceNorm2d(ngf),
        *_up(ngf, 1),
        nn.InstanceNorm2d(1),
    )


def _texture_mechanism(z: int, ngf: int) -> nn.Sequential:
    return nn.Sequential(
        *_start(z, 2 * ngf),
        *_up(2 * ngf, 2 * ngf),
        *_up(2 * ngf, ngf),
        nn.Conv2d(ngf, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.Tanh(),
    )


def compose(mask: Tensor, fg: Tensor, bg: Tensor) -> Tensor:
    """The composed image m*f + (1-m)*b.  mask: [B, 1, H, W]; fg, bg: [B, 3, H, W]."""
    return torch.lerp(bg, fg, mask)


class CGN(nn.Module):
    """Shape, foreground and background mechanisms over one shared label embedding.

    Source: CGN paper, MNIST experiments; layers as in the published checkpoints.
    """

    def __init__(self, latent: int = 32, ngf: int = 32):
        super().__init__()
        self.latent = latent
        self.label_emb = nn.Embedding(N_CLASSES, N_CLASSES)
        self.f_shape = _shape_mechanism(latent + N_CLASSES, ngf)
        self.f_text1 = _texture_mechanism(latent + N_CLASSES, ngf)
        self.f_text2 = _texture_mechanism(latent + N_CLASSES, ngf)

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:
        """Standard normal latents, [n, latent]."""
        device = self.label_emb.weight.device
        return torch.randn(n, self.latent, generator=rng, device=rng.device).to(device)

    def mask(self, u: Tensor, y: Tensor) -> Tensor:
        """The shape mechanism m, [B, 1, 32, 32] in [1e-4, 0.9999]; there is no sigmoid."""
        return self.f_shape(self._input(u, y)).clamp(MASK_MIN, MASK_MAX)

    def foreground(self, u: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """The foreground texture f, shuffled, [B, 3, 32, 32]."""
        return shuffle_texture(self.f_text1(self._input(u, y)), rng)

    def background(self, u: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """The background b, shuffled, [B, 3, 32, 32]."""
        return shuffle_texture(self.f_text2(self._input(u, y)), rng)

    def forward(self, u: Tensor, y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(mask, fg, bg) of one latent and one label for all three mechanisms (plain mode)."""
        return self.mask(u, y), self.foreground(u, y, rng), self.background(u, y, rng)

    def _input(self, u: Tensor, y: Tensor) -> Tensor:
        return torch.cat([u, self.label_emb(y)], 1)


def init_weights(net: nn.Module, scheme: str, gain: float, rng: torch.Generator) -> None:
    """Initialise every convolution, linear and batch-norm layer as the published code does.

    scheme: `orthogonal` (with that gain) or `normal` (with the gain as standard deviation);
    biases become 0, batch-norm weights N(1, gain).  The label embedding keeps N(0, 1).
    """
    draw = {
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain, generator=rng),
        "normal": lambda w: nn.init.normal_(w, 0.0, gain, generator=rng),
    }[scheme]
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            draw(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, gain, generator=rng)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class GAN(nn.Module):
    """The study's conditional GAN baseline, a DCGAN generator (the paper's own is unspecified)."""

    def __init__(self, latent: int = 32, ngf: int = 32):
        super().__init__()
        self.latent = latent
        self.label_emb = nn.Embedding(N_CLASSES, N_CLASSES)
        self.model = nn.Sequential(
            *_unit(nn.ConvTranspose2d(latent + N_CLASSES, 8 * ngf, 4, bias=False)),
            *_unit(nn.ConvTranspose2d(8 * ngf, 4 * ngf, 4, 2, 1, bias=False)),
            *_unit(nn.ConvTranspose2d(4 * ngf, 2 * ngf, 4, 2, 1, bias=False)),
            nn.ConvTranspose2d(2 * ngf, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    draw_latent = CGN.draw_latent

    def forward(self, u: Tensor, y: Tensor) -> Tensor:
        """u: [B, latent], y: [B].  Returns images [B, 3, 32, 32] in (-1, 1)."""
        return self.model(torch.cat([u, self.label_emb(y)], 1)[:, :, None, None])


class _Dropout(nn.Module):
    """`nn.Dropout` whose draws come from a generator of its own, not from the global one."""

    def __init__(self, p: float, rng: torch.Generator):
        super().__init__()
        self.p, self.rng = p, rng

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = torch.rand(x.shape, generator=self.rng, device=self.rng.device) >= self.p
        return x * keep.to(x.device) / (1 - self.p)


class LinearDiscriminator(nn.Module):
    """Raw score of an image and a label, [B]; for C- and DC-MNIST, and the GAN baseline.

    rng: what the dropout layers draw from while training.
    """

    def __init__(self, ndf: int, rng: torch.Generator):
        super().__init__()
        self.label_emb = nn.Embedding(N_CLASSES, N_CLASSES)
        self.model = nn.Sequential(
            nn.Linear(3 * SIZE * SIZE + N_CLASSES, ndf),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(ndf, ndf),
            _Dropout(0.4, rng),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(ndf, ndf),
            _Dropout(0.4, rng),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(ndf, 1),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.model(torch.cat([x.flatten(1), self.label_emb(y)], 1)).squeeze(1)


class ConvDiscriminator(nn.Module):
    """Raw score of an image and a label, [B]; for W-MNIST."""

    def __init__(self, ndf: int = 32):
        super().__init__()
        self.label_emb = nn.Embedding(N_CLASSES, 1)
        self.model = nn.Sequential(
            *_unit(nn.Conv2d(4, ndf, 3, bias=False)),
            *_unit(nn.Conv2d(ndf, 2 * ndf, 3, bias=False)),
            *_unit(nn.Conv2d(2 * ndf, 4 * ndf, 4, 2, bias=False)),
            *_unit(nn.Conv2d(4 * ndf, 4 * ndf, 4, 2, bias=False)),
            nn.AvgPool2d(3),
            nn.Conv2d(4 * ndf, 1, 1, bias=False),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        plane = self.label_emb(y)[:, :, None, None].expand(-1, -1, SIZE, SIZE)
        image = torch.cat([x, plane], 1).contiguous(memory_format=torch.channels_last)
        return self.model(image).flatten()


class _LogSoftmax(nn.LogSoftmax):
    """In float32 whatever comes in: in bfloat16 a certain answer would have no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(torch.promote_types(x.dtype, torch.float32)))


class CNN(nn.Module):
    """The classifier: log-probabilities [B, 10].

    Its 7x7 average pool drops the last row and column of the 8x8 map: the net was designed
    for 28-pixel digits and the published code kept it.
    """

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 32, 5, padding=2),
            nn.MaxPool2d(3, 2, 1),  # pooled before the ReLU: the same values on a smaller map
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(7),
            nn.Flatten(),
        )
        self.cls = nn.Sequential(nn.Linear(64, N_CLASSES), _LogSoftmax(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.cls(self.model[2:](self._stem(x)))

    def _stem(self, x: Tensor) -> Tensor:
        """The input's batch norm and the first convolution, in one.

        Scale and shift move into the kernel (the shift as the weight of a channel of ones, which
        ends at the border as the shifted image does), so that training needs no gradient of the
        images: a third of the net's cost otherwise.
        """
        norm, conv = self.model[0], self.model[1]
        if self.training:
            norm.num_batches_tracked.add_(1)
        seen = norm.running_mean, norm.running_var
        x = F.batch_norm(x, *seen, None, None, self.training, norm.momentum, norm.eps)
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        shift = (conv.weight * norm.bias.view(1, 3, 1, 1)).sum(1, keepdim=True)
        kernel = torch.cat([conv.weight * norm.weight.view(1, 3, 1, 1), shift], 1)
        if x.is_cuda:  # cuDNN's repeatable gradient takes 30 times as long with four channels
            x, kernel = (F.pad(part, (0, 0, 0, 0, 0, 4)) for part in (x, kernel))
            x = x.contiguous(memory_format=torch.channels_last)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, kernel, conv.bias, padding=2)
