"""CGNs of ImageNet and the menagerie, by the group of losses that they went without.

Two chapters and what comes after them look at the same CGNs.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook.drawing import arrays_of, tile
from cgnbook.names import NONE, REMOVED
from cgnlib.runs import Result

PANELS = {
    "mask": "mask $m$",
    "premask": "premask $\\tilde m$",
    "fg": "texture $f$",
    "bg": "background $b$",
    "x_gen": "composed $x_{gen}$",
    "x_gt": "BigGAN $x_{gt}$",
}
_PROBED = {
    "shape_read": "Shape",
    "texture_read": "Texture",
    "background_read": "Background",
    "all_read": "All three",
    "mask_binary": "Mask binary",
}

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
        {"Source": source, "Left out": REMOVED[ablation], "Runs": len(by["mask_iou"])}
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
    rows: Sequence[tuple[str, Result, int]], names: Sequence[str], size: tuple[float, float]
) -> None:
    """Draw parts of CGNs on one axis.

    rows: a label, a run, and a class of its sheet each.  names: of PANELS, a column each.
    """
    _, axis = plt.subplots(figsize=size, layout="constrained")
    stacked = np.stack(
        [np.stack([arrays_of(result)[name][c] for name in names]) for _, result, c in rows]
    )
    tile(axis, stacked)
    side = stacked.shape[2] + 2
    axis.set_xticks(np.arange(len(names)) * side + side / 2, [PANELS[name] for name in names])
    axis.set_yticks(np.arange(len(rows)) * side + side / 2, [label for label, _, _ in rows])
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
