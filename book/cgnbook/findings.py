"""What each source found about each claim: its verdict, its effects, and their intervals."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import pandas as pd

from cgnbook import boxes, imagenet, records, reported
from cgnbook import heads as robustness
from cgnbook import scorecard as of_digits
from cgnbook import verdict as verdicts
from cgnbook.chapters import claim1_mnist, claim3_mnist
from cgnbook.tables import label
from cgnbook.verdict import NOT_MEASURED, Finding, badge, points, shares
from cgnlib import experiments

STUDY, REFERENCE = "Study", "Reference run"


@dataclass(frozen=True)
class Claim:
    """A claim, the page and the heading under which its evidence stands, and who found what."""

    name: str
    text: str
    page: str
    heading: str
    by: Mapping[str, Finding]

    @property
    def anchor(self) -> str:
        """The heading as the page's address has it."""
        words = "".join(c if c.isalnum() or c in " -" else "" for c in self.heading.lower())
        return "-".join(words.split())


def of_all(live: pd.DataFrame, profile: str) -> list[Claim]:
    """The six claims, each by the study, the reference run and this run.

    live: the metrics of this run.  Reference numbers are the tracked records of the profile full.
    """
    this, by_eye = f"This run ({profile})", Finding(NOT_MEASURED, unit="judged by eye")

    def full(claim: str) -> pd.DataFrame:
        return records.read(claim, "full")

    def both(make: Callable, reference: pd.DataFrame, mine: pd.DataFrame, told=None) -> dict:
        first = by_eye if told is None else told
        return {STUDY: first, REFERENCE: make(reference), this: make(mine)}

    place = {"menagerie": "On the menagerie.", "imagenet": "This run: on ImageNet."}
    place = place[experiments.profile(profile).world]
    article = of_digits.told_accuracies("article")
    ablated = losses_needed(imagenet.told("article"))
    ablated = replace(ablated, unit=f"{ablated.unit}; the study calls them inconclusive")
    quality, robust = full("claim-1-mnist"), full("claim-3-mnist")
    return [
        Claim(
            "Claim 1, MNISTs",
            "Counterfactuals show the digit.",
            "05_claim1_mnist",
            "What unbiased readers see",
            {
                STUDY: by_eye,
                REFERENCE: claim1_mnist.finding(quality, "published"),
                this: claim1_mnist.finding(live, "trained"),
            },
        ),
        Claim(
            "Claim 1, ImageNet model",
            f"Shape, texture and background can be chosen one by one. {place}",
            "06_claim1_imagenet",
            "What a probe without a shortcut reads",
            both(cues_read, full("claim-2"), live),
        ),
        Claim(
            "Claim 2",
            f"Every loss is needed. {place}",
            "07_claim2",
            "Against the paper",
            both(
                lambda frame: losses_needed(imagenet.measured(frame[frame["removed"] != ""])),
                full("claim-2"),
                live,
                ablated,
            ),
        ),
        Claim(
            "Claim 3, MNISTs",
            "They make classifiers robust.",
            "08_claim3_mnist",
            "The shortcut, and who takes it",
            {
                STUDY: claim3_mnist.finding(article),
                REFERENCE: claim3_mnist.finding(of_digits.accuracies(robust, "published")),
                this: claim3_mnist.finding(of_digits.accuracies(live)),
            },
        ),
        Claim(
            "Claim 3, shape bias",
            f"A head that learns the shapes of counterfactuals decides by shape. {place}",
            "09_claim3_shape_bias",
            "Which cue decides",
            both(
                lambda frame: shape_heads(robustness.biases(robustness.measured(frame))),
                full("claim-3-imagenet"),
                live,
                shape_heads(robustness.told_biases("article", "in-mini")),
            ),
        ),
        Claim(
            "Claim 3, backgrounds",
            f"Without its background head a classifier minds backgrounds less. {place}",
            "10_claim3_backgrounds",
            "What a foreign background costs",
            both(
                lambda frame: backgrounds(robustness.gaps(robustness.measured(frame))),
                full("claim-3-imagenet"),
                live,
                backgrounds(robustness.told_gaps("article", "in-mini+cgn")),
            ),
        ),
    ]


def sources() -> list[pd.DataFrame]:
    """What the verdicts of others and of the reference run are made from, for the box below."""
    claims = ("claim-1-mnist", "claim-2", "claim-3-mnist", "claim-3-imagenet")
    tables = ("mnist-classification", "loss-ablation", "shape-bias", "backgrounds")
    return [*(records.read(claim, "full") for claim in claims), *map(reported.table, tables)]


