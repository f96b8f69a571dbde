"""TODO."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

from cgnbook import evidence
from cgnbook.figures import STYLE, bytes_of, tile
from cgnbook.tables import NAMES
from cgnlib.data.variants import Variant


def variants(
    splits: Mapping[str, tuple[Variant, Variant]], *made_by: evidence.Source, n: int = 3
) -> evidence.Shown:
    """What each variant looks like: training images on the left, test images on the right.

    splits: training and test split by variant.  The first n images of the digits 0 to 4 are shown,
    a column for each digit.
    """
    with plt.rc_context(STYLE):
        size = (8.2, 2.5 * len(splits) + 0.3)
        figure, axes = plt.subplots(len(splits), 2, figsize=size, layout="constrained")
        for row, (name, pair) in zip(axes, splits.items(), strict=True):
            for axis, data in zip(row, pair, strict=True):
                chosen = [(data.y == digit).nonzero()[:n, 0] for digit in range(5)]
                tile(axis, np.stack([bytes_of(data.batch(i)[0]) for i in chosen], axis=1))
            row[0].set_ylabel(NAMES[name], fontsize=15, fontweight="bold")
        axes[0, 0].set_title("training", fontsize=15)
        axes[0, 1].set_title("test", fontsize=15)
        figure.get_layout_engine().set(wspace=0.04)
    return evidence.show("variants", *made_by)


def palettes(
    colors: Mapping[str, Sequence[tuple[int, int, int]]], *made_by: evidence.Source
) -> evidence.Shown:
    """Ten colours of 0...255 for the ten classes, in rows by the name of their palette."""
    swatches = np.array(list(colors.values()), np.uint8)[:, :, None, None]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 0.4 + 0.43 * len(colors)), layout="constrained")
        tile(axis, np.broadcast_to(swatches, (*swatches.shape[:2], 20, 32, 3)))
        axis.set_xticks(np.arange(10) * 34 + 15.5, range(10))
        axis.set_yticks(np.arange(len(colors)) * 22 + 9.5, colors)
        axis.tick_params(length=0, labelsize=14, labeltop=True, labelbottom=False)
    return evidence.show("palettes", *made_by)


def textures(pair: Tensor, *made_by: evidence.Source) -> evidence.Shown:
    """The twenty textures of W-MNIST with their classes.  pair: [2, 10, H, W, 3] bytes."""
    with plt.rc_context(STYLE | {"figure.dpi": 75}):  # grain makes large files
        _, axes = plt.subplots(2, 1, figsize=(6.2, 5.6), layout="constrained")
        titles = ("object textures", "background textures")
        for axis, images, title in zip(axes, pair.numpy(), titles, strict=True):
            side = images.shape[1] + 6
            tile(axis, images.reshape(2, 5, *images.shape[1:]), gap=6)
            for label in range(10):
                x, y = label % 5 * side + 14, label // 5 * side + 16
                axis.text(x, y, label, ha="center", va="center", fontsize=12, bbox=_LABEL)
            axis.set_title(title, fontsize=13)
    return evidence.show("textures", *made_by)


def hidden_digits(x: Tensor, *made_by: evidence.Source) -> evidence.Shown:
    """Images of digits in the colour of their background: as they are, and stretched to be seen.

    x: [N, 3, 32, 32].  Below each image, its mean over the channels from black to white.
    """
    grey = x.mean(1, keepdim=True).expand_as(x)
    low, high = grey.amin((1, 2, 3), keepdim=True), grey.amax((1, 2, 3), keepdim=True)
    stretched = (grey - low) / (high - low) * 2 - 1
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 8.2 * 2 / len(x)), layout="constrained")
        tile(axis, np.stack([bytes_of(x), bytes_of(stretched)]))
    return evidence.show("hidden-digits", *made_by)


_LABEL = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}
