"""Claim 3, shape bias: a head can be made to decide by shape."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import boxes, heads, records, reported
from cgnbook.cited import cited
from cgnbook.drawing import CUES, STYLE, WIDTH, cue_legend, stack
from cgnbook.heads import Measured
from cgnbook.names import CLASSIFIERS, CONTROL, INVARIANT, NONE, PLAIN, SUBJECTS
from cgnbook.page import Page
from cgnbook.tables import pct, spread
from cgnbook.verdict import ROUNDING, UNRUN, Finding, Verdict, judged, mean, points, told
from cgnlib import experiments
from cgnlib.experiments import PackagedRobustness
from cgnlib.measures import decisions
from cgnlib.runs import Result

TRENDS = {  # what is higher than what
    "the shape head has more shape bias than the plain classifier": ("shape", "plain"),
    "the shape head has more shape bias than the texture head": ("shape", "texture"),
}
ANSWERS = (*CUES, "neither")
HEADS = ("plain", "shape", "texture", "bg")


MARGIN = 0.10  # of shape bias


def rule(bias: Mapping[str, Sequence[float]], margin: float = MARGIN) -> Verdict:
    """The shape head of an invariant classifier decides by shape.

    bias: shape bias of the plain classifier (`plain`) and of the heads `shape` and `texture`, one
    for each seed.  A trend of TRENDS counts when the lowest seed of the one clears the highest of
    the other by `margin`.  effects: the difference of the means.
    """
    pairs = {trend: (bias.get(high), bias.get(low)) for trend, (high, low) in TRENDS.items()}
    if not all(high and low for high, low in pairs.values()):
        return UNRUN
    effects = {t: mean(high) - mean(low) for t, (high, low) in pairs.items()}
    leads = {t: min(high) - max(low) for t, (high, low) in pairs.items()}
    return judged(effects, [t for t in leads if leads[t] >= margin - ROUNDING])


def biases(by: Measured) -> dict[str, list[float]]:
    """Shape bias of the plain classifier and of each head: what the rule is put to."""
    return {who: of.get("shape_bias", []) for who, of in heads.deciding(by).items()}


def verdicts(this: Page) -> dict[str, Verdict]:
    """What the rule makes of every source."""
    return {s: rule(biases(by)) for s, by in heads.by_source(this, "shape-bias").items()}


def finding(by: Measured) -> Finding:
    """By how many points the shape head leads."""
    bias = biases(by)
    found = rule(bias)
    if not found.effects:
        return Finding(found.outcome)
    rivals = {"over the plain classifier": "plain", "over the texture head": "texture"}
    pairs = {words: (bias["shape"], bias[who]) for words, who in rivals.items()}
    said = points(found, pairs, "points of shape bias", MARGIN)
    if (share := decided_by_either(by)) is None:
        return said
    caveat = f"the plain classifier goes by shape or texture in {100 * share:.0f}% of images"
    return replace(said, unit=f"{said.unit}; {caveat}")


def decided_by_either(by: Measured) -> float | None:
    """In how many images the plain classifier goes by one of the two cues of its shape bias; None
    where nobody tells."""
    of = by.get(PLAIN, {}).get("plain", {})
    shares = [of.get(f"cue_{cue}", []) for cue in ("shape", "texture")]
    return sum(map(mean, shares)) if all(shares) else None


def findings(this: Page) -> dict[str, Finding]:
    """What the study and each kind of our evidence found."""
    by = heads.by_source(this, "shape-bias")
    return {source: finding(of) for source, of in by.items()}


@cited
def facts(this: Page) -> dict[str, object]:
    """What the text says: the verdicts and how many trends each met; in percent, what the study's
    cached epochs say, and the bias of the mean of the heads in the reference run."""
    scale = experiments.profile(this.profile).world
    bias = decided(heads.measured(this.reference))
    return (
        told(verdicts(this))
        | {"n-trends": len(TRENDS), "n-seeds": len(scale.ensemble_seeds)}
        | {"profile": this.profile, "world": scale.name}
        | {"reference-mean": bias["bias-mean"], "reference-plain": bias["bias-plain"]}
        | {
            f"either-{name}": 100 * (decided_by_either(heads.measured(rows)) or 0.0)
            for name, rows in (("reference", this.reference), ("live", this.live))
        }
        | epochs(this)
    )


def decided(by: Measured) -> dict[str, float]:
    """Shape bias in percent: of the plain classifier, the shape head and the mean of the heads; nan
    for one that goes by neither shape nor texture in any image."""
    bias, names = biases(by), {"plain": "plain", "shape": "shape", "mean": "avg"}
    return {f"bias-{name}": 100 * mean(bias[who] or [math.nan]) for name, who in names.items()}


def epochs(this: Page) -> dict[str, float]:
    """From the study's cached epochs, in percent: top-1 of each head on held-out counterfactuals
    (told-*), and the range of the shape head's shape bias (epoch-*)."""
    rows = this.told("ensemble-epochs").set_index("metric")
    value = 100 * rows.value
    bias = value["shape/shape_bias"]
    top1 = {head: float(value[f"{head}/counterfactual_top1"]) for head in HEADS[1:]}
    return {f"told-{head}": named for head, named in top1.items()} | {
        "epoch-low": float(bias.min()),
        "epoch-high": float(bias.max()),
    }


