"""What a CGN draws while it learns, at moments spread evenly over its training."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgnlib import chance
from cgnlib.data.images import to_bytes
from cgnlib.nets.mnist import CGN, N_CLASSES, compose

FRAMES = 24  # the first before any step, the last after all; fewer in a shorter training
LATENTS = 4  # of each class


class Film:
    """Frames of one net, of the same latents, classes and shifts in every training.

    A loop restores it as one of its parts.  steps: of the whole training.
    """

    def __init__(self, steps: int):
        self.steps = steps
        self.at: list[int] = []
        self.masks: list[Tensor] = []
        self.images: list[Tensor] = []

    def due(self, step: int) -> bool:
        """Whether it is time for the next frame."""
        return step >= self.steps * len(self.at) // (FRAMES - 1)

    @torch.no_grad()
    def look(self, net: CGN, step: int) -> None:
        """A frame, if it is time for one; the net's training draws nothing and is not changed."""
        if not self.due(step):
            return
        rng = chance.generator(chance.SHEET, "film")
        u = net.draw_latent(N_CLASSES * LATENTS, rng)
        y = torch.arange(N_CLASSES, device=u.device).repeat_interleave(LATENTS)
        training = net.training
        mask, fg, bg = net.eval()(u, y, rng)
        net.train(training)
        self.at.append(step)
        self.masks.append((255 * mask[:, 0]).round().byte().cpu())
        self.images.append(to_bytes(compose(mask, fg, bg).permute(0, 2, 3, 1)).cpu())

    def state_dict(self) -> dict:
        return {"at": self.at, "masks": self.masks, "images": self.images}

    def load_state_dict(self, state: dict) -> None:
        self.at, self.masks, self.images = (state[name] for name in ("at", "masks", "images"))

    def save(self, path: Path) -> None:
        """Write steps [T] and, as bytes, masks [T, 10, LATENTS, 32, 32] and images [..., 3]."""

        def stacked(frames: list[Tensor]) -> np.ndarray:
            return torch.stack(frames).unflatten(1, (N_CLASSES, LATENTS)).numpy()

        arrays = {"masks": stacked(self.masks), "images": stacked(self.images)}
        np.savez_compressed(path, steps=np.array(self.at), **arrays)
