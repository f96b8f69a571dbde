"""The training loops: CGN, GAN baseline and classifier; seeded, resumable, on tensors.

A loop owns one generator for everything it draws but the order of the data, which is a function
of seed and epoch; it works where its data is.  With a `Checkpoint` a stopped loop goes on from the
last saved step and ends with the same weights, bit for bit on the same CPU with the same number of
threads.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sized

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ExponentialLR
from tqdm import tqdm

from cgnlib import losses, precision, replay
from cgnlib.checkpoints import Checkpoint
from cgnlib.errors import CGNError
from cgnlib.mnists import Images, Union, Variant
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual

logger = logging.getLogger(__name__)
CPU = torch.device("cpu")
REPORTED = 30.0  # seconds between two lines in a log about how far a loop is


def generator(seed: int, *path: str | int) -> torch.Generator:
    """A generator of its own for a seed and a place in the experiment (a role, an epoch)."""
    digest = hashlib.sha256(repr((seed, *path)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def seeded(build: Callable[[], nn.Module], rng: torch.Generator) -> nn.Module:
    """Build a net whose default initialisation draws from `rng` and not from the global state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        return build()


def index_batches(n: int, batch: int, seed: int, first: int, last: int) -> Iterator[Tensor]:
    """Indices of steps first...last - 1 of shuffled epochs over n items.

    The order is a function of seed and epoch alone; an epoch ends with a short batch.
    """
    per_epoch = -(-n // batch)
    order, epoch = None, None
    for step in range(first, last):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = torch.randperm(n, generator=generator(seed, "order", epoch))
        start = (step % per_epoch) * batch
        yield order[start : start + batch]


def train_cgn(data: Variant, s: dict, seed: int, checkpoint: Checkpoint) -> tuple[nets.CGN, list]:
    """Train a CGN on one variant.

    s: batch, steps, lr, lr_critic, betas, latent, ngf, ndf, discriminator (`linear` or `conv`),
    init, gain, mask (weight of the mask entropy), edge (weight of the study's edge loss, 0 in the
    paper), perceptual (net), layers and factors (its Gram terms).
    Returns the net and its history, a row every 50 steps.
    Source: CGN paper, MNIST experiments; published configurations.
    """
    rng = generator(seed, "cgn")
    draws = replay.like(rng, data.device)
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
    draws = replay.like(rng, data.device)
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


def run_loop(
    step: Callable[[Tensor], dict[str, Tensor]],
    n: int,
    s: dict,
    seed: int,
    checkpoint: Checkpoint,
    parts: dict,
    window: int,
    after_window: Callable[[int], dict | None] = lambda step: None,
    batches: Callable[[int, int], Iterator[Sized]] | None = None,
    device: torch.device = CPU,
    arithmetic: str = precision.FLOAT32,
    replayed: bool = False,
) -> list[dict]:
    """Run s["steps"] steps over shuffled epochs of n items.

    The history has a row every `window` steps: the means over the images seen in it.
    after_window: called with the step, after each row; what it returns joins the row.
    batches: what the steps from a first to before a last one are called with, where that is more
    than the indices of `index_batches`.
    device: of the step.
    arithmetic: of its products; with the device, what a checkpoint can be gone on with in.
    replayed: on a GPU the step is recorded once and replayed, see `Replayed`; of `parts` it draws
    from all generators.
    """
    here = f"{device.type} in {arithmetic}"
    start = {"step": 0, "seen": 0, "sums": {}, "history": [], "device": here}
    loop = checkpoint.load(parts) or start
    if (made_on := loop["device"]) != here:
        raise CGNError(
            f"{checkpoint.path} was made on a {made_on} and this is a {here}: go on there (or set "
            f"CGN_PRECISION), or delete {checkpoint.path.parent} to start this run anew"
        )
    if batches is None:
        ordered = index_batches(n, s["batch"], seed, loop["step"], s["steps"])
    else:
        ordered = batches(loop["step"], s["steps"])
    bar = tqdm(ordered, initial=loop["step"], total=s["steps"], disable=None, unit="step")
    report = _progress(loop["step"], s["steps"], logging.INFO if bar.disable else logging.DEBUG)
    sums = loop["sums"]

    def tally(index: Sized) -> None:
        for name, value in step(index).items():
            total = value.detach().double() * len(index)
            sums[name] = sums[name].add_(total) if name in sums else total

    graphed = device if replayed else CPU
    if graphed.type != "cpu":
        draws = [part for part in parts.values() if isinstance(part, torch.Generator)]
        tally = replay.Replayed(tally, s["batch"], graphed, draws)
    with replay.stream(graphed):
        for index in bar:
            tally(index)
            loop["seen"] += len(index)
            loop["step"] += 1
            if loop["step"] % window == 0 or loop["step"] == s["steps"]:
                means = {name: float(total / loop["seen"]) for name, total in sums.items()}
                loop["history"].append({"step": loop["step"], **means})
                loop["seen"] = 0
                for total in sums.values():
                    total.zero_()
                loop["history"][-1] |= after_window(loop["step"]) or {}
            report(loop["step"])
            checkpoint.after_step(loop, parts)
    return loop["history"]


def _progress(first: int, last: int, level: int) -> Callable[[int], None]:
    """What tells a log, now and then, how far a loop is and how long the rest will take."""
    start = said = time.monotonic()

    def report(step: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < REPORTED:
            return
        said, left = now, (now - start) / (step - first) * (last - step)
        minutes = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        logger.log(
            level, "step %d of %d (%.0f %%), %s left", step, last, 100 * step / last, minutes
        )

    return report
