"""What all chapters come to: the numbers of the discussion and of the lessons.

Percentages and points, as the text says them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd

from cgnbook import ablations, digits, heads, lottery, records
from cgnbook.chapters import (
    claim1_imagenet,
    claim2,
    claim3_backgrounds,
    claim3_mnist,
    claim3_shape_bias,
    deviations,
    disentanglement,
    explanations,
    union,
    welcome,
)
from cgnbook.cited import Facts, cited
from cgnbook.digits import Accuracies, accuracies
from cgnbook.page import Page
from cgnbook.records import FULL
from cgnbook.verdict import Finding, signed
from cgnbook.words import NUMBERS, listed, rarely
from cgnlib import experiments

Found = dict[str, object]
Findings = Callable[[Page], dict[str, Finding]]
# The claims whose reference runs the discussion and the lessons speak of.
BEHIND = (
    *(*welcome.BEHIND, "union"),
    *("disentanglement", "ablated-robustness", "explanations"),
)
LESSONS = ("claim-1-mnist", "claim-3-mnist", "edge-loss", "union")
OF_RUN = ("claim-2", "claim-3-imagenet", "explanations")  # told of this run and the reference run
_HOURS = {
    "hours": "total-1080-ti",
    "hours-ablation": "loss-ablation",
    "hours-improved": "improved-cgn-training",
    "hours-described": "cgn-training-imagenet-as-described",
    "hours-other": "cgn-training-imagenet-other-settings",
}


def facts(this: Page) -> Facts:
    """Every number and remark of the text, besides `verdicts`.  this: all claims, with BEHIND."""
    page = {claim: welcome.of_claim(this, claim) for claim in ("claim-3-mnist", *OF_RUN)}
    classifiers = page["claim-3-mnist"]
    there = accuracies(classifiers.reference, "trained")
    full = experiments.profile(FULL).digits
    by_reference = _of_run(_on(this, this.reference_of(*OF_RUN))) | leaks(this, FULL)
    return (
        study(_on(this, _told(this)))
        | fall(_on(this, this.reference_of("union")))
        | near_study(_on(this, _told(this), classifiers.reference))
        | draw(_on(this, this.reference_of(*LESSONS[:3])))
        | separated(this)
        | seeds(accuracies(classifiers.live, "trained"))
        | _of_run(_on(this, *(page[claim].live for claim in OF_RUN)))
        | leaks(this, "mini")
        | by_reference.told("reference-{}")
        | gains(_on(this, _told(this), classifiers.live))
        | made(_on(this, welcome.of_claim(this, "claim-1-imagenet").live))
        | oracle(_on(this, this.reference_of("claim-1-mnist")))
        | {"recipe-variants": NUMBERS[len(claim3_mnist.rule(there).met)]}
        | {"n-own": len(full.generator_seeds)}
        | {"n-cgns": len(experiments.profile(this.profile).digits.generator_seeds)}
    )


def _on(this: Page, *rows: pd.DataFrame) -> Page:
    """The page with a part of its numbers: what hangs on which of them is then soon found."""
    return replace(this, numbers=pd.concat(rows))


def _told(this: Page) -> pd.DataFrame:
    """What others reported."""
    return this.numbers[this.numbers.profile == ""]


@cited
def gains(this: Page) -> Found:
    """The most that a GAN's samples add, in the study and in this run, in points."""
    by = {"study": claim3_mnist.told(this), "live": accuracies(this.live, "trained")}
    return {f"gan-{who}": digits.gan_gain(of) for who, of in by.items()}


@cited
def made(this: Page) -> Found:
    """What the menagerie's CGNs of this run make of each part, in words."""
    readings = claim1_imagenet.readings(this.live)
    return {"short": claim1_imagenet.short(readings), "probed": probed(readings)}


def probed(readings: Mapping[str, float]) -> str:
    """How often a reader finds each part in this run, beside true images, as a sentence."""
    if not readings:
        return "This run is on ImageNet, whose parts no reader knows apart."
    of = claim1_imagenet.rule(readings, claim1_imagenet.ceiling()).effects.values()
    return f"In this run it is {listed([f'{ratio:.2f}' for ratio in of])}."


