"""The kinds of run behind the ImageNet claims: a CGN's training, and what it is worth.

Like `execute`, each function writes its artefacts into `folder` and returns (metrics, history).
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib import worlds
from cgnlib.chance import generator
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.experiments import Run
from cgnlib.measures import metrics
from cgnlib.nets import imagenet as nets
from cgnlib.nets import perceptual
from cgnlib.runs.inputs import Input
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.mechanisms import train_imagenet_cgn

CHUNK = 50
SHEET_SEED = 2021  # the latents of every sampling sheet
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PANELS = ("mask", "premask", "fg", "bg", "x_gen", "x_gt")


def reads(run: Run) -> dict[str, Input]:
    """The pretrained parts that a run reads, by role."""
    if run.kind == "mechanisms" and run["source"] == "published":
        return {"weights": Input("weights", "cgn-imagenet")}
    found = worlds.reads(run.variant, judged=run.kind == "quality")
    if "perceptual" in dict(run.settings):
        found["perceptual"] = Input.of_net(run["perceptual"])
    return found


def mechanisms(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """Train a CGN from the pretrained parts of its world, or take the published one."""
    history = None
    if run["source"] == "published":
        net = worlds.published(run.variant)
    else:
        net = worlds.start(run.variant).to(DEVICE)
        features = perceptual.build(run["perceptual"], run["layers"]).to(DEVICE)
        s = dict(run.settings) | {key: dict(run[key]) for key in ("weights", "patches")}

        def save_sheet(step: int) -> None:
            number = -(-step // s["window"])  # the same again where a stopped training goes on
            sheet(net, run.variant, s["truncation"], folder / f"sheet_{number:04}.png")

        history = train_imagenet_cgn(net, features, s, run.seed, checkpoint, save_sheet)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    final = {} if history is None else {f"loss_{k}": v for k, v in history[-1].items()}
    final.pop("loss_step", None)
    return final, history


@torch.no_grad()
def panels(net: nets.ImageNetCGN, world: str, truncation: float) -> dict[str, Tensor]:
    """One image of each class of the world's sheet: every part of PANELS, [B, 3, S, S]."""
    y = torch.tensor(worlds.find(world).sheet)
    rng = generator(SHEET_SEED, "sheet")
    u = draws.truncated_noise(len(y), net.config.z_dim, truncation, rng)
    device = next(net.parameters()).device
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
def quality(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """Inception score and masks of a CGN, or of BigGAN itself; on the menagerie what probes read.

    The study's protocol: one class for all three mechanisms (`random_same`); its ImageNet images
    pass through a data set of stretched JPEGs.  Counterfactuals (`random`) are read as they are.
    """
    if "generator" in needs:
        net = worlds.load(run.variant, needs["generator"] / "weights.safetensors")
    else:
        net = worlds.start(run.variant).eval()
    net.to(DEVICE)
    judge = worlds.judge(run.variant, run["protocol"]).to(DEVICE)
    folded = net.fold(run["truncation"])
    found = _same_classes(run, net, folded, judge)
    if run["ablation"] != "biggan":
        if run.variant == "menagerie":
            found |= _counterfactuals(run, folded)
        _save_samples(folder / "samples.npz", run, net, folded)
    return found, None


def _same_classes(
    run: Run, net: nets.ImageNetCGN, folded: nets.FoldedCGN, judge: nn.Module
) -> dict[str, float]:
    n, truncation, is_biggan = run["evaluated"], run["truncation"], run["ablation"] == "biggan"
    answers, coverage, binary, iou, read = [], [], [], [], []
    rng = generator(run.seed, "quality")
    y = draws.draw_classes("random_same", n, net.config.num_classes, rng)[:, 0]
    u = draws.truncated_noise(n, net.config.z_dim, truncation, rng)
    for part in tqdm(torch.arange(n).split(CHUNK), disable=None, unit=f"x{CHUNK}"):
        latent, classes = u[part].to(DEVICE), y[part].to(DEVICE)
        x_gt = net.draw_real(latent, classes, truncation)
        x = x_gt
        if not is_biggan:
            made = folded(latent, classes, classes, classes, truncation)
            x = made.x_gen
            coverage.append(metrics.mask_coverage(made.mask))
            binary.append(((made.mask < 0.1) | (made.mask > 0.9)).float().mean((1, 2, 3)))
            object_mask = folded.u2net(x_gt) > 0.5
            iou.append(metrics.paired_iou(made.mask > 0.5, object_mask))
        if run["stretch"]:
            x = datasets.read_back(x, run["stretch"]).to(DEVICE)
        answers.append(judge(x))
        read.append((answers[-1].argmax(1) == classes).float())
    score, spread = metrics.inception_score(torch.cat(answers), run["splits"])
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


def _counterfactuals(run: Run, folded: nets.FoldedCGN) -> dict[str, float]:
    """How often probes without a shortcut read the intended shape, texture and background."""
    probe, n, config = worlds.probe().to(DEVICE), run["evaluated"], folded.f_shape.config
    rng = generator(run.seed, "counterfactuals")
    y = draws.draw_classes("random", n, config.num_classes, rng)
    u = draws.truncated_noise(n, config.z_dim, run["truncation"], rng)
    read = []
    for part in torch.arange(n).split(CHUNK):
        classes = y[part].to(DEVICE)
        x = folded(u[part].to(DEVICE), *classes.T, run["truncation"]).x_gen
        said = torch.stack([scores.argmax(1) for scores in probe(x)], 1)
        read.append((said == classes).float())
    shares = torch.cat(read)
    names = draws.MECHANISMS
    return {f"{name}_read": shares[:, i].mean().item() for i, name in enumerate(names)} | {
        "all_read": shares.prod(1).mean().item()
    }


def _save_samples(path: Path, run: Run, net: nets.ImageNetCGN, folded: nets.FoldedCGN) -> None:
    """What the figures show, as bytes: parts of the sheet, counterfactuals and their classes."""
    stored = {
        name: to_stored(part).numpy()
        for name, part in panels(net, run.variant, run["truncation"]).items()
    }
    rng = generator(SHEET_SEED, "counterfactuals")
    world = worlds.find(run.variant)
    classes = torch.tensor(world.sheet)[torch.randint(len(world.sheet), (24, 3), generator=rng)]
    u = draws.truncated_noise(24, net.config.z_dim, run["truncation"], rng)
    moved = (u.to(DEVICE), *classes.T.to(DEVICE), run["truncation"])
    x = folded(*moved).x_gen
    stored |= {"counterfactual": to_stored(x).numpy(), "classes": classes.numpy()}
    np.savez_compressed(path, **stored)
