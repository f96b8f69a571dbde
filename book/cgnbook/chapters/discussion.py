"""What all chapters come to: the numbers of the discussion and of the lessons.

Percentages and points, as the text says them.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from cgnbook import ablations, digits, heads, records, reported
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
from cgnbook.digits import Accuracies, accuracies
from cgnbook.page import Page
from cgnbook.records import FULL
from cgnbook.verdict import signed
from cgnbook.words import NUMBERS, listed, rarely
from cgnlib import experiments

Facts = dict[str, object]
# The claims whose reference runs the discussion and the lessons speak of.
BEHIND = (
    *(*welcome.BEHIND, "union"),
    *("disentanglement", "ablated-robustness", "explanations"),
)
LESSONS = ("claim-1-mnist", "claim-3-mnist", "edge-loss", "union")
_HOURS = {
    "hours": "total-1080-ti",
    "hours-ablation": "loss-ablation",
    "hours-improved": "improved-cgn-training",
    "hours-described": "cgn-training-imagenet-as-described",
    "hours-other": "cgn-training-imagenet-other-settings",
}


def facts(this: Page) -> Facts:
    """Every number and remark of the text, besides `verdicts`.  this: all claims, with BEHIND."""
    page = welcome.of_claim(this, "claim-3-mnist")
    live, there = (accuracies(rows, "trained") for rows in (page.live, page.reference))
    full = experiments.profile(FULL).digits
    readings = claim1_imagenet.readings(welcome.of_claim(this, "claim-1-imagenet").live)
    by_reference = _of_run(this.reference_of) | leaks(FULL)
    return (
        study(this)
        | fall(this)
        | near_study(this)
        | draw(this)
        | separated(this)
        | seeds(live)
        | _of_run(lambda claim: welcome.of_claim(this, claim).live)
        | leaks("mini")
        | {f"reference-{name}": fact for name, fact in by_reference.items()}
        | {"gan-study": digits.gan_gain(claim3_mnist.told(this)), "gan-live": digits.gan_gain(live)}
        | {"short": claim1_imagenet.short(readings), "probed": probed(readings)}
        | {"oracle-accuracy": oracle(this)}
        | {"recipe-variants": NUMBERS[len(claim3_mnist.rule(there).met)]}
        | {"n-own": len(full.generator_seeds)}
        | {"n-cgns": len(experiments.profile(this.profile).digits.generator_seeds)}
    )


def probed(readings: Mapping[str, float]) -> str:
    """How often a reader finds each part in this run, beside true images, as a sentence."""
    if not readings:
        return "This run is on ImageNet, whose parts no reader knows apart."
    of = claim1_imagenet.rule(readings, claim1_imagenet.ceiling()).effects.values()
    return f"In this run it is {listed([f'{ratio:.2f}' for ratio in of])}."


def lessons(this: Page) -> Facts:
    """Every number of the lessons.  this: the tracked page of `explanations`, with LESSONS."""
    cgns = claim3_mnist.cgns(this)
    usable = cgns[cgns.variant == "colored"].groupby("recipe").usable.mean()
    return (
        study(this)
        | fall(this)
        | near_study(this)
        | draw(this)
        | overlap(this.live)
        | {"ours-without": float(usable["trained"]), "ours-with": float(usable["edge"])}
        | {"rows": sum(deviations.counts().values())}
    )


def verdicts(this: Page) -> Facts:
    """What each source found about each claim: `live-claim2` is a badge, `live-claim2-met` one of
    the values that it was made from, and `...-signed` the same in whole points with its sign."""
    found: Facts = {}
    for claim in welcome.judged(this):
        chapter = claim.page.partition("_")[2] + "-recipe" * claim.name.startswith("Claim 1b")
        kinds = ("paper", "study", "authors", "trained", "live")
        for source, by in zip(kinds, claim.by.values(), strict=True):
            found[f"{source}-{chapter}"] = by
            for name, value in by.values.items():
                of = f"{source}-{chapter}-{name.replace(' ', '-')}"
                found |= {of: value, f"{of}-signed": signed(value / 100)}
    return found


def study(this: Page) -> Facts:
    """What the study's own numbers say about its single runs, its retrainings and its cost."""
    printed, cached = (
        accuracies(this.told("mnist-classification", source=source))
        for source in ("Study", "Study, cached")
    )
    moved = [abs(printed[v][t][0] - cached[v][t][0]) for v in printed for t in printed[v]]
    runs = this.told("mnist-classification", metric="test_accuracy_run", train_on="cgn")
    spans = [100 * (of.max() - of.min()) for _, of in runs.groupby("variant").value]
    epochs = claim3_shape_bias.epochs(this)
    coverage = {"row": "text", "metric": "mask_coverage"}
    return {
        "moved": 100 * max(moved),
        "union-printed": 100 * printed["wildlife"]["original+cgn"][0],
        "union-cached": 100 * cached["wildlife"]["original+cgn"][0],
        "repeated-span": max(spans),
        "repeated": len(runs) / len(spans),
        "epoch-low": epochs["epoch-low"],
        "epoch-high": epochs["epoch-high"],
        "usable-without": _only("edge-loss", row="without", metric="usable_digits"),
        "usable-with": _only("edge-loss", row="with-final", metric="usable_digits"),
        "coverage-paper": _only("loss-ablation", source="paper", **coverage),
        "coverage-study": _only("loss-ablation", source="article", **coverage),
        "study-few": _only("cf-count", column="wildlife", row="size-1e4-ratio-01"),
        "study-many": _only("cf-count", column="wildlife", row="size-1e5-ratio-01"),
        **{n: _only("compute", row=row, source="article") for n, row in _HOURS.items()},
    }


