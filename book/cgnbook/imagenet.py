"""Tables and figures of the ImageNet claims, on ImageNet or on the menagerie."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from torch import Tensor

from cgnbook import boxes, reported
from cgnbook import verdict as verdicts
from cgnbook.drawing import STYLE, arrays_of, bytes_of, tile
from cgnbook.names import NONE, REMOVED, formula
from cgnlib import worlds
from cgnlib.data.menagerie import CLASSES
from cgnlib.nets import shipped
from cgnlib.runs import Result

PARTS = {"biggan": "BigGAN", "u2net": "U2-Net", "classifier": "Classifier", "probe": "Probe"}
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
_TOLD = {"texture": "text", "background": "bg", "reconstruction": "rec"}
_PANELS = {
    "mask": "mask $m$",
    "premask": "premask $\\tilde m$",
    "fg": "texture $f$",
    "bg": "background $b$",
    "x_gen": "composed $x_{gen}$",
    "x_gt": "BigGAN $x_{gt}$",
}


def measured(frame: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Every metric by ablation, one value a run: what the verdict of claim 2 is made from."""
    by: dict[str, dict[str, list[float]]] = {}
    for row in frame.itertuples():
        by.setdefault(row.removed, {}).setdefault(row.metric, []).append(float(row.value))
    return by


def readings(
    by: Mapping[str, Mapping[str, list[float]]], ablation: str = "none"
) -> tuple[dict[str, float], dict[str, float]]:
    """What the probe reads in counterfactuals, and in true images: share by cue.

    by: what `measured` gives.  The first is empty where the CGN was not run.
    """
    cues = ("shape", "texture", "background")
    found = {cue: by.get(ablation, {}).get(f"{cue}_read") for cue in cues}
    ceiling = {cue: shipped.record("probe")[cue] for cue in cues}
    return {cue: sum(s) / len(s) for cue, s in found.items() if s}, ceiling


def told(source: str) -> dict[str, dict[str, list[float]]]:
    """Reported numbers in the form of `measured`.  source: paper, article, talk or cached."""
    rows = reported.table("loss-ablation", source=source)
    names = {short: name for name, short in _TOLD.items()}
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows.itertuples():
        ablation = names.get(row.row, row.row)
        by.setdefault(ablation, {}).setdefault(row.metric, []).append(float(row.value))
    return by


def ablation(reference: pd.DataFrame, live: pd.DataFrame, label: str) -> pd.DataFrame:
    """The loss ablation: inception score and mask coverage for each loss left out.

    Ours: mean over training seeds, and in brackets the spread within a run: over the splits of the
    score, over images for the mask.  Scores of different worlds cannot be compared with each
    other, only their order.
    """
    sources = {"Paper": told("paper"), "Study": told("article"), "Study, cached": told("cached")}
    ours = {"Reference run": measured(reference), label: measured(live)}
    rows = []
    for metric, digits, name in (
        ("inception_score", 1, "Inception score"),
        ("mask_coverage", 2, "Mask coverage"),
    ):
        for ablation, removed in REMOVED.items():
            if metric == "mask_coverage" and ablation == "biggan":
                continue
            if ablation == "published" and not any(ablation in by for by in ours.values()):
                continue
            row = {"Measure": name, "Left out": removed}
            for source, by in sources.items():
                values = by.get(ablation, {}).get(metric)
                row[source] = f"{values[0]:.{digits}f}" if values else NONE
            for source, by in ours.items():
                row[source] = _ours(by.get(ablation, {}), metric, digits if digits > 1 else 2)
            rows.append(row)
    return pd.DataFrame(rows)


def trends(judged: Mapping[str, verdicts.Verdict]) -> pd.DataFrame:
    """Which of the paper's trends each source shows, with the relative change."""
    rows = []
    for trend in verdicts.TRENDS:
        row = {"Trend in the paper": trend}
        for source, verdict in judged.items():
            if trend not in verdict.effects:
                row[source] = NONE
                continue
            held = "yes" if trend in verdict.met else "no"
            percent = round(100 * verdict.effects[trend])  # to an int, which has no -0
            row[source] = f"{held} ({f'{percent:+d}' if percent else 0}%)"
        rows.append(row)
    return pd.DataFrame(rows)


