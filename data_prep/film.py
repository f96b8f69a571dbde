"""Film the training of CGNs of W-MNIST by the recipe of `mini`: how digits appear, and get lost.

Each is the declared run of `mini`, but for its seed, trained once more; at 24 steps its masks and
compositions are kept, of the same latents each time, and the mask reader of `mini` is asked how
often it sees the intended digit.  Written are, for each seed, the frames one below the other as
book/_interactive/film/<variant>-s<seed>.webp, and for all of them book/records/film.json.

    python data_prep/film.py                      # ten minutes of one core for each seed
"""

import argparse
import json
import sys
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from cgnlib import experiments, paths, processor, runs
from cgnlib.chance import DIGITS_SHEET, generator
from cgnlib.compute.digits import predict, split_of
from cgnlib.compute.nets_of import net_of
from cgnlib.data.images import Images, to_bytes
from cgnlib.errors import ended
from cgnlib.nets import mnist
from cgnlib.runs import provenance
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_cgn

VARIANT, PROFILE, FRAMES, EACH = "wildlife", "mini", 24, 100
SHOWN = paths.ROOT / "book/_interactive/film"
RECORD = paths.records() / "film.json"
LOSSES = ("adversarial", "discriminator", "mask", "edge", "perceptual")


@dataclass
class Camera(Checkpoint):
    """Looks at the generator after some steps, and keeps nothing else.

    frames: [64, 320, 3] bytes by step: masks and compositions of the ten digits.  read: by step,
    how often the reader sees the digit that a mask was asked for.
    """

    steps: tuple[int, ...] = ()
    reader: mnist.CNN | None = None
    frames: dict[int, Tensor] = field(default_factory=dict)
    read: dict[int, list[float]] = field(default_factory=dict)

    def after_step(self, loop: dict, parts: dict) -> None:
        """Take a picture when it is time."""
        if loop["step"] in self.steps:
            net = deepcopy(parts["net"]).eval()
            self.frames[loop["step"]] = picture(net)
            self.read[loop["step"]] = read(net, self.reader)


@torch.inference_mode()
def picture(net: mnist.CGN) -> Tensor:
    """Masks of the ten digits in a row, and below them compositions, [64, 320, 3] bytes; cues of
    two other classes, as in the book's other pictures."""
    y, rng = torch.arange(10), generator(DIGITS_SHEET, "film")
    mask = net.mask(net.draw_latent(10, rng), y)
    fg, bg = (
        make(net.draw_latent(10, rng), (y + step) % 10, rng)
        for make, step in ((net.foreground, 4), (net.background, 8))
    )
    rows = (mask.expand(-1, 3, -1, -1) * 2 - 1, mnist.compose(mask, fg, bg))
    return torch.cat([torch.cat(list(to_bytes(row)), 2) for row in rows], 1).permute(1, 2, 0)


@torch.inference_mode()
def read(net: mnist.CGN, reader: mnist.CNN) -> list[float]:
    """Share of the masks of each digit in which the reader sees it, [10]."""
    y = torch.arange(10).repeat_interleave(EACH)
    mask = net.mask(net.draw_latent(len(y), generator(DIGITS_SHEET, "film", "read")), y) > 0.5
    x = to_bytes(mask.expand(-1, 3, -1, -1).float() * 2 - 1).permute(0, 2, 3, 1)
    seen = predict(reader, Images(x.contiguous(), y)) == y
    return seen.view(10, EACH).float().mean(1).tolist()


def steps_of(last: int) -> tuple[int, ...]:
    """When to look: ever less often, since most happens early."""
    return tuple(round(last * (k / FRAMES) ** 2) for k in range(1, FRAMES + 1))


def film(seed: int) -> tuple[Tensor, list[dict]]:
    """The frames below each other, [24 * 64, 320, 3] bytes, and a row for each."""
    declared = experiments.find(PROFILE, f"cgn-{VARIANT}-s0")
    judge = experiments.find(PROFILE, f"evaluation-{VARIANT}-g0-s0").probe
    [judged] = runs.ensure([judge])
    run = replace(declared, seed=seed)
    reader = net_of(judge, judged.folder)
    camera = Camera(steps=steps_of(run.recipe.steps), reader=reader)
    torch.set_num_threads(1)
    data = split_of(run, "train", generator(seed, "data"))
    _, history = train_cgn(data, run.recipe, seed, camera)
    about = {"run": run.id, "spec": run.digest(), "commit": provenance.commit()}
    about |= {"device": processor.device(), "torch": torch.__version__, "images": EACH}
    about["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    rows = []
    for step in camera.steps:
        row = next(row for row in history if row["step"] >= step)  # the window that it lies in
        losses = {name: round(row[name], 4) for name in LOSSES}
        told = [round(share, 2) for share in camera.read[step]]
        rows.append({"seed": seed, "step": step} | losses | {"read": told} | about)
    return torch.cat(list(camera.frames.values())), rows


def write(rows: list[dict], path: Path) -> None:
    """Put rows into the record, a line each, in the place of those of the same seed."""
    kept = json.loads(path.read_text()) if path.exists() else []
    every = [row for row in kept if row["seed"] != rows[0]["seed"]] + rows
    every.sort(key=lambda row: (row["seed"], row["step"]))
    path.write_text("[\n" + ",\n".join(map(json.dumps, every)) + "\n]\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1], help="(default: 0 1)")
    for seed in parser.parse_args().seeds:
        frames, rows = film(seed)
        path = SHOWN / f"{VARIANT}-s{seed}.webp"
        Image.fromarray(frames.numpy()).save(path, quality=80, method=6)
        write(rows, RECORD)
        last = rows[-1]["read"]
        print(f"seed {seed}: {sum(share >= 0.5 for share in last)} usable digits, {last}")


if __name__ == "__main__":
    sys.exit(ended(main, "the same command starts again"))
