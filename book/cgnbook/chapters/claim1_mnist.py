"""Claim 1 on the MNISTs: counterfactuals show the digit that was asked for."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import boxes, digits, lottery
from cgnbook.cited import cited
from cgnbook.drawing import CUES, STYLE, WIDTH, arrays_of, tile
from cgnbook.names import NAMES, key
from cgnbook.page import Page
from cgnbook.records import AUTHORS, PUBLISHED, TRAINED
from cgnbook.tables import pct
from cgnbook.verdict import (
    BY_EYE,
    EYE,
    FLOOR,
    NOT_MEASURED,
    ROUNDING,
    SHARE,
    UNRUN,
    Finding,
    Mark,
    Verdict,
    judged,
    mean,
    shares,
)
from cgnbook.words import listed
from cgnlib import experiments
from cgnlib.experiments import VARIANTS
from cgnlib.experiments.recipes import PUBLISHED as PUBLISHED_RECIPES
from cgnlib.runs import Result

Read = Mapping[str, Mapping[str, float]]  # by variant and CGN


def rule(read: Read, ceiling: Mapping[str, float]) -> Verdict:
    """CGNs exist whose counterfactuals show the digit that was asked for.

    read: share of a CGN's counterfactuals whose shape an unbiased reader names; ceiling: the same
    reader's accuracy on real digits with random cues, by variant.  A variant counts when its best
    CGN reaches SHARE of the ceiling, and is undecided where that is below FLOOR.  effects: the
    best ratio.
    """
    if any(not read.get(v) or v not in ceiling for v in VARIANTS):
        return UNRUN
    effects = {variant: max(read[variant].values()) / ceiling[variant] for variant in VARIANTS}
    met = [v for v, ratio in effects.items() if ratio >= SHARE - ROUNDING]
    return judged(effects, met, [v for v in effects if ceiling[v] < FLOOR - ROUNDING])


def recipe_rule(read: Read, ceiling: Mapping[str, float]) -> Verdict:
    """The recipe finds such CGNs: as `rule`, but every CGN counts for itself.

    effects: the ratio of each, by variant and CGN.
    """
    if any(not read.get(v) or v not in ceiling for v in VARIANTS):
        return UNRUN
    effects = {f"{v} {cgn}": r / ceiling[v] for v in VARIANTS for cgn, r in read[v].items()}
    met = [cgn for cgn, ratio in effects.items() if ratio >= SHARE - ROUNDING]
    weak = [v for v in VARIANTS if ceiling[v] < FLOOR - ROUNDING]
    return judged(effects, met, [cgn for cgn in effects if cgn.split()[0] in weak])


def readings(frame: pd.DataFrame, generator: str = "trained") -> tuple[Read, dict[str, float]]:
    """Share of counterfactuals read as intended by variant and CGN, and on real digits."""
    rows = _of(frame, generator)
    by = {m: rows[rows.metric == m] for m in ("image_read", "image_read_true")}
    return {
        v: dict(zip(of.generator, of.value, strict=True))
        for v, of in by["image_read"].groupby("variant")
    }, by["image_read_true"].groupby("variant").value.mean().to_dict()


def _of(frame: pd.DataFrame, generator: str) -> pd.DataFrame:
    return frame[frame.generator.str.startswith(generator)]


def finding(frame: pd.DataFrame, generator: str) -> Finding:
    """Whether a kind of evidence has a good CGN of each variant, with its intervals."""
    read, ceiling = readings(frame, generator)
    verdict = rule(read, ceiling)
    if not verdict.effects:
        return Finding(verdict.outcome)
    n = int(frame.n[frame.metric == "image_read"].iloc[0])
    of = {v: (list(cgns.values()), n) for v, cgns in read.items()}
    return shares(verdict, of, ceiling, NAMES, "best")


def finding_of_recipe(frame: pd.DataFrame) -> Finding:
    """How many of the CGNs that were trained by a recipe are good ones."""
    read, ceiling = readings(frame)
    verdict = recipe_rule(read, ceiling)
    lines: list[str] = []
    values: dict[str, float] = {}
    marks: list[Mark] = []
    for v in VARIANTS if verdict.effects else ():
        cgns = [f"{v} {cgn}" for cgn in read[v]]
        good = len(set(cgns) & set(verdict.met))
        weak = set(cgns) <= set(verdict.undecided)
        lines.append(f"{NAMES[v]} " + ("undecided" if weak else f"{good} of {len(cgns)}"))
        marks.append(Mark(NAMES[v], good / len(cgns) - 1, lines[-1], undecided=weak))
        if not weak:
            values[NAMES[v]] = good
    unit = "CGNs that show the digit" if lines else ""
    return Finding(verdict.outcome, tuple(lines), unit, values, tuple(marks))


def findings(this: Page) -> dict[str, Finding]:
    """Whether good CGNs exist: the study by eye, and each kind of our evidence."""
    by = {
        AUTHORS: finding(this.reference, PUBLISHED),
        TRAINED: finding(this.reference, "trained"),
        this.label: finding(this.live, "trained"),
    }
    return {"Study": EYE} | by


def findings_of_recipe(this: Page) -> dict[str, Finding]:
    """Whether the published recipe finds them: our retrainings, and the study's count, which asks
    for ten digits by eye and not for what the rule asks, so that it has no mark."""
    told = lottery.study(this, "trained")
    kept = f"C-MNIST {told[10]} of {sum(told.values())} with ten usable digits"
    by = {
        AUTHORS: Finding(NOT_MEASURED, unit="one CGN of each variant was published"),
        TRAINED: finding_of_recipe(this.reference),
        this.label: finding_of_recipe(this.live),
    }
    if not as_published(this.profile):
        of_its_own = f"{this.profile} trains by a recipe of its own"
        by[this.label] = Finding(NOT_MEASURED, unit=of_its_own)
    return {"Study": Finding(NOT_MEASURED, (kept,), "counted by eye")} | by


def as_published(profile: str) -> bool:
    """Whether a profile trains its CGNs for as long as published, and without the edge loss."""
    trained = experiments.profile(profile).digits.cgn
    return all(trained[v].steps == PUBLISHED_RECIPES[v].steps for v in VARIANTS) and not any(
        recipe.edge for recipe in trained.values()
    )


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number, verdict and remark of the text; percentages, and digits of ten."""
    live, reference = this.live, this.reference
    by = {
        "authors": readings(reference, PUBLISHED),
        "trained": readings(reference, "trained"),
        "live": readings(live, "trained"),
    }
    again = retrained(this)
    recipe = recipe_rule(*by["trained"])
    told = this.told("edge-loss", metric="usable_digits").set_index("generator").value
    return {
        "verdict-study": BY_EYE,
        **{f"verdict-{kind}": rule(*read) for kind, read in by.items()},
        "verdict-recipe": recipe,
        "recipe-met": len(recipe.met),
        "recipe-of": len(recipe.effects),
        "short": short(rule(*by["live"])),
        "usable-without": float(told["trained"]),
        "usable-with": float(told["edge"]),
        **lottery.facts(this),
        "n-runs": live.run[live.generator != PUBLISHED].nunique(),
        "n-images": int(live.n[live.metric == "image_read"].iloc[0]),
        "profile": this.profile,
        **{
            f"{kind}-{key(v)}": 100 * mean(list(shares.values()))
            for kind, (read, _) in by.items()
            for v, shares in read.items()
        },
        **{
            f"usable-{key(v)}-{recipe}": float(of.mean())
            for (v, recipe), of in again.groupby(["variant", "recipe"]).usable
            if recipe != PUBLISHED
        },
    }


