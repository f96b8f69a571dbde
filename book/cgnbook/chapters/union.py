"""Why a classifier of the union falls: which cue it follows where, and what explains the fall."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes
from cgnbook.cited import cited
from cgnbook.digits import accuracies
from cgnbook.drawing import STYLE
from cgnbook.names import NAMES, SETTINGS
from cgnbook.page import Page
from cgnbook.records import FULL
from cgnbook.tables import pct, spread
from cgnlib import experiments
from cgnlib.measures.naming import FOLLOWS, follows

CLASSIFIERS = ("original", "cgn", "original+cgn", "original+decorrelated")
DOMAINS = {"real": "real", "cgn": "counterfactual"}
CUES = ("shape", "foreground", "background")
ORIGINS = {"real": "real", "cgn": "generated"}
PARTS = ("strokes", "foreground", "background")  # of an image, each real or generated
NO_FALL, GATE, GENERAL, UNEXPLAINED, NOT_RUN = (
    "no fall",
    "explained by a gate",
    "a general loss of shape",
    "a fall that neither rule explains",
    "not run",
)
_COLOURS = {"shape": "#0072B2", "foreground": "#E69F00", "background": "#009E73"}
_OTHER = "0.85"
_LINES = (("#000000", "o"), ("#555555", "s"), ("#999999", "^"))  # by variant; hues are cues


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
        "apart": 100 * (1 - 1 / 10) * (1 - 2 / 10),  # of ten classes each
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


def crossed(frame: pd.DataFrame, cue: str) -> pd.DataFrame:
    """Share of answers that name a cue, in percent: rows are images, columns classifiers."""
    of = {t: m for t, m in means(frame).items() if effects(m, cue)}
    rows = [
        dict(zip(("Strokes", "Foreground", "Background"), map(ORIGINS.get, kind), strict=True))
        | {SETTINGS[t]: pct(m[follows(kind, cue)]) for t, m in of.items()}
        for kind in product(DOMAINS, repeat=len(PARTS))
    ]
    return pd.DataFrame(rows)


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
    """Shares of answers by cue: a panel a source, a pair of bars a classifier."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(this.ours), figsize=(9.2, 4.0), sharey=True, layout="constrained", squeeze=False
        )
        places = [3 * i + j for i in range(len(CLASSIFIERS)) for j in range(2)]
        for axis, (title, frame) in zip(axes[0], this.ours.items(), strict=True):
            _stack(axis, means(frame))
            axis.set(title=title, xlim=(0, 100), xlabel="share of answers, %")
            axis.set_yticks(
                places, [f"{SETTINGS[t]}, {d}" for t in CLASSIFIERS for d in DOMAINS.values()]
            )
            axis.tick_params(axis="y", length=0)
        axes[0, 0].invert_yaxis()
        handles = [
            plt.Rectangle((0, 0), 1, 1, color=_COLOURS.get(cue, _OTHER)) for cue in (*CUES, "")
        ]
        names = [f"the {cue}" for cue in CUES] + ["none of them"]
        figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False,
                      title="the answer names")  # fmt: skip
    return boxes.show("bars", this.reference, this.live)


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


def share_table(this: Page) -> pd.DataFrame:
    """`by_share` in percent."""
    return pd.DataFrame(
        {"Data": NAMES[v]} | {f"{100 * s:.0f}% originals": spread(a) for s, a in of.items()}
        for v, of in by_share(this).items()
    )


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
        _, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.2), layout="constrained")
        for (variant, of), (colour, mark) in zip(by_share(this).items(), _LINES, strict=True):
            mean = [100 * sum(a) / len(a) for a in of.values()]
            lengths = [
                [m - 100 * min(a) for m, a in zip(mean, of.values(), strict=True)],
                [100 * max(a) - m for m, a in zip(mean, of.values(), strict=True)],
            ]
            at = [100 * share for share in of]
            left.errorbar(at, mean, lengths, color=colour, marker=mark, lw=1.2, capsize=3,
                          label=NAMES[variant])  # fmt: skip
        left.set(title="Accuracy on real test images", ylabel="per cent")
        for cue, (domain, title) in product(("shape", "background"), DOMAINS.items()):
            values = [100 * of[follows([domain], cue)] for of in looks.values()]
            right.plot([100 * s for s in looks], values, "o-" if domain == "real" else "s--",
                       color=_COLOURS[cue], lw=1.2, mfc=None if domain == "real" else "white",
                       label=f"the {cue}, {title}")  # fmt: skip
        right.set(title="W-MNIST: answers that name", ylabel="share of answers, %")
        for axis in (left, right):
            axis.set(xlabel="originals in the training set, %", ylim=(0, 100))
            axis.grid(alpha=0.25)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "frameon": False}
        below |= {"fontsize": 8.5, "columnspacing": 1.0, "handlelength": 1.8}
        left.legend(ncols=3, **below)
        right.legend(ncols=2, **below)
    return boxes.show("tipping", this.reference_of("union-shares", "claim-3-mnist", "union"))


def _stack(axis: plt.Axes, of: Mapping[str, Mapping[str, float]]) -> None:
    for i, train_on in enumerate(CLASSIFIERS):
        for j, domain in enumerate(DOMAINS):
            at, left = 3 * i + j, 0.0
            if train_on not in of:
                axis.text(1, at, "not run", va="center", color="0.4", fontsize=9)
                continue
            for cue, share in _shares(of[train_on], domain).items():
                colour = _COLOURS.get(cue, _OTHER)
                axis.barh(at, 100 * share, left=left, height=0.85, color=colour, ec="white", lw=0.5)
                left += 100 * share


def _shares(of: Mapping[str, float], domain: str) -> dict[str, float]:
    """Of one classifier on one kind of image: each cue's share, and what is left."""
    shares = {cue: of[follows([domain], cue)] for cue in CUES}
    return shares | {"none": 1 - sum(shares.values())}
