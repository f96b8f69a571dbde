"""What classifiers see: heat maps against masks, features in the plane and in numbers."""

from collections.abc import Mapping, Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from cgnbook import boxes
from cgnbook.cited import cited
from cgnbook.drawing import CUES, STYLE, WIDTH, arrays_of, sign, tile
from cgnbook.names import NAMES, NONE, SETTINGS
from cgnbook.page import Page
from cgnbook.records import AUTHORS
from cgnbook.tables import spread
from cgnbook.verdict import mean
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
SWAPPED = "This run, other masks"


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number and remark of the text, in percent."""
    there = of_published(this.reference)
    means = this.live.groupby("metric").value.mean()
    return {
        "changes": changes(this.live),
        "coverage": 100 * float(means["mask_coverage_true"]),
        "empty": 100 * float(means["study_iou_empty"]),
        "chance": 100 * of_cell(there, "wildlife", "cgn", "mask_coverage_true")[0],
        **{
            f"{train_on}-inside": 100 * of_cell(there, "wildlife", train_on, "heat_inside")[0]
            for train_on in TRAINED_ON
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
    """The study's IoU, a row for each run: variant, train_on, whose it is, and the value.

    The last source is this run with masks that belong to other images, as the study's on DC- and
    W-MNIST did.
    """
    told = this.told("gradcam-iou")
    frames = {
        "Study": told[told.source == "Study, cached"],
        "Study, recomputed": told[told.source == "Recomputed"],
        AUTHORS: of_published(this.reference),
        this.label: this.live,
    }
    metrics = dict.fromkeys(frames, "study_iou") | {SWAPPED: "study_iou_unrelated"}
    rows = [
        (variant, train_on, whose, value)
        for whose, metric in metrics.items()
        for variant in VARIANTS
        for train_on in TRAINED_ON
        for value in of_cell(frames.get(whose, this.live), variant, train_on, metric)
    ]
    return pd.DataFrame(rows, columns=["variant", "train_on", "whose", "value"])


def of_published(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the classifiers of CGNs trained here: the study had the published ones alone."""
    return frame[~frame.generator.str.startswith("trained")]


def readings(this: Page) -> boxes.Shown:
    """What a linear probe reads from the features: a row for each cue and source, a mark for each
    run; hollow where the classifier learned from originals."""
    cues = {"digit": "shape", "foreground": "texture", "background": "background"}
    frames = {AUTHORS: of_published(this.reference), this.label: this.live}
    names = [f"{cue}, {_short(source)}" for cue in cues for source in frames]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(VARIANTS), 1, figsize=(WIDTH, 5.6), sharex=True, layout="constrained"
        )
        for axis, variant in zip(axes, VARIANTS, strict=True):
            for y, (cue, (source, of)) in enumerate(product(cues, frames.items())):
                pair = {t: of_cell(of, variant, t, f"{cue}_read") for t in TRAINED_ON}
                _pair(axis, y, pair, CUES[cues[cue]], sign(source)["marker"])
            axis.axvline(10, color="0.5", lw=1, ls=":")
            _rows(axis, names, NAMES[variant])
        axes[0].text(11, len(names) - 0.5, "chance", fontsize=9, color="0.4", va="bottom")
        axes[-1].set_xlabel("read by a linear probe, %")
        _legend(figure)
    return boxes.show("readings", *frames.values())


