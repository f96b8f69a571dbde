"""Keep the films of some trainings of a CGN: what each drew meanwhile, and its losses.

Of every class the first latent is shown; the reader of bare masks says of all of them whether they
are the digit.  How many digits are usable in the end, by many more masks, the evaluation of the
training says.  What is known of each film is written to film.json in book/records/film; those of
the seed of the first are pictures there, too: a row for each moment and a column for each class.

    python -m cgnlib run lottery
    python data_prep/film.py runs/mini/cgn-colored-plain-s0 ...
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cgnlib import experiments, paths, runs
from cgnlib.compute.masks import read_masks
from cgnlib.compute.nets_of import net_of
from cgnlib.errors import CGNError, ended
from cgnlib.experiments import CGN
from cgnlib.runs.results import Result
from cgnlib.training.losses import border_coverage

TOLD = ("commit", "device", "torch", "finished")
DIGITS = 4  # significant ones of a loss


def training_of(folder: Path) -> Result:
    """A finished training, wherever its folder lies.  Raises CGNError for another run."""
    spec = json.loads((folder / "spec.json").read_text())
    run = experiments.find(spec["profile"], folder.resolve().name)
    declared = run.spec()
    if not isinstance(run, CGN) or any(spec[name] != told for name, told in declared.items()):
        raise CGNError(f"{folder} is no training of a CGN as it is declared")
    return Result(run, folder)


def film_of(result: Result) -> tuple[np.ndarray, dict]:
    """The picture of a film, [T * 32, 10 * 32, 3] bytes, and what is known of it."""
    run = result.run
    evaluation = experiments.profile(run.profile).evaluation(run)
    probe = evaluation.probe
    reader = net_of(probe, runs.load(probe).folder)
    with np.load(result.folder / "film.npz") as film:
        steps, masks, images = film["steps"], torch.from_numpy(film["masks"]), film["images"]
    y = torch.arange(masks.shape[1]).repeat_interleave(masks.shape[2])
    read = [read_masks(reader, mask.flatten(0, 1)[:, None] > 127) == y for mask in masks]
    first = images[:, :, 0]
    sheet = first.swapaxes(1, 2).reshape(-1, first.shape[1] * first.shape[3], 3)
    history = result.history()
    return sheet, {
        "run": run.id, "spec": run.digest(), "profile": run.profile, "seed": run.seed,
        "edge": run.recipe.edge, "border": run.recipe.border or 0.0,
        "usable": runs.load(evaluation).metrics["usable_digits"],
        "reader": probe.id, "masks": masks.shape[2], "steps": steps.tolist(),
        "read": [of.view(masks.shape[1:3]).float().mean(1).tolist() for of in read],
        "around": [[around(of) for of in moment] for moment in masks],
        "losses": {name: [float(f"{row[name]:.{DIGITS}g}") for row in history]
                   for name in history[0]},
        **{name: result.env[name] for name in TOLD},
    }  # fmt: skip


def around(masks: torch.Tensor) -> float:
    """How much of the image's border is mask.  masks: of one digit, [LATENTS, 32, 32] bytes."""
    return round(float(border_coverage(masks[:, None] / 255)), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="of finished trainings")
    films = list(map(film_of, map(training_of, parser.parse_args().folders)))
    kept = paths.records() / "film"
    kept.mkdir(exist_ok=True)
    seed = films[0][1]["seed"]
    for sheet, about in ((sheet, about) for sheet, about in films if about["seed"] == seed):
        Image.fromarray(sheet).save(kept / f"{about['run']}.webp", quality=70, method=6)
    told = [about for _, about in films]
    (kept / "film.json").write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    sys.exit(ended(main, "the same command starts again"))
