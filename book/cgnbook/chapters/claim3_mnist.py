"""Claim 3 on the MNISTs: counterfactual training makes digit classifiers robust."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch

from cgnbook import boxes, digits
from cgnbook.cited import cited
from cgnbook.digits import RECIPES, Accuracies, accuracies, means
from cgnbook.drawing import GRID, STYLE, WIDTH, bytes_of, legend, sign, tile
from cgnbook.names import NAMES, SETTINGS, key
from cgnbook.page import Page
from cgnbook.records import AUTHORS, PUBLISHED, TRAINED
from cgnbook.tables import pct, spread
from cgnbook.verdict import ROUNDING, UNRUN, Finding, Verdict, judged, mean, points
from cgnbook.words import NUMBERS, listed, sorted_out
from cgnlib import chance
from cgnlib.chance import generator
from cgnlib.counterfactuals.digits import interventions
from cgnlib.experiments import TRAIN_SETS, VARIANTS, PublishedCGN
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CGN, compose
from cgnlib.runs import Result

MARGIN = 0.30  # of test accuracy


def rule(of: Mapping[str, Mapping[str, Sequence[float]]], margin: float = MARGIN) -> Verdict:
    """Counterfactual training makes a classifier robust; a GAN does not.

    of: test accuracy by variant, then by training set, one for each seed.  A variant counts when
    the worst CGN classifier beats the best original and the best GAN classifier by `margin`.
    All variants: reproduced; some: partly; a missing one: not run.  effects: mean accuracy with
    the CGN less mean accuracy without.
    """
    if any(not of.get(v, {}).get(s) for v in VARIANTS for s in ("original", "gan", "cgn")):
        return UNRUN
    effects = {v: mean(of[v]["cgn"]) - mean(of[v]["original"]) for v in VARIANTS}
    lead = {v: min(of[v]["cgn"]) - max(*of[v]["original"], *of[v]["gan"]) for v in VARIANTS}
    return judged(effects, [v for v in VARIANTS if lead[v] >= margin - ROUNDING])


def finding(of: Accuracies) -> Finding:
    """Points gained by counterfactual training over original images, with their intervals.

    Effects are told also where the rule lacks the GAN.
    """
    pairs = {
        NAMES[v]: (of[v]["cgn"], of[v]["original"])
        for v in VARIANTS
        if {"cgn", "original"} <= of.get(v, {}).keys()
    }
    return points(rule(of), pairs, "points gained", MARGIN)


def told(this: Page, source: str = "Study") -> Accuracies:
    """Test accuracies as the study, or another source, has them."""
    return accuracies(this.told("mnist-classification", source=source))


def findings(this: Page) -> dict[str, Finding]:
    """What the study and each kind of our evidence found.

    The classifiers without a CGN are the same for both kinds of the reference run.
    """
    return {
        "Paper": finding(told(this, "Paper")),
        "Study": finding(told(this)),
        AUTHORS: finding(accuracies(this.reference, PUBLISHED)),
        TRAINED: finding(accuracies(this.reference, "trained")),
        this.label: finding(accuracies(this.live, "trained")),
    }


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number, verdict and remark of the text, in percent or points."""
    of = {
        "study": told(this),
        "authors": accuracies(this.reference, PUBLISHED),
        "trained": accuracies(this.reference, "trained"),
        "live": accuracies(this.live, "trained"),
    }
    verdicts = {source: rule(by) for source, by in of.items()}
    again, near = cgns(this), off(of["study"], of["authors"])
    user = this.told("mnist-classification", metric="test_accuracy_retrained")
    of_w = again[(again.variant == "wildlife") & (again.recipe == "trained")].alone
    best_of = [str(record["best_of"]) for record in shipped_records().values()]
    return {
        **{f"verdict-{source}": verdict for source, verdict in verdicts.items()},
        **{
            f"gain-{source}-{key(variant)}": 100 * gain
            for source in ("authors", "trained", "live")
            for variant, gain in verdicts[source].effects.items()
        },
        "gan-study": digits.gan_gain(of["study"]),
        "gan-live": digits.gan_gain(of["live"]),
        "union": union_against_alone(of["live"]),
        "seeds-run": seeds_run(of["authors"]),
        "off-cgn": max(near[train_on] for train_on in near if train_on.endswith("cgn")),
        "off-other": max(near[train_on] for train_on in near if not train_on.endswith("cgn")),
        "told-retrained": 100 * float(user.value.iloc[0]),
        "w-retrained": listed([f"{100 * a:.0f}" for a in sorted(map(mean, of_w))]),
        "shipped-of": listed(best_of),
        "n-own": own_cgns(this.reference),
        "n-seeds": this.live.seed.nunique(),
        "n-runs": this.live.run.nunique(),
        "profile": this.profile,
        **{f"draw-{name}": value for name, value in draw(again).items()},
        **{
            f"lost-{who}-wildlife": 100 * (by["cgn"] - by["original+cgn"])
            for who, by in ((who, means(of[who])["wildlife"]) for who in ("study", "authors"))
        },
    }


