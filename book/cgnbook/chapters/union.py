"""Why a classifier of the union falls: which cue it follows where, and what explains the fall."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes
from cgnbook.cited import cited
from cgnbook.digits import accuracies
from cgnbook.drawing import CUES as COLOURS
from cgnbook.drawing import STYLE, WIDTH, cue_legend, sign, stack
from cgnbook.names import NAMES, SETTINGS
from cgnbook.page import Page
from cgnbook.records import AUTHORS, FULL
from cgnbook.tables import pct, spread
from cgnlib import experiments
from cgnlib.measures.naming import FOLLOWS, follows

CLASSIFIERS = ("original", "cgn", "original+cgn", "original+decorrelated")
DOMAINS = {"real": "real", "cgn": "counterfactual"}
CUES = {"shape": "shape", "foreground": "texture", "background": "background"}  # as records say
PARTS = tuple(CUES.values())  # of an image, each real or generated
NO_FALL, GATE, GENERAL, UNEXPLAINED, NOT_RUN = (
    "no fall",
    "explained by a gate",
    "a general loss of shape",
    "a fall that neither rule explains",
    "not run",
)


@dataclass(frozen=True)
class Change:
    """What the union does to a classifier of counterfactuals, differences of shares.

    real, counterfactual: shape answers lost on either kind of image.  background: background
    answers gained on real ones.
    """

    real: float
    counterfactual: float
    background: float


def means(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Each metric by training set, mean over seeds; training sets without a run are left out."""
    by = frame.groupby(["train_on", "metric"]).value.mean()
    return {t: by[t].to_dict() for t in CLASSIFIERS if t in by.index.get_level_values(0)}


def change(
    of: Mapping[str, Mapping[str, float]], union: str = "original+cgn", alone: str = "cgn"
) -> Change | None:
    """From `means`: what changes from `alone` to `union`; None where one was not run."""
    if union not in of or alone not in of:
        return None
    before, after = of[alone], of[union]
    return Change(
        before["real_follows_shape"] - after["real_follows_shape"],
        before["cgn_follows_shape"] - after["cgn_follows_shape"],
        after["real_follows_background"] - before["real_follows_background"],
    )


def explain(found: Change | None, margin: float = 0.10, share: float = 0.5) -> str:
    """What explains the fall of the union.

    No fall: it loses less than `margin` of shape answers on real images.  A gate: on
    counterfactuals it loses less than `share` of that, and on real images the background gains at
    least `share` of it.  A general loss: it loses as much on counterfactuals, within `share`.
    """
    if found is None:
        return NOT_RUN
    if found.real < margin:
        return NO_FALL
    if found.counterfactual >= share * found.real:
        return GENERAL
    return GATE if found.background >= share * found.real else UNEXPLAINED


@cited
def facts(this: Page) -> dict[str, object]:
    """Every number, answer and remark of the text, in percent or points."""
    looks = {"live": means(this.live), "reference": means(this.reference)}
    there = looks["reference"]
    lost = change(there)
    ends = [there[t]["real_follows_background"] for t in ("original+cgn", "cgn")]
    fall = there["cgn"]["real_accuracy"] - there["original+cgn"]["real_accuracy"]
    told = {s: accuracies(this.told("mnist-classification", source=s)) for s in ("Paper", "Study")}
    shares = this.reference_of("union-shares")
    mixed = shares[(shares.variant == "wildlife") & (shares.metric == "train_images")]
    return {
        **{
            f"{source}-{who}-{name}": 100 * looks[source][CALLED[who]][_metric(name)]
            for (source, who), names in NAMED.items()
            for name in names
        },
        **{f"answer-{source}": explain(change(of)) for source, of in looks.items()},
        **{
            f"control-{source}": explain(change(of, union="original+decorrelated"))
            for source, of in looks.items()
        },
        **{
            f"part-{part}": 100 * effects(there["original+cgn"], "background")[part]
            for part in PARTS
        },
        **mixtures(this),
        "reference-fall": 100 * fall,
        "reference-lost-real": 100 * lost.real,
        "reference-lost-cgn": 100 * lost.counterfactual,
        "reference-gained": round(100 * ends[0], 1) - round(100 * ends[1], 1),  # as printed
        "paper-union": 100 * told["Paper"]["wildlife"]["original+cgn"][0],
        "study-union": 100 * told["Study"]["wildlife"]["original+cgn"][0],
        "study-alone": 100 * told["Study"]["wildlife"]["cgn"][0],
        "no-fall": NO_FALL,
        "gate": GATE,
        "general": GENERAL,
        "apart": 9 * 8,  # per cent: the second of ten classes is another, and the third a third
        "mixed-size": int(mixed.value.iloc[0]),
        "ratio-live": renderings(this.profile),
        "ratio-reference": renderings(FULL),
        "n-seeds": this.live.seed.nunique(),
        "n-reference": this.reference.seed.nunique(),
        "n-share-seeds": shares.seed.nunique(),
        "profile": this.profile,
    }


