"""What each source found about each claim: its verdict, its effects, and their intervals."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import pandas as pd

from cgnbook import ablations, boxes, heads, records, reported
from cgnbook import scorecard as of_digits
from cgnbook.chapters import (
    claim1_imagenet,
    claim1_mnist,
    claim2,
    claim3_backgrounds,
    claim3_mnist,
    claim3_shape_bias,
)
from cgnbook.tables import label
from cgnbook.verdict import NOT_MEASURED, REPRODUCED, Finding, badge
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
    told = reported.numbers()
    tables = {
        name: told[told.table == name] for name in ("loss-ablation", "shape-bias", "backgrounds")
    }
    of_study = tables["loss-ablation"][tables["loss-ablation"].source == STUDY]
    ablated = claim2.finding(ablations.measured(of_study))
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
            both(claim1_imagenet.finding, full("claim-2"), live),
        ),
        Claim(
            "Claim 2",
            f"Every loss is needed. {place}",
            "07_claim2",
            "Against the paper",
            both(
                lambda frame: claim2.finding(ablations.measured(frame)),
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
                lambda frame: claim3_shape_bias.finding(heads.measured(frame)),
                full("claim-3-imagenet"),
                live,
                claim3_shape_bias.finding(heads.told(tables["shape-bias"], STUDY)),
            ),
        ),
        Claim(
            "Claim 3, backgrounds",
            f"Without its background head a classifier minds backgrounds less. {place}",
            "10_claim3_backgrounds",
            "What a foreign background costs",
            both(
                lambda frame: claim3_backgrounds.finding(heads.measured(frame)),
                full("claim-3-imagenet"),
                live,
                claim3_backgrounds.finding(heads.told(tables["backgrounds"], STUDY)),
            ),
        ),
    ]


def sources() -> list[pd.DataFrame]:
    """What the verdicts of others and of the reference run are made from, for the box below."""
    claims = ("claim-1-mnist", "claim-2", "claim-3-mnist", "claim-3-imagenet")
    tables = ("mnist-classification", "loss-ablation", "shape-bias", "backgrounds")
    return [*(records.read(claim, "full") for claim in claims), *map(reported.table, tables)]


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
    held = [c for c in third if list(c.by.values())[-1].outcome == REPRODUCED]
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
