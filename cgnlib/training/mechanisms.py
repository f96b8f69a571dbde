"""Training of the BigGAN-based CGN: six losses, one optimiser for each mechanism."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cgnlib import chance, precision
from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.experiments.recipes import Losses, MechanismsRecipe, Patches
from cgnlib.nets.imagenet import TRAINED, ImageNetCGN, Mechanisms
from cgnlib.nets.perceptual import Features
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import Loop
from cgnlib.training.patches import draw_windows, texture_grid


def loss_terms(
    made: Mechanisms,
    weights: Losses,
    features: Callable[[Tensor], list[Tensor]],
    patches: Patches,
    drawn: Tensor,
) -> dict[str, Tensor]:
    """The weighted losses of a batch, by name: those that have a weight, and no others.

    Each is a mean over the images.  The two Gram losses have a weight for each layer of
    `features`; of patches, and the windows drawn, see `texture_grid`.
    bg is the mean saliency of the background: what the mask net still finds in it.
    Source: CGN paper, ImageNet losses.
    """

    def target(x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return features(x)

    def perc(factors: tuple[float, ...]) -> Tensor:
        return losses.gram_distance(features(made.x_gen), target(made.x_gt), factors)

    def text(factors: tuple[float, ...]) -> Tensor:
        grid = texture_grid(made.x_gt, made.mask, drawn, patches)
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


class _Step:
    """How far a step is: batches done, batches drawn but not passed, and the gradients so far.

    With it a training that stopped within a step of thousands of passes goes on there.
    """

    def __init__(self, weights: list[nn.Parameter]):
        self.weights = weights
        self.done, self.waiting = 0, list[tuple[Tensor, ...]]()

    def state_dict(self) -> dict:
        gradients = [weight.grad for weight in self.weights]
        return {"done": self.done, "waiting": self.waiting, "gradients": gradients}

    def load_state_dict(self, state: dict) -> None:
        self.done, self.waiting = state["done"], state["waiting"]
        for weight, gradient in zip(self.weights, state["gradients"], strict=True):
            weight.grad = None if gradient is None else gradient.to(weight.device)


def train_mechanisms(
    net: ImageNetCGN,
    features: Features,
    recipe: MechanismsRecipe,
    seed: int,
    checkpoint: Checkpoint,
    after_window: Callable[[int], None] = lambda step: None,
    together: int = 1,
) -> list[dict]:
    """Train the three mechanisms in place; returns the history, a row a window of the recipe.

    A class is drawn for each image, and all mechanisms share it; the published batch is one image.
    after_window: called with the step, after each row.
    together: how many of a step's batches go through the nets in one pass.  Draws and gradients
    are those of one by one, up to rounding: statistics are frozen and losses are means over
    images.  (The spectral norms take a power iteration a pass, hence fewer.)
    Source: CGN paper; published code.
    """
    rng = chance.generator(seed, "imagenet-cgn")
    net.train()
    optimisers = {
        name: torch.optim.Adam(getattr(net, name).parameters(), lr=lr, fused=True)
        for name, lr in zip(TRAINED, recipe.lr, strict=True)
    }
    parts = {"net": net, "rng": rng} | {f"opt_{name}": opt for name, opt in optimisers.items()}
    state = _Step([w for name in TRAINED for w in getattr(net, name).parameters()])
    if recipe.accumulate > 1:
        parts["step"] = state
    config, device = net.config, next(net.f_shape.parameters()).device
    make, maps = (precision.mixed(call, device) for call in (net, features))

    def draw(n: int) -> tuple[Tensor, ...]:
        y = torch.randint(config.num_classes, (n,), generator=rng)
        u = truncated_noise(n, config.z_dim, recipe.truncation, rng)
        if recipe.weights.text is None:
            return y, u, torch.empty(n, 0)
        return y, u, draw_windows(n, recipe.patches, rng)

    def step(index: Tensor) -> dict[str, Tensor]:
        state.waiting.append(draw(len(index)))
        state.done += 1
        last = state.done == recipe.accumulate
        if not last and len(state.waiting) < together:
            return {}
        y, u, drawn = (torch.cat(part).to(device) for part in zip(*state.waiting, strict=True))
        batches = len(state.waiting)
        state.waiting.clear()
        made = Mechanisms(*make(u, y, y, y, recipe.truncation))
        terms = loss_terms(made, recipe.weights, maps, recipe.patches, drawn)
        (batches * sum(terms.values())).backward()  # a sum over batches, as published
        if last:
            state.done = 0
            for optimiser in optimisers.values():
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
        terms["mask_mean"] = made.mask.mean()
        return {name: batches * value for name, value in terms.items()}

    def close(at: int) -> dict[str, int]:
        after_window(at // recipe.accumulate)
        return {"step": at // recipe.accumulate}

    loop = Loop(
        step, recipe.batch, recipe.steps * recipe.accumulate, recipe.batch, seed, parts,
        recipe.window * recipe.accumulate, close,
        device=device, arithmetic=precision.of(device),
    )  # fmt: skip
    return loop.run(checkpoint)