CALLED = {"original": "original", "alone": "cgn", "union": "original+cgn"}
CALLED |= {"control": "original+decorrelated"}
# What the text tells of a classifier: of which images it names which cue, and the probe.
NAMED = {
    ("live", "control"): ("real-shape", "real-background", "cgn-shape"),
    ("reference", "control"): ("real-shape", "real-background"),
    ("reference", "original"): ("real-real-cgn-background",),
    ("reference", "alone"): ("real-background", "cgn-background", "real-real-cgn-shape", "probe"),
    ("reference", "union"): (
        *("real-background", "cgn-background", "real-real-cgn-background", "probe"),
        *("real-real-real-shape", "real-real-cgn-shape"),
    ),
}


def _metric(name: str) -> str:
    """What the records call it: `real_follows_shape`."""
    images, _, cue = name.rpartition("-")
    return follows(images.split("-"), cue) if images else "domain_read"


def renderings(profile: str) -> int:
    """How many true renderings of each digit stand beside it in the set of the control."""
    grid = experiments.grid(profile, "union")
    (found,) = {r.classifier.renderings for r in grid} - {None}
    return found


def accuracy(this: Page) -> pd.DataFrame:
    """Accuracy on the real test images in percent, by training set: paper, study and records."""
    told = this.told("mnist-classification", metric="test_accuracy", variant="wildlife")
    frames = {source: told[told.source == source] for source in ("Paper", "Study")}
    ours = {source: frame[frame.metric == "real_accuracy"] for source, frame in this.ours.items()}
    return _by_training_set(frames | ours)


