"""Claim 3, backgrounds: an invariant classifier without its background head minds them less."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from cgnbook import boxes, heads, records, reported
from cgnbook.cited import cited
from cgnbook.drawing import STYLE, WIDTH, bytes_of, tile
from cgnbook.heads import Measured
from cgnbook.names import CLASSIFIERS, CONTROL, INVARIANT, PLAIN, SUBJECTS
from cgnbook.page import Page
from cgnbook.tables import spread
from cgnbook.verdict import ROUNDING, UNRUN, Finding, Verdict, judged, mean, points, told
from cgnlib import experiments
from cgnlib.data.menagerie import Menagerie
from cgnlib.data.public import LAYOUTS
from cgnlib.runs import Result

TRENDS = (
    "the gap between backgrounds narrows",
    "accuracy on random backgrounds does not fall",
)
MEASURES = {
    "Original": "original",
    "Mixed-Same": "mixed_same",
    "Mixed-Rand": "mixed_rand",
    "BG-gap": "bg_gap",
}

LEFT = 0.75  # of the plain classifier's gap, at most


def rule(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Verdict:
    """Without its background head an invariant classifier minds backgrounds less.

    measured: bg_gap and mixed_rand of the plain classifier (`plain`) and of the mean of the shape
    and texture heads (`shape_texture`), one for each seed.  Two trends: the gap falls by a
    quarter of the plain one's or more; accuracy on mixed_rand does not fall.  Each counts when it
    holds between the worst seed and the best of the plain classifier.  effects: the changes of
    gap and accuracy, by the means.
    """
    (gap, plain_gap), (rand, plain_rand) = pairs = _pairs(measured)
    if not (gap and plain_gap and rand and plain_rand):
        return UNRUN
    held = (
        max(gap) <= LEFT * min(plain_gap) + ROUNDING,
        min(rand) >= max(plain_rand) - ROUNDING,
    )
    changes = (mean(mine) - mean(plain) for mine, plain in pairs)
    met = [trend for trend, holds in zip(TRENDS, held, strict=True) if holds]
    return judged(dict(zip(TRENDS, changes, strict=True)), met)


def _pairs(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[tuple]:
    """Gap and accuracy on random backgrounds, of the two heads and of the plain classifier."""
    who = [measured.get(subject, {}) for subject in ("shape_texture", "plain")]
    return [tuple(of.get(metric) for of in who) for metric in ("bg_gap", "mixed_rand")]


def verdicts(this: Page) -> dict[str, Verdict]:
    """What the rule makes of every source."""
    return {s: rule(heads.deciding(by)) for s, by in heads.by_source(this, "backgrounds").items()}


def finding(by: Measured) -> Finding:
    """How gap and accuracy differ from the plain classifier's."""
    measured = heads.deciding(by)
    found = rule(measured)
    if not found.effects:
        return Finding(found.outcome)
    pairs = dict(zip(("BG-gap", "random backgrounds"), _pairs(measured), strict=True))
    unit = "points beside the plain classifier; a gap should fall"
    return points(found, pairs, unit, 0.0, {"BG-gap": LEFT})


def findings(this: Page) -> dict[str, Finding]:
    """What the study and each kind of our evidence found."""
    by = heads.by_source(this, "backgrounds")
    return {source: finding(of) for source, of in by.items()}


@cited
def facts(this: Page) -> dict[str, object]:
    """What the text says: the verdicts, how many trends each met, and by which number of images
    the study divided."""
    scale = experiments.profile(this.profile).world
    images = LAYOUTS["in9/original"].expected
    return (
        told(verdicts(this))
        | {"n-trends": len(TRENDS), "n-seeds": len(scale.ensemble_seeds)}
        | {"profile": this.profile, "world": scale.name}
        | {"in9-images": images, "denominator": study_denominator(images)}
    )