def cues_read(frame: pd.DataFrame) -> Finding:
    """Claim 1 on the ImageNet model: the same, for each of the three mechanisms."""
    rows = frame[frame["removed"] == "none"]
    read, ceiling = imagenet.readings(imagenet.measured(rows))
    verdict = verdicts.mechanisms_apart(read, ceiling)
    if not verdict.effects:
        return Finding(verdict.outcome)
    of = {}
    for cue in read:
        mine = rows[rows.metric == f"{cue}_read"]
        of[cue] = mine.value.astype(float).tolist(), int(mine.n.iloc[0])
    return shares(verdict, of, ceiling, {cue: cue for cue in read})


def shape_heads(bias: Mapping[str, Sequence[float]]) -> Finding:
    """Claim 3, shape bias: by how many points the shape head leads."""
    verdict = verdicts.shape_heads(bias)
    if not verdict.effects:
        return Finding(verdict.outcome)
    pairs = {f"over {who}": (bias["shape"], bias[key]) for who, key in _RIVALS.items()}
    return points(verdict, pairs, "points of shape bias")


_RIVALS = {"the plain classifier": "plain", "the texture head": "texture"}


def backgrounds(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Finding:
    """Claim 3, backgrounds: how gap and accuracy differ from the plain classifier's."""
    verdict = verdicts.backgrounds(measured)
    if not verdict.effects:
        return Finding(verdict.outcome)
    plain, heads = measured["plain"], measured["shape_texture"]
    pairs = {
        name: (heads[metric], plain[metric])
        for name, metric in (("BG-gap", "bg_gap"), ("random backgrounds", "mixed_rand"))
    }
    return points(verdict, pairs, "points")


def losses_needed(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Finding:
    """Claim 2: how many of the paper's trends are there, by the means and by each seed."""
    verdict = verdicts.losses_needed(measured)
    if not verdict.effects:
        return Finding(verdict.outcome)
    values = (len(verdict.met), len(verdict.effects))
    line = "{} of {} trends".format(*values)
    seeds = min(len(measured[a]["inception_score"]) for a in experiments.ABLATIONS)
    if seeds == 1:
        return Finding(verdict.outcome, (line,), "single runs", values)
    met = [len(verdicts.losses_needed(_one(measured, seed)).met) for seed in range(seeds)]
    line += f" ({min(met)} to {max(met)})"
    return Finding(verdict.outcome, (line,), "range over seeds", values)


def _one(measured: Mapping, seed: int) -> dict:
    """The measures of one seed alone."""
    return {
        ablation: {metric: values[seed : seed + 1] for metric, values in of.items()}
        for ablation, of in measured.items()
    }


def scorecard(claims: Sequence[Claim], folder: str, *sources: boxes.Source) -> boxes.Shown:
    """Claim by source: verdict, effects with their intervals, and the way to the evidence.

    folder: where the chapters lie, as seen from the page: nothing, or `book/`.  sources: what
    stands behind it, for its box.
    """
    columns = list(claims[0].by)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("Claim", *columns))
    body = "".join(
        f'<tr><th scope="row">{_claim(claim, folder)}</th>'
        + "".join(f"<td{label(s)}>{_finding(claim.by[s])}</td>" for s in columns)
        + "</tr>"
        for claim in claims
    )
    table = pd.DataFrame(
        {"Claim": claim.name} | {name: _words(claim.by[name]) for name in columns}
        for claim in claims
    )
    return boxes.Shown(
        f'<table class="scorecard"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        + boxes.box("scorecard", table, *sources)
    )


def _claim(claim: Claim, folder: str) -> str:
    page = f"{folder}{claim.page}.html"
    return (
        f'<a href="{page}">{escape(claim.name)}</a><br>{escape(claim.text)}<br>'
        f'<a href="{page}#{claim.anchor}">evidence</a>'
    )


def _finding(finding: Finding) -> str:
    """A verdict, what it is made from, and the unit; an interval stays on one line."""
    effects = (re.sub(r" (?=[^(]*\))", "\u00a0", escape(effect)) for effect in finding.effects)
    lines = [badge(finding.outcome), *effects]
    return "<br>".join(lines + [f"<small>{escape(finding.unit)}</small>"] * bool(finding.unit))


def _words(finding: Finding) -> str:
    return " ".join([finding.outcome, *finding.effects, *([finding.unit] * bool(finding.unit))])


def in_one_sentence(claims: Sequence[Claim]) -> str:
    """What the three parts of claim 3 come to in this run."""
    third = [claim for claim in claims if claim.name.startswith("Claim 3")]
    held = [c for c in third if list(c.by.values())[-1].outcome == verdicts.REPRODUCED]
    if len(held) == len(third):
        return (
            "classifiers that learned from images with freely chosen parts lean less on the "
            "shortcut in every comparison of this run that a rule judges"
        )
    return (
        "that classifiers which learn from images with freely chosen parts lean less on the "
        f"shortcut holds in {len(held)} of the {len(third)} comparisons of this run that a rule "
        "judges"
    )