def off(study: Accuracies, ours: Accuracies) -> dict[str, float]:
    """How far the means over our runs lie from the study's numbers, at most, in points; by
    training set."""
    apart: dict[str, float] = {}
    for variant, by in means(ours).items():
        for train_on, value in by.items():
            points = 100 * abs(value - study[variant][train_on][0])
            apart[train_on] = max(points, apart.get(train_on, 0.0))
    return apart


def own_cgns(frame: pd.DataFrame) -> int:
    """How many CGNs of each variant a source has trained itself."""
    return frame.generator[frame.generator.str.startswith("trained")].nunique()


def seeds_run(of: Accuracies) -> str:
    """How many seeds the cells that a source has were run with."""
    counts = [len(values) for by in of.values() for values in by.values()]
    least, most = min(counts), max(counts)
    if least < most:
        return f"{NUMBERS[least]} to {NUMBERS[most]} seeds each"
    return f"{NUMBERS[most]} seed{'s' if most > 1 else ''} each"


def union_against_alone(of: Accuracies) -> str:
    """Where original images beside counterfactuals help and where they hurt, beyond the seeds."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "level": []}
    for variant, by in of.items():
        union, alone = by["original+cgn"], by["cgn"]
        better, worse = min(union) > max(alone), max(union) < min(alone)
        found["better" if better else "worse" if worse else "level"].append(NAMES[variant])
    words = {
        "better": "the union is better on {}",
        "worse": "the union is worse on {}",
        "level": "on {} the seeds overlap",
    }
    return sorted_out(found, words)


def union_less_alone(this: Page) -> pd.DataFrame:
    """By how many points the union is ahead of counterfactuals alone: a row a variant, a column
    for whose CGNs they are."""
    frames = {s: (frame, which) for s, (frame, which) in _frames(this) if s != "Paper"}
    by = {source: means(accuracies(*of)) for source, of in frames.items()}
    return pd.DataFrame(
        {"Data": NAMES[v]}
        | {s: f"{100 * (of[v]['original+cgn'] - of[v]['cgn']):+.1f}" for s, of in by.items()}
        for v in VARIANTS
    )


def cgns(this: Page) -> pd.DataFrame:
    """The CGNs of the reference run; see `digits.cgns`."""
    return digits.cgns(this.reference_of())


def draw(found: pd.DataFrame) -> dict[str, float]:
    """What the accuracies of counterfactuals alone say of the draw of the CGN, in points.

    found: of `digits.cgns`.  apart-...: how far retrained CGNs of a variant lie apart; within: how
    far the classifiers of one CGN do, at most.  rank: their rank correlation with `read`, ranks
    being taken within each data set, since one may be harder to read and to learn than another.
    """
    of = found[found.alone.str.len() > 0]
    of = of.assign(mean=of.alone.map(mean))
    by = of[of.recipe == "trained"].groupby("variant")["mean"]
    apart = 100 * (by.max() - by.min())
    ranks = of.groupby("variant")[["read", "mean"]].rank()
    ranks -= ranks.groupby(of.variant).transform("mean")
    return {f"apart-{key(v)}": float(points) for v, points in apart.items()} | {
        "within": 100 * max(max(of_one) - min(of_one) for of_one in of.alone),
        "rank": float(ranks["mean"].corr(ranks["read"])),
        "cgns": len(of),
    }


def accuracy(this: Page, metric: str) -> pd.DataFrame:
    """The study's table for one metric, in percent: paper, study, and our own evidence by kind.

    A cell with several runs has their mean, the standard deviation and their number.
    """
    by = {source: accuracies(frame, which, metric) for source, (frame, which) in _frames(this)}
    return pd.DataFrame(
        {"Data": NAMES[variant], "Trained on": SETTINGS[train_on]}
        | {source: spread(of.get(variant, {}).get(train_on, [])) for source, of in by.items()}
        for variant in VARIANTS
        for train_on in TRAIN_SETS
    )


def _frames(this: Page) -> Iterator[tuple[str, tuple[pd.DataFrame, str]]]:
    """The numbers of every source, and the CGNs that count there: the study's are the authors'."""
    told = this.told("mnist-classification")
    for source in ("Paper", "Study"):
        yield source, (told[told.source == source], PUBLISHED)
    for kind, frame in this.ours.items():
        yield kind, (frame, PUBLISHED if kind == AUTHORS else "trained")


def by_cgn(this: Page) -> pd.DataFrame:
    """What classifiers make of each CGN: its quality, and their test accuracies, in percent."""
    return pd.DataFrame(
        {
            "Data": NAMES[row.variant],
            "CGN": RECIPES[row.recipe] + row.generator[len(row.recipe) :].replace("-", ", seed "),
            "Usable digits": f"{row.usable} of 10",
            "Image read": pct(row.read),
            "CGN alone": spread(row.alone),
            "Original + CGN": spread(row.union),
        }
        for row in cgns(this).itertuples()
        if row.alone
    )


def by_contrast(results: Iterable[Result], train_on: str) -> pd.DataFrame:
    """DC-MNIST: accuracy where digit and background have the same colour, and where they differ.

    Computed from the decisions of the classifiers trained on `train_on`, all seeds together; where
    a published CGN is used as well, of those of our own CGNs.
    """
    decisions = pd.concat(
        pd.read_csv(result.folder / "decisions.csv")
        for result in results
        if result.run.variant == "double_colored"
        and result.run.train_on == train_on
        and not isinstance(result.run.behind, PublishedCGN)
    )
    # the object palette is the background palette rotated by four
    same = (decisions.fg + 4) % 10 == decisions.bg
    correct = decisions.label == decisions.prediction
    return pd.DataFrame(
        {
            "Digit and background": ["same colour", "different colours"],
            "Test images": [int(same.sum()), int((~same).sum())],
            "Accuracy, %": [pct(correct[same].mean()), pct(correct[~same].mean())],
        }
    )


def dots(this: Page) -> boxes.Shown:
    """Test accuracy of every setting: a panel a variant, a mark for each run here, and what others
    reported.  Beside what was trained here on counterfactuals alone: which CGN made them."""
    told = this.told("mnist-classification", metric="test_accuracy")
    frames = dict(_frames(this))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(VARIANTS), 1, figsize=(WIDTH, 7.6), sharex=True, layout="constrained"
        )
        for axis, variant in zip(axes, VARIANTS, strict=True):
            axis.axvline(10, color="0.5", lw=1, ls=":")
            for source, (frame, which) in frames.items():
                of = accuracies(frame, which).get(variant, {})
                for y, train_on in enumerate(TRAIN_SETS):
                    values = [100 * value for value in of.get(train_on, [])]
                    axis.plot(values, [y + _LANES[source[:5]]] * len(values), label=source,
                              **sign(source) | {"ms": 5.5})  # fmt: skip
            _name_cgns(axis, this.reference[this.reference.variant == variant])
            axis.set(title=NAMES[variant], xlim=(0, 100), ylim=(len(TRAIN_SETS) - 0.45, -0.55))
            axis.set_yticks(range(len(TRAIN_SETS)), [SETTINGS[t] for t in TRAIN_SETS])
            axis.tick_params(axis="y", length=0)
            for y in range(1, len(TRAIN_SETS)):
                axis.axhline(y - 0.5, color=GRID, lw=0.6)
        axes[-1].text(12, 2, "chance", fontsize=9, color="0.4", va="center")
        axes[-1].set_xlabel("test accuracy, %")
        legend(figure, list(frames))
    return boxes.show(
        "robustness", this.live, this.reference, told[told.source.isin(["Paper", "Study"])]
    )


# Above and below the middle of a row, what was told and what was run.
_LANES = {"Paper": -0.3, "Study": -0.3, "Autho": -0.1, "Train": 0.08, "This ": 0.3}


def _name_cgns(axis: plt.Axes, frame: pd.DataFrame) -> None:
    """The number of each CGN trained here, beside what learned from its counterfactuals alone."""
    rows = frame[(frame.metric == "test_accuracy") & (frame.train_on == "cgn")]
    rows = rows[rows.generator.str.startswith("trained")]
    at = 100 * rows.groupby(rows.generator.str[-1]).value.mean().sort_values()
    groups = (at.diff() > 4).cumsum()  # nearer than that, one name for both
    for _, of in at.groupby(groups):
        right = 100 * rows[rows.generator.str[-1].isin(of.index)].value.max()
        axis.annotate(", ".join(sorted(of.index)), (right, TRAIN_SETS.index("cgn") + 0.08), (4, 0),
                      textcoords="offset points", va="center", fontsize=8)  # fmt: skip


def shipped_records() -> dict[str, dict]:
    """What is known of the CGNs that come with the book, by variant."""
    return {variant: shipped.record(shipped.CGN + variant) for variant in VARIANTS}


def sheet(this: Page, nets: Mapping[str, CGN], n: int = 2) -> boxes.Shown:
    """Counterfactuals of one CGN a variant, n of each digit, a column for each digit."""
    made = (f"`{of['run']}`, {of['device']}, {of['commit']}" for of in shipped_records().values())
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            len(nets), 1, figsize=(WIDTH, 1.35 * len(nets)), layout="constrained"
        )
        for axis, (variant, net) in zip(axes, nets.items(), strict=True):
            y = torch.arange(10).repeat(n)
            with torch.inference_mode():
                mask, fg, bg, _, _ = next(
                    interventions(net, y, generator(chance.DIGITS_SHEET, variant))
                )
                images = bytes_of(compose(mask, fg, bg))
            tile(axis, images.reshape(n, 10, *images.shape[1:]))
            axis.set_title(NAMES[variant])
    return boxes.show("shipped", this.reference_of("claim-1-mnist", "edge-loss"), *made)
