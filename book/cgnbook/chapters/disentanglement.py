"""What the mechanisms keep apart, whether it makes classifiers robust, and where heads look."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from cgnbook import boxes
from cgnbook.cited import Facts, cited
from cgnbook.drawing import CUES, STYLE, WIDTH, arrays_of, legend, sign, tile
from cgnbook.names import (
    ABLATED,
    CLASSIFIERS,
    CONTROL,
    INVARIANT,
    NAMES,
    NONE,
    SUBJECTS,
    key,
)
from cgnbook.page import Page
from cgnbook.records import AUTHORS, FULL, PUBLISHED, TRAINED
from cgnbook.tables import pct, spread
from cgnbook.words import listed, rarely
from cgnlib import experiments
from cgnlib.counterfactuals.draws import MECHANISMS
from cgnlib.experiments import ABLATIONS
from cgnlib.measures.naming import Measure
from cgnlib.runs import Result

RENDERER = "the renderer"
# The claims whose reference runs measure CGNs, and classifiers that learned from them.
ON_DIGITS = ("disentanglement", "claim-3-mnist", "edge-loss")
ON_ABLATED = ("disentanglement", "claim-3-imagenet", "ablated-robustness")
WORLDS = NAMES | {"menagerie": "Menagerie"}
MEASURES = {  # of a classifier: who decides, and what is measured
    "shape/cue_shape": "By shape: shape head",
    "avg/cue_shape": "By shape: mean of the heads",
    "shape_texture/bg_gap": "BG-gap: shape and texture heads",
    "avg/bg_gap": "BG-gap: mean of the heads",
}
# Mark and colour of a CGN by the loss that it went without; a loss on a cue has the cue's colour.
_LOOKS = {
    "none": ("D", "black"),
    "shape": ("o", CUES["shape"]),
    "texture": ("s", CUES["texture"]),
    "background": ("^", CUES["background"]),
    "reconstruction": ("X", "0.5"),
}
# What is exchanged, and which of the other readings changes; those of shape first.
LEAKS = [
    *(("texture", "shape"), ("background", "shape")),
    *(("shape", "texture"), ("background", "texture")),
    *(("shape", "background"), ("texture", "background")),
]
_SPAN = "from the renderer to the CGN"


def scores(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each source of images, by the id of its run: which it is, and its metrics.

    share: its disentanglement as a share of what the renderer of its world scores, which a perfect
    CGN would have.
    """
    rows = numbers[numbers.run.str.startswith("disentanglement")]
    about = rows.drop_duplicates("run").set_index("run")[["variant", "removed", "generator"]]
    found = about.join(rows.pivot(index="run", columns="metric", values="value").astype(float))
    found["name"] = [_name(row) for row in about.itertuples()]
    truth = found[found.name == RENDERER].set_index("variant").disentanglement
    return found.assign(share=found.disentanglement / found.variant.map(truth))


def _name(row) -> str:
    if "-truth-" in row.Index:
        return RENDERER
    if row.variant == "menagerie":
        return f"CGN, {ABLATED[row.removed]}"
    recipe, _, seed = row.generator.partition("-")
    edge = "edge loss, " * (recipe == "edge")
    return f"CGN, {edge}seed {seed}" if seed else f"CGN, {recipe}"


def cgns(found: pd.DataFrame) -> pd.DataFrame:
    """The `scores` of the CGNs alone."""
    return found[found.name != RENDERER]


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Control, leak and their difference, in percent; the renderer first in each world."""
    named = {"control": "Control", "leak": "Leak", "disentanglement": "Difference"}
    cells = {title: found[metric].map(pct) for metric, title in named.items()}
    return pd.DataFrame({"Data": found.variant.map(WORLDS), "Images of": found.name} | cells)


def diversity(found: pd.DataFrame) -> pd.DataFrame:
    """Mean difference of two draws of one class, in percent of the renderer's; by mechanism."""
    truth, shown = found[found.name == RENDERER].set_index("variant"), cgns(found)

    def of(mechanism: str) -> pd.Series:
        measure = f"diversity_{mechanism}"
        known = shown.variant.map(truth[measure])
        return (100 * shown[measure] / known).map("{:.0f}".format).where(known > 0, NONE)

    cells = {m.capitalize(): of(m) for m in MECHANISMS}
    return pd.DataFrame({"Data": shown.variant.map(WORLDS), "Images of": shown.name} | cells)


