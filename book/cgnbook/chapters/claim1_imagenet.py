"""Claim 1 on the ImageNet model: shape, texture and background can be chosen one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import ablations, boxes
from cgnbook.cited import Facts, cited
from cgnbook.drawing import STYLE, WIDTH, arrays_of, tile
from cgnbook.page import Page
from cgnbook.verdict import (
    BY_EYE,
    EYE,
    FLOOR,
    ROUNDING,
    SHARE,
    UNRUN,
    Finding,
    Verdict,
    judged,
    mean,
    shares,
)
from cgnbook.words import listed
from cgnlib import experiments, worlds
from cgnlib.data.menagerie import CLASSES
from cgnlib.nets import shipped
from cgnlib.runs import Result

CUES = ("shape", "texture", "background")
KEY = "disentanglement-menagerie-none-s0", f"shape_read_{CLASSES.index('key')}"


def rule(
    read: Mapping[str, float],
    ceiling: Mapping[str, float],
    share: float = SHARE,
    floor: float = FLOOR,
) -> Verdict:
    """Shape, texture and background can be chosen one by one.

    read: share of counterfactuals in which a reader without a shortcut names the intended shape,
    texture or background; ceiling: the same on true images with independent cues.  A mechanism
    counts when it reaches `share` of its ceiling, and is undecided where that is below `floor`.
    effects: that ratio.
    """
    if any(cue not in read for cue in ceiling):
        return UNRUN
    effects = {cue: read[cue] / ceiling[cue] for cue in ceiling}
    met = [c for c in effects if effects[c] >= share - ROUNDING]
    return judged(effects, met, [c for c in effects if ceiling[c] < floor - ROUNDING])


def ceiling() -> dict[str, float]:
    """What the reader finds in true images with independent cues: share by cue."""
    probe = shipped.record("probe")
    return {cue: probe[cue] for cue in CUES}


def readings(rows: pd.DataFrame) -> dict[str, float]:
    """What the reader finds in counterfactuals of the CGNs with all losses: share by cue.

    Empty where none was run.
    """
    by = ablations.measured(rows).get("none", {})
    found = {cue: by.get(f"{cue}_read") for cue in CUES}
    return {cue: mean(shares) for cue, shares in found.items() if shares}


def finding(rows: pd.DataFrame) -> Finding:
    """At which share of its ceiling the reader finds each of the three mechanisms."""
    found = rule(readings(rows), ceiling())
    if not found.effects:
        return Finding(found.outcome)
    whole = rows[rows.removed == "none"]
    of = {cue: whole[whole.metric == f"{cue}_read"] for cue in CUES}
    read = {
        cue: (mine.value.astype(float).tolist(), int(mine.n.iloc[0])) for cue, mine in of.items()
    }
    return shares(found, read, ceiling(), {cue: cue for cue in CUES})


def findings(this: Page) -> dict[str, Finding]:
    """What the study and each kind of our evidence found."""
    return {"Study": EYE} | {source: finding(rows) for source, rows in this.ours.items()}


def facts(this: Page, scenes: pd.DataFrame) -> Facts:
    """What the text says: of this run and the reference run, and how often the shape of the key is
    read, in percent.

    scenes: records of `disentanglement`, of which the key is read.
    """
    [profile] = scenes.profile.unique()
    rows = scenes.assign(source=f"Trained here ({profile})")
    return _of_readings(this) | _of_the_key(replace(this, numbers=rows))


@cited
def _of_the_key(this: Page) -> dict[str, object]:
    return {"key-read": 100 * float(this.numbers.set_index(["run", "metric"]).value[KEY])}


@cited
def _of_readings(this: Page) -> dict[str, object]:
    """Verdicts, and what the reader finds here (`effect`) and in the reference run."""
    scale = experiments.profile(this.profile).world
    sources = {"live": readings(this.live), "reference": readings(this.reference)}
    return (
        {f"verdict-{source}": rule(read, ceiling()) for source, read in sources.items()}
        | {"verdict-study": BY_EYE, "short": short(sources["live"])}
        | {"effect": effect(sources["live"])}
        | {"effect-trained": effect(sources["reference"])}
        | {"reference-shape": 100 * sources["reference"]["shape"]}
        | {"ceiling": ceiling_in_words()}
        | {"profile": this.profile, "world": scale.name}
        | {"n-runs": this.live[this.live.removed == "none"].run.nunique()}
        | {"n-images": scale.quality.evaluated}
    )


def effect(read: Mapping[str, float]) -> str:
    """What the reader finds, in words; on ImageNet there is none to ask."""
    if not read:
        return "not measured: no reader knows the parts of ImageNet's images apart"
    shares = listed([f"the intended {cue} in {100 * share:.0f}%" for cue, share in read.items()])
    return f"the reader finds {shares} of the counterfactuals"


def ceiling_in_words() -> str:
    """What the reader names in true images, by cue."""
    return listed([f"the {cue} in {100 * share:.1f}%" for cue, share in ceiling().items()])


def short(read: Mapping[str, float]) -> str:
    """Which mechanisms miss the rule, as a sentence."""
    found = rule(read, ceiling())
    if not found.effects:
        return "Whether a mechanism falls short of the rule, no reader tells."
    missed = [cue for cue in found.effects if cue not in found.met + found.undecided]
    if not missed:
        return "No mechanism falls short of the rule."
    words = listed(missed).capitalize()
    return f"{words} {'falls' if len(missed) == 1 else 'fall'} short of the rule."


def panels(by: Mapping[str, Result], rows: Sequence[int]) -> boxes.Shown:
    """What the mechanisms of CGNs make for some classes of their sheet: a block for each."""
    blocks = {
        title: [(_name(of.run.variant, worlds.find(of.run.variant).sheet[c]), of, c) for c in rows]
        for title, of in by.items()
    }
    with plt.rc_context(STYLE):
        ablations.panels(blocks, [name for name in ablations.PANELS if name != "premask"])
    return boxes.show("panels", by.values())


def counterfactuals(by: Mapping[str, Result], n: int = 6) -> boxes.Shown:
    """Counterfactuals with the names of their three classes: a row for each CGN."""
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            len(by), 1, figsize=(WIDTH, 1.5 * len(by)), layout="constrained", squeeze=False
        )
        for axis, (title, result) in zip(axes[:, 0], by.items(), strict=True):
            arrays = arrays_of(result)
            images, classes = arrays["counterfactual"][:n], arrays["classes"][:n]
            tile(axis, images[None])
            side = images.shape[2] + 2
            names = ["\n".join(_name(result.run.variant, int(c)) for c in of) for of in classes]
            axis.set_xticks(np.arange(len(names)) * side + side / 2 - 1, names, fontsize=8)
            axis.tick_params(length=0)
            axis.set_title(title)
    return boxes.show("counterfactuals", by.values())


def _name(world: str, c: int) -> str:
    return CLASSES[c] if world == "menagerie" else str(c)
