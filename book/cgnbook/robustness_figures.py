"""Figures of claim 3 on ImageNet and the menagerie.  Each draws, shows and returns its box."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch

from cgnbook import boxes, records
from cgnbook.drawing import STYLE, tile
from cgnbook.heads import measured
from cgnbook.names import CONTROL, INVARIANT, PLAIN, SUBJECTS
from cgnlib.data.menagerie import Menagerie
from cgnlib.runs import Result

CUES = {  # Okabe and Ito's colours
    "shape": "#0072B2",
    "texture": "#E69F00",
    "background": "#009E73",
    "neither": "#BBBBBB",
}


def cue_shares(results: Sequence[Result]) -> boxes.Shown:
    """Which cue decides on the cue conflict: a bar for each classifier and head, all seeds."""
    by = measured(records.frame(results))
    bars = [(PLAIN, "plain"), (CONTROL, "avg")]
    bars += [(INVARIANT, subject) for subject in ("shape", "texture", "bg", "avg")]
    names = {CONTROL: "three heads, real images:\nmean of the heads"}
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.6, 3.3), layout="constrained")
        for at, (train_on, subject) in enumerate(bars):
            left = 0.0
            known = {cue: c for cue, c in CUES.items() if f"cue_{cue}" in by[train_on][subject]}
            for cue, colour in known.items():
                share = 100 * np.mean(by[train_on][subject][f"cue_{cue}"])
                label = cue if at == 0 else None
                axis.barh(at, share, left=left, color=colour, label=label, height=0.72)
                if share >= 6:
                    ink = "black" if cue in ("texture", "neither") else "white"
                    axis.text(left + share / 2, at, f"{share:.0f}", ha="center", va="center",
                              color=ink, fontsize=9)  # fmt: skip
                left += share
        labels = [names.get(train_on, SUBJECTS[subject]) for train_on, subject in bars]
        axis.set_yticks(range(len(bars)), labels)
        axis.axhline(1.5, color="black", linewidth=0.8)
        axis.invert_yaxis()
        axis.set_xlim(0, 100)
        axis.set_xlabel("decisions on the cue conflict, % (mean over seeds)")
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
    return boxes.show("cue-shares", results)


def background_lines(results: Sequence[Result]) -> boxes.Shown:
    """Accuracy with the original, another and a random background; a line a seed."""
    by = measured(records.frame(results))
    lines = {
        (PLAIN, "plain"): ("#000000", "o", "plain classifier"),
        (CONTROL, "shape_texture"): ("#999999", "s", "three heads, real images (shape + texture)"),
        (INVARIANT, "avg"): ("#D55E00", "^", "with counterfactuals: mean of all heads"),
        (INVARIANT, "shape_texture"): ("#0072B2", "D", "with counterfactuals: shape + texture"),
    }
    splits = {
        "original": "original",
        "mixed_same": "another of\nthe same class",
        "mixed_rand": "of a random\nclass",
    }
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
        for (train_on, subject), (colour, mark, name) in lines.items():
            of = by[train_on][subject]
            for seed, values in enumerate(zip(*(of[split] for split in splits), strict=True)):
                label = name if seed == 0 else None
                axis.plot(100 * np.array(values), color=colour, marker=mark, label=label, alpha=0.8)
        axis.set_xticks(range(3), splits.values())
        axis.set_xlim(-0.15, 2.15)
        axis.set_ylim(0, 103)
        axis.set_xlabel("background of the test image")
        axis.set_ylabel("accuracy, %")
        axis.legend(loc="lower left", frameon=False, fontsize=9)
    return boxes.show("background-lines", results)


def menagerie_tests(n: int = 6, seed: int = 21) -> boxes.Shown:
    """Images of the menagerie's four tests, in rows; objects are the same in the last three."""
    splits = {
        "conflict": "cue conflict",
        "agree": "original",
        "mixed_same": "mixed-same",
        "mixed_rand": "mixed-rand",
    }
    made_by = f"`cgnlib.menagerie.Menagerie`, seed {seed}, the first {n} images of each test"
    index = torch.arange(n)
    rows = torch.stack([Menagerie(split, n, seed).batch(index)[0] for split in splits])
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(1.25 * n, 5.2), layout="constrained")
        images = rows.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 1, 3, 4, 2)
        tile(axis, images.numpy())
        side = images.shape[2] + 2
        axis.set_yticks(np.arange(len(splits)) * side + side / 2, splits.values())
        axis.tick_params(length=0)
    return boxes.show("menagerie-tests", made_by)
