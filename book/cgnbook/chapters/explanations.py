"""What classifiers see: heat maps against masks, features in the plane and in numbers."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import boxes
from cgnbook.cited import cited
from cgnbook.drawing import STYLE, arrays_of, tile
from cgnbook.names import NAMES, NONE, SETTINGS
from cgnbook.page import Page
from cgnbook.records import AUTHORS
from cgnbook.tables import spread
from cgnbook.words import sorted_out
from cgnlib.experiments import VARIANTS
from cgnlib.runs import Result

TRAINED_ON = ("original", "cgn")
MEASURES = {
    "Study's IoU": "study_iou",
    "Foreground": "foreground_iou",
    "Background": "background_iou",
    "Inside": "heat_inside",
    "AP": "average_precision",
    "Flat": "constant_maps",
}
_COLOURS = {"original": "#D55E00", "cgn": "#0072B2"}


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number and remark of the text, in percent."""
    there = of_published(this.reference)
    means = this.live.groupby("metric").value.mean()
    measures = {"inside": "heat_inside", "ap": "average_precision"}
    return {
        "changes": changes(this.live),
        "coverage": 100 * float(means["mask_coverage_true"]),
        "empty": 100 * float(means["study_iou_empty"]),
        "original-flat": 100 * of_cell(there, "wildlife", "original", "constant_maps")[0],
        "chance": 100 * of_cell(there, "wildlife", "cgn", "mask_coverage_true")[0],
        **{
            f"{train_on}-{name}": 100 * of_cell(there, "wildlife", train_on, metric)[0]
            for train_on in TRAINED_ON
            for name, metric in measures.items()
        },
    }


def changes(frame: pd.DataFrame) -> str:
    """What counterfactual training does to the study's overlap, beyond the seeds."""
    found: dict[str, list[str]] = {"up": [], "down": [], "level": []}
    for variant in VARIANTS:
        before, after = (of_cell(frame, variant, of, "study_iou") for of in TRAINED_ON)
        up, down = min(after) > max(before), max(after) < min(before)
        found["up" if up else "down" if down else "level"].append(NAMES[variant])
    words = {
        "up": "raises the number on {}",
        "down": "lowers it on {}",
        "level": "on {} moves it by no more than the seeds differ",
    }
    return sorted_out(found, words)


def overlap(frame: pd.DataFrame) -> pd.DataFrame:
    """How heat maps and digit masks overlap, in percent, by variant and training set.

    The last row of a variant is a map that is empty everywhere.
    """
    rows = []
    for variant in VARIANTS:
        for train_on in TRAINED_ON:
            cells = {
                title: spread(of_cell(frame, variant, train_on, metric))
                for title, metric in MEASURES.items()
            }
            rows.append({"Data": NAMES[variant], "Trained on": SETTINGS[train_on], **cells})
        empty = spread(of_cell(frame, variant, "original", "study_iou_empty"))
        bare = dict.fromkeys(MEASURES, NONE) | {"Study's IoU": empty}
        rows.append({"Data": NAMES[variant], "Trained on": "no map at all", **bare})
    return pd.DataFrame(rows)


def against_study(this: Page) -> pd.DataFrame:
    """The study's IoU in percent: its cached values, recomputed ones, and ours.

    `Masks swapped`: ours with masks that belong to other images, as the study's on DC- and
    W-MNIST did.
    """
    told = this.told("gradcam-iou")
    frames = {
        "Study": told[told.source == "Study, cached"],
        "Recomputed": told[told.source == "Recomputed"],
        AUTHORS: of_published(this.reference),
        this.label: this.live,
    }
    rows = []
    for variant in VARIANTS:
        for train_on in TRAINED_ON:
            row = {"Data": NAMES[variant], "Trained on": SETTINGS[train_on]}
            for title, frame in frames.items():
                row[title] = spread(of_cell(frame, variant, train_on, "study_iou"))
            unrelated = of_cell(this.live, variant, train_on, "study_iou_unrelated")
            rows.append(row | {"Masks swapped": spread(unrelated)})
    return pd.DataFrame(rows)


