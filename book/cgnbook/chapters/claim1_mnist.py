"""Claim 1 on the MNISTs: counterfactuals show the digit that was asked for."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from cgnbook import boxes, digits
from cgnbook.cited import cited
from cgnbook.drawing import STYLE, arrays_of, tile
from cgnbook.names import NAMES, NONE, key
from cgnbook.page import Page
from cgnbook.tables import pct
from cgnbook.verdict import BY_EYE, EYE, ROUNDING, UNRUN, Finding, Verdict, judged, shares
from cgnbook.words import NUMBERS, listed
from cgnlib.experiments import VARIANTS
from cgnlib.runs import Result


def rule(read: Mapping[str, float], ceiling: Mapping[str, float], share: float = 0.80) -> Verdict:
    """A variant counts when the oracle reads its counterfactuals nearly as well as true digits.

    read: share of counterfactuals whose shape an unbiased reader names, by variant; ceiling: the
    same reader's accuracy on real digits with random cues.  A variant counts when it reaches
    `share` of its ceiling.  effects: that ratio.
    """
    if any(v not in read or v not in ceiling for v in VARIANTS):
        return UNRUN
    effects = {variant: read[variant] / ceiling[variant] for variant in VARIANTS}
    return judged(effects, [v for v, ratio in effects.items() if ratio >= share - ROUNDING])


def readings(frame: pd.DataFrame, generator: str = "trained") -> tuple[dict, dict]:
    """(share of counterfactuals read as intended, the same on real digits), means by variant."""
    by = _of(frame, generator).groupby(["metric", "variant"]).value.mean()
    return tuple(by[m].to_dict() if m in by else {} for m in ("image_read", "image_read_true"))


def usable(frame: pd.DataFrame, variant: str, generator: str = "trained") -> float:
    """Usable digits of ten of a variant's CGNs, the mean over them; see `readings`."""
    rows = _of(frame, generator)
    return float(rows[(rows.metric == "usable_digits") & (rows.variant == variant)].value.mean())


def _of(frame: pd.DataFrame, generator: str) -> pd.DataFrame:
    return frame[frame.generator.str.startswith(generator)]


def finding(frame: pd.DataFrame, generator: str) -> Finding:
    """The verdict of a source with its intervals."""
    read, ceiling = readings(frame, generator)
    verdict = rule(read, ceiling)
    if not verdict.effects:
        return Finding(verdict.outcome)
    rows = _of(frame, generator)
    rows = rows[rows.metric == "image_read"]
    of = {v: (g.value.tolist(), int(g.n.iloc[0])) for v, g in rows.groupby("variant")}
    return shares(verdict, of, ceiling, NAMES)


