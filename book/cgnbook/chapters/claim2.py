"""Claim 2: every loss of the CGN is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import ablations, boxes
from cgnbook.ablations import Measured
from cgnbook.cited import cited
from cgnbook.drawing import CUES, STYLE, WIDTH, legend, sign
from cgnbook.names import ABLATED, NONE
from cgnbook.page import Page
from cgnbook.records import FULL, TRAINED
from cgnbook.verdict import ROUNDING, UNRUN, Finding, Mark, Verdict, judged, mean, told
from cgnbook.words import NUMBERS, listed
from cgnlib import experiments
from cgnlib.data import categories, menagerie
from cgnlib.experiments import ABLATIONS
from cgnlib.runs import Result

# What the paper's ablation shows when a loss is left out, against the CGN with all losses: which
# number moves, and the sign of its change.
TRENDS = {
    "without L_shape the inception score falls": ("shape", "inception_score", -1),
    "without L_rec the inception score falls": ("reconstruction", "inception_score", -1),
    "without L_text the inception score rises": ("texture", "inception_score", 1),
    "without L_text the mask covers more": ("texture", "mask_coverage", 1),
    "without L_bg the inception score rises": ("background", "inception_score", 1),
    "without L_bg the mask covers less": ("background", "mask_coverage", -1),
}
CACHED = "Study, cached"
COUNTED = ("study", "reference", "live")
LOSSES = {  # in words: a text has no formula in what it glues
    "shape": "the losses on the mask",
    "texture": "the texture loss",
    "background": "the background loss",
    "reconstruction": "the reconstruction losses",
}


def rule(
    measured: Mapping[str, Mapping[str, Sequence[float]]], classes: int, share: float = 0.10
) -> Verdict:
    """Leaving a loss out moves the numbers as in the paper.

    measured: inception_score and mask_coverage by ablation (`none` for all losses), one for each
    seed.  classes: of the world, the highest score that there is.  A trend of TRENDS counts when
    the mean moves its way by `share` of the mean with all losses, or more; it is undecided where
    the scale ends before that.  effects: the relative change behind each trend.
    """
    needed = {(a, metric) for of, metric, _ in TRENDS.values() for a in (of, "none")}
    if any(not measured.get(ablation, {}).get(metric) for ablation, metric in needed):
        return UNRUN
    effects = {
        trend: mean(measured[without][metric]) / mean(measured["none"][metric]) - 1
        for trend, (without, metric, _) in TRENDS.items()
    }
    held = [t for t, (*_, sign) in TRENDS.items() if sign * effects[t] >= share - ROUNDING]
    top = {"inception_score": classes, "mask_coverage": 1.0}
    full = [
        trend
        for trend, (_, metric, sign) in TRENDS.items()
        if sign > 0 and mean(measured["none"][metric]) * (1 + share) > top[metric] + ROUNDING
    ]
    return judged(effects, held, full)


def of(this: Page) -> dict[str, Measured]:
    """What was measured by every source; of the study also its stored results."""
    theirs = {s: this.told("loss-ablation", source=s) for s in ("Paper", "Study", CACHED)}
    return {source: ablations.measured(rows) for source, rows in (theirs | this.ours).items()}


def classes(this: Page, source: str) -> int:
    """Of the world that a source measured, which its score cannot exceed."""
    profile = this.profile if source == this.label else FULL if source in this.ours else "paper"
    world = experiments.profile(profile).world.name
    return {"menagerie": len(menagerie.CLASSES), "imagenet": categories.CLASSES}[world]


def verdicts(this: Page) -> dict[str, Verdict]:
    """What the rule makes of every source that has a row with all losses."""
    by = of(this)
    return {source: rule(by[source], classes(this, source)) for source in by if source != CACHED}


def counted(found: Verdict) -> str:
    """How many of the trends that could be decided were met, and how many could not, in words."""
    said = f"{len(found.met)} of {len(found.effects) - len(found.undecided)} trends"
    return said + f", {NUMBERS[len(found.undecided)]} more undecided" * bool(found.undecided)


def finding(measured: Measured, classes: int) -> Finding:
    """How many of the paper's trends are there, by the means and by each seed."""
    found = rule(measured, classes)
    if not found.effects:
        return Finding(found.outcome)
    values = {"met": len(found.met), "of": len(found.effects) - len(found.undecided)}
    line = counted(found)
    marks = (Mark("trends", len(found.met) / max(values["of"], 1) - 1, line),)
    seeds = min(len(measured[a]["inception_score"]) for a in ABLATIONS)
    met = {len(rule(_one(measured, seed), classes).met) for seed in range(seeds)}
    if len(met) == 1:
        spans = "single runs" if seeds == 1 else f"the same for each of {seeds} seeds"
        return Finding(found.outcome, (line,), spans, values, marks)
    line += f" ({min(met)} to {max(met)})"
    return Finding(found.outcome, (line,), "range over seeds", values, marks)