def leaks(found: pd.DataFrame, variant: str) -> dict[str, float]:
    """How often another texture, or another background, makes a reader see another shape, in %.

    Of the CGNs the mean over those that are named as the first is.
    """
    of = found[found.variant == variant]
    mine = cgns(of)
    groups = {"truth": of[of.name == RENDERER], "cgn": mine[mine.name == mine.name.iloc[0]]}
    return {
        f"leak-{cue}-{name}": 100 * float(group[f"moved_{cue}_shape"].mean())
        for name, group in groups.items()
        for cue in ("texture", "background")
    }


def of_cgns(found: pd.DataFrame) -> dict[str, float]:
    """What the text says of the CGNs of a run, in percent.

    diagonal: the least that an exchanged class changes of its own factor, over the first CGNs of
    all worlds.  into-shape: the share of the other changes that the reader of shape sees.
    variety-least, variety-most: how much their shapes vary, of the renderer's.
    """
    truth, mine = found[found.name == RENDERER].set_index("variant"), cgns(found)
    variety = mine.diversity_shape / mine.variant.map(truth.diversity_shape)
    first = mine.drop_duplicates("variant")
    leak = {(a, b): first[f"moved_{a}_{b}"].sum() for a in MECHANISMS for b in MECHANISMS if a != b}
    into_shape = sum(moved for (_, read), moved in leak.items() if read == "shape")
    return {
        "diagonal": 100 * float(first[[f"moved_{m}_{m}" for m in MECHANISMS]].min(axis=None)),
        "into-shape": 100 * float(into_shape / sum(leak.values())),
        "variety-least": 100 * float(variety.min()),
        "variety-most": 100 * float(variety.max()),
    }


def points(numbers: pd.DataFrame) -> pd.DataFrame:
    """Of each MNIST CGN: its share of the renderer's disentanglement, and the mean test accuracy
    of the n classifiers that learned from its counterfactuals alone."""
    alone = numbers[(numbers.train_on == "cgn") & (numbers.metric == "test_accuracy")]
    of = alone.groupby(["variant", "generator"]).value.agg(n="count", accuracy="mean")
    found = cgns(scores(numbers)).join(of, on=["variant", "generator"], how="inner")
    return found[["variant", "name", "share", "n", "accuracy"]].reset_index(drop=True)


def association(
    found: pd.DataFrame, draws: int = 20_000, seed: int = 0
) -> tuple[dict[str, float], float]:
    """Rank correlation of disentanglement and accuracy over the CGNs of each variant, and how
    often chance gives as much.

    found: `points`.  The second number is the share of draws, accuracies exchanged among the CGNs
    of one variant and one recipe, whose correlations within these groups sum to as much or more:
    a recipe may move both, and so may a variant.  Groups of fewer than three CGNs are left out.
    """
    rng, seen, drawn = np.random.default_rng(seed), 0.0, np.zeros(draws)
    recipe = found.name.str.replace(r" \d+$", "", regex=True)
    for _, of in found.groupby([found.variant, recipe], sort=False):
        if len(of) > 2:
            x, y = _ranks(of)
            seen += (x * y).mean()
            drawn += (rng.permuted(np.tile(y, (draws, 1)), axis=1) * x).mean(1)
    chance = (1 + (drawn >= seen - 1e-9).sum()) / (1 + draws)
    rhos = {}
    for variant, of in found.groupby("variant", sort=False):
        if len(of) > 2:
            x, y = _ranks(of)
            rhos[variant] = float((x * y).mean())
    return rhos, float(chance)