def short(verdict: Verdict) -> str:
    """On which variants the counterfactuals miss the rule, and which it cannot judge."""
    missed = [NAMES[v] for v in verdict.effects if v not in verdict.met + verdict.undecided]
    weak = listed([NAMES[v] for v in verdict.undecided])
    if not missed:
        said = "no variant falls short"
    else:
        said = f"{listed(missed)} {'falls' if len(missed) == 1 else 'fall'} short"
    return said + f", and {weak} cannot be judged" * bool(verdict.undecided)


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
                    "CGN": source + generator.replace(PUBLISHED, "").replace("trained-", ", seed "),
                    "Image read": f"{pct(value.image_read)} ({pct(value.image_read_true)})",
                    "Mask read": f"{pct(value.mask_read)} ({pct(value.mask_read_true)})",
                    "Mask IoU": f"{value.mask_iou:.2f} ({value.mask_iou_true:.2f})",
                    "Coverage": f"{value.mask_coverage:.2f} ({value.mask_coverage_true:.2f})",
                    "Usable digits": f"{value.usable_digits:.0f} of 10",
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values("Data", key=lambda c: c.map(list(NAMES.values()).index), kind="stable")


def samples(here: Sequence[Result], there: Sequence[Result], n: int = 2) -> boxes.Shown:
    """The study's Figure 1: original images, and counterfactuals of the same digits below them.

    here, there: an evaluation for each variant, of this run and of the authors' networks, of which
    the first four digits are kept.  n: samples of each.
    """
    rows = {"original": ("real", here), "this run": ("counterfactual", here)}
    rows["authors'"] = "counterfactual", there
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(len(VARIANTS), 1, figsize=(WIDTH, 5.6), layout="constrained")
        for axis, variant in zip(axes, VARIANTS, strict=True):
            shown = []
            for name, results in rows.values():
                (of,) = [arrays_of(r)[name] for r in results if r.run.variant == variant]
                shown.append(of.reshape(10, 3, 32, 32, 3)[:4, :n].reshape(4 * n, 32, 32, 3))
            tile(axis, np.stack(shown))
            axis.set_yticks(np.arange(len(rows)) * 34 + 15.5, list(rows))
            axis.tick_params(length=0)
            axis.set_title(NAMES[variant])
    return boxes.show("samples", here, there)