def quality(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What probes read in counterfactuals, in percent, and how good the masks are; by ablation."""
    rows = []
    for source, frame in frames.items():
        for ablation, by in measured(frame).items():
            if "mask_iou" not in by:
                continue
            row = {"Source": source, "Left out": REMOVED[ablation], "Runs": len(by["mask_iou"])}
            for metric, name in (
                ("shape_read", "Shape"),
                ("texture_read", "Texture"),
                ("background_read", "Background"),
                ("all_read", "All three"),
                ("mask_binary", "Mask binary"),
            ):
                values = by.get(metric)
                row[name] = _whole(values) if values else NONE
            row["Mask IoU"] = f"{np.mean(by['mask_iou']):.2f}"
            rows.append(row)
    return pd.DataFrame(rows)


def _whole(values: Sequence[float]) -> str:
    """Mean ± standard deviation in whole percent; a table of many columns has no room for more."""
    mean = f"{100 * np.mean(values):.0f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * np.std(values, ddof=1):.0f}"


def pretrained() -> pd.DataFrame:
    """The records of the menagerie's shipped parts: a fact a line, a part a column."""

    def shown(record: dict, fact: str) -> str:
        value = record.get(fact, NONE)
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{value:.4g}"
        return str(value)[:12]  # of a checksum, the first digits

    records_of = {name: shipped.record(name) for name in shipped.NAMES}
    there = dict.fromkeys(fact for record in records_of.values() for fact in record)
    return pd.DataFrame(
        {"Fact": words} | {PARTS[name]: shown(record, fact) for name, record in records_of.items()}
        for fact, words in FACTS.items()
        if fact in there
    )


def panels(result: Result, rows: Sequence[int]) -> boxes.Shown:
    """What the mechanisms of one CGN make for some classes of its sheet: a row for each."""
    arrays = arrays_of(result)
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(7.6, 0.5 + 1.25 * len(rows)), layout="constrained")
        stacked = np.stack([arrays[name][list(rows)] for name in _PANELS], axis=1)
        tile(axis, stacked)
        side = stacked.shape[2] + 2
        axis.set_xticks(np.arange(len(_PANELS)) * side + side / 2, _PANELS.values())
        axis.set_yticks(
            np.arange(len(rows)) * side + side / 2, [_class(result, row) for row in rows]
        )
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
    return boxes.show("panels", result)


def ablation_panels(results: Sequence[Result], row: int) -> boxes.Shown:
    """One class in every ablation: mask, premask, texture, background and composed image."""
    names = [name for name in _PANELS if name != "x_gt"]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(7.0, 0.5 + 1.3 * len(results)), layout="constrained")
        stacked = np.stack(
            [np.stack([arrays_of(result)[name][row] for name in names]) for result in results]
        )
        tile(axis, stacked)
        side = stacked.shape[2] + 2
        axis.set_xticks(np.arange(len(names)) * side + side / 2, [_PANELS[name] for name in names])
        labels = [formula(REMOVED[result.run["ablation"]]) for result in results]
        axis.set_yticks(np.arange(len(results)) * side + side / 2, labels)
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
    return boxes.show("ablation-panels", results)


def counterfactuals(result: Result, n: int = 12) -> boxes.Shown:
    """Counterfactuals with the names of their three classes."""
    arrays = arrays_of(result)
    columns = 6
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            n // columns, columns, figsize=(8.6, 1.95 * n / columns), layout="constrained"
        )
        for axis, image, classes in zip(
            axes.flat, arrays["counterfactual"], arrays["classes"], strict=False
        ):
            tile(axis, image[None, None])
            names = [_name(result.run.variant, int(c)) for c in classes]
            axis.set_xlabel("\n".join(names), fontsize=9)
        figure.supylabel("shape, texture, background", fontsize=9)
    return boxes.show("counterfactuals", result)


def renderings(rows: Iterable[tuple[str, Tensor]], *made_by: boxes.Source) -> boxes.Shown:
    """Rows of rendered images with their names.  Images: [N, 3, H, W] in -1...1."""
    rows = list(rows)
    stacked = np.stack([bytes_of(x) for _, x in rows])
    size = (1.3 + 0.9 * stacked.shape[1], 0.2 + 0.9 * len(rows))
    with plt.rc_context(STYLE | {"figure.dpi": 75}):  # about a pixel for a pixel: grain is dear
        _, axis = plt.subplots(figsize=size, layout="constrained")
        tile(axis, stacked)
        side = stacked.shape[2] + 2
        axis.set_yticks(np.arange(len(rows)) * side + side / 2, [name for name, _ in rows])
        axis.tick_params(length=0)
    return boxes.show("renderings", *made_by)


def _ours(by: Mapping[str, list[float]], metric: str, digits: int) -> str:
    values = by.get(metric)
    if not values:
        return NONE
    within = np.mean(by[f"{metric}_spread"])
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) > 1:
        mean += f" ± {np.std(values, ddof=1):.{digits}f} ({len(values)})"
    return f"{mean} [{within:.{digits}f}]"


def _class(result: Result, row: int) -> str:
    return _name(result.run.variant, worlds.find(result.run.variant).sheet[row])


def _name(world: str, c: int) -> str:
    return CLASSES[c] if world == "menagerie" else str(c)
