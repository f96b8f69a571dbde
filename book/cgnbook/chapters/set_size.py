"""How many counterfactuals: accuracy by size of the set and by how many share a shape."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes
from cgnbook.cited import cited
from cgnbook.drawing import STYLE, WIDTH, legend, sign
from cgnbook.names import NAMES, NONE, key
from cgnbook.page import Page
from cgnbook.records import FULL
from cgnbook.tables import pct
from cgnbook.words import listed
from cgnlib import experiments
from cgnlib.experiments import VARIANTS

ALONE, BOTH, NO_RISE, NOT_RUN = (
    "the size counts, the ratio little",
    "size and ratio count",
    "no rise with the size",
    "not run",
)
STEPS, IMAGES = "mostly the steps", "mostly the images"
COLUMNS = ["variant", "size", "per_shape", "epochs", "longer", "accuracy"]


@dataclass(frozen=True)
class Effect:
    """What size and ratio do to test accuracy on one variant; differences of mean accuracies.

    rise: from the smallest to the largest set, mean over the ratios that have both.
    ratio: between the best and the worst ratio at one size, mean over sizes.
    """

    rise: float
    ratio: float


@dataclass(frozen=True)
class Steps:
    """A small set, the same with more passes, and a larger set: mean accuracies on one variant.

    size, passes: of the small set; larger: size of the other, the largest that saw no more images
    in all than the small set in its many passes.
    """

    size: int
    passes: int
    larger: int
    few: float
    many: float
    more: float

    @property
    def share(self) -> float:
        """Of what the larger set gains: how much more passes over the small one gain."""
        return (self.many - self.few) / (self.more - self.few)


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each classifier, with the columns COLUMNS.

    frame: what one source has of the claim.  longer: whether
    it made more passes than the others of its variant.
    """
    rows = frame[frame.metric == "test_accuracy"]
    rows = rows.assign(accuracy=rows.value)
    rows = rows.astype({"size": int, "per_shape": int, "epochs": int})
    rows["longer"] = rows.epochs > rows.groupby("variant").epochs.transform("min")
    return rows[COLUMNS].reset_index(drop=True)


def sources(this: Page) -> dict[str, pd.DataFrame]:
    """`cells` of the study, the authors' weights and this run, by what they are called."""
    frames = {"Study": this.told("cf-count")} | this.ours
    return {source: cells(frame) for source, frame in frames.items()}


def effects(found: pd.DataFrame) -> dict[str, Effect]:
    """From `cells`, by variant; one without two sizes at two ratios is left out.

    Sizes at which a single ratio was run count for nothing here.
    """
    answers = {}
    for variant, of in found.groupby("variant", sort=False):
        by = of[~of.longer].groupby(["size", "per_shape"]).accuracy.mean().unstack()
        by = by[by.notna().sum(axis=1) > 1]
        rises = (by.iloc[-1] - by.iloc[0]).dropna() if len(by) > 1 else pd.Series(dtype=float)
        if len(rises) < 2:
            continue
        ratio = (by.max(axis=1) - by.min(axis=1)).mean()
        answers[variant] = Effect(float(rises.mean()), float(ratio))
    return answers


def repeated(found: pd.DataFrame) -> dict[str, Steps]:
    """From `cells`, by variant; one of whose three sets was not run is left out."""
    answers = {}
    for variant, of in found.groupby("variant", sort=False):
        by = of.groupby(["per_shape", "size", "epochs"]).accuracy.mean()
        for ratio, size, passes in of[of.longer].groupby(["per_shape", "size", "epochs"]).groups:
            usual = of[~of.longer & (of.per_shape == ratio)]
            few = usual.epochs.min()
            larger = usual["size"][usual["size"] * few <= size * passes].max()
            cells = [(ratio, size, few), (ratio, size, passes), (ratio, larger, few)]
            if not set(cells) <= set(by.index):
                continue
            three = (by[cell] for cell in cells)
            answers[variant] = Steps(*map(int, (size, passes, larger)), *map(float, three))
    return answers


def judge(effect: Effect | None, margin: float = 0.02, share: float = 0.5) -> str:
    """What counts: the size where accuracy rises by `margin` or more, and the ratio beside it
    where what it does is more than `share` of that rise."""
    if effect is None:
        return NOT_RUN
    if effect.rise < margin:
        return NO_RISE
    return ALONE if effect.ratio <= share * effect.rise else BOTH


def behind(of: Steps | None, margin: float = 0.02, share: float = 0.5) -> str:
    """What is behind the gain of a larger set: the steps where more passes over the small set gain
    `share` of it or more, else the images."""
    if of is None:
        return NOT_RUN
    if of.more - of.few < margin:
        return NO_RISE
    return STEPS if of.share >= share else IMAGES


