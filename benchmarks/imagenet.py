"""Time the fast paths of the CGN over BigGAN against plain renditions of the same algorithm.

    python benchmarks/imagenet.py            on the menagerie's nets, 64 pixels
    python benchmarks/imagenet.py --large    on nets of the paper's size, 256 pixels, random weights

Both sides of a row run in turns in one process, on all cores; only the ratio means much.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mnist import rates
from torch import Tensor, nn

from cgnlib import menagerie, patches
from cgnlib.nets import biggan
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.mnist import compose
from cgnlib.nets.u2net import U2Net


def plain_step(net: ImageNetCGN, u: Tensor, y: Tensor) -> Callable[[], None]:
    """Forward and backward with the library's own pass and an unfolded saliency net."""
    one_hot = F.one_hot(y, net.config.num_classes).float()

    def step() -> None:
        net.zero_grad()
        with torch.no_grad():
            x_gt = net.biggan_GT(u, one_hot, 1.0)
        premask, fg, bg = (f(u, one_hot, 1.0) for f in (net.f_shape, net.f_text, net.f_bg))
        mask = net.u2net(premask).clamp(1e-4, 0.9999)
        loss = (compose(mask, fg, bg) - x_gt).abs().mean() + net.u2net(bg).mean()
        loss.backward()

    return step


def fast_step(net: ImageNetCGN, u: Tensor, y: Tensor) -> Callable[[], None]:
    def step() -> None:
        net.zero_grad()
        made = net(u, y, y, y, 1.0)
        ((made.x_gen - made.x_gt).abs().mean() + made.bg_mask.mean()).backward()

    return step


@torch.inference_mode()
def plain_images(net: ImageNetCGN, u: Tensor, y: Tensor) -> Tensor:
    one_hot = F.one_hot(y, net.config.num_classes).float()
    premask, fg, bg = (f(u, one_hot, 0.5) for f in (net.f_shape, net.f_text, net.f_bg))
    return compose(net.u2net(premask).clamp(1e-4, 0.9999), fg, bg)


def plain_grid(x: Tensor, mask: Tensor, rng: torch.Generator, s: dict) -> Tensor:
    """Every window of every image unfolded, the best chosen image by image."""
    grids = []
    for image, shape in zip(x, mask, strict=True):
        small, scores = (
            F.interpolate(part[None], (s["size"],) * 2, mode="bicubic") for part in (image, shape)
        )
        windows = F.unfold(small, s["patch"])[0].T
        score = F.unfold(scores, s["patch"])[0].mean(0)
        best = score.topk(s["best"]).indices
        chosen = best[torch.randint(s["best"], (s["grid"] ** 2,), generator=rng)]
        cut = windows[chosen].view(s["grid"], s["grid"], 3, s["patch"], s["patch"])
        tiled = cut.permute(2, 0, 3, 1, 4).reshape(1, 3, *(s["grid"] * s["patch"],) * 2)
        grids.append(F.interpolate(tiled, image.shape[-2:], mode="bicubic"))
    return torch.cat(grids)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3, help="for each side of each row")
    parser.add_argument("--large", action="store_true", help="the paper's size: needs 8 GiB")
    args = parser.parse_args()
    if args.large:
        config, u2net, batch = biggan.BIGGAN_256, U2Net.published(), 1
        cut = {"size": 128, "patch": 15, "best": 100, "grid": 6}
    else:
        config, u2net, batch = biggan.BIGGAN_MENAGERIE, U2Net.small(), 16
        cut = {"size": 64, "patch": 11, "best": 40, "grid": 6}
    rng = torch.Generator().manual_seed(0)
    net: nn.Module = ImageNetCGN(config, u2net.to(memory_format=torch.channels_last)).train()
    u = torch.randn(batch, config.z_dim, generator=rng).clamp(-2, 2)
    y = torch.randint(config.num_classes, (batch,), generator=rng)
    x, mask = menagerie.Menagerie("agree", batch).masked(torch.arange(batch))
    x, mask = (F.interpolate(part, (config.output_dim,) * 2) for part in (x, mask))
    folded = net.fold(0.5)
    rows = {
        "CGN, forward and backward": (plain_step(net, u, y), fast_step(net, u, y)),
        "Counterfactual generation": (
            lambda: plain_images(net, u, y),
            torch.inference_mode()(lambda: folded(u, y, y, y, 0.5).x_gen),
        ),
        "Texture patches": (
            lambda: plain_grid(x, mask, rng, cut), lambda: patches.texture_grid(x, mask, rng, **cut)
        ),
    }  # fmt: skip
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'images a second':28} {'plain':>10} {'fast':>10} {'ratio':>7}")
    for name, (plain, fast) in rows.items():
        a, b = rates(plain, fast, batch, args.seconds)
        print(f"{name:28} {a:10,.2f} {b:10,.2f} {b / a:7.2f}")
    data, index = menagerie.Menagerie("agree", 500), torch.arange(500)
    rate, _ = rates(lambda: data.batch(index), lambda: None, 500, args.seconds)
    print(f"{'Menagerie rendering':28} {'':10} {rate:10,.0f}")


if __name__ == "__main__":
    main()