def study_denominator(n: int) -> int:
    """What the published code divides by for n images: full batches of 32, so 4,064 for 4,050."""
    return -(-n // 32) * 32


def control(by: Measured) -> dict[str, float]:
    """The BG-gap of the plain classifier, of the control and of the two heads, in points."""
    of = {
        "gap-plain": by[PLAIN]["plain"],
        "gap-control": by[CONTROL]["shape_texture"],
        "gap-heads": by[INVARIANT]["shape_texture"],
    }
    return {name: 100 * mean(measures["bg_gap"]) for name, measures in of.items()}


def table(this: Page) -> pd.DataFrame:
    """The study's background table, in percent, beside our runs.

    Paper: ImageNet and its counterfactuals; study: IN-mini and its own, beside the same plain
    ResNet-50.
    """
    who = ["plain", "shape_texture", "avg"]
    titles = {title: (measure, who) for title, measure in MEASURES.items()}
    made = heads.compared(heads.by_source(this, "backgrounds"), titles)
    return made.rename(columns={"Measure": "Test images"})


def head_by_head(this: Page) -> pd.DataFrame:
    """Accuracy on the three background splits and the gap, in percent, by classifier and head."""
    return pd.DataFrame(
        {"Trained on": CLASSIFIERS[train_on], "Who decides": SUBJECTS[subject]}
        | {title: spread(of[measure]) for title, measure in MEASURES.items()}
        for train_on, by in heads.measured(this.live).items()
        for subject, of in by.items()
    )


def borrowed() -> pd.DataFrame:
    """Every row of the study's background table, in percent, with where it comes from."""
    rows = reported.table("backgrounds")
    rows = rows[rows.metric.isin(["accuracy", "bg_gap"])]
    order = ["in", "sin", "in+sin", "mixed-rand", "in+cgn", "in-mini+cgn", "in-mini+cgn-avg"]
    rows = rows.sort_values("row", key=lambda c: c.map(order.index), kind="stable")
    columns = {"IN-9": "in-9", "Mixed-Same": "mixed-same", "Mixed-Rand": "mixed-rand", "BG-gap": ""}
    return pd.DataFrame(
        {"Trained on": heads.named_data(row)}
        | {
            title: spread(group[group.column == column].value.astype(float) / 100)
            for title, column in columns.items()
        }
        | {"Source": origin}
        for (row, origin), group in rows.groupby(["row", _origin(rows)], sort=False)
    )


def _origin(rows: pd.DataFrame) -> pd.Series:
    """Who says a number; of those that somebody else reckoned or measured, how it came about."""
    subtracted = (rows.source == "recomputed") & rows["where"].str.startswith("talk")
    borrowed = rows.note.str.startswith("borrowed")
    return rows.source.mask(subtracted, "talk, subtracted").mask(borrowed, "borrowed")


def background_lines(results: Sequence[Result]) -> boxes.Shown:
    """Accuracy with the original, another and a random background; a line a seed, named where it
    ends."""
    by = heads.measured(records.frame(results))
    lines = {
        (PLAIN, "plain"): ("0.5", "o", "plain classifier"),
        (CONTROL, "shape_texture"): ("0.5", "s", "three heads,\nno counterfactuals"),
        (INVARIANT, "avg"): ("black", "^", "counterfactuals:\nmean of all heads"),
        (INVARIANT, "shape_texture"): ("black", "D", "counterfactuals:\nshape + texture"),
    }
    splits = {
        "original": "Original",
        "mixed_same": "Mixed-Same",
        "mixed_rand": "Mixed-Rand",
    }
    ends = []
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(WIDTH, 3.9), layout="constrained")
        for (train_on, subject), (colour, mark, name) in lines.items():
            of = by[train_on][subject]
            for values in zip(*(of[split] for split in splits), strict=True):
                axis.plot(100 * np.array(values), color=colour, marker=mark, lw=1,
                          label=name.replace("\n", " "))  # fmt: skip
            ends.append((100 * mean(of["mixed_rand"]), name))
        place = -100.0
        for end, name in sorted(ends):
            place = max(end, place + 11)  # so that names do not lie on each other
            axis.annotate(name, (2, end), (2.12, place), va="center", fontsize=9,
                          arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "0.5"})  # fmt: skip
        axis.set_xticks(range(3), splits.values())
        axis.set(xlim=(-0.1, 3.3), ylim=(0, 103), ylabel="accuracy, %")
        axis.set_xlabel("background of the test image", loc="left")
        axis.grid(axis="y")
    return boxes.show("background-lines", results)


def menagerie_tests(n: int = 5, seed: int = 21) -> boxes.Shown:
    """Images of the menagerie's four tests, in rows; objects are the same in the last three."""
    splits = {
        "conflict": "Cue conflict",
        "agree": "Original",
        "mixed_same": "Mixed-Same",
        "mixed_rand": "Mixed-Rand",
    }
    made_by = f"`cgnlib.data.menagerie.Menagerie`, seed {seed}, the first {n} images of each test"
    index = torch.arange(n)
    rows = [bytes_of(Menagerie(split, n, seed).batch(index)[0]) for split in splits]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(WIDTH, 3.3), layout="constrained")
        images = np.stack(rows)
        tile(axis, images)
        side = images.shape[2] + 2
        axis.set_yticks(np.arange(len(splits)) * side + side / 2, splits.values())
        axis.tick_params(length=0)
    return boxes.show("menagerie-tests", made_by)
