"""The training loops: CGN, GAN baseline and classifier; seeded, resumable, on tensors.

A loop owns one generator for everything it draws but the order of the data, which is a function
of seed and epoch; it works where its data is.  With a `Checkpoint` a stopped loop goes on from the
last saved step and ends with the same weights, bit for bit on the same CPU with the same number of
threads.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR

from cgnlib import chance, precision
from cgnlib.data.images import Images, Union
from cgnlib.data.variants import Variant
from cgnlib.experiments.recipes import CGNRecipe, ClassifierRecipe, GANRecipe
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.film import Film
from cgnlib.training.loop import Loop


def train_cgn(
    data: Variant,
    recipe: CGNRecipe,
    seed: int,
    checkpoint: Checkpoint,
    film: Film | None = None,
) -> tuple[nets.CGN, list]:
    """Train a CGN on one variant; `film` looks at it meanwhile.

    Returns the net and its history, a row every 50 steps.
    Source: CGN paper, MNIST experiments; published configurations.
    """
    rng = chance.generator(seed, "cgn")
    draws = chance.like(rng, data.device)
    net = chance.seeded(lambda: nets.CGN(recipe.latent, recipe.ngf), rng)
    nets.init_weights(net, recipe.init, recipe.gain, rng)
    # The batch norms of the convolutional critic tell real from generated, and it draws nothing:
    # the scores that taught the generator then teach the critic.
    again = recipe.discriminator == "conv"
    critic: nn.Module
    if again:
        critic = chance.seeded(lambda: nets.ConvDiscriminator(recipe.ndf), rng)
        nets.init_weights(critic, "normal", 0.02, rng)
    else:
        critic = chance.seeded(lambda: nets.LinearDiscriminator(recipe.ndf, draws), rng)
    features = perceptual.build(recipe.perceptual, recipe.layers)
    for part in (net, critic, features):
        part.to(data.device, memory_format=torch.channels_last)
    opt_g = _adam(net, recipe.lr, recipe.betas)
    opt_d = _adam(critic, recipe.lr_critic, recipe.betas)
    foreground, background, score, maps = (
        precision.mixed(call, data.device)
        for call in (net.foreground, net.background, critic, features)
    )

    def step(index: Tensor) -> dict[str, Tensor]:
        x, y = data.batch(index)
        y_gen = torch.randint(0, 10, y.shape, generator=draws, device=y.device)
        u = net.draw_latent(len(y), draws)
        mask = net.mask(u, y_gen)
        x_gen = nets.compose(mask, foreground(u, y_gen, draws), background(u, y_gen, draws))
        with torch.no_grad():
            target = maps(x)
        fake = score(x_gen, y_gen)
        terms = {
            "adversarial": losses.generator_mse(fake),
            "mask": recipe.mask * losses.mask_entropy(mask),
            "perceptual": losses.gram_distance(maps(x_gen), target, recipe.factors),
        }
        if recipe.edge:
            terms["edge"] = recipe.edge * losses.edge_mass(mask)
        if recipe.border:
            terms["border"] = recipe.border * losses.border_coverage(mask)
        _update(opt_g, sum(terms.values()), again=again)
        if again:
            loss = losses.discriminator_mse(score(x, y), fake)
        else:
            both = _scored_together(score, (x, y), (x_gen.detach(), y_gen))
            loss = losses.discriminator_mse(*both)
        _update(opt_d, loss)
        return terms | {"discriminator": loss, "mask_mean": mask.mean()}

    parts = {"net": net, "critic": critic, "opt_g": opt_g, "opt_d": opt_d}
    film = film or Film(recipe.steps)
    film.look(net, 0)
    parts |= {"rng": draws, "data": data.rng, "film": film}
    return net, _run(
        checkpoint, step, data, recipe.steps, recipe.batch, seed, parts,
        after_window=lambda step: film.look(net, step),
    )  # fmt: skip


def train_gan(
    data: Variant, recipe: GANRecipe, seed: int, checkpoint: Checkpoint
) -> tuple[nets.GAN, list]:
    """Train the study's GAN baseline: cross-entropy losses, the linear discriminator always.

    Returns the net and its history.
    """
    rng = chance.generator(seed, "gan")
    draws = chance.like(rng, data.device)
    net = chance.seeded(lambda: nets.GAN(recipe.latent, recipe.ngf), rng)
    critic = chance.seeded(lambda: nets.LinearDiscriminator(recipe.ndf, draws), rng)
    net.to(data.device, memory_format=torch.channels_last)
    critic.to(data.device)
    opt_g = _adam(net, recipe.lr, recipe.betas)
    opt_d = _adam(critic, recipe.lr_critic, recipe.betas)
    make, score = (precision.mixed(call, data.device) for call in (net, critic))

    def step(index: Tensor) -> dict[str, Tensor]:
        x, y = data.batch(index)
        y_gen = torch.randint(0, 10, y.shape, generator=draws, device=y.device)
        x_gen = make(net.draw_latent(len(y), draws), y_gen)
        adversarial = losses.generator_bce(score(x_gen, y_gen))
        _update(opt_g, adversarial)
        scores = _scored_together(score, (x, y), (x_gen.detach(), y_gen))
        loss = losses.discriminator_bce(*scores)
        _update(opt_d, loss)
        return {"adversarial": adversarial, "discriminator": loss}

    parts = {"net": net, "critic": critic, "opt_g": opt_g, "opt_d": opt_d}
    parts |= {"rng": draws, "data": data.rng}
    return net, _run(checkpoint, step, data, recipe.steps, recipe.batch, seed, parts)


def train_classifier(
    data: Images | Union, recipe: ClassifierRecipe, seed: int, checkpoint: Checkpoint
) -> tuple[nets.CNN, list]:
    """Train the CNN: NLL, Adadelta, the rate times gamma after each epoch.

    Returns the net and its history, a row an epoch; its train_accuracy is the running accuracy in
    training mode, on whatever set is trained on, as the study reports it.
    """
    net = chance.seeded(nets.CNN, chance.generator(seed, "classifier"))
    net.to(data.device, memory_format=torch.channels_last)
    on_gpu = data.device.type == "cuda"  # there the rate is read by the steps that are replayed
    rate = torch.tensor(recipe.lr, device=data.device) if on_gpu else recipe.lr
    optimiser = torch.optim.Adadelta(net.parameters(), lr=rate, capturable=on_gpu)
    schedule = ExponentialLR(optimiser, recipe.gamma)
    per_epoch = -(-len(data) // recipe.batch)
    classify = precision.mixed(net, data.device)

    def step(index: Tensor) -> dict[str, Tensor]:
        x, y = data.batch(index)
        scores = classify(x)
        loss = F.nll_loss(scores, y)
        _update(optimiser, loss)
        return {"loss": loss, "train_accuracy": (scores.argmax(1) == y).float().mean()}

    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    return net, _run(
        checkpoint, step, data, per_epoch * recipe.epochs, recipe.batch, seed, parts,
        window=per_epoch, after_window=lambda step: schedule.step(),
    )  # fmt: skip


def _run(
    checkpoint: Checkpoint,
    step: Callable[[Tensor], dict[str, Tensor]],
    data: Images | Union | Variant,
    steps: int,
    batch: int,
    seed: int,
    parts: dict,
    window: int = 50,
    after_window: Callable[[int], None] = lambda step: None,
) -> list[dict]:
    """The history of a loop over some data, where that is; on a GPU it is replayed."""
    loop = Loop(
        step, len(data), steps, batch, seed, parts, window, after_window,
        device=data.device, arithmetic=precision.of(data.device), replayed=True,
    )  # fmt: skip
    return loop.run(checkpoint)


def _scored_together(score: Callable, *batches: tuple[Tensor, Tensor]) -> list[Tensor]:
    """The scores of several batches of images and labels by a critic that looks at one at a time.

    In one pass: its gradients, of millions of weights, are then made once and not added up.
    """
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return list(score(x, y).split([len(labels) for _, labels in batches]))


def _adam(net: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    weights = list(net.parameters())
    return torch.optim.Adam(weights, lr=lr, betas=betas, fused=True, capturable=weights[0].is_cuda)


def _update(optimiser: torch.optim.Optimizer, loss: Tensor, again: bool = False) -> None:
    """A step of the optimiser's own weights, down the loss.  again: parts of it are used again."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    optimiser.zero_grad(set_to_none=True)
    loss.backward(inputs=weights, retain_graph=again)
    optimiser.step()