def lessons(this: Page) -> Facts:
    """Every number of the lessons.  this: the tracked page of `explanations`, with LESSONS."""
    cgns = _on(this, this.reference_of(*LESSONS[:3]))
    return (
        study(_on(this, _told(this)))
        | fall(_on(this, this.reference_of("union")))
        | near_study(_on(this, _told(this), this.reference_of("claim-3-mnist")))
        | draw(cgns)
        | kept(cgns)
        | cited(lambda page: overlap(page.numbers))(_on(this, this.live))
        | {"rows": sum(deviations.counts().values())}
    )


@cited
def kept(this: Page) -> Found:
    """How many digits of C-MNIST the CGNs of the reference run keep, on average."""
    cgns = claim3_mnist.cgns(this)
    usable = cgns[cgns.variant == "colored"].groupby("recipe").usable.mean()
    return {"ours-without": float(usable["trained"]), "ours-with": float(usable["edge"])}


def verdicts(this: Page) -> Facts:
    """What the verdict of each source on each claim was made from, as `live-claim2-met`;
    `...-signed` is the same in whole points with its sign."""
    found = Facts({}, dict)
    for findings, (claim, *_) in welcome.CLAIMS.items():
        page = welcome.of_claim(this, claim)
        values = _values(_on(page, _told(page), page.reference, page.live), findings)
        found |= values | values.told("{}-signed", lambda value: signed(value / 100))
    return found


def _by_source(this: Page, findings: Findings) -> dict[str, Finding]:
    """What each kind of source found about a claim, by its name in the text."""
    claim = welcome.judged_by(findings, this)
    chapter = claim.page.partition("_")[2] + "-recipe" * claim.name.startswith("Claim 1b")
    kinds = ("paper", "study", "authors", "trained", "live")
    return {f"{kind}-{chapter}": by for kind, by in zip(kinds, claim.by.values(), strict=True)}


@cited
def _values(this: Page, findings: Findings) -> Found:
    return {
        f"{who}-{name.replace(' ', '-')}": value
        for who, by in _by_source(this, findings).items()
        for name, value in by.values.items()
    }


@cited
def study(this: Page) -> Found:
    """What the study's own numbers say about its single runs, its retrainings and its cost."""
    printed, cached = (
        accuracies(this.told("mnist-classification", source=source))
        for source in ("Study", "Study, cached")
    )
    moved = [abs(printed[v][t][0] - cached[v][t][0]) for v in printed for t in printed[v]]
    runs = this.told("mnist-classification", metric="test_accuracy_run", train_on="cgn")
    spans = [100 * (of.max() - of.min()) for _, of in runs.groupby("variant").value]
    epochs = claim3_shape_bias.epochs(this)
    counted = lottery.study(this, "trained")
    coverage = {"row": "text", "metric": "mask_coverage"}
    return {
        "moved": 100 * max(moved),
        "union-printed": 100 * printed["wildlife"]["original+cgn"][0],
        "union-cached": 100 * cached["wildlife"]["original+cgn"][0],
        "repeated-span": max(spans),
        "repeated": len(runs) / len(spans),
        "epoch-low": epochs["epoch-low"],
        "epoch-high": epochs["epoch-high"],
        "retrained": sum(counted.values()),
        "retrained-kept": counted[10],
        "usable-without": _only(this, "edge-loss", row="without", metric="usable_digits"),
        "usable-with": _only(this, "edge-loss", row="with-final", metric="usable_digits"),
        "coverage-paper": _only(this, "loss-ablation", source="Paper", **coverage),
        "coverage-study": _only(this, "loss-ablation", source="Study", **coverage),
        "study-few": 100 * _only(this, "cf-count", column="wildlife", row="size-1e4-ratio-01"),
        "study-many": 100 * _only(this, "cf-count", column="wildlife", row="size-1e5-ratio-01"),
        **{n: _only(this, "compute", row=row, source="Study") for n, row in _HOURS.items()},
    }