def _only(table: str, **fixed: str) -> float:
    """The one reported number that the names fix.  Raises ValueError for several."""
    rows = reported.table(table, **fixed)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} numbers of {table} with {fixed}")
    return float(rows.value.iloc[0])


def fall(this: Page) -> Facts:
    """The fall of the union on W-MNIST in the reference run, and which cue is followed."""
    of = union.means(this.reference_of("union"))
    both, alone = of["original+cgn"], of["cgn"]
    return {
        "fall": 100 * (alone["real_accuracy"] - both["real_accuracy"]),
        "union-real-background": 100 * both["real_follows_background"],
        "union-cgn-background": 100 * both["cgn_follows_background"],
        "control-accuracy": 100 * of["original+decorrelated"]["real_accuracy"],
    }


def near_study(this: Page) -> Facts:
    """How far the accuracies made with the authors' weights lie from the study's, at most, in
    points."""
    there = accuracies(this.reference_of("claim-3-mnist"))
    off = claim3_mnist.off(claim3_mnist.told(this), there)
    return {"authors-off": max(of for train_on, of in off.items() if train_on.endswith("cgn"))}


def draw(this: Page) -> Facts:
    """What the draw of a CGN decides in the reference run; see `claim3_mnist.draw`."""
    found = claim3_mnist.draw(claim3_mnist.cgns(this))
    return {f"draw-{name}": value for name, value in found.items()}


def separated(this: Page) -> Facts:
    """Whether better separated CGNs have more robust classifiers, in the reference run."""
    points = disentanglement.points(this.reference_of(*disentanglement.ON_DIGITS))
    worse = disentanglement.made_worse(this.reference_of(*disentanglement.ON_ABLATED))
    return {
        "n-cgns-separated": len(points),
        "chance": rarely(disentanglement.association(points)[1]),
        "rho-shape": disentanglement.rho_shape(worse),
    }


def oracle(this: Page) -> float:
    """Test accuracy on W-MNIST of a classifier that saw true digits in random cues alone."""
    of = this.reference_of("claim-1-mnist")
    return 100 * float(
        of[(of.variant == "wildlife") & (of.metric == "image_read_true")].value.mean()
    )


def seeds(of: Accuracies) -> Facts:
    """The widest and the median range of test accuracy over the seeds of one cell."""
    spans = sorted(100 * (max(a) - min(a)) for by in of.values() for a in by.values())
    return {"seeds-widest": spans[-1], "seeds-median": spans[len(spans) // 2]}


def _of_run(rows: Callable[[str], pd.DataFrame]) -> Facts:
    """What the text says of this run and of the reference run alike.  rows: of a claim."""
    classifiers = heads.measured(rows("claim-3-imagenet"))
    losses = ablations.measured(rows("claim-2"))
    return (
        claim3_shape_bias.decided(classifiers)
        | claim3_backgrounds.control(classifiers)
        | claim2.mask_loss(losses)
        | {"by-probe": claim2.by_probe(losses)}
        | overlap(rows("explanations"))
    )


def overlap(rows: pd.DataFrame) -> Facts:
    """The study's IoU of an empty map, and the least and most of the classifiers, in percent."""
    of = explanations.of_published(rows)
    values = 100 * of[of.metric == "study_iou"].value
    empty = 100 * of[of.metric == "study_iou_empty"].value
    return {
        "iou-empty": float(empty.mean()),
        "iou-least": float(values.min()),
        "iou-most": float(values.max()),
    }


def leaks(profile: str) -> Facts:
    """What leaks into the shapes of the menagerie's CGNs, by the tracked records of a profile."""
    found = disentanglement.scores(records.needed("disentanglement", profile))
    return disentanglement.leaks(found, "menagerie")
