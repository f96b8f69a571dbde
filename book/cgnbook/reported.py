"""What others reported: reported.csv as it is written, and in the vocabulary of the records."""

import pandas as pd

from cgnbook import records
from cgnbook.names import INVARIANT, PLAIN
from cgnlib import paths
from cgnlib.errors import CGNError

# fmt: off
REPORTED = [
    "claim", "table", "row", "column", "metric", "value", "unit", "spread", "n",
    "source", "where", "note",
]
# fmt: on
# Who says a number; those that are not named here are called as in references.bib.
SOURCES = {
    "paper": "Paper",
    "article": "Study",
    "cached": "Study, cached",
    "recomputed": "Recomputed",
    "talk": "Talk",
}
_DIGITS = r"(?P<variant>\w+)/(?P<metric>\w+)"
_HEADS = r"(-(?P<subject>shape\+text|shape|text|bg|avg))?/(?P<metric>.+)"
_NETS = r"(?P<train_on>(?P<variant>in-mini|in|)[^/]*?)" + _HEADS
# How a table writes what the records say: `row/column/metric`.  Of `compute` they say nothing.
PATTERNS = {
    "mnist-classification": r"(?P<train_on>[^/]+)/" + _DIGITS,
    "gradcam-iou": r"(?P<train_on>[^/]+)/" + _DIGITS,
    "edge-loss": r"(?P<generator>[^/]+)/" + _DIGITS,
    "cf-count": r"size-(?P<size>[^-]+)-ratio-(?P<per_shape>\d+)/" + _DIGITS,
    "loss-ablation": r"(?P<removed>[^/]+)/" + _DIGITS,
    "shape-bias": _NETS,
    "backgrounds": _NETS,
    "ood": _NETS,
    "ensemble-epochs": r"epoch-(?P<epochs>\d+)" + _HEADS,
}
# What the records call some of these words; the rest are the same.
WORDS = {
    "variant": {"in": "imagenet"},
    "removed": {"text": "texture", "bg": "background", "rec": "reconstruction"},
    "generator": {"without": "trained", "with-final": "edge"},
    "subject": {"text": "texture", "shape+text": "shape_texture"},
    "train_on": {
        "resnet-50": PLAIN, "in": PLAIN, "in+cgn": INVARIANT, "in-mini+cgn": INVARIANT,
        "cgn-ensemble": INVARIANT,
    },
    "metric": {
        "iou": "study_iou", **{f"iou_class_{digit}": f"study_iou_{digit}" for digit in range(10)},
        "cue-conflict/shape_bias": "shape_bias", "cf-val/top1": "counterfactual_top1",
        "imagenet/top1": "real_top1", "imagenet/top5": "real_top5", "in-mini/top1": "real_top1",
        "in-mini/top5": "real_top5", "in-9/accuracy": "original", "/bg_gap": "bg_gap",
        "mixed-same/accuracy": "mixed_same", "mixed-rand/accuracy": "mixed_rand",
        "in-a/top1": "imagenet-a", "in-stylized/accuracy": "cue_conflict",
        "in-sketch/top1": "sketch",
    },
}  # fmt: skip
# Who decides where a row names no head.
DECIDES = {
    "shape-bias": "avg",
    "ood": "avg",
    "ensemble-epochs": "avg",
    "backgrounds": "shape_texture",
}


def table(name: str, **fixed: str) -> pd.DataFrame:
    """The reported numbers of one table (`mnist-classification`, ...) as they are written.

    fixed: what some columns must say.  Raises CGNError when the file lacks a column or has no such
    rows.
    """
    rows = records.table(paths.records() / "reported.csv", REPORTED)
    chosen = rows[rows["table"] == name]
    for column, value in fixed.items():
        chosen = chosen[chosen[column] == value]
    if chosen.empty:
        raise CGNError(f"reported.csv has no rows for table {name!r} with {fixed}")
    return chosen


def numbers() -> pd.DataFrame:
    """Every reported number in the words of the records: variant, train_on, metric, ...

    Percentages are fractions.  The columns of the file stand beside them; `claim` is empty, since
    a claim here is that of a run.  Raises CGNError for a row that no pattern fits.
    """
    written = records.table(paths.records() / "reported.csv", REPORTED)
    rows = records.stacked(_in_words(of, name) for name, of in written.groupby("table", sort=False))
    percent = rows.unit == "%"
    return rows.assign(
        source=rows.source.map(lambda name: SOURCES.get(name, name)),
        claim="",
        value=rows.value.astype(float).where(~percent, rows.value.astype(float) / 100),
        unit=rows.unit.where(~percent, "fraction"),
    )


def _in_words(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one table with the columns of the records."""
    if name not in PATTERNS:
        return rows
    parts = (rows.row + "/" + rows.column + "/" + rows.metric).str.extract(f"^{PATTERNS[name]}$")
    parts = parts[[column for column in parts if isinstance(column, str)]]
    if parts.metric.isna().any():
        unknown = rows.row[parts.metric.isna()].iloc[0]
        raise CGNError(
            f"reported.csv, table {name}: no pattern of reported.PATTERNS fits {unknown!r}"
        )
    for column in parts:
        parts[column] = parts[column].replace(WORDS.get(column, {}))
    if name in DECIDES:
        train_on = parts.get("train_on", pd.Series(INVARIANT, parts.index))
        usual = train_on.map(lambda word: DECIDES[name] if word == INVARIANT else PLAIN)
        parts = parts.assign(train_on=train_on, subject=parts.subject.fillna(usual))
        parts["metric"] = parts.pop("subject") + "/" + parts.metric
    if name == "mnist-classification":  # of the paper's own CGNs, which the study used as well
        parts["generator"] = parts.train_on.str.endswith("cgn").map({True: "published", False: ""})
    if name == "cf-count":
        sizes = {"size": parts["size"].astype(float).astype(int), "epochs": 10}
        parts = parts.assign(**sizes, per_shape=parts.per_shape.astype(int), train_on="cgn")
    return rows.assign(**parts)


def as_written(source: str) -> str:
    """Who said it, in the words of the file."""
    return next((name for name, words in SOURCES.items() if words == source), source)


def as_printed(name: str, columns: list[str]) -> pd.DataFrame:
    """A file of what others reported, every cell as it stands there.  Raises as `table` does."""
    return records.table(paths.records() / name, columns, numbers=set())
