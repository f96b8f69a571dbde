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
from cgnlib.chance import generator, seeded
from cgnlib.data.images import Images, Union
from cgnlib.data.variants import Variant
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import run_loop


def train_cgn(data: Variant, s: dict, seed: int, checkpoint: Checkpoint) -> tuple[nets.CGN, list]:
    """Train a CGN on one variant.

    s: batch, steps, lr, lr_critic, betas, latent, ngf, ndf, discriminator (`linear` or `conv`),
    init, gain, mask (weight of the mask entropy), edge (weight of the study's edge loss, 0 in the
    paper), perceptual (net), layers and factors (its Gram terms).
    Returns the net and its history, a row every 50 steps.
    Source: CGN paper, MNIST experiments; published configurations.
    """
    rng = generator(seed, "cgn")
    draws = chance.like(rng, data.device)
    net = seeded(lambda: nets.CGN(s["latent"], s["ngf"]), rng)
    nets.init_weights(net, s["init"], s["gain"], rng)
    critic = seeded(lambda: _discriminator(s, draws), rng)
    if s["discriminator"] == "conv":
        nets.init_weights(critic, "normal", 0.02, rng)
    features = perceptual.build(s["perceptual"], s["layers"])
    for part in (net, critic, features):
        part.to(data.device, memory_format=torch.channels_last)
    opt_g, opt_d = _adam(net, s["lr"], s), _adam(critic, s["lr_critic"], s)
    foreground, background, score, maps = (
        precision.mixed(call, data.device)
        for call in (net.foreground, net.background, critic, features)
    )
    # Its batch norms tell real from generated, and it draws nothing: the scores that taught the
    # generator then teach the critic.
    again = isinstance(critic, nets.ConvDiscriminator)

    parts = {
        "net": net,
        "critic": critic,
        "opt_g": opt_g,
        "opt_d": opt_d,
        "rng": draws,
        "data": data.rng,
    }

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
            "mask": s["mask"] * losses.mask_entropy(mask),
            "perceptual": losses.gram_distance(maps(x_gen), target, s["factors"]),
        }
        if s["edge"]:
            terms["edge"] = s["edge"] * losses.edge_mass(mask)
        _update(opt_g, sum(terms.values()), again=again)
        if again:
            scores = score(x, y), fake
        else:
            scores = _scored_together(score, (x, y), (x_gen.detach(), y_gen))
        loss = losses.discriminator_mse(*scores)
        _update(opt_d, loss)
        return terms | {"discriminator": loss, "mask_mean": mask.mean()}

    return net, run_loop(step, len(data), s, seed, checkpoint, parts, 50, **_where(data))


def train_gan(data: Variant, s: dict, seed: int, checkpoint: Checkpoint) -> tuple[nets.GAN, list]:
    """Train the study's GAN baseline: cross-entropy losses, the linear discriminator always.

    s: batch, steps, lr, lr_critic, betas, latent, ngf, ndf.  Returns the net and its history.
    """
    rng = generator(seed, "gan")
    draws = chance.like(rng, data.device)
    net = seeded(lambda: nets.GAN(s["latent"], s["ngf"]), rng)
    critic = seeded(lambda: nets.LinearDiscriminator(s["ndf"], draws), rng).to(data.device)
    net.to(data.device, memory_format=torch.channels_last)
    opt_g, opt_d = _adam(net, s["lr"], s), _adam(critic, s["lr_critic"], s)
    make, score = (precision.mixed(call, data.device) for call in (net, critic))

    parts = {
        "net": net,
        "critic": critic,
        "opt_g": opt_g,
        "opt_d": opt_d,
        "rng": draws,
        "data": data.rng,
    }

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

    return net, run_loop(step, len(data), s, seed, checkpoint, parts, 50, **_where(data))


def train_classifier(
    data: Images | Union, s: dict, seed: int, checkpoint: Checkpoint
) -> tuple[nets.CNN, list]:
    """Train the CNN: NLL, Adadelta at rate 1, the rate times 0.7 after each epoch.

    s: batch, epochs, lr, gamma.  History has a row an epoch; its train_accuracy is the running
    accuracy in training mode, on whatever set is trained on, as the study reports it.
    """
    rng = generator(seed, "classifier")
    net = seeded(nets.CNN, rng).to(data.device, memory_format=torch.channels_last)
    on_gpu = data.device.type == "cuda"
    rate = torch.tensor(s["lr"], device=data.device) if on_gpu else s["lr"]  # replays read it there
    optimiser = torch.optim.Adadelta(net.parameters(), lr=rate, capturable=on_gpu)
    schedule = ExponentialLR(optimiser, s["gamma"])
    per_epoch = -(-len(data) // s["batch"])
    classify = precision.mixed(net, data.device)

    def step(index: Tensor) -> dict[str, Tensor]:
        x, y = data.batch(index)
        scores = classify(x)
        loss = F.nll_loss(scores, y)
        _update(optimiser, loss)
        return {"loss": loss, "train_accuracy": (scores.argmax(1) == y).float().mean()}

    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    s = s | {"steps": per_epoch * s["epochs"]}

    def lower_rate(_: int) -> None:
        schedule.step()

    return net, run_loop(
        step, len(data), s, seed, checkpoint, parts, per_epoch, lower_rate, **_where(data)
    )


def _discriminator(s: dict, draws: torch.Generator) -> nn.Module:
    if s["discriminator"] == "conv":
        return nets.ConvDiscriminator(s["ndf"])
    return nets.LinearDiscriminator(s["ndf"], draws)


def _where(data: Images | Union | Variant) -> dict:
    """Where a loop over some data computes, and in which arithmetic; on a GPU it is replayed."""
    return {"device": data.device, "arithmetic": precision.of(data.device), "replayed": True}


def _scored_together(score: Callable, *batches: tuple[Tensor, Tensor]) -> list[Tensor]:
    """The scores of several batches of images and labels by a critic that looks at one at a time.

    In one pass: its gradients, of millions of weights, are then made once and not added up.
    """
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return list(score(x, y).split([len(labels) for _, labels in batches]))


def _adam(net: nn.Module, lr: float, s: dict) -> torch.optim.Adam:
    weights = list(net.parameters())
    return torch.optim.Adam(
        weights, lr=lr, betas=tuple(s["betas"]), fused=True, capturable=weights[0].is_cuda
    )


def _update(optimiser: torch.optim.Optimizer, loss: Tensor, again: bool = False) -> None:
    """A step of the optimiser's own weights, down the loss.  again: parts of it are used again."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    optimiser.zero_grad(set_to_none=True)
    loss.backward(inputs=weights, retain_graph=again)
    optimiser.step()
