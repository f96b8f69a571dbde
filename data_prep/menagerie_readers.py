"""Train the menagerie's classifier, probe and saliency net, and ship them with their records.

classifier: the class of an image whose cues agree; what the inception score is read with.
probe: shape, texture and background, each by a head of its own, from images whose cues were drawn
independently, so that no cue can stand in for another.
u2net: the true mask, from both kinds of image and from backgrounds without an object.

    python data_prep/menagerie_readers.py classifier
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib.chance import PARTS_TEST, PARTS_TRAIN, generator, seeded
from cgnlib.data import menagerie
from cgnlib.data.menagerie import Menagerie
from cgnlib.errors import ended
from cgnlib.measures import metrics
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from cgnlib.training.loop import index_batches
from ship import ship

SEED = 0
TEST = 2_000


class Plan(NamedTuple):
    images: int
    epochs: int
    batch: int
    rate: float


PLANS = {
    "classifier": Plan(8_000, epochs=6, batch=32, rate=3e-3),
    "probe": Plan(24_000, epochs=6, batch=32, rate=3e-3),
    "u2net": Plan(12_000, epochs=3, batch=16, rate=4e-3),
}


def train(name: str) -> tuple[nn.Module, dict]:
    """Train a part; returns it in evaluation mode and the measures of its record."""
    plan = PLANS[name]
    nets = {"classifier": Reader, "probe": lambda: Reader((10, 10, 10)), "u2net": U2Net.small}
    net = seeded(nets[name], generator(SEED, "menagerie", name))
    net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=1e-4)
    steps = plan.epochs * -(-plan.images // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, steps)
    images = store(name, plan.images, PARTS_TRAIN)
    batches = index_batches(plan.images, plan.batch, SEED, 0, steps)
    for index in tqdm(batches, total=steps, unit="step"):
        loss = loss_of(name, net, *(part[index] for part in images))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval()
    return net, plan._asdict() | measure(name, net)


def store(name: str, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images as bytes, their classes [n, 3] and their true masks as bytes."""
    x = torch.empty(n, 3, menagerie.SIZE, menagerie.SIZE, dtype=torch.uint8)
    masks = torch.empty(n, 1, menagerie.SIZE, menagerie.SIZE, dtype=torch.uint8)
    y = torch.empty(n, 3, dtype=torch.int64)
    for part, images, classes, mask in rendered(name, n, seed):
        x[part] = images.add(1).mul(127.5).round().byte()
        y[part], masks[part] = classes, mask.mul(255).round().byte()
    return x, y, masks


def rendered(name: str, n: int, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Chunks of a part's data: indices, images, classes of the three cues, true masks."""
    splits = {"classifier": ("agree",), "probe": ("decorrelated",)}.get(
        name, ("agree", "decorrelated", "agree", "decorrelated", "empty")
    )
    for k, part in enumerate(torch.arange(n).split(200)):
        split = splits[k % len(splits)]
        data = Menagerie("decorrelated" if split == "empty" else split, n, seed)
        x, mask = data.masked(part)
        if split == "empty":
            x, mask = data.backdrops(part), torch.zeros_like(mask)
        yield part, x, torch.stack([data.y, data.texture, data.background], 1)[part], mask


def loss_of(name: str, net: nn.Module, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    x = x.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
    if name == "u2net":
        target = (mask.float() / 255).expand(-1, 7, -1, -1)
        return 7 * F.binary_cross_entropy_with_logits(net.logits(x), target)
    return sum(F.cross_entropy(scores, y[:, i]) for i, scores in enumerate(net(x)))


@torch.inference_mode()
def measure(name: str, net: nn.Module) -> dict[str, float]:
    """Quality on images of another seed."""
    found: dict[str, list[Tensor]] = {}
    for _, x, y, mask in rendered(name, TEST, PARTS_TEST):
        if name == "u2net":
            ours, true = net(x) > 0.5, mask > 0.5
            if true.any():
                found.setdefault("iou", []).append(metrics.paired_iou(ours, true))
            else:
                found.setdefault("empty_coverage", []).append(ours.float().mean((1, 2, 3)))
            continue
        cues = ("accuracy",) if name == "classifier" else ("shape", "texture", "background")
        for cue, scores, target in zip(cues, net(x), y.T, strict=False):
            found.setdefault(cue, []).append((scores.argmax(1) == target).float())
    return {key: torch.cat(values).mean().item() for key, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", choices=list(PLANS), help="what to train")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    args = parser.parse_args()
    if not 1 <= args.threads <= 256:
        parser.error("--threads: 1 to 256")
    torch.set_num_threads(args.threads)
    for name in args.names:
        began = time.monotonic()
        net, record = train(name)
        record |= {"seed": SEED, "seconds": round(time.monotonic() - began)}
        ship(name, net, record)
        print(name, record)


if __name__ == "__main__":
    sys.exit(ended(main, "the same command starts again"))