def mechanisms(results: Sequence[Result]) -> boxes.Shown:
    """What each mechanism of a CGN makes for the ten classes, and what they compose to; a block
    for each CGN."""
    rows = {"mask": "mask", "fg": "texture", "bg": "backgr.", "x_gen": "composed"}
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            len(results), 1, figsize=(WIDTH, 1.95 * len(results)), layout="constrained"
        )
        for axis, result in zip(np.atleast_1d(axes), results, strict=True):
            arrays = arrays_of(result)
            shape = arrays["x_gen"].shape  # a mask has one channel
            tile(axis, np.stack([np.broadcast_to(arrays[name], shape) for name in rows]))
            axis.set_yticks(np.arange(len(rows)) * 34 + 15.5, list(rows.values()))
            axis.tick_params(length=0)
            axis.set_title(NAMES[result.run.variant])
    return boxes.show("mechanisms", results)


def digit_quality(this: Page, results: Sequence[Result]) -> boxes.Shown:
    """Share of masks of each digit that the mask reader reads as that digit, and such a mask.

    results: an evaluation for each variant, whose masks are shown.
    """
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            2 * len(results), 1, figsize=(WIDTH, 2.1 * len(results)), layout="constrained",
            height_ratios=(3, 1.3) * len(results),
        )  # fmt: skip
        for i, result in enumerate(results):
            above, below = axes[2 * i : 2 * i + 2]
            of = this.live[this.live.run == result.run.id].set_index("metric").value
            shares = [100 * of[f"mask_read_{digit}"] for digit in range(10)]
            above.bar(range(10), shares, 0.75, color=CUES["shape"], label=NAMES[result.run.variant])
            above.axhline(50, color="0.5", lw=1, ls=":")
            above.set(title=NAMES[result.run.variant], xlim=(-0.5, 9.5), ylim=(0, 100))
            above.set(xticks=range(10), yticks=(0, 50, 100), ylabel="%")
            tile(below, arrays_of(result)["mask"][None])
            below.set_anchor("N")
    return boxes.show("digit-quality", results)