def _ranks(of: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ranks on both axes, with mean 0 and deviation 1."""
    x, y = (of[axis].rank().to_numpy() for axis in ("share", "accuracy"))
    return tuple((v - v.mean()) / v.std() for v in (x, y))


def moved(numbers: pd.DataFrame) -> boxes.Shown:
    """Which reading changes when the class of another mechanism is exchanged: a panel a world, a
    row for each pair, its colour the mechanism's; a tick for the renderer, a mark for a CGN."""
    found = scores(numbers)
    shown = found.groupby("variant", sort=False).head(2)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, 2, figsize=(WIDTH, 4.4), sharex=True, sharey=True, layout="constrained"
        )
        for axis, (variant, title) in zip(axes.flat, WORLDS.items(), strict=True):
            of = shown[shown.variant == variant].set_index("name")
            for y, (moved, read) in enumerate(LEAKS if len(of) else ()):
                true, made = 100 * of[f"moved_{moved}_{read}"]
                if np.isnan(made):  # a black background has no class to read
                    continue
                colour = CUES[moved]
                axis.plot([true, made], [y, y], color=colour, lw=1.5, label=_SPAN)
                axis.plot(true, y, "|", color="black", ms=9, mew=1.5, label=RENDERER)
                axis.plot(made, y, "o", color=colour, ms=6, label="CGN")
            axis.set(title=title, xlim=(-1, 60), ylim=(len(LEAKS) - 0.5, -0.5))
            axis.set_yticks(range(len(LEAKS)), [f"{read}, by new {moved}" for moved, read in LEAKS])
            axis.tick_params(axis="y", length=0)
            axis.axhline(1.5, color="0.6", lw=0.6)
            axis.grid(axis="x")
        axes[1, 0].set_xlabel("readings changed, %")
        looks = {RENDERER: ("|", 9), "CGN": ("o", 6)}
        handles = [Line2D([], [], color="black", ls="none", marker=mark, ms=size, label=name)
                   for name, (mark, size) in looks.items()]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower left", ncols=2, handletextpad=0.2)
    return boxes.show("leaks", numbers[numbers.run.isin(shown.index)])


def interventions(results: Sequence[Result], n: int = 4) -> boxes.Shown:
    """The same scenes with another shape, texture or background: a block for each CGN."""
    first = {r.run.variant: r for r in reversed(results) if r.run.behind}
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(2, 2, figsize=(WIDTH, 4.5), layout="constrained")
        rows = ("base", *MECHANISMS)
        for axis, (variant, title) in zip(axes.flat, WORLDS.items(), strict=True):
            if variant not in first:
                axis.set_axis_off()
                continue
            arrays = arrays_of(first[variant])
            x = np.stack([arrays[name][:n] for name in rows])
            tile(axis, x)
            side = x.shape[2] + 2
            labels = ("scene", *(f"new {name}" for name in MECHANISMS))
            axis.set_yticks(np.arange(4) * side + side / 2, labels)
            axis.tick_params(length=0, labelleft=axis in axes[:, 0])
            axis.set_title(title)
    return boxes.show("interventions", first.values())


def kinds(here: pd.DataFrame, there: pd.DataFrame, label: str) -> dict[str, pd.DataFrame]:
    """`points` by kind of evidence.  here: the points of this run, which is called `label`.
    there: the numbers of the reference run."""
    found = points(there)
    theirs = found.name.str.contains(PUBLISHED)
    return {label: here, TRAINED: found[~theirs], AUTHORS: found[theirs]}


