"""CGNs of ImageNet and the menagerie, by the group of losses that they went without.

Two chapters and what comes after them look at the same CGNs.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook.drawing import WIDTH, arrays_of, tile
from cgnbook.names import ABLATED, NONE
from cgnlib.runs import Result

PANELS = {
    "mask": "mask",
    "premask": "premask",
    "fg": "texture",
    "bg": "background",
    "x_gen": "composed",
    "x_gt": "BigGAN",
}
READ = {
    "shape_read": "Shape",
    "texture_read": "Texture",
    "background_read": "Background",
    "all_read": "All three",
}
_PROBED = READ | {"mask_binary": "Mask binary"}

Measured = dict[str, dict[str, list[float]]]


def measured(rows: pd.DataFrame) -> Measured:
    """Every metric by ablation, one value a run.  Rows of runs without a CGN are left out."""
    by: Measured = {}
    for row in rows[rows.removed != ""].itertuples():
        by.setdefault(row.removed, {}).setdefault(row.metric, []).append(float(row.value))
    return by


def probed(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What a reader finds in counterfactuals, in percent, and how good the masks are; by ablation.

    frames: records, by what their source is called.
    """
    return pd.DataFrame(
        {"Source": source, "CGN": ABLATED[ablation], "Runs": len(by["mask_iou"])}
        | {name: _whole(by[metric]) if metric in by else NONE for metric, name in _PROBED.items()}
        | {"Mask IoU": f"{np.mean(by['mask_iou']):.2f}"}
        for source, frame in frames.items()
        for ablation, by in measured(frame).items()
        if "mask_iou" in by
    )


def _whole(values: Sequence[float]) -> str:
    """Mean ± standard deviation in whole percent; a table of many columns has no room for more."""
    mean = f"{100 * np.mean(values):.0f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * np.std(values, ddof=1):.0f}"


def panels(
    blocks: Mapping[str, Sequence[tuple[str, Result, int]]],
    names: Sequence[str],
    ringed: Mapping[tuple[int, int], str] | None = None,
) -> None:
    """Draw parts of CGNs, a block below the other.

    blocks: by title, a label, a run and a class of its sheet for each row.  names: of PANELS, a
    column each.  ringed: the colours of frames round pictures, by row and column.
    """
    side, left = (WIDTH - 0.95) / len(names), 0.3
    rows = [len(block) for block in blocks.values()]
    _, axes = plt.subplots(
        len(blocks), 1, figsize=(WIDTH, sum(rows) * side + left * len(rows) + 0.35),
        height_ratios=rows, layout="constrained", squeeze=False,
    )  # fmt: skip
    for axis, (title, block) in zip(axes[:, 0], blocks.items(), strict=True):
        parts = [[arrays_of(result)[name][c] for name in names] for _, result, c in block]
        tile(axis, np.array(parts))
        step = parts[0][0].shape[0] + 2
        middle = step / 2 - 1.5
        axis.set_xticks(np.arange(len(names)) * step + middle, [PANELS[name] for name in names])
        axis.set_yticks(np.arange(len(block)) * step + middle, [label for label, _, _ in block])
        axis.tick_params(length=0, labeltop=True, labelbottom=False, labelsize=9)
        axis.set_title(title)
        for (row, column), colour in (ringed or {}).items():
            corner = (column * step - 1.5, row * step - 1.5)
            axis.add_patch(
                plt.Rectangle(corner, step, step, fc="none", ec=colour, lw=2, clip_on=False)
            )