def _only(this: Page, table: str, **fixed: str) -> float:
    """The one reported number that the names fix.  Raises ValueError for several."""
    rows = this.told(table, **fixed)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} numbers of {table} with {fixed}")
    return float(rows.value.iloc[0])


@cited
def fall(this: Page) -> Found:
    """The fall of the union on W-MNIST in the reference run, and which cue is followed."""
    of = union.means(this.reference_of("union"))
    both, alone = of["original+cgn"], of["cgn"]
    return {
        "fall": 100 * (alone["real_accuracy"] - both["real_accuracy"]),
        "union-real-background": 100 * both["real_follows_background"],
        "union-cgn-background": 100 * both["cgn_follows_background"],
        "control-accuracy": 100 * of["original+decorrelated"]["real_accuracy"],
    }


@cited
def near_study(this: Page) -> Found:
    """How far the accuracies made with the authors' weights lie from the study's, at most, in
    points."""
    there = accuracies(this.reference_of("claim-3-mnist"))
    off = claim3_mnist.off(claim3_mnist.told(this), there)
    return {"authors-off": max(of for train_on, of in off.items() if train_on.endswith("cgn"))}


@cited
def draw(this: Page) -> Found:
    """What the draw of a CGN decides in the reference run; see `claim3_mnist.draw`."""
    found = claim3_mnist.draw(claim3_mnist.cgns(this))
    return {f"draw-{name}": value for name, value in found.items()}


def separated(this: Page) -> Facts:
    """Whether better separated CGNs have more robust classifiers, in the reference run."""
    points = disentanglement.points(this.reference_of(*disentanglement.ON_DIGITS))
    worse = _on(this, this.reference_of(*disentanglement.ON_ABLATED))
    return follows(worse) | {
        "n-cgns-separated": len(points),
        "chance": rarely(disentanglement.association(points)[1]),
    }


@cited
def follows(this: Page) -> Found:
    """How closely the shape head of a classifier follows the separation of its CGN."""
    return {"rho-shape": disentanglement.rho_shape(disentanglement.made_worse(this.numbers))}


@cited
def oracle(this: Page) -> Found:
    """Test accuracy on W-MNIST of a classifier that saw true digits in random cues alone."""
    of = this.numbers[(this.numbers.variant == "wildlife")]
    return {"oracle-accuracy": 100 * float(of[of.metric == "image_read_true"].value.mean())}


def seeds(of: Accuracies) -> Found:
    """The widest and the median range of test accuracy over the seeds of one cell."""
    spans = sorted(100 * (max(a) - min(a)) for by in of.values() for a in by.values())
    return {"seeds-widest": spans[-1], "seeds-median": spans[len(spans) // 2]}


@cited
def _of_run(this: Page) -> Found:
    """What the text says of this run and of the reference run alike.  this: OF_RUN, of one."""
    rows = {claim: this.numbers[this.numbers.claim == claim] for claim in OF_RUN}
    classifiers = heads.measured(rows["claim-3-imagenet"])
    losses = ablations.measured(rows["claim-2"])
    return (
        claim3_shape_bias.decided(classifiers)
        | claim3_backgrounds.control(classifiers)
        | claim2.mask_loss(losses)
        | {"by-probe": claim2.by_probe(losses)}
        | overlap(rows["explanations"])
    )


def overlap(rows: pd.DataFrame) -> Found:
    """The study's IoU of an empty map, and the least and most of the classifiers, in percent."""
    of = explanations.of_published(rows)
    values = 100 * of[of.metric == "study_iou"].value
    empty = 100 * of[of.metric == "study_iou_empty"].value
    return {
        "iou-empty": float(empty.mean()),
        "iou-least": float(values.min()),
        "iou-most": float(values.max()),
    }


def leaks(this: Page, profile: str) -> Facts:
    """What leaks into the shapes of the menagerie's CGNs, by the tracked records of a profile."""
    rows = records.needed("disentanglement", profile)
    return _leaks(_on(this, rows.assign(source=f"Trained here ({profile})")))


@cited
def _leaks(this: Page) -> Found:
    return disentanglement.leaks(disentanglement.scores(this.numbers), "menagerie")