def scatter(frames: Mapping[str, pd.DataFrame], *sources: boxes.Source) -> boxes.Shown:
    """Robustness over disentanglement: a panel a variant, a mark for each CGN.

    frames: `points`, by their source.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(NAMES), figsize=(WIDTH, 2.9), sharey=True, layout="constrained"
        )
        for axis, (variant, title) in zip(axes, NAMES.items(), strict=True):
            for source, frame in frames.items():
                of = frame[frame.variant == variant]
                axis.plot(100 * of.share, 100 * of.accuracy, label=source, **sign(source))
            axis.set(title=title, xlim=(-30, 112), ylim=(0, 100), xticks=(0, 50, 100))
            axis.grid()
        axes[0].set_ylabel("test accuracy, %")
        axes[1].set_xlabel("disentanglement, % of the renderer's")
        legend(figure, list(frames))
    return boxes.show("scatter", *sources)


def made_worse(numbers: pd.DataFrame) -> pd.DataFrame:
    """A row for each CGN of the menagerie whose counterfactuals a classifier learned from.

    removed and generator say which, share as in `scores`; then the MEASURES of that classifier.
    """
    of = scores(numbers)
    learned = numbers[(numbers.train_on == INVARIANT) & numbers.metric.isin(MEASURES)]
    found = learned.pivot(index=["removed", "generator"], columns="metric", values="value")
    share = cgns(of[of.variant == "menagerie"]).set_index(["removed", "generator"]).share
    return found.join(share, how="inner").reset_index()


def _control(numbers: pd.DataFrame) -> Mapping[str, pd.Series]:
    of = numbers[numbers.train_on == CONTROL]
    return {m: of[of.metric == m].value for m in MEASURES}


def worse_scatter(numbers: pd.DataFrame) -> boxes.Shown:
    """What the classifiers go by, over the disentanglement of the CGN; dashed: without any."""
    found, control = made_worse(numbers), _control(numbers)
    shown = {
        "shape/cue_shape": "Shape head: decisions by shape on the cue conflict, %",
        "shape_texture/bg_gap": "Shape and texture heads: BG-gap, points",
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(shown), 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained"
        )
        for axis, (measure, title) in zip(axes, shown.items(), strict=True):
            for ablation in ABLATIONS:
                of = found[found.removed == ablation]
                marker, colour = _LOOKS[ablation]
                axis.plot(100 * of.share, 100 * of[measure], marker, ms=8, color=colour,
                          label=ABLATED[ablation])  # fmt: skip
            axis.axhline(100 * control[measure].mean(), color="0.4", linestyle="--",
                         label="no counterfactuals")  # fmt: skip
            axis.set_ylim(bottom=0)
            axis.set_title(title, fontsize=10)
            axis.grid()
        axes[-1].set_xlabel("disentanglement of the CGN, % of the renderer's")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=3, columnspacing=1,
                      handletextpad=0.2)  # fmt: skip
    return boxes.show("ablated", numbers)


def heads(numbers: pd.DataFrame, layer: str = "fine") -> pd.DataFrame:
    """Heat inside the object and how well it ranks the object's pixels, in percent, by head."""
    titles = {
        "heat_inside": "Inside",
        "heat_inside_swapped": "Swapped",
        "average_precision": "AP",
    }
    by = numbers.groupby(["train_on", "metric"]).value.apply(list).to_dict()
    rows = []
    for (train_on, name), subject in product(CLASSIFIERS.items(), SUBJECTS):
        of = {t: by.get((train_on, Measure(m, subject, layer).name)) for m, t in titles.items()}
        if of["Inside"]:
            row = {"Trained on": name, "Who decides": SUBJECTS[subject]}
            rows.append(row | {title: spread(values) for title, values in of.items()})
    return pd.DataFrame(rows)


def facts(this: Page, here: pd.DataFrame, looked: pd.DataFrame) -> Facts:
    """What the text says.  here: the `points` of this run.  looked: numbers of its head maps."""
    return _of_cgns(this, here) | _of_heads(replace(this, numbers=looked))


@cited
def _of_heads(this: Page) -> dict[str, object]:
    """How much of an image the object covers, in percent, and whose head maps are looked at."""
    covered = this.numbers[this.numbers.metric == "mask_coverage_true"].value.mean()
    return {"coverage": float(100 * covered), "looked": this.numbers.profile.iloc[0]}


@cited
def _of_cgns(this: Page, here: pd.DataFrame) -> dict[str, object]:
    """Shares of what a perfect CGN would score, in percent; the correlations, and how often chance
    gives as much; what the CGNs of this run move and vary."""
    profile, full = experiments.profile(this.profile), experiments.profile(FULL)
    there = points(this.reference_of(*ON_DIGITS))
    rhos, chance = association(there)
    worse = made_worse(this.reference_of(*ON_ABLATED))
    here_of = first_shares(this.live).items()
    return (
        {
            f"share-reference-{key(variant)}": 100 * float(share)
            for variant, share in first_shares(this.reference).items()
        }
        | {"share-live": listed([f"{WORLDS[v]} {100 * share:.0f}%" for v, share in here_of])}
        | {"rhos": listed([f"{NAMES[v]} {rho:.2f}" for v, rho in rhos.items()])}
        | {"chance": rarely(chance), "rho-shape": rho_shape(worse), "n-cgns": len(worse)}
        | {"n-here": len(here), "n-there": len(there), "n-own": len(full.digits.generator_seeds)}
        | {"profile": this.profile}
        | {"scenes-digits": profile.digits.scenes, "scenes-world": profile.world.scenes or 0}
        | of_cgns(scores(this.live))
    )


def first_shares(numbers: pd.DataFrame) -> pd.Series:
    """The share of the renderer's disentanglement that the first CGN of each world has."""
    share = cgns(scores(numbers)).groupby("variant").share.first()
    return share.reindex([world for world in WORLDS if world in share.index])


def rho_shape(worse: pd.DataFrame) -> float:
    """Over the CGNs of `made_worse`, the rank correlation of disentanglement with what the shape
    head decides by shape."""
    return float(worse.share.corr(worse["shape/cue_shape"], method="spearman"))