def findings(this: Page) -> dict[str, Finding]:
    """What the study and each kind of our evidence found."""
    by = {
        source: finding(measured, classes(this, source))
        for source, measured in of(this).items()
        if source != CACHED
    }
    told = f"{by['Study'].unit}; the study calls them inconclusive"
    return by | {"Study": replace(by["Study"], unit=told)}


def _one(measured: Measured, seed: int) -> Measured:
    """The measures of one seed alone."""
    return {
        ablation: {metric: values[seed : seed + 1] for metric, values in of.items()}
        for ablation, of in measured.items()
    }


@cited
def facts(this: Page) -> dict[str, object]:
    """What the text says: verdicts and how many trends each met, of how many, what a reader makes
    of each loss, and how often it reads the intended shape with and without those on the mask."""
    scale, by = experiments.profile(this.profile).world, told(verdicts(this))
    here, there = (ablations.measured(rows) for rows in (this.live, this.reference))
    return (
        by
        | {f"counted-{source}": counted(by[f"verdict-{source}"]) for source in COUNTED}
        | {"n-settings": len(ABLATIONS), "n-seeds": len(scale.seeds)}
        | {"n-reference": len(there["shape"]["shape_read"])}
        | {"by-probe": by_probe(here), "undecided": undecided(verdicts(this)[TRAINED])}
        | {f"read-{a}": 100 * mean(there[a]["all_read"]) for a in ("none", *LOSSES)}
        | {"profile": this.profile, "world": scale.name}
        | mask_loss(there)
    )


def undecided(found: Verdict) -> str:
    """How many trends nobody can see where a verdict was made, and of how many they are."""
    return f"{NUMBERS[len(found.undecided)]} of the {len(found.effects)}"


def by_probe(measured: Measured) -> str:
    """Without which losses fewer counterfactuals show all three parts, and without which more.

    Says so where no reader was asked, as on ImageNet.
    """
    if "all_read" not in measured["none"]:
        return "no reader was asked, since none knows the parts of ImageNet's images apart"
    read = {a: mean(measured[a]["all_read"]) for a in ("none", *LOSSES)}
    needed = [LOSSES[a] for a in LOSSES if read[a] < read["none"]]
    others = [LOSSES[a] for a in LOSSES if read[a] >= read["none"]]
    found = f"by this measure {NUMBERS[len(needed)]} of the four groups earn their place"
    if needed:
        found += f": without {listed(needed, 'or')} fewer counterfactuals show what was asked for"
    if others:
        found += f"; without {listed(others, 'or')} it is no fewer"
    return found


def mask_loss(measured: Measured) -> dict[str, float]:
    """How often a reader finds the intended shape with and without the losses on the mask, in %;
    nothing where no reader was asked."""
    of = {"shape-with": measured["none"], "shape-without": measured["shape"]}
    read = {name: measures.get("shape_read") for name, measures in of.items()}
    return {name: 100 * mean(shares) for name, shares in read.items() if shares}


def table(this: Page) -> pd.DataFrame:
    """The loss ablation: inception score and mask coverage for each loss left out.

    Ours: mean over training seeds, and in brackets the spread within a run: over the splits of the
    score, over images for the mask.  Scores of different worlds cannot be compared with each
    other, only their order.
    """
    sources = of(this)
    return pd.DataFrame(
        {"Measure": title, "CGN": ABLATED[ablation]}
        | {source: _cell(by.get(ablation, {}), metric, digits) for source, by in sources.items()}
        for title, metric, digits in (
            ("Inception score", "inception_score", 1),
            ("Mask coverage", "mask_coverage", 2),
        )
        for ablation in ABLATED
        if (ablation, metric) != ("biggan", "mask_coverage")
        and (ablation != "published" or any(ablation in by for by in sources.values()))
    )


