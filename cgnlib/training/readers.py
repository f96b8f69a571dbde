"""Readers of shape, texture and background that know no shortcut, and never saw a CGN.

That of the MNIST variants is trained here, on digits whose cues are drawn independently of each
other and of the digit.  The menagerie's comes with the book (`World.probe`).
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from cgnlib import chance
from cgnlib.data.images import Images
from cgnlib.data.variants import Variant
from cgnlib.experiments.recipes import ReaderRecipe
from cgnlib.nets.readers import CueReader
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import Loop


def labelled(data: Variant) -> Images:
    """A split rendered once, with digit, foreground and background as labels, [N, 3]."""
    return Images(data.freeze().x, torch.stack([data.y, data.fg, data.bg], 1))


def independent(rendered: Iterable[Variant]) -> Images:
    """Several renderings of digits, whose cues are drawn at random, as one labelled set."""
    parts = [labelled(data) for data in rendered]
    return Images(torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]))


def train_reader(
    data: Images, recipe: ReaderRecipe, seed: int, checkpoint: Checkpoint
) -> tuple[CueReader, list[dict[str, float]]]:
    """Train a reader: mean cross entropy of its heads, AdamW, one cycle of the rate.

    data: labels [N, 3].  Returns the net, in evaluation mode, and its history, a row an epoch.
    """
    net = chance.seeded(CueReader, chance.generator(seed, "reader"))
    net.to(memory_format=torch.channels_last).train()
    per_epoch = -(-len(data) // recipe.batch)
    steps = per_epoch * recipe.epochs
    optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.lr, steps)

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
    loop = Loop(step, len(data), steps, recipe.batch, seed, parts, per_epoch)
    history = loop.run(checkpoint)
    return net.eval(), history