def _by_training_set(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One measure in percent: a row for each training set, a column for each source."""
    return pd.DataFrame(
        {"Trained on": SETTINGS[t]}
        | {source: spread(of.value[of.train_on == t]) for source, of in frames.items()}
        for t in CLASSIFIERS
    )


def followed(frame: pd.DataFrame) -> pd.DataFrame:
    """Shares of answers, in percent, that name each cue where the three differ; mean over seeds."""
    rows = []
    for train_on, of in means(frame).items():
        for domain, title in DOMAINS.items():
            shares = _shares(of, domain)
            row = {"Trained on": SETTINGS[train_on], "Images": title}
            rows.append(row | {cue.capitalize(): pct(share) for cue, share in shares.items()})
    return pd.DataFrame(rows)


def effects(of: Mapping[str, float], cue: str) -> dict[str, float] | None:
    """What making one part real instead of generated adds to the answers that name a cue.

    of: the metrics of one classifier.  By part; mean over the four ways to make the others.  None
    where it was not asked.
    """
    kinds = list(product(DOMAINS, repeat=len(PARTS)))
    if follows(kinds[0], cue) not in of:
        return None
    share = {kind: of[follows(kind, cue)] for kind in kinds}
    half = len(kinds) // 2
    return {
        part: sum(s if kind[i] == "real" else -s for kind, s in share.items()) / half
        for i, part in enumerate(PARTS)
    }


def added(this: Page, cue: str) -> pd.DataFrame:
    """`effects` of every classifier in points: a row for each, with its source."""
    rows = []
    for title, frame in this.ours.items():
        for train_on, of in means(frame).items():
            if found := effects(of, cue):
                cells = {part.capitalize(): f"{100 * v:+.1f}" for part, v in found.items()}
                rows.append({"Source": title, "Trained on": SETTINGS[train_on]} | cells)
    return pd.DataFrame(rows, columns=["Source", "Trained on", *map(str.capitalize, PARTS)])


def probes(this: Page) -> pd.DataFrame:
    """How well a linear probe tells real images from counterfactuals, in percent."""
    return _by_training_set(
        {source: frame[frame.metric == "domain_read"] for source, frame in this.ours.items()}
    )


def bars(this: Page) -> boxes.Shown:
    """Shares of answers by cue in the reference run: a pair of bars a classifier, one for each kind
    of image."""
    of = means(this.reference)
    words = {cue: f"the {cue}" for cue in PARTS}
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(WIDTH, 4.3), layout="constrained")
        places, labels = [], []
        for i, train_on in enumerate(CLASSIFIERS):
            axis.text(0, 3 * i - 0.65, f"learned from: {SETTINGS[train_on]}", fontweight="bold",
                      va="center")  # fmt: skip
            for j, (domain, title) in enumerate(DOMAINS.items()):
                shares = _shares(of[train_on], domain)
                stack(axis, 3 * i + j, shares)
                places.append(3 * i + j)
                labels.append(f"{SETTINGS[train_on]}, {title}")
        axis.set_yticks(places, labels)
        axis.yaxis.set_major_formatter(lambda at, i: labels[i].partition(", ")[2])
        axis.tick_params(axis="y", length=0)
        axis.set(xlim=(0, 100), ylim=(places[-1] + 0.5, -1.1))
        axis.set_xlabel("answers that name each cue, %")
        cue_legend(figure, words | {"none": "none"})
    return boxes.show("bars", this.reference)


def by_share(this: Page) -> dict[str, dict[float, list[float]]]:
    """Test accuracies in the reference run by variant and by the share of originals in their set.

    The ends, counterfactuals of the published CGNs alone and originals alone, are those of claim 3.
    """
    found: dict[str, dict[float, list[float]]] = {}
    ends = accuracies(this.reference_of("claim-3-mnist"))
    shares = this.reference_of("union-shares")
    for variant, of in shares[shares.metric == "test_accuracy"].groupby("variant", sort=False):
        inner = {float(s): part.value.tolist() for s, part in of.groupby("share")}
        outer = {0.0: ends[variant]["cgn"], 1.0: ends[variant]["original"]}
        found[variant] = dict(sorted((inner | outer).items()))
    return found


def by_look(this: Page) -> dict[float, dict[str, float]]:
    """What W-MNIST classifiers of the reference run follow, by the share of originals; mean over
    seeds.  The ends are the classifiers of one kind of image."""
    of = this.reference_of("union-shares")
    of = of[of.metric.str.contains(FOLLOWS)].groupby(["share", "metric"]).value.mean()
    inner = {float(s): part.droplevel(0).to_dict() for s, part in of.groupby(level=0)}
    ends = means(this.reference)
    return dict(sorted((inner | {0.0: ends["cgn"], 1.0: ends["original"]}).items()))


def mixtures(this: Page) -> dict[str, float | str]:
    """What the text says of the mixtures, in points; see `by_share` and `by_look`.

    fall-...: of the union of claim 3, the least and the most of all pairs of seeds.
    """
    looks = by_look(this)
    mean = {
        v: {s: 100 * sum(a) / len(a) for s, a in of.items()} for v, of in by_share(this).items()
    }
    lost = {v: {s: of[0.0] - m for s, m in of.items()} for v, of in mean.items()}
    by = accuracies(this.reference_of("claim-3-mnist"))["wildlife"]
    alone = {"cgn": looks[0.0]}
    return {
        "lost-half": lost["wildlife"][0.5],
        "lost-most": lost["wildlife"][0.9],
        "lost-double-colored-half": lost["double_colored"][0.5],
        "lost-double-colored-most": lost["double_colored"][0.9],
        "gained-colored-tenth": -lost["colored"][0.1],
        "fall-least": 100 * (min(by["cgn"]) - max(by["original+cgn"])),
        "fall-most": 100 * (max(by["cgn"]) - min(by["original+cgn"])),
        "half-real-background": 100 * looks[0.5]["real_follows_background"],
        "half-cgn-background": 100 * looks[0.5]["cgn_follows_background"],
        "rule-half": explain(change(alone | {"original+cgn": looks[0.5]})),
        "rule-most": explain(change(alone | {"original+cgn": looks[0.9]})),
    }


def tipping(this: Page) -> boxes.Shown:
    """Accuracy over the share of originals, and which cue is followed where on W-MNIST."""
    looks = by_look(this)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, 2, figsize=(WIDTH, 4.6), sharex=True, sharey=True, layout="constrained"
        )
        for axis, (variant, of) in zip(axes.flat, by_share(this).items(), strict=False):
            at = [100 * share for share in of]
            means = [100 * sum(a) / len(a) for a in of.values()]
            axis.plot(at, means, color="black", lw=1, label="mean")
            for share, accuracies_of in zip(at, of.values(), strict=True):
                axis.plot([share] * len(accuracies_of), [100 * a for a in accuracies_of],
                          **sign(AUTHORS) | {"ms": 5}, label=AUTHORS)  # fmt: skip
            axis.set_title(f"{NAMES[variant]}: accuracy", fontsize=10)
        last = axes.flat[-1]
        for cue, (domain, title) in product(("shape", "background"), DOMAINS.items()):
            values = [100 * of[follows([domain], cue)] for of in looks.values()]
            last.plot([100 * s for s in looks], values, "o-" if domain == "real" else "o--",
                      color=COLOURS[cue], lw=1.2, ms=5, mfc=None if domain == "real" else "white",
                      label=f"{cue}, {title}")  # fmt: skip
        last.set_title("W-MNIST: answers", fontsize=10)
        for axis in axes.flat:
            axis.set(ylim=(0, 102), xticks=(0, 50, 100))
            axis.grid()
        for axis in axes[:, 0]:
            axis.set_ylabel("%")
        for axis in axes[1]:
            axis.set_xlabel("originals learned from, %")
        handles, names = last.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=2, columnspacing=1.2)
    return boxes.show("tipping", this.reference_of("union-shares", "claim-3-mnist", "union"))


def _shares(of: Mapping[str, float], domain: str) -> dict[str, float]:
    """Of one classifier on one kind of image: each cue's share, and what is left."""
    shares = {name: of[follows([domain], cue)] for cue, name in CUES.items()}
    return shares | {"none": 1 - sum(shares.values())}
