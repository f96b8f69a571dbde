"""Classifiers that learn from CGNs of the menagerie that lack a group of losses."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes
from cgnbook.drawing import STYLE
from cgnbook.names import CONTROL, INVARIANT, NONE, REMOVED, formula
from cgnbook.tables import bare_spread
from cgnlib.experiments import ABLATIONS

MEASURES = {  # of a classifier: who decides, and what is measured
    "shape/cue_shape": "By shape: shape head",
    "avg/cue_shape": "By shape: mean of the heads",
    "shape_texture/bg_gap": "BG-gap: shape and texture heads",
    "avg/bg_gap": "BG-gap: mean of the heads",
}
_COLOURS = dict(
    zip(ABLATIONS, ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7"), strict=True)
)


def points(scores: pd.DataFrame, classifiers: pd.DataFrame) -> pd.DataFrame:
    """A row for each CGN of the menagerie whose counterfactuals a classifier learned from.

    removed and generator say which; share: its disentanglement as a share of the renderer's; then
    the MEASURES of that classifier.
    """
    scores = scores[(scores.variant == "menagerie") & (scores.metric == "disentanglement")]
    truth = scores[scores.run.str.contains("-truth-")].value.astype(float).item()
    learned = classifiers[(classifiers.train_on == INVARIANT) & classifiers.metric.isin(MEASURES)]
    found = learned.assign(value=learned.value.astype(float)).pivot_table(
        index=["removed", "generator"], columns="metric", values="value"
    )
    share = scores.set_index(["removed", "generator"]).value.astype(float) / truth
    return found.join(share.rename("share"), how="inner").reset_index()


def summary(found: pd.DataFrame, classifiers: pd.DataFrame) -> pd.DataFrame:
    """`points` by the loss that was left out, in percent, over the CGNs; last, a classifier with
    three heads that saw no counterfactuals."""
    rows = []
    for ablation in ABLATIONS:
        of = found[found.removed == ablation]
        if len(of):
            row = {"Left out": REMOVED[ablation], "Disentanglement": bare_spread(of.share)}
            rows.append(row | {title: bare_spread(of[m]) for m, title in MEASURES.items()})
    control = {MEASURES[m]: bare_spread(values) for m, values in _control(classifiers).items()}
    return pd.DataFrame(
        [*rows, {"Left out": "no counterfactuals", "Disentanglement": NONE} | control]
    )


def facts(found: pd.DataFrame) -> dict[str, float]:
    """How many CGNs there are, and over them the rank correlation of disentanglement with what the
    shape head decides by shape."""
    rho = found.share.corr(found["shape/cue_shape"], method="spearman")
    return {"n-cgns": len(found), "rho-shape": float(rho)}


def scatter(found: pd.DataFrame, classifiers: pd.DataFrame, *sources: boxes.Source) -> boxes.Shown:
    """What the classifiers go by, over the disentanglement of the CGN; dashed: without any."""
    control = _control(classifiers)
    shown = {
        "shape/cue_shape": "decisions of the shape head\nby shape, cue conflict, %",
        "avg/bg_gap": "BG-gap of the mean\nof the heads, points",
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(shown), figsize=(9, 3.6), layout="constrained")
        for axis, (measure, label) in zip(axes, shown.items(), strict=True):
            for ablation, colour in _COLOURS.items():
                of = found[found.removed == ablation]
                axis.plot(100 * of.share, 100 * of[measure], "o", ms=8, color=colour,
                          label=formula(REMOVED[ablation]))  # fmt: skip
            axis.axhline(100 * control[measure].mean(), color="#666666", linestyle="--",
                         label="no counterfactuals")  # fmt: skip
            axis.set_ylim(bottom=0)
            axis.margins(x=0.08)
            axis.grid(alpha=0.25)
            axis.set_xlabel("disentanglement, % of the renderer's")
            axis.set_ylabel(label)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return boxes.show("ablated", *sources)


def _control(classifiers: pd.DataFrame) -> Mapping[str, pd.Series]:
    of = classifiers[classifiers.train_on == CONTROL]
    return {m: of[of.metric == m].value.astype(float) for m in MEASURES}
