"""What the figures of the chapters share: their looks, their colours by source, tiles of pixels."""

import numpy as np
from torch import Tensor

from cgnbook import drawn
from cgnlib.data.images import to_bytes
from cgnlib.runs import Result

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
    "Authors' weights": ("#009E73", "^"),
    "Trained here": ("#CC79A7", "v"),
    "This run": ("#0072B2", "o"),
}


def sign(source: str) -> tuple[str, str]:
    """Colour and mark of a source, the same in every figure that sets several side by side."""
    return next(look for name, look in SOURCES.items() if source.startswith(name))


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


def bytes_of(x: Tensor) -> np.ndarray:
    return to_bytes(x).permute(0, 2, 3, 1).numpy()