def answers(this: Page) -> dict[str, dict[str, Effect]]:
    """`effects` of each source, by its short name."""
    short = ("live", "reference", "study")
    return {s: effects(of) for s, of in zip(short, reversed(sources(this).values()), strict=True)}


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number and remark of the text, in percent or points."""
    told, there, here = sources(this).values()
    found = answers(this)
    longer, again = repeated(here)["colored"], repeated(there)
    wildlife = again["wildlife"]
    by = {source: of.set_index(["variant", "longer", "size", "per_shape"]).accuracy
          for source, of in (("study", told), ("reference", there))}  # fmt: skip
    known = this.live[(this.live.metric == "train_accuracy") & (this.live.epochs == longer.passes)]
    below = by["study"]["colored", False, 10_000].mean() - longer.more
    return {
        **{
            f"rule-{source}-{key(variant)}": judge(of.get(variant))
            for source, of in found.items()
            for variant in (of if source == "live" else VARIANTS)
        },
        "rule-held": held(found),
        "behind-live-colored": behind(longer),
        **{f"behind-reference-{key(v)}": behind(again.get(v)) for v in VARIANTS},
        "live-size": longer.size,
        "live-passes": longer.passes,
        "live-larger": longer.larger,
        "live-few": 100 * longer.few,
        "live-many": 100 * longer.many,
        "live-more": 100 * longer.more,
        "live-known": 100 * float(known.value.mean()),
        "live-ratio": 100 * found["live"]["colored"].ratio,
        "reference-few": int(there[~there.longer].epochs.min()),
        "reference-passes": wildlife.passes,
        "reference-many": 100 * wildlife.many,
        "reference-share": 100 * wildlife.share,
        "reference-share-double-colored": 100 * again["double_colored"].share,
        "reference-usual": 100 * float(by["reference"]["wildlife", False, 50_000, 1].mean()),
        **{
            f"{source}-small-{ratio}": 100 * float(of["wildlife", False, 10_000, ratio].mean())
            for source, of in by.items()
            for ratio in (1, 10)
        },
        "below": 100 * float(below),
        "passes": int(here[~here.longer].epochs.min()),
        "n-seeds": this.live.seed.nunique(),
        "n-reference": len(there),
        "n-reference-seeds": this.reference.seed.nunique(),
        "n-declared": len(experiments.grid(FULL, "set-size")),
        "n-largest": int(there["size"].max()),
        "no-rise": NO_RISE,
        "alone": ALONE,
        "both": BOTH,
        "steps": STEPS,
        "images": IMAGES,
        "profile": this.profile,
    }


def held(found: Mapping[str, Mapping[str, Effect]]) -> str:
    """Where the study's reading holds that size matters and the ratio does not.

    found: the effects by variant of `study`, `reference` and `live`, or some of these.
    """
    words = {
        "study": "the study's numbers",
        "reference": "the authors' weights",
        "live": "this run",
    }
    said = []
    for source in filter(found.__contains__, words):
        alone = [v for v, effect in found[source].items() if judge(effect) == ALONE]
        said.append(f"on {len(alone)} of {len(found[source])} variants in {words[source]}")
    return listed(said)


def by_rule(sources: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rule's answer for each source and the variants it has, with what decided it in points."""
    rows = []
    for source, found in sources.items():
        of = effects(found)
        if not of:
            rows.append([source, NONE, NONE, NONE, NOT_RUN])
        for variant in filter(of.__contains__, VARIANTS):
            rise, ratio = f"{100 * of[variant].rise:+.1f}", f"{100 * of[variant].ratio:.1f}"
            rows.append([source, NAMES[variant], rise, ratio, judge(of[variant])])
    return pd.DataFrame(rows, columns=["Source", "Data", "Rise", "Ratio", "By the rule"])


def steps(sources: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Accuracy in percent of the smallest set, of more passes over it, and of a larger set."""
    return pd.DataFrame(
        (
            {
                "Source": source,
                "Data": NAMES[variant],
                "Small set": f"{pct(of.few)} ({of.size:,} images)",
                "The same, longer": f"{pct(of.many)} ({of.passes} passes)",
                "Larger set": f"{pct(of.more)} ({of.larger:,} images)",
            }
            for source, found in sources.items()
            for variant, of in repeated(found).items()
        ),
        columns=["Source", "Data", "Small set", "The same, longer", "Larger set"],
    )


def curves(this: Page) -> boxes.Shown:
    """Accuracy over the images seen in training: a panel a variant, a mark and a line a source.

    A mark for each size and ratio, mean over seeds.  Ringed: the smallest set in more passes.
    """
    of_source = sources(this)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(VARIANTS), 1, figsize=(WIDTH, 6.6), sharex=True, layout="constrained"
        )
        for axis, variant in zip(axes, VARIANTS, strict=True):
            for source, found in of_source.items():
                of = found[found.variant == variant]
                look = sign(source) | {"ms": 5.5}
                seen = of.assign(seen=of["size"] * of.epochs)
                usual = 100 * seen[~seen.longer].groupby("seen").accuracy.mean()
                axis.plot(usual.index, usual, color=look["mec"], lw=0.8, label=f"{source}, mean")
                for (ratio, longer), rows in seen.groupby(["per_shape", "longer"]):
                    means = 100 * rows.groupby("seen").accuracy.mean()
                    name = f"{source}, {ratio} a shape" + ", more passes" * longer
                    axis.plot(means.index, means, **look, label=name)
                    for at, value in means.items() if longer else ():
                        axis.plot(at, value, **RING)
                        few = rows.iloc[0]
                        axis.annotate(
                            f"{few['size']:,} images\n{few.epochs} times", (at, value), (5, -5),
                            textcoords="offset points", va="top", fontsize=8,
                        )  # fmt: skip
            axis.set(xscale="log", title=NAMES[variant], ylim=(0, 100), ylabel="test accuracy, %")
            axis.grid()
        axes[-1].set_xlabel("images seen in training: size of the set times passes")
        legend(figure, list(of_source))
    return boxes.show("set-size", this.live, this.reference, this.told("cf-count"))


RING = {"marker": "o", "ms": 11, "mfc": "none", "mec": "black", "ls": "none", "label": "_ring"}
