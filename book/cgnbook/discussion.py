"""The numbers of the discussion and of the lessons, by the name under which a page has them.

Percentages and points, as the text says them; everything comes from records.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from cgnbook import disentanglement, explanations, heads, names, records, reported, scorecard, union

Facts = dict[str, float]


def of_study() -> Facts:
    """What the study's own numbers say about its single runs, its retrainings and its cost."""
    printed, cached = (scorecard.told_accuracies(s) for s in ("article", "cached"))
    moved = [
        abs(printed[v][t][0] - cached[v][t][0]) for v in printed for t in printed[v]
    ]  # fmt: skip
    wildlife = printed["wildlife"]
    facts = {
        "moved": 100 * max(moved),
        "union-printed": 100 * wildlife["original+cgn"][0],
        "union-cached": 100 * cached["wildlife"]["original+cgn"][0],
        "alone-printed": 100 * wildlife["cgn"][0],
        "union-paper": 100 * scorecard.told_accuracies("paper")["wildlife"]["original+cgn"][0],
    }
    runs = reported.table("mnist-classification", metric="test_accuracy_run", row="cgn")
    spans = [float(of.max() - of.min()) for _, of in runs.groupby("column").value]
    facts |= {"repeated-span": max(spans), "repeated": float(len(runs) / len(spans))}
    facts |= {k: v for k, v in heads.told_epochs().items() if k.startswith("epoch")}
    for name, row in (("usable-without", "without"), ("usable-with", "with-final")):
        facts[name] = _only("edge-loss", row=row, metric="usable_digits")
    for name, row in _HOURS.items():
        facts[name] = _only("compute", row=row, source="article")
    for name, source in (("coverage-paper", "paper"), ("coverage-study", "article")):
        of = {"row": "text", "metric": "mask_coverage", "source": source}
        facts[name] = _only("loss-ablation", **of)
    for name, row in (("few", "size-1e4-ratio-01"), ("many", "size-1e5-ratio-01")):
        facts[f"accuracy-{name}"] = _only("cf-count", column="wildlife", row=row)
    return facts


_HOURS = {
    "hours": "total-1080-ti",
    "hours-ablation": "loss-ablation",
    "hours-improved": "improved-cgn-training",
    "hours-described": "cgn-training-imagenet-as-described",
    "hours-other": "cgn-training-imagenet-other-settings",
}


def _only(table: str, **fixed: str) -> float:
    """The one reported number that the names fix.  Raises ValueError for several."""
    rows = reported.table(table, **fixed)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} numbers of {table} with {fixed}")
    return float(rows.value.iloc[0])


def of_union(reference: pd.DataFrame) -> Facts:
    """The fall of the union on W-MNIST in the reference run, and which cue is followed."""
    of = union.means(reference)
    both, alone = of["original+cgn"], of["cgn"]
    return {
        "fall": 100 * (alone["real_accuracy"] - both["real_accuracy"]),
        "union-real-background": 100 * both["real_follows_background"],
        "union-cgn-background": 100 * both["cgn_follows_background"],
        "control-accuracy": 100 * of["original+decorrelated"]["real_accuracy"],
    }


def of_oracle(reference: pd.DataFrame) -> Facts:
    """Test accuracy on W-MNIST of a classifier that saw true digits in random cues alone."""
    of = reference[(reference.variant == "wildlife") & (reference.metric == "image_read_true")]
    return {"oracle-accuracy": 100 * float(of.value.astype(float).mean())}


def of_seeds(live: pd.DataFrame) -> Facts:
    """The widest and the median range of test accuracy over the seeds of one cell."""
    by = scorecard.accuracies(live)
    spans = sorted(100 * (max(a) - min(a)) for of in by.values() for a in of.values())
    return {"seeds-widest": spans[-1], "seeds-median": spans[len(spans) // 2]}


def of_control(live: pd.DataFrame) -> Facts:
    """The BG-gap of the plain classifier, of the control and of the two heads, in points."""
    by = heads.measured(live)
    of = {
        "gap-plain": by[names.PLAIN]["plain"],
        "gap-control": by[names.CONTROL]["shape_texture"],
        "gap-heads": by[names.INVARIANT]["shape_texture"],
    }
    return {name: 100 * _mean(measures["bg_gap"]) for name, measures in of.items()}


def of_bias(live: pd.DataFrame) -> Facts:
    """Shape bias in percent: of the plain classifier, the shape head and the mean of the heads."""
    by = heads.measured(live)
    of = {
        "bias-plain": by[names.PLAIN]["plain"],
        "bias-shape": by[names.INVARIANT]["shape"],
        "bias-mean": by[names.INVARIANT]["avg"],
    }
    return {name: 100 * _mean(measures["shape_bias"]) for name, measures in of.items()}


def of_mask_loss(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Facts:
    """How often a probe reads the intended shape with and without the losses on the mask, in %."""
    of = {"shape-with": measured["none"], "shape-without": measured["shape"]}
    return {name: 100 * _mean(measures["shape_read"]) for name, measures in of.items()}


def of_overlap(frame: pd.DataFrame) -> Facts:
    """The study's IoU of an empty map, and the least and most of the classifiers, in percent."""
    rows = explanations.of_published(frame)
    values = rows[rows.metric == "study_iou"].value.astype(float)
    empty = rows[rows.metric == "study_iou_empty"].value.astype(float)
    return {
        "iou-empty": 100 * float(empty.mean()),
        "iou-least": 100 * float(values.min()),
        "iou-most": 100 * float(values.max()),
    }


def of_leaks(live: pd.DataFrame, variant: str) -> Facts:
    """How often another texture, or another background, makes a reader see another shape.

    Of the CGNs the mean over those that are named as the first is.
    """
    found = [m for m in disentanglement.sources(live).values() if m["variant"] == variant]
    truth, *cgns = found  # the renderer comes first
    cgns = [m for m in cgns if m["name"] == cgns[0]["name"]]
    return {
        f"leak-{cue}-{name}": 100 * _mean([m[f"moved_{cue}_shape"] for m in of])
        for name, of in (("truth", [truth]), ("cgn", cgns))
        for cue in ("texture", "background")
    }


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def of_reconstruction() -> Facts:
    """C-MNIST, whose colours are a reconstruction: counterfactuals alone and in union, in percent,
    in the study and in the reference run."""
    ours = scorecard.accuracies(records.needed("claim-3-mnist", "full"), "published")
    of = {
        "study": {t: v[0] for t, v in scorecard.told_accuracies("article")["colored"].items()},
        "reference": scorecard.means(ours)["colored"],
    }
    return {
        f"{source}-c-{name}": 100 * accuracy[trained]
        for source, accuracy in of.items()
        for name, trained in (("cgn", "cgn"), ("union", "original+cgn"))
    }


def reference_off() -> Facts:
    """How far the reference run's test accuracies lie from the study's, at most, in points.

    On C-MNIST, and on the others, whose data are the study's.
    """
    told = scorecard.told_accuracies("article")
    ours = scorecard.accuracies(records.needed("claim-3-mnist", "full"), "published")
    means = scorecard.means(ours)
    off = {v: 100 * max(abs(mean - told[v][t][0]) for t, mean in by.items())
           for v, by in means.items()}  # fmt: skip
    colored = off.pop("colored")
    return {"reference-off-colored": colored, "reference-off": max(off.values())}
