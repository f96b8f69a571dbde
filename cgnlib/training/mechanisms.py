"""Training of the BigGAN-based CGN: six losses, one optimiser for each mechanism."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cgnlib import chance, precision
from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.experiments.recipes import Losses, MechanismsRecipe, Patches
from cgnlib.nets.imagenet import TRAINED, ImageNetCGN, Mechanisms
from cgnlib.nets.perceptual import Features
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import Loop
from cgnlib.training.patches import texture_grid


def loss_terms(
    made: Mechanisms,
    weights: Losses,
    features: Callable[[Tensor], list[Tensor]],
    patches: Patches,
    rng: torch.Generator,
) -> dict[str, Tensor]:
    """The weighted losses of a batch, by name: those that have a weight, and no others.

    The two Gram losses have one for each layer of `features`; of patches, see `texture_grid`.
    bg is the mean saliency of the background: what the mask net still finds in it.
    Source: CGN paper, ImageNet losses.
    """

    def target(x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return features(x)

    def perc(factors: tuple[float, ...]) -> Tensor:
        return losses.gram_distance(features(made.x_gen), target(made.x_gt), factors)

    def text(factors: tuple[float, ...]) -> Tensor:
        grid = texture_grid(made.x_gt, made.mask, rng, patches)
        return losses.gram_distance(features(made.fg), target(grid), factors)

    terms: dict[str, Callable[..., Tensor]] = {
        "l1": lambda w: w * F.l1_loss(made.x_gen, made.x_gt),
        "perc": perc,
        "binary": lambda w: w * losses.mask_entropy(made.mask),
        "mask": lambda w: w * losses.mask_bounds(made.mask),
        "text": text,
        "bg": lambda w: w * made.bg_mask.mean(),
    }
    weighted = ((name, getattr(weights, name)) for name in terms)
    return {name: terms[name](weight) for name, weight in weighted if weight is not None}


def train_mechanisms(
    net: ImageNetCGN,
    features: Features,
    recipe: MechanismsRecipe,
    seed: int,
    checkpoint: Checkpoint,
    after_window: Callable[[int], None] = lambda step: None,
) -> list[dict]:
    """Train the three mechanisms in place; returns the history, a row a window of the recipe.

    A class is drawn for each image, and all mechanisms share it; the published batch is one image.
    after_window: called with the step, after each row.  Source: CGN paper; published code.
    """
    rng = chance.generator(seed, "imagenet-cgn")
    net.train()
    optimisers = {
        name: torch.optim.Adam(getattr(net, name).parameters(), lr=lr, fused=True)
        for name, lr in zip(TRAINED, recipe.lr, strict=True)
    }
    parts = {"net": net, "rng": rng} | {f"opt_{name}": opt for name, opt in optimisers.items()}
    config, device = net.config, next(net.f_shape.parameters()).device
    make, maps = (precision.mixed(call, device) for call in (net, features))

    def step(index: Tensor) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for _ in range(recipe.accumulate):
            y = torch.randint(config.num_classes, (len(index),), generator=rng).to(device)
            u = truncated_noise(len(index), config.z_dim, recipe.truncation, rng).to(device)
            made = Mechanisms(*make(u, y, y, y, recipe.truncation))
            terms = loss_terms(made, recipe.weights, maps, recipe.patches, rng)
            sum(terms.values()).backward()
            for name, value in (terms | {"mask_mean": made.mask.mean()}).items():
                sums[name] = sums.get(name, 0) + value.detach() / recipe.accumulate
        for optimiser in optimisers.values():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return sums

    loop = Loop(
        step, recipe.batch, recipe.steps, recipe.batch, seed, parts, recipe.window, after_window,
        device=device, arithmetic=precision.of(device),
    )  # fmt: skip
    return loop.run(checkpoint)