def _cell(by: Mapping[str, Sequence[float]], metric: str, digits: int) -> str:
    """Ours with two digits and their spreads; what was told has none, and the digits it had."""
    values, within = by.get(metric), by.get(f"{metric}_spread")
    if not values:
        return NONE
    if not within:
        return f"{values[0]:.{digits}f}"
    shown = f"{mean(values):.2f}"
    if len(values) > 1:
        shown += f" ± {np.std(values, ddof=1):.2f} ({len(values)})"
    return f"{shown} [{mean(within):.2f}]"


def trends(this: Page, *sources: boxes.Source) -> boxes.Shown:
    """By how much each source's number moves in the paper's direction: a row for each trend.

    What goes beyond the axis is written at its end.
    """
    found = {source: of for source, of in verdicts(this).items() if of.effects}
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 4.0), layout="constrained")
        axis.axvspan(10, _END, color="0.93", lw=0)
        axis.axvline(0, color="0.5", lw=0.8)
        for lane, (source, of) in zip(np.linspace(-0.27, 0.27, len(found)), found.items(),
                                      strict=True):  # fmt: skip
            moved = [100 * sign_of * of.effects[t] for t, (*_, sign_of) in TRENDS.items()]
            places = np.arange(len(TRENDS)) + lane
            shown = np.clip(moved, _START, _END)
            axis.plot(shown, places, label=source, clip_on=False, **sign(source))
            for value, y in zip(moved, places, strict=True):
                if value > _END:
                    axis.text(_END - 3, y, f"{value:.0f}", ha="right", va="center", fontsize=9)
                elif value < _START:
                    axis.text(_START + 3, y, f"{value:.0f}", va="center", fontsize=9)
        for y, trend in enumerate(TRENDS):
            if any(trend in of.undecided for of in found.values()):
                axis.text(12, y + 0.2, "no room on the menagerie", va="center", fontsize=9,
                          color="0.4")  # fmt: skip
        names = [t.replace("the inception score", "\nthe score").replace("the mask", "\nthe mask")
                 for t in TRENDS]  # fmt: skip
        axis.set_yticks(range(len(TRENDS)), names)
        axis.tick_params(axis="y", length=0)
        axis.set(xlim=(_START, _END), ylim=(len(TRENDS) - 0.5, -0.5))
        axis.set_xlabel("change in the paper's direction, %")
        legend(figure, list(found), columns=2)
    return boxes.show("trends", this.live, this.reference, *sources)


_START, _END = -15, 100


def panels(by: Mapping[str, Sequence[Result]], row: int) -> boxes.Shown:
    """One class in every ablation, of its first CGN: a block for each kind of evidence, first the
    CGN with all losses.  Ringed: the part that a loss left out is about."""
    blocks, shown = {}, []
    for title, results in by.items():
        first: dict[str, Result] = {}
        for result in results:
            if result.run.generator:  # BigGAN itself has no parts
                first.setdefault(result.run.ablation, result)
        blocks[title] = [(ABLATED[name], first[name], row) for name in _RINGS if name in first]
        shown += first.values()
    rings = [ring for name, ring in _RINGS.items() if name in first]
    at = {(i, _PARTS.index(part)): colour for i, (part, colour) in enumerate(rings) if part}
    with plt.rc_context(STYLE):
        ablations.panels(blocks, _PARTS, at)
    return boxes.show("ablation-panels", shown)


_PARTS = ("mask", "fg", "bg", "x_gen")
_RINGS = {  # the part that each group of losses is about, and its colour
    "none": ("", ""),
    "shape": ("mask", CUES["shape"]),
    "texture": ("fg", CUES["texture"]),
    "background": ("bg", CUES["background"]),
    "reconstruction": ("x_gen", "black"),
}