def table(this: Page) -> pd.DataFrame:
    """The study's table of shape bias, in percent, beside our runs.

    Paper: ResNet-50 on ImageNet and its counterfactuals; study: on IN-mini and its own.
    """
    titles = {
        "Shape bias": ("shape_bias", [*HEADS, "avg"]),
        "Top-1 accuracy": ("real_top1", ["avg"]),
        "Top-5 accuracy": ("real_top5", ["avg"]),
    }
    return heads.compared(heads.by_source(this, "shape-bias"), titles)


def own_cues(this: Page) -> pd.DataFrame:
    """How often each subject names its own cue of held-out counterfactuals, in percent."""
    by = heads.measured(this.live)
    return pd.DataFrame(
        {
            "Trained on": name,
            "Who decides": SUBJECTS[subject],
            "Its own cue named": spread(of["counterfactual_top1"]),
        }
        for train_on, name in CLASSIFIERS.items()
        for subject, of in by.get(train_on, {}).items()
        if subject in HEADS
    )


def real_stimuli(grid: Sequence[PackagedRobustness]) -> pd.DataFrame:
    """Networks and humans on the 1,280 real stimuli: shape bias in percent, and what is behind it.

    grid: our runs, of which the decisions are tracked; published values stand below.
    """
    rows = []
    for run in grid:
        bias = decisions.shape_bias(decisions.read(records.decisions_of(run)))
        rows.append(
            {
                "Who": f"EfficientNet-lite0, {_PREPARED[run.recipe.preprocessing]}",
                "Shape bias": f"{pct(bias.value)} ({pct(bias.low)}–{pct(bias.high)})",
                "By shape": str(bias.n_shape),
                "By texture": str(bias.n_texture),
            }
        )
    told = reported.table("shape-bias", source="geirhos2019")
    names = {"resnet-50": "ResNet-50, published", "humans": "Humans, published"}
    for row in told.itertuples():
        value = {"Who": names[row.row], "Shape bias": f"{float(row.value):.1f}"}
        rows.append(value | dict.fromkeys(("By shape", "By texture"), NONE))
    return pd.DataFrame(rows)


_PREPARED = {"paper": "enlarged and cropped", "authors": "as they are"}


def cue_shares(results: Sequence[Result]) -> boxes.Shown:
    """Which cue decides on the cue conflict: a bar for each classifier and head, all seeds."""
    by = heads.measured(records.frame(results))
    bars = [(PLAIN, "plain"), (CONTROL, "avg")]
    bars += [(INVARIANT, subject) for subject in ("shape", "texture", "bg", "avg")]
    names = {PLAIN: "plain classifier", CONTROL: "three heads,\nno counterfactuals"}
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.0), layout="constrained")
        for at, (train_on, subject) in enumerate(bars):
            of = by[train_on][subject]
            shares = {cue: np.mean(of[f"cue_{cue}"]) for cue in ANSWERS if f"cue_{cue}" in of}
            stack(axis, at, shares)
        labels = [names.get(train_on, SUBJECTS[subject]) for train_on, subject in bars]
        axis.set_yticks(range(len(bars)), labels)
        axis.tick_params(axis="y", length=0)
        axis.axhline(1.5, color="black", linewidth=0.8)
        axis.invert_yaxis()
        axis.set(xlim=(0, 100), xlabel="decisions on the cue conflict, %")
        cue_legend(figure, {cue: cue for cue in ANSWERS})
    return boxes.show("cue-shares", results)
