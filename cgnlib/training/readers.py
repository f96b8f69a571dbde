"""Readers of shape, texture and background that know no shortcut, and never saw a CGN.

That of the MNIST variants is trained here, on digits whose cues are drawn independently of each
other and of the digit.  The menagerie's comes with the book (`worlds.probe`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cgnlib.chance import generator, seeded
from cgnlib.data.images import Images
from cgnlib.data.variants import Variant
from cgnlib.nets.readers import CueReader
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import run_loop


def labelled(data: Variant) -> Images:
    """A split rendered once, with digit, foreground and background as labels, [N, 3]."""
    return Images(data.freeze().x, torch.stack([data.y, data.fg, data.bg], 1))


def independent(name: str, s: dict, rng: torch.Generator) -> Images:
    """Training digits of a variant in cues drawn at random, s["renderings"] times over."""
    parts = [
        labelled(Variant(name, s["digits"], "train", rng, s["textures"], association="random"))
        for _ in range(s["renderings"])
    ]
    return Images(torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]))


def train_reader(
    data: Images, s: dict, seed: int, checkpoint: Checkpoint
) -> tuple[CueReader, list[dict[str, float]]]:
    """Train a reader: mean cross entropy of its heads, AdamW, one cycle of the rate.

    data: labels [N, 3].  s: batch, epochs, lr.  History has a row an epoch.
    """
    net = seeded(CueReader, generator(seed, "reader")).to(memory_format=torch.channels_last).train()
    per_epoch = -(-len(data) // s["batch"])
    steps = per_epoch * s["epochs"]
    optimiser = torch.optim.AdamW(net.parameters(), s["lr"], weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, s["lr"], steps)

    def step(index: Tensor) -> dict[str, Tensor]:
        x, y = data.batch(index)
        scores = net(x)
        loss = F.cross_entropy(scores, y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        return {"loss": loss, "train_accuracy": (scores.argmax(1) == y).float().mean()}

    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    s = s | {"steps": steps}
    history = run_loop(step, len(data), s, seed, checkpoint, parts, per_epoch)
    return net.eval(), history