def embeddings(results: Sequence[Result], chosen: int = 0) -> boxes.Shown:
    """The study's Figure 4, with one question: do features gather by digit or by cue?

    A row for each variant; left trained on original data, right on counterfactuals.  Told apart
    from all other test images: those of the digit `chosen`, and those with the cue that goes with
    it in training.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(3, 2, figsize=(WIDTH, 6.4), layout="constrained")
        for row, variant in zip(axes, VARIANTS, strict=True):
            cue, colour, name = _TELLING[variant]
            for axis, train_on in zip(row, TRAINED_ON, strict=True):
                with np.load(_first(results, variant, train_on).folder / "embedding.npz") as stored:
                    points, digit, other = (stored[n] for n in ("embedding", "digit", cue))
                shown = {
                    "other images": ((digit != chosen) & (other != chosen), "0.5", "o", 3),
                    f"the {name} of {chosen}": (other == chosen, colour, "^", 12),
                    f"the digit {chosen}": (digit == chosen, CUES["shape"], "o", 12),
                }
                for label, (which, colour_of, mark, size) in shown.items():
                    axis.scatter(*points[which].T, s=size, color=colour_of, marker=mark, lw=0,
                                 label=label, alpha=0.9 if size > 3 else 0.5,
                                 rasterized=size == 3)  # fmt: skip
                axis.set(xticks=[], yticks=[])
                for side in ("left", "bottom"):
                    axis.spines[side].set_color("0.8")
            row[0].set_ylabel(NAMES[variant])
        for axis, title in zip(axes[0], _ROWS.values(), strict=True):
            axis.set_title(title, fontsize=10)
        of = {}
        for axis in axes[:2, 0]:
            handles, labels = axis.get_legend_handles_labels()
            of |= dict(zip(labels, handles, strict=True))
        figure.legend(of.values(), of, loc="outside lower left", ncols=2, markerscale=1.8,
                      handletextpad=0.1)  # fmt: skip
    return boxes.show("embeddings", _shown(results))


# The cue that goes with the label in training and fills most of the image: its name in the file,
# its colour, and what it is called.
_TELLING = {
    "colored": ("fg", CUES["texture"], "colour"),
    "double_colored": ("bg", CUES["background"], "background"),
    "wildlife": ("bg", CUES["background"], "background"),
}
_ROWS = {"original": "learned from originals", "cgn": "learned from counterfactuals"}


def heat_maps(results: Sequence[Result], n: int = 5) -> boxes.Shown:
    """The study's Figure 5: test images, and of them what two classifiers look at: bright where
    the map is above half of its highest value, as the study cut it."""
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(3, 1, figsize=(WIDTH, 7.2), layout="constrained")
        for axis, variant in zip(axes, VARIANTS, strict=True):
            pair = [arrays_of(_first(results, variant, train_on)) for train_on in TRAINED_ON]
            x = pair[0]["x"][:n]
            lit = [_lit(x, arrays["heat"][:n]) for arrays in pair]
            tile(axis, np.stack([x, *lit]))
            side = x.shape[1] + 2
            names = ["image", *(name.replace(" from ", "\nfrom ") for name in _ROWS.values())]
            axis.set_yticks(np.arange(3) * side + side / 2, names)
            axis.tick_params(length=0)
            axis.set_title(NAMES[variant])
    return boxes.show("heat-maps", _shown(results))


def iou(this: Page) -> boxes.Shown:
    """The study's IoU by whom it is from, and that of a map that is empty everywhere."""
    found = against_study(this)
    whose = list(dict.fromkeys(found.whose))
    empty = 100 * float(this.live.value[this.live.metric == "study_iou_empty"].mean())
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(VARIANTS), 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained"
        )
        for axis, (variant, of) in zip(axes, found.groupby("variant", sort=False), strict=True):
            for y, name in enumerate(whose):
                by = of[of.whose == name].groupby("train_on").value.apply(list)
                _pair(axis, y, dict(by), "black", "s" if name.startswith("Study") else "o")
            axis.axvline(empty, color="0.5", lw=1, ls=":")
            _rows(axis, whose, NAMES[variant])
            axis.set_xlim(30, 50)
        axes[0].text(empty, -0.66, "an empty map", fontsize=9, color="0.4", ha="center")
        axes[-1].set_xlabel("study's IoU, %")
        _legend(figure)
    return boxes.show("iou", this.live, this.reference, this.told("gradcam-iou"))


def _pair(axis: plt.Axes, y: int, of: Mapping[str, list[float]], colour: str, mark: str) -> None:
    """In one row a mark for each run, hollow where it learned from originals, and a line between
    the means."""
    means = [100 * mean(values) for values in of.values() if values]
    axis.plot(means, [y] * len(means), color=colour, lw=1.2, label="_")
    for train_on, values in of.items():
        full = colour if train_on == "cgn" else "white"
        axis.plot([100 * v for v in values], [y] * len(values), mark, mfc=full, mec=colour,
                  color=colour, ms=6, label=_ROWS[train_on])  # fmt: skip


def _rows(axis: plt.Axes, names: Sequence[str], title: str) -> None:
    axis.set(title=title, xlim=(0, 102), ylim=(len(names) - 0.4, -0.6))
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")


def _legend(figure: plt.Figure) -> None:
    looks = zip(_ROWS.values(), ("white", "black"), strict=True)
    handles = [Line2D([], [], ls="none", marker="o", mec="black", mfc=full, label=name)
               for name, full in looks]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower left", ncols=2, handletextpad=0.2)


def _short(source: str) -> str:
    return {AUTHORS: "authors'"}.get(source, "this run")


def _lit(x: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Images [N, H, W, 3], dark where a heat map [N, H, W] in 0...1 is below a half."""
    return (x * np.where(heat >= 0.5, 1.0, 0.25)[..., None]).round().astype(np.uint8)


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
