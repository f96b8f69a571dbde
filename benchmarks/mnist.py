"""Time the fast paths of the MNIST study against plain renditions of the same algorithm.

    make bench        (or: python benchmarks/mnist.py [--seconds 3])

Both sides of a row run in turns in one process, on all cores; only the ratio means much.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from cgnlib import counterfactuals, mnists, textures
from cgnlib.nets import mnist as nets

BATCH = 64


def plain_wildlife(index: torch.Tensor, data: mnists.Variant, crops: list) -> torch.Tensor:
    """One PIL crop and one composition for each image, as a per-sample data set does it."""
    images = []
    for i in index.tolist():
        mask, parts = data.mask[i], []
        for kind, cue in enumerate((data.fg, data.bg)):
            y, x = torch.randint(0, 125, (2,), generator=data.rng).tolist()
            crop = crops[kind][cue[i]].crop((x, y, x + 32, y + 32))
            parts.append(torch.from_numpy(np.array(crop)).permute(2, 0, 1).float() / 127.5 - 1)
        images.append(torch.where(mask, *parts))
    return torch.stack(images)


class PlainUpConv(nn.Conv2d):
    """Upsampling, then a convolution at full size."""

    def forward(self, x):
        return super().forward(F.interpolate(x, scale_factor=2))


def plain_cgn() -> nets.CGN:
    """The CGN with two-step upsampling and the default memory layout."""
    net = nets.CGN()
    for mechanism in (net.f_shape, net.f_text1, net.f_text2):
        for i, layer in enumerate(mechanism):
            if isinstance(layer, nets.UpConv):
                plain = PlainUpConv(layer.in_channels, layer.out_channels, 3, padding=1, bias=False)
                plain.load_state_dict(layer.state_dict())
                mechanism[i] = plain
    return net


class PlainCNN(nn.Module):
    """The classifier layer by layer, ReLU before pooling, default memory layout."""

    def __init__(self):
        super().__init__()
        layers = list(nets.CNN().model)
        layers[2], layers[3] = layers[3], layers[2]
        self.model = nn.Sequential(*layers, nn.Linear(64, 10), nn.LogSoftmax(1))

    def forward(self, x):
        return self.model(x)


def classifier_step(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adadelta(net.parameters())

    def step() -> None:
        optimiser.zero_grad()
        F.nll_loss(net(x), y).backward()
        optimiser.step()

    return step


def cgn_step(net: nets.CGN, rng: torch.Generator) -> Callable[[], None]:
    y = torch.arange(BATCH) % 10

    def step() -> None:
        net.zero_grad()
        nets.compose(*net(net.draw_latent(BATCH, rng), y, rng)).square().mean().backward()

    return step


def generate(net: nets.CGN, rng: torch.Generator) -> Callable[[], object]:
    return lambda: next(counterfactuals.sample_cgn(net, counterfactuals.BATCH, 1, rng))


def rates(plain: Callable, fast: Callable, images: int, seconds: float) -> tuple[float, float]:
    """Images a second of both, timed in turns; the median over turns."""
    times: tuple[list, list] = ([], [])
    plain(), fast()
    start = time.perf_counter()
    while time.perf_counter() - start < 2 * seconds or len(times[0]) < 3:
        for function, record in zip((plain, fast), times, strict=True):
            begin = time.perf_counter()
            function()
            record.append(time.perf_counter() - begin)
    return tuple(images / float(np.median(record)) for record in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="for each side of each row")
    seconds = parser.parse_args().seconds
    rng = torch.Generator().manual_seed(0)
    data = mnists.Variant("wildlife", "mnist-5k", "train", rng)
    crops = [[Image.fromarray(t.numpy()) for t in kind] for kind in textures.procedural()]
    index = torch.randperm(len(data), generator=rng)[:BATCH]
    x, y = data.batch(index)
    fast_cgn = nets.CGN().to(memory_format=torch.channels_last)
    fast_cnn = nets.CNN().to(memory_format=torch.channels_last)
    rows = {
        "W-MNIST rendering": (
            lambda: plain_wildlife(index, data, crops), lambda: data.batch(index), BATCH
        ),
        "CGN, forward and backward": (
            cgn_step(plain_cgn(), rng), cgn_step(fast_cgn, rng), BATCH
        ),
        "Counterfactual generation": (
            generate(plain_cgn(), rng), generate(fast_cgn, rng), counterfactuals.BATCH
        ),
        "Classifier training": (
            classifier_step(PlainCNN(), x.contiguous(), y), classifier_step(fast_cnn, x, y), BATCH
        ),
    }  # fmt: skip
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'images a second':28} {'plain':>10} {'fast':>10} {'ratio':>7}")
    for name, (plain, fast, images) in rows.items():
        a, b = rates(plain, fast, images, seconds)
        print(f"{name:28} {a:10,.0f} {b:10,.0f} {b / a:7.1f}")


if __name__ == "__main__":
    main()
