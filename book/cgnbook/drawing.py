"""Figures of the chapters.  Each draws, shows and returns its box."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

from cgnbook import boxes, drawn
from cgnbook.names import NAMES
from cgnlib.data.images import to_bytes
from cgnlib.data.variants import Variant
from cgnlib.runs import Result

SHEET_SEED = 2022
STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.size": 10,
    "font.family": "DejaVu Sans",
}
# Okabe and Ito's colours, told apart by colour-blind readers; shapes say the same again.
SOURCES = {
    "Paper": ("#000000", "D"),
    "Study": ("#D55E00", "s"),
    "Reference run": ("#009E73", "^"),
    "This run": ("#0072B2", "o"),
}


def arrays_of(result: Result) -> dict[str, np.ndarray]:
    with np.load(result.folder / "samples.npz") as stored:
        return dict(stored)


def tile(axis, images: np.ndarray, gap: int = 2) -> None:
    """Images [R, C, H, W, 3] as a grid with white gaps, without ticks."""
    rows, columns, h, w, _ = images.shape
    canvas = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 255, np.uint8)
    for r in range(rows):
        for c in range(columns):
            y, x = r * (h + gap), c * (w + gap)
            canvas[y : y + h, x : x + w] = images[r, c]
    axis.imshow(canvas, interpolation="nearest", gid=drawn.GRID.format(h, w, gap))
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def variants(
    splits: Mapping[str, tuple[Variant, Variant]], *made_by: boxes.Source, n: int = 3
) -> boxes.Shown:
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
    return boxes.show("variants", *made_by)


def palettes(
    colors: Mapping[str, Sequence[tuple[int, int, int]]], *made_by: boxes.Source
) -> boxes.Shown:
    """Ten colours of 0...255 for the ten classes, in rows by the name of their palette."""
    swatches = np.array(list(colors.values()), np.uint8)[:, :, None, None]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 0.4 + 0.43 * len(colors)), layout="constrained")
        tile(axis, np.broadcast_to(swatches, (*swatches.shape[:2], 20, 32, 3)))
        axis.set_xticks(np.arange(10) * 34 + 15.5, range(10))
        axis.set_yticks(np.arange(len(colors)) * 22 + 9.5, colors)
        axis.tick_params(length=0, labelsize=14, labeltop=True, labelbottom=False)
    return boxes.show("palettes", *made_by)


def textures(pair: Tensor, *made_by: boxes.Source) -> boxes.Shown:
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
    return boxes.show("textures", *made_by)


def hidden_digits(x: Tensor, *made_by: boxes.Source) -> boxes.Shown:
    """Images of digits in the colour of their background: as they are, and stretched to be seen.

    x: [N, 3, 32, 32].  Below each image, its mean over the channels from black to white.
    """
    grey = x.mean(1, keepdim=True).expand_as(x)
    low, high = grey.amin((1, 2, 3), keepdim=True), grey.amax((1, 2, 3), keepdim=True)
    stretched = (grey - low) / (high - low) * 2 - 1
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 8.2 * 2 / len(x)), layout="constrained")
        tile(axis, np.stack([bytes_of(x), bytes_of(stretched)]))
    return boxes.show("hidden-digits", *made_by)


_LABEL = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}


def bytes_of(x: Tensor) -> np.ndarray:
    return to_bytes(x).permute(0, 2, 3, 1).numpy()
