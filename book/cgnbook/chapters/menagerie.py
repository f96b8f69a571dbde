"""The menagerie: its renderings, and the records of its pretrained parts."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from torch import Tensor

from cgnbook import boxes
from cgnbook.drawing import STYLE, WIDTH, bytes_of, tile
from cgnbook.names import NONE
from cgnlib.nets import shipped

PARTS = {"biggan": "BigGAN", "u2net": "U2-Net", "classifier": "Classifier", "probe": "Reader"}
FACTS = {
    "images": "training images",
    "epochs": "epochs",
    "steps": "steps",
    "batch": "batch",
    "rate": "learning rate",
    "seed": "seed",
    "seconds": "seconds",
    "accuracy": "accuracy",
    "iou": "mask IoU",
    "empty_coverage": "coverage without object",
    "class_read": "class read",
    "inception_score": "inception score",
    "inception_score_real": "inception score of true images",
    "shape": "shape read",
    "texture": "texture read",
    "background": "background read",
    "bytes": "bytes",
    "sha256": "sha256, first 12 digits",
    "torch": "torch",
}


def renderings(rows: Iterable[tuple[str, Tensor]], *made_by: boxes.Source) -> boxes.Shown:
    """Rows of rendered images with their names.  Images: [N, 3, H, W] in -1...1."""
    rows = list(rows)
    stacked = np.stack([bytes_of(x) for _, x in rows])
    size = (WIDTH, (WIDTH - 1.2) * len(rows) / stacked.shape[1])
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=size, layout="constrained")
        tile(axis, stacked)
        side = stacked.shape[2] + 2
        axis.set_yticks(np.arange(len(rows)) * side + side / 2, [name for name, _ in rows])
        axis.tick_params(length=0)
    return boxes.show("renderings", *made_by)


def pretrained() -> pd.DataFrame:
    """The records of the menagerie's shipped parts: a fact a line, a part a column."""
    records = {name: shipped.record(name) for name in shipped.NAMES}
    return pd.DataFrame(
        {"Fact": words} | {PARTS[name]: _shown(of.get(fact, NONE)) for name, of in records.items()}
        for fact, words in FACTS.items()
        if any(fact in of for of in records.values())
    )


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)[:12]  # of a checksum, the first digits
