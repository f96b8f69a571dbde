"""The CGNs over BigGAN: their training, and what they are worth."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib import chance, worlds
from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.measures import metrics
from cgnlib.nets import imagenet as nets
from cgnlib.nets import perceptual, weights
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

    history = train_mechanisms(net, features, recipe, run.seed, job.checkpoint, save_sheet)
    weights.save(net, job.folder / WEIGHTS)
    return Found({f"loss_{k}": v for k, v in history[-1].items() if k != "step"}, history)


def _published(run: e.PublishedMechanisms, job: Job) -> Found:
    weights.save(imagenet.published(run.reads()["weights"].name), job.folder / WEIGHTS)
    return Found({})


def device_of(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


@torch.no_grad()
def panels(net: nets.ImageNetCGN, world: str, truncation: float) -> dict[str, Tensor]:
    """One image of each class of the world's sheet: every part of PANELS, [B, 3, S, S]."""
    y = torch.tensor(worlds.find(world).sheet)
    rng = generator(chance.SHEET, "sheet")
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
    columns = panels(net, world, truncation).values()
    rows = torch.stack(list(columns), 1)  # [B, 6, 3, S, S]
    tiled = to_stored(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
    tiled = tiled.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
    part = path.with_suffix(".part")
    Image.fromarray(tiled.numpy()).save(part, format="png")
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
        _save_samples(job.folder / "samples.npz", run, net, folded)
    return Found(found)


def _same_classes(
    run: e.Quality, net: nets.ImageNetCGN, folded: nets.FoldedCGN, judge: nn.Module
) -> dict[str, float]:
    n, truncation, is_biggan = run.recipe.evaluated, run.recipe.truncation, run.generator is None
    device, size = device_of(net), run.facts.at_once
    answers, coverage, binary, iou, read = [], [], [], [], []
    rng = generator(run.seed, "quality")
    y = draws.draw_classes("random_same", n, net.config.num_classes, rng)[:, 0]
    u = draws.truncated_noise(n, net.config.z_dim, truncation, rng)
    for part in tqdm(torch.arange(n).split(size), disable=None, unit=f"x{size}"):
        latent, classes = u[part].to(device), y[part].to(device)
        x_gt = net.draw_real(latent, classes, truncation)
        x = x_gt
        if not is_biggan:
            made = folded(latent, classes, classes, classes, truncation)
            x = made.x_gen
            coverage.append(metrics.mask_coverage(made.mask))
            binary.append(((made.mask < 0.1) | (made.mask > 0.9)).float().mean((1, 2, 3)))
            object_mask = folded.u2net(x_gt) > 0.5
            iou.append(metrics.paired_iou(made.mask > 0.5, object_mask))
        if run.recipe.stretch:
            x = datasets.read_back(x, run.recipe.stretch).to(device)
        answers.append(judge(x))
        read.append((answers[-1].argmax(1) == classes).float())
    score, spread = metrics.inception_score(torch.cat(answers), run.recipe.splits)
    found = {
        "inception_score": score,
        "inception_score_spread": spread,
        "class_read": torch.cat(read).mean().item(),
    }
    if is_biggan:
        return found
    mean, deviation = metrics.mean_and_spread(torch.cat(coverage))
    return found | {
        "mask_coverage": mean,
        "mask_coverage_spread": deviation,
        "mask_binary": torch.cat(binary).mean().item(),
        "mask_iou": torch.cat(iou).mean().item(),
    }


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


def _save_samples(
    path: Path, run: e.Quality, net: nets.ImageNetCGN, folded: nets.FoldedCGN
) -> None:
    """What the figures show, as bytes: parts of the sheet, counterfactuals and their classes."""
    truncation, device = run.recipe.truncation, device_of(net)
    stored = {
        name: to_stored(part).numpy() for name, part in panels(net, run.variant, truncation).items()
    }
    rng = generator(chance.SHEET, "counterfactuals")
    world = worlds.find(run.variant)
    classes = torch.tensor(world.sheet)[torch.randint(len(world.sheet), (24, 3), generator=rng)]
    u = draws.truncated_noise(24, net.config.z_dim, truncation, rng)
    moved = (u.to(device), *classes.T.to(device), truncation)
    x = folded(*moved).x_gen
    stored |= {"counterfactual": to_stored(x).numpy(), "classes": classes.numpy()}
    np.savez_compressed(path, **stored)


KINDS = {
    e.Mechanisms: _mechanisms,
    e.PublishedMechanisms: _published,
    e.Quality: _quality,
}
