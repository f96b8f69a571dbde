"""Figures of the chapters.  Each draws, shows and returns its box."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from torch import Tensor

from cgnbook import drawn, evidence, records
from cgnbook.tables import NAMES, SETTINGS
from cgnlib.chance import generator
from cgnlib.counterfactuals.digits import interventions
from cgnlib.data.images import to_bytes
from cgnlib.experiments import TRAIN_SETS, VARIANTS
from cgnlib.nets.mnist import CGN, compose
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


def samples(results: Sequence[Result], digits: Sequence[int] = (0, 1, 2, 3)) -> evidence.Shown:
    """The study's Figure 1: original images on the left, counterfactuals on the right.

    results: one evaluation for each variant; three samples of each digit are shown.  Those that
    the book keeps have no original images.
    """
    n, stored = len(results), [arrays_of(result) for result in results]
    halves = {"real": "original", "counterfactual": "counterfactual"}
    shown = [name for name in halves if name in stored[0]]
    with plt.rc_context(STYLE):
        columns = len(shown) * n
        _, axes = plt.subplots(1, columns, figsize=(columns * 1.55, 2.6), layout="constrained")
        for half, name in enumerate(shown):
            for i, (result, arrays) in enumerate(zip(results, stored, strict=True)):
                images = arrays[name].reshape(10, 3, 32, 32, 3)[list(digits)]
                axis = axes[half * n + i]
                tile(axis, images)
                axis.set_title(NAMES[result.run.variant], fontsize=10)
                axis.set_xlabel(halves[name])
    return evidence.show("samples", results)


def mechanisms(result: Result) -> evidence.Shown:
    """What each mechanism of one CGN makes for the ten classes, and what they compose to."""
    arrays = arrays_of(result)
    rows = ("mask", "fg", "bg", "x_gen")
    labels = ("mask $m$", "texture $f$", "background $b$", "composed")
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(4, 1, figsize=(8.2, 3.5), layout="constrained")
        for axis, name, label in zip(axes, rows, labels, strict=True):
            tile(axis, arrays[name][None])
            axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axes[0].set_title(NAMES[result.run.variant])
    return evidence.show("mechanisms", result)


def shipped(nets: Mapping[str, CGN], *made_by: evidence.Source, n: int = 2) -> evidence.Shown:
    """Counterfactuals of one CGN a variant, n of each digit, a column for each digit."""
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            len(nets), 1, figsize=(8.2, 0.82 * n * len(nets) + 0.3), layout="constrained"
        )
        for axis, (variant, net) in zip(axes, nets.items(), strict=True):
            y = torch.arange(10).repeat(n)
            with torch.inference_mode():
                mask, fg, bg, _, _ = next(interventions(net, y, generator(SHEET_SEED, variant)))
                images = bytes_of(compose(mask, fg, bg))
            tile(axis, images.reshape(n, 10, *images.shape[1:]))
            axis.set_ylabel(NAMES[variant], fontsize=12, fontweight="bold")
    return evidence.show("shipped", *made_by)


def digit_quality(frame: pd.DataFrame) -> evidence.Shown:
    """Share of masks of each digit that the mask probe reads as that digit."""
    metrics = [f"mask_read_{digit}" for digit in range(10)]
    rows = frame[frame["metric"].isin(metrics)].copy()
    rows["value"] = rows["value"].astype(float) * 100
    table = rows.pivot_table(index="variant", columns="metric", values="value", sort=False)
    table = table.loc[[v for v in VARIANTS if v in table.index], metrics]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 0.5 + 0.5 * len(table)), layout="constrained")
        sns.heatmap(
            table, vmin=0, vmax=100, annot=True, fmt=".0f", cmap="cividis", ax=axis,
            yticklabels=[NAMES[v] for v in table.index], xticklabels=range(10),
            cbar_kws={"label": "%"}, linewidths=1,
        )  # fmt: skip
        axis.set(xlabel="digit", ylabel="")
        axis.tick_params(axis="y", rotation=0)
    return evidence.show("digit-quality", rows)


def robustness(live: pd.DataFrame, reference: pd.DataFrame) -> evidence.Shown:
    """Test accuracy of every setting: a mark for each run here, and what others reported."""
    told = records.reported("mnist-classification", metric="test_accuracy")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.1), sharey=True, layout="constrained")
        for axis, variant in zip(axes, VARIANTS, strict=True):
            axis.axvline(10, color="0.7", lw=1, ls=":")
            for y, train_on in enumerate(TRAIN_SETS):
                for source, shift in zip(SOURCES, (-0.27, -0.09, 0.09, 0.27), strict=True):
                    values = _values(source, told, reference, live, variant, train_on)
                    color, marker = SOURCES[source]
                    axis.plot(
                        values, np.full(len(values), y + shift), marker, color=color, ms=5.5,
                        mec="white", mew=0.6, ls="none", label=source,
                    )  # fmt: skip
            axis.set(title=NAMES[variant], xlim=(0, 100), xlabel="test accuracy, %")
            axis.set_yticks(range(len(TRAIN_SETS)), [SETTINGS[t] for t in TRAIN_SETS])
            axis.grid(axis="x", color="0.92")
            axis.set_axisbelow(True)
        axes[0].invert_yaxis()
        handles = [
            plt.Line2D([], [], color=c, marker=m, ls="none", label=s)
            for s, (c, m) in SOURCES.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return evidence.show(
        "robustness", live, reference, told[told.source.isin(["paper", "article"])]
    )


def _values(source, told, reference, live, variant, train_on) -> list[float]:
    if source in ("Paper", "Study"):
        kind = {"Paper": "paper", "Study": "article"}[source]
        rows = told[(told.column == variant) & (told.row == train_on) & (told.source == kind)]
        return rows["value"].astype(float).tolist()
    frame = reference if source == "Reference run" else live
    rows = frame[(frame.metric == "test_accuracy") & (frame.variant == variant)]
    rows = rows[rows.train_on == train_on]
    if source == "Reference run" and train_on.endswith("cgn"):
        rows = rows[rows.generator == "published"]
    return (rows["value"].astype(float) * 100).tolist()


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