def of_published(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the classifiers of CGNs trained here: the study had the published ones alone."""
    return frame[~frame.generator.str.startswith("trained")]


def readings(frame: pd.DataFrame) -> pd.DataFrame:
    """What a linear probe reads from the features, in percent, by variant and training set."""
    rows = []
    for variant in VARIANTS:
        for train_on in TRAINED_ON:
            cells = {
                cue.capitalize(): spread(of_cell(frame, variant, train_on, f"{cue}_read"))
                for cue in ("digit", "foreground", "background")
            }
            rows.append({"Data": NAMES[variant], "Trained on": SETTINGS[train_on], **cells})
    return pd.DataFrame(rows)


def embeddings(results: Sequence[Result]) -> boxes.Shown:
    """The study's Figure 4: features of test images in the plane, coloured by digit.

    A column for each variant; above trained on original data, below on counterfactuals.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 3, figsize=(8.6, 6.0), layout="constrained")
        for row, train_on in zip(axes, TRAINED_ON, strict=True):
            for axis, variant in zip(row, VARIANTS, strict=True):
                with np.load(_first(results, variant, train_on).folder / "embedding.npz") as stored:
                    points, digit = stored["embedding"], stored["digit"]
                for label in range(10):
                    at = points[digit == label]
                    axis.scatter(*at.T, s=5, color=plt.cm.tab10(label), label=str(label), lw=0)
                axis.set(xticks=[], yticks=[])
                for side in ("left", "bottom"):
                    axis.spines[side].set_color("0.8")
            row[0].set_ylabel(f"trained on {SETTINGS[train_on].lower().replace('cgn', 'CGN')}")
        for axis, variant in zip(axes[0], VARIANTS, strict=True):
            axis.set_title(NAMES[variant])
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=10, frameon=False,
                      markerscale=3, handletextpad=0.1)  # fmt: skip
    return boxes.show("embeddings", _shown(results))


def heat_maps(results: Sequence[Result], n: int = 8) -> boxes.Shown:
    """The study's Figure 5: test images, and where two classifiers look; a block a variant."""
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(3, 1, figsize=(0.85 * n + 1.6, 8.4), layout="constrained")
        for axis, variant in zip(axes, VARIANTS, strict=True):
            pair = [arrays_of(_first(results, variant, train_on)) for train_on in TRAINED_ON]
            x = pair[0]["x"][:n]
            heat = [_overlay(x, arrays["heat"][:n]) for arrays in pair]
            tile(axis, np.stack([x, *heat]))
            side = x.shape[1] + 2
            axis.set_yticks(np.arange(3) * side + side / 2, ["image", "original", "CGN"])
            axis.tick_params(length=0)
            axis.set_title(NAMES[variant])
    return boxes.show("heat-maps", _shown(results))


def by_digit(this: Page) -> boxes.Shown:
    """The study's Figure 6: its IoU by digit, ours (a mark a seed) beside its cached values."""
    told = this.told("gradcam-iou", source="Study, cached")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.0), sharey=True, layout="constrained")
        for axis, variant in zip(axes, VARIANTS, strict=True):
            for train_on, colour in _COLOURS.items():
                name = SETTINGS[train_on]
                study = [
                    100 * of_cell(told, variant, train_on, f"study_iou_{y}")[0] for y in range(10)
                ]
                axis.plot(range(10), study, color=colour, lw=1.2, label=f"{name}, study")
                for y in range(10):
                    values = of_cell(this.live, variant, train_on, f"study_iou_{y}")
                    axis.plot([y] * len(values), [100 * v for v in values], "o", ms=4.5,
                              color=colour, mec="white", mew=0.5,
                              label=f"{name}, this run" if y == 0 else None)  # fmt: skip
            axis.set(title=NAMES[variant], xlabel="digit", xticks=range(10))
            axis.grid(axis="y", color="0.92")
        axes[0].set_ylabel("study's IoU, %")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return boxes.show("by-digit", this.live, told)


def _overlay(x: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Images [N, H, W, 3] in grey under a heat map [N, H, W] in 0...1."""
    grey = x.mean(-1, keepdims=True).repeat(3, -1) / 255
    colour = plt.cm.inferno(heat)[..., :3]
    return (255 * (0.35 * grey + 0.65 * colour)).round().astype(np.uint8)


def _first(results: Sequence[Result], variant: str, train_on: str) -> Result:
    """The first run of a cell: the seed that figures show."""
    return next(r for r in results if r.run.variant == variant and r.run.train_on == train_on)


def _shown(results: Sequence[Result]) -> list[Result]:
    """The runs of the figures: the first of every cell."""
    return [_first(results, variant, of) for variant in VARIANTS for of in TRAINED_ON]


def of_cell(frame: pd.DataFrame, variant: str, train_on: str, metric: str) -> list[float]:
    """One measure of the classifiers of a variant and training set, one value a run."""
    rows = frame[(frame.variant == variant) & (frame.train_on == train_on)]
    return rows[rows.metric == metric].value.tolist()