def findings(this: Page) -> dict[str, Finding]:
    """What study, reference run and this run found."""
    weights = zip(this.ours.items(), ("published", "trained"), strict=True)
    return {"Study": EYE} | {source: finding(rows, which) for (source, rows), which in weights}


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number, verdict and remark of the text; percentages, and digits of ten."""
    live, reference = this.live, this.reference
    read, true = readings(live)
    there = readings(reference, "published")
    again = retrained(this)
    told = this.told("edge-loss", metric="usable_digits").set_index("generator").value
    return {
        "verdict-study": BY_EYE,
        "verdict-reference": rule(*there),
        "verdict-live": rule(read, true),
        "short": short(rule(read, true)),
        "usable-without": float(told["trained"]),
        "usable-with": float(told["edge"]),
        "usable-live": usable(live, "colored"),
        "usable-published": usable(reference, "colored", "published"),
        "reference-cgns": judged_cgns(reference),
        "n-retrained": int((again.recipe == "edge").sum()),
        "n-runs": live.run[live.generator != "published"].nunique(),
        "n-images": int(live.n[live.metric == "image_read"].iloc[0]),
        "profile": this.profile,
        **{f"read-{variant}": 100 * share for variant, share in read.items()},
        **{f"reference-read-{variant}": 100 * share for variant, share in there[0].items()},
        **{
            f"usable-{key(v)}-{recipe}": float(of.mean())
            for (v, recipe), of in again.groupby(["variant", "recipe"]).usable
            if recipe != "published"
        },
    }


def short(verdict: Verdict) -> str:
    """On which variants the counterfactuals miss the rule."""
    missed = [NAMES[v] for v in verdict.effects if v not in verdict.met]
    if not missed:
        return "no variant falls short"
    return f"{listed(missed)} {'falls' if len(missed) == 1 else 'fall'} short"


def judged_cgns(frame: pd.DataFrame) -> str:
    """Which CGNs a source has judged: the published ones, ours, or both."""
    found = frame.generator.drop_duplicates()
    own = int(found.str.startswith("trained").sum())
    parts = ["the published ones"] * bool((found == "published").any())
    parts += [f"{NUMBERS[own]} of our own for each variant"] * bool(own)
    return " and ".join(parts) + " alone" * (len(parts) == 1)


def retrained(this: Page) -> pd.DataFrame:
    """The CGNs of the reference run; see `digits.cgns`."""
    return digits.cgns(this.reference_of())


def quality(this: Page) -> pd.DataFrame:
    """Claim 1 in numbers, by variant and CGN; in brackets the same measure on real digits."""
    rows = []
    for source, frame in this.ours.items():
        for (variant, generator), group in frame.groupby(["variant", "generator"], sort=False):
            value = group.set_index("metric").value
            rows.append(
                {
                    "Data": NAMES[variant],
                    "CGN": f"{source}, {generator.replace('-', ' ')}",
                    "Image read": f"{pct(value.image_read)} ({pct(value.image_read_true)})",
                    "Mask read": f"{pct(value.mask_read)} ({pct(value.mask_read_true)})",
                    "Mask IoU": f"{value.mask_iou:.2f} ({value.mask_iou_true:.2f})",
                    "Coverage": f"{value.mask_coverage:.2f} ({value.mask_coverage_true:.2f})",
                    "Usable digits": f"{value.usable_digits:.0f} of 10",
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values("Data", key=lambda c: c.map(list(NAMES.values()).index), kind="stable")


def by_recipe(this: Page) -> pd.DataFrame:
    """Usable digits of each retraining beside the mean that the study tells of its own."""
    means = this.told("edge-loss", metric="usable_digits").set_index("generator").value
    rows = []
    for (variant, recipe), of in retrained(this).groupby(["variant", "recipe"], sort=False):
        known = variant == "colored" and recipe in means
        rows.append(
            {
                "Data": NAMES[variant],
                "CGNs": digits.RECIPES[recipe],
                "Usable digits": ", ".join(map(str, of.usable)),
                "Mean": f"{of.usable.mean():.1f}",
                "Study, mean": f"{means[recipe]:.1f}" if known else NONE,
                "Image read": ", ".join(map(pct, of.read)),
            }
        )
    return pd.DataFrame(rows)


def samples(results: Sequence[Result], shown: Sequence[int] = (0, 1, 2, 3)) -> boxes.Shown:
    """The study's Figure 1: original images on the left, counterfactuals on the right.

    results: one evaluation for each variant; three samples of each digit are shown.  Those that
    the book keeps have no original images.
    """
    n, stored = len(results), [arrays_of(result) for result in results]
    halves = {"real": "original", "counterfactual": "counterfactual"}
    there = [name for name in halves if name in stored[0]]
    with plt.rc_context(STYLE):
        columns = len(there) * n
        _, axes = plt.subplots(1, columns, figsize=(columns * 1.55, 2.6), layout="constrained")
        for half, name in enumerate(there):
            for i, (result, arrays) in enumerate(zip(results, stored, strict=True)):
                images = arrays[name].reshape(10, 3, 32, 32, 3)[list(shown)]
                axis = axes[half * n + i]
                tile(axis, images)
                axis.set_title(NAMES[result.run.variant], fontsize=10)
                axis.set_xlabel(halves[name])
    return boxes.show("samples", results)


def mechanisms(result: Result) -> boxes.Shown:
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
    return boxes.show("mechanisms", result)


def digit_quality(this: Page) -> boxes.Shown:
    """Share of masks of each digit that the mask probe reads as that digit."""
    metrics = [f"mask_read_{digit}" for digit in range(10)]
    rows = this.live[this.live.metric.isin(metrics)]
    table = rows.assign(value=100 * rows.value).pivot_table(
        index="variant", columns="metric", values="value", sort=False
    )
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
    return boxes.show("digit-quality", rows)
