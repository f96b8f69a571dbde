"""The CGNs over BigGAN: their training, and what they are worth."""

from collections import defaultdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.utils import make_grid
from tqdm import tqdm

from cgnlib import experiments as e
from cgnlib import worlds
from cgnlib.chance import SHEET, generator
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import keep, net_of
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.measures import metrics
from cgnlib.nets import imagenet as nets
from cgnlib.nets import perceptual
from cgnlib.nets.readers import Reader
from cgnlib.training.mechanisms import train_mechanisms
from cgnlib.worlds import imagenet

PANELS = ("mask", "premask", "fg", "bg", "x_gen", "x_gt")


def _mechanisms(run: e.Mechanisms, job: Job) -> Found:
    recipe = run.recipe
    net = worlds.find(run.variant).start().to(job.device)
    features = perceptual.build(recipe.perceptual, recipe.layers).to(job.device)

    def save_sheet(step: int) -> None:
        number = -(-step // recipe.window)  # the same again where a stopped training goes on
        sheet(net, run.variant, recipe.truncation, job.folder / f"sheet_{number:04}.png")

    together = batches_at_once(run, job.device)
    history = train_mechanisms(
        net, features, recipe, run.seed, job.checkpoint, save_sheet, together
    )
    return keep(job, net, history)


def batches_at_once(run: e.Mechanisms, device: torch.device) -> int:
    """How many of a step's batches go through the nets in one pass: on a GPU, as many as fit.

    A power of two, as what is free varies a little.
    """
    if device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    fit = int(0.8 * free / (run.recipe.batch * run.facts.trained))
    return 1 << max(1, min(fit, run.recipe.accumulate)).bit_length() - 1


def _published(run: e.PublishedMechanisms, job: Job) -> Found:
    return keep(job, imagenet.published(run.reads()["weights"].name))


def device_of(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


@torch.no_grad()
def panels(net: nets.ImageNetCGN, world: str, truncation: float) -> dict[str, Tensor]:
    """One image of each class of the world's sheet: every part of PANELS, [B, 3, S, S]."""
    y = torch.tensor(worlds.find(world).sheet)
    rng = generator(SHEET, "sheet")
    u = draws.truncated_noise(len(y), net.config.z_dim, truncation, rng)
    device = device_of(net)
    u, y = u.to(device), y.to(device)
    was_training = net.training
    net.eval()
    made = net(u, y, y, y, truncation)
    net.train(was_training)
    shown = {name: getattr(made, name) for name in PANELS}
    return shown | {"mask": (made.mask * 2 - 1).expand_as(made.fg)}


def sheet(net: nets.ImageNetCGN, world: str, truncation: float, path: Path) -> None:
    """The sampling sheet of a training: a row for each class, a column for each of PANELS."""
    rows = torch.stack(list(panels(net, world, truncation).values()), 1)  # [B, 6, 3, S, S]
    tiled = make_grid(rows.flatten(0, 1), nrow=len(PANELS), padding=0)
    part = path.with_suffix(".part")
    Image.fromarray(to_stored(tiled[None])[0].numpy()).save(part, format="png")
    part.replace(path)


@torch.no_grad()
def _quality(run: e.Quality, job: Job) -> Found:
    """Inception score and masks of a CGN, or of BigGAN itself; on the menagerie what probes read.

    The study's protocol: one class for all three mechanisms (`random_same`); its ImageNet images
    pass through a data set of stretched JPEGs.  Counterfactuals (`random`) are read as they are.
    """
    world = worlds.find(run.variant)
    made = run.generator
    net = net_of(made, job.needs["generator"]) if made else world.start().eval()
    net.to(job.device)
    judge = world.judge(run.recipe.protocol).to(job.device)
    folded = net.fold(run.recipe.truncation)
    found = _same_classes(run, net, folded, judge)
    if run.generator:
        if probe := world.probe():
            found |= _counterfactuals(run, folded, probe.to(job.device))
        _show(run, net, folded, job)
    return Found(found)


def _same_classes(
    run: e.Quality, net: nets.ImageNetCGN, folded: nets.FoldedCGN, judge: nn.Module
) -> dict[str, float]:
    n, truncation, device = run.recipe.evaluated, run.recipe.truncation, device_of(net)
    size = run.facts.at_once
    seen = defaultdict(list)
    rng = generator(run.seed, "quality")
    y = draws.draw_classes("random_same", n, net.config.num_classes, rng)[:, 0]
    u = draws.truncated_noise(n, net.config.z_dim, truncation, rng)
    for part in tqdm(torch.arange(n).split(size), disable=None, unit=f"x{size}"):
        latent, classes = u[part].to(device), y[part].to(device)
        x = x_gt = net.draw_real(latent, classes, truncation)
        if run.generator:
            made = folded(latent, classes, classes, classes, truncation)
            x = made.x_gen
            seen["coverage"].append(metrics.mask_coverage(made.mask))
            seen["binary"].append(((made.mask < 0.1) | (made.mask > 0.9)).float().mean((1, 2, 3)))
            seen["iou"].append(metrics.paired_iou(made.mask > 0.5, folded.u2net(x_gt) > 0.5))
        if run.recipe.stretch:
            x = datasets.read_back(x, run.recipe.stretch).to(device)
        answers = judge(x)
        seen["answers"].append(answers)
        seen["read"].append((answers.argmax(1) == classes).float())
    each = {name: torch.cat(parts) for name, parts in seen.items()}
    score, spread = metrics.inception_score(each["answers"], run.recipe.splits)
    found = {
        "inception_score": score,
        "inception_score_spread": spread,
        "class_read": each["read"].mean().item(),
    }
    if run.generator:
        mean, deviation = metrics.mean_and_spread(each["coverage"])
        found |= {
            "mask_coverage": mean,
            "mask_coverage_spread": deviation,
            "mask_binary": each["binary"].mean().item(),
            "mask_iou": each["iou"].mean().item(),
        }
    return found


def _counterfactuals(run: e.Quality, folded: nets.FoldedCGN, probe: Reader) -> dict[str, float]:
    """How often probes without a shortcut read the intended shape, texture and background."""
    n, config, device = run.recipe.evaluated, folded.f_shape.config, device_of(folded)
    rng = generator(run.seed, "counterfactuals")
    y = draws.draw_classes("random", n, config.num_classes, rng)
    u = draws.truncated_noise(n, config.z_dim, run.recipe.truncation, rng)
    read = []
    for part in torch.arange(n).split(run.facts.at_once):
        classes = y[part].to(device)
        x = folded(u[part].to(device), *classes.T, run.recipe.truncation).x_gen
        said = torch.stack([scores.argmax(1) for scores in probe(x)], 1)
        read.append((said == classes).float())
    shares = torch.cat(read)
    names = draws.MECHANISMS
    return {f"{name}_read": shares[:, i].mean().item() for i, name in enumerate(names)} | {
        "all_read": shares.prod(1).mean().item()
    }


def _show(run: e.Quality, net: nets.ImageNetCGN, folded: nets.FoldedCGN, job: Job) -> None:
    """What the figures show: parts of the sheet, counterfactuals and their classes."""
    truncation, device = run.recipe.truncation, device_of(net)
    rng = generator(SHEET, "counterfactuals")
    world = worlds.find(run.variant)
    classes = torch.tensor(world.sheet)[torch.randint(len(world.sheet), (24, 3), generator=rng)]
    u = draws.truncated_noise(24, net.config.z_dim, truncation, rng)
    made = folded(u.to(device), *classes.T.to(device), truncation)
    pictures = panels(net, run.variant, truncation) | {"counterfactual": made.x_gen}
    job.show(pictures, classes=classes)


KINDS = {
    e.Mechanisms: _mechanisms,
    e.PublishedMechanisms: _published,
    e.Quality: _quality,
}
