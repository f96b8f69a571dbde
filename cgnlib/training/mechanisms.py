"""Training of the BigGAN-based CGN: six losses, one optimiser for each mechanism."""

from collections.abc import Callable

import torch
from torch import Tensor

from cgnlib import precision
from cgnlib.chance import generator
from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.nets.imagenet import TRAINED, ImageNetCGN, Mechanisms
from cgnlib.nets.perceptual import Features
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import run_loop
from cgnlib.training.patches import texture_grid


def loss_terms(
    made: Mechanisms,
    weights: dict[str, float | tuple[float, ...]],
    features: Callable[[Tensor], list[Tensor]],
    patches: dict[str, int],
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """The weighted losses of a batch, by name: those that `weights` names, and no others.

    weights: of l1, perc, binary, mask, text and bg; the two Gram losses have one for each layer
    of `features`.  patches: how `texture_grid` cuts.  Source: CGN paper, ImageNet losses.
    """

    def target(x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return features(x)

    def perc(factors: tuple[float, ...]) -> Tensor:
        return losses.gram_distance(features(made.x_gen), target(made.x_gt), factors)

    def text(factors: tuple[float, ...]) -> Tensor:
        grid = texture_grid(made.x_gt, made.mask, rng, **patches)
        return losses.gram_distance(features(made.fg), target(grid), factors)

    terms: dict[str, Callable[..., Tensor]] = {
        "l1": lambda w: w * losses.l1(made.x_gen, made.x_gt),
        "perc": perc,
        "binary": lambda w: w * losses.mask_entropy(made.mask),
        "mask": lambda w: w * losses.mask_bounds(made.mask),
        "text": text,
        "bg": lambda w: w * losses.background_leak(made.bg_mask),
    }
    return {name: terms[name](weight) for name, weight in weights.items()}


def train_imagenet_cgn(
    net: ImageNetCGN,
    features: Features,
    s: dict,
    seed: int,
    checkpoint: Checkpoint,
    after_window: Callable[[int], None] = lambda step: None,
) -> list[dict]:
    """Train the three mechanisms in place; returns the history, a row every s["window"] steps.

    s: batch (images in one pass), accumulate (passes in one step; gradients are summed, as
    published), steps, lr (of shape, texture and background), truncation, weights and patches
    (see `loss_terms`), window.  A class is drawn for each image, and all mechanisms share it; the
    published batch is one image.  after_window: called with the step, after each row.
    Source: CGN paper; published code.
    """
    rng = generator(seed, "imagenet-cgn")
    net.train()
    optimisers = {
        name: torch.optim.Adam(getattr(net, name).parameters(), lr=lr, fused=True)
        for name, lr in zip(TRAINED, s["lr"], strict=True)
    }
    parts = {"net": net, "rng": rng} | {f"opt_{name}": opt for name, opt in optimisers.items()}
    config, device = net.config, next(net.f_shape.parameters()).device
    make, maps = (precision.mixed(call, device) for call in (net, features))

    def step(index: Tensor) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for _ in range(s["accumulate"]):
            y = torch.randint(config.num_classes, (len(index),), generator=rng).to(device)
            u = truncated_noise(len(index), config.z_dim, s["truncation"], rng).to(device)
            made = Mechanisms(*make(u, y, y, y, s["truncation"]))
            terms = loss_terms(made, s["weights"], maps, s["patches"], rng)
            sum(terms.values()).backward()
            for name, value in (terms | {"mask_mean": made.mask.mean()}).items():
                sums[name] = sums.get(name, 0) + value.detach() / s["accumulate"]
        for optimiser in optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return sums

    return run_loop(
        *(step, s["batch"], s, seed, checkpoint, parts, s["window"], after_window),
        device=device,
        arithmetic=precision.of(device),
    )
