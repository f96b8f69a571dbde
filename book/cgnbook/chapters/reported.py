"""Every number that others reported, in tables: rows of reported.csv, none left out."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from types import SimpleNamespace

import pandas as pd

from cgnbook import reported
from cgnbook.heads import named_data
from cgnbook.names import NAMES, NONE, SETTINGS
from cgnlib.experiments import TRAIN_SETS, VARIANTS

Row = SimpleNamespace  # a reported number
DECIMALS = {"%": 1, "score": 1, "digits": 1, "coverage": 2, "fraction": 3}  # shown, at most
SOURCES = ("paper", "article", "talk", "cached", "recomputed")
REMOVED = {"shape": "L_shape", "text": "L_text", "bg": "L_bg", "rec": "L_rec", "none": "none"}
REMOVED |= {"biggan": "BigGAN itself"}
TESTS = {"in-9": "IN-9", "mixed-same": "Mixed-Same", "mixed-rand": "Mixed-Rand"}
SETS = {"in-mini": "IN-mini", "in-a": "IN-A", "in-stylized": "cue conflict", "in-sketch": "Sketch"}
HEADS = {"shape": "shape head", "text": "texture head", "bg": "background head"}
HEADS |= {"avg": "mean of the heads", "shape+text": "shape and texture heads"}
METRICS = {"shape_bias": "shape bias", "top1": "top-1", "top5": "top-5", "bg_gap": "BG-gap"}
METRICS |= {"bg_gap_min": "BG-gap, least", "bg_gap_max": "BG-gap, most"}
_RETRAINED = {
    "without": "No edge loss",
    "with-interim": "Edge loss, first version",
    "with-final": "Edge loss, final",
}
_HOURS = {"_min": "at least ", "_max": "at most "}


def grid(
    rows: pd.DataFrame, down: dict[str, Callable[[Row], str]], across: Callable[[Row], str]
) -> pd.DataFrame:
    """A table of all rows: each number in the cell of its names, several divided by strokes.

    down: how a row is named, by column title.  across: in which column its number stands.
    Rows and columns come in the order of their first number.  A spread stands after ±.
    """
    cells: dict[tuple, dict[str, list[str]]] = {}
    columns: dict[str, None] = {}
    for record in rows.to_dict("records"):
        row = Row(**record)
        names, column = tuple(name(row) for name in down.values()), across(row)
        columns[column] = None
        cells.setdefault(names, {}).setdefault(column, []).append(_number(row))
    return pd.DataFrame(
        dict(zip(down, names, strict=True)) | {c: " / ".join(of.get(c, [NONE])) for c in columns}
        for names, of in cells.items()
    )


def _number(row: Row) -> str:
    """With no more decimals than its column has; a spread has its n behind it, if it has one."""
    shown = rounded(row.value, row)
    if row.spread:
        shown += f" ± {rounded(row.spread, row)}" + f" ({row.n})" * (row.n not in ("", "1"))
    return shown


def rounded(number: str, row: Row) -> str:
    """A number as it was printed, but for decimals beyond those of its kind; no digit is added."""
    kind = "coverage" if row.metric == "mask_coverage" else row.unit
    places = DECIMALS.get(kind, 9)
    if len(number.partition(".")[2]) <= places:
        return number
    return str(Decimal(number).quantize(Decimal(10) ** -places, ROUND_HALF_UP))


def _rows(table: str, **order: tuple) -> pd.DataFrame:
    """The rows of a reported table, as printed; those named in `order` come in that order."""
    rows = reported.as_printed("reported.csv", reported.REPORTED)
    rows = rows[rows.table == table]
    for column, names in reversed(order.items()):
        rank = {name: i for i, name in enumerate(names)}
        rows = rows.sort_values(column, key=lambda c, r=rank: c.map(r), kind="stable")
    return rows


def _source(row: Row) -> str:
    return row.source.capitalize()


def classification() -> pd.DataFrame:
    """The MNIST table, training / test accuracy in per cent."""
    rows = _rows(
        "mnist-classification", column=VARIANTS, row=TRAIN_SETS, source=SOURCES,
        metric=("train_accuracy", "test_accuracy"),
    )  # fmt: skip
    rows = rows[rows.metric.isin(("train_accuracy", "test_accuracy"))]
    return grid(rows, _OF_MNIST, _source)


def repeated() -> pd.DataFrame:
    """Test accuracies in per cent: the study's repeated runs, and a CGN that a user trained."""
    rows = _rows("mnist-classification", column=VARIANTS, row=TRAIN_SETS)
    titles = {
        "test_accuracy_run": "Runs",
        "test_accuracy_mean": "Mean ± deviation",
        "test_accuracy_retrained": "A user's own CGN",
    }
    rows = rows[rows.metric.isin(titles)]
    return grid(rows, _OF_MNIST, lambda row: titles[row.metric])


_OF_MNIST = {"Data": lambda row: NAMES[row.column], "Trained on": lambda row: SETTINGS[row.row]}


def counts() -> pd.DataFrame:
    """Test accuracy by the size of the set (down) and counterfactuals for each shape (across)."""
    down = {
        "Data": lambda row: NAMES[row.column],
        "Counterfactuals": lambda row: f"{int(float(row.row.split('-')[1])):,}",
    }
    rows = _rows("cf-count", column=VARIANTS)
    return grid(rows, down, lambda row: f"{int(row.row.rpartition('-')[2])} for each shape")


def retrained() -> pd.DataFrame:
    """What became of C-MNIST's CGN when the study trained it again."""
    rows = _rows("edge-loss", row=tuple(_RETRAINED))
    return grid(rows, {"Retrainings": _outcome}, lambda row: _RETRAINED[row.row])


def _outcome(row: Row) -> str:
    kind, _, rest = row.metric.partition("_with_")
    if rest:
        unit = "number" if kind == "runs" else "share, %"
        return f"with {int(rest.split('_')[0])} usable digits, {unit}"
    if row.metric.startswith("test_accuracy"):
        return f"test accuracy, {row.metric.rpartition('_')[2]}, %"
    return {"runs": "in all", "usable_digits": "usable digits, mean"}[row.metric]


def ablation() -> pd.DataFrame:
    """The loss ablation: inception score and mask coverage."""
    names = {"inception_score": "Inception score", "mask_coverage": "Mask coverage"}
    rows = _rows("loss-ablation", metric=tuple(names), row=tuple(REMOVED), source=SOURCES)
    down = {
        "Measure": lambda row: names[row.metric],
        "Left out": lambda row: REMOVED[row.row],
    }
    return grid(rows, down, _source)


def shape_bias() -> pd.DataFrame:
    """Shape bias and accuracy in per cent, of classifiers and their heads."""
    heads = ("shape", "text", "bg")
    order = [f"{data}+cgn-{head}" for data in ("in", "in-mini") for head in heads]
    rows = _rows("shape-bias", row=(*order, "in+cgn", "in-mini+cgn"), source=SOURCES)
    rows = rows[rows.source != "geirhos2019"]
    return grid(rows, _OF_CLASSIFIERS, lambda row: METRICS[row.metric])


_OF_CLASSIFIERS = {"Trained on": lambda row: named_data(row.row), "By": _source}


def shape_bias_of_others() -> pd.DataFrame:
    """Shape bias in per cent as the makers of the stimuli found it."""
    rows = _rows("shape-bias")
    names = {"resnet-50": "ResNet-50", "humans": "humans"}
    down = {"Who decides": lambda row: names[row.row]}
    return grid(rows[rows.source == "geirhos2019"], down, lambda row: "Shape bias")


def backgrounds() -> pd.DataFrame:
    """The backgrounds challenge, accuracies and gaps in per cent."""
    order = ("in", "sin", "in+sin", "mixed-rand", "in+cgn", "in-mini+cgn", "in-mini+cgn-avg")
    rows = _rows("backgrounds", row=order, column=(*TESTS, ""), source=SOURCES)
    return grid(rows, _OF_CLASSIFIERS, lambda row: TESTS.get(row.column) or METRICS[row.metric])


def overlap_by_digit() -> pd.DataFrame:
    """IoU of heat maps and digit masks, by digit."""
    rows = _overlaps()
    rows = rows[rows.metric.str.startswith("iou_class_")]
    down = {"Digit": lambda row: row.metric.removeprefix("iou_class_")}
    return grid(rows, down, lambda r: f"{NAMES[r.column].partition('-')[0]}, {SETTINGS[r.row]}")


def overlap() -> pd.DataFrame:
    """IoU of heat maps and digit masks, over all digits."""
    rows = _overlaps()
    kinds = {"iou": "Cached", "iou_run": "Another run", "iou_mean": "Mean of five"}

    def kind(row: Row) -> str:
        return kinds[row.metric] if row.source == "cached" else "Recomputed"

    return grid(rows[rows.metric.isin(kinds)], _OF_MNIST, kind)


def _overlaps() -> pd.DataFrame:
    return _rows("gradcam-iou", column=VARIANTS, row=("original", "cgn"))


def out_of_distribution() -> pd.DataFrame:
    """The out-of-distribution sets, accuracy in per cent."""
    names = {"resnet-50": "ResNet-50", "cgn-ensemble": "Ensemble"}
    names["resnet-50-scratch"] = names["resnet-50"]
    rows = _rows("ood", column=tuple(SETS), source=SOURCES)
    rows = rows.sort_values("row", key=lambda c: c.map(names), ascending=False, kind="stable")
    down = {"Images": lambda row: SETS[row.column]}
    table = grid(rows, down, lambda row: f"{names[row.row]}, {row.source}")
    return table.sort_values("Images", key=lambda c: c.map(list(SETS.values()).index))


def epochs() -> pd.DataFrame:
    """The ensemble's cached epochs, in per cent: a column an epoch."""
    rows = _rows("ensemble-epochs", column=("in-mini", "cue-conflict", *TESTS, "", "cf-val"))
    rows = rows.sort_values("row", key=lambda c: c.str.split("-").str[1], kind="stable")
    down = {"Who decides": _head, "Measure": _epoch_measure}
    table = grid(rows, down, lambda row: str(int(row.row.split("-")[1])))
    return table.sort_values("Who decides", key=lambda c: c.map(_HEAD_ORDER), kind="stable")


_HEAD_ORDER = {name: i for i, name in enumerate(HEADS.values())}


def _head(row: Row) -> str:
    return HEADS[row.row.split("-", 2)[2]]


def _epoch_measure(row: Row) -> str:
    if row.column in TESTS:
        return TESTS[row.column]
    own = ", counterfactuals" if row.column == "cf-val" else ""
    return METRICS[row.metric] + own


def compute() -> pd.DataFrame:
    """What the work of others cost, with where it is told and what is to be known about it."""
    rows = _rows("compute", source=("paper", "article", "talk", "cached"))
    return pd.DataFrame(
        {
            "What": " ".join(_SPELT.get(word, word) for word in _words_of(row.row)),
            "Cost": f"{_bound(row.metric)}{row.value} {_unit(row)}",
            "Told in": row.where,
            "Remark": row.note.replace("CONTRADICTION", "contradiction"),
        }
        for row in rows.itertuples()
    )


_SPELT = {"cgn": "CGN", "cf": "counterfactuals,", "mnist": "MNISTs", "in-mini": "IN-mini"}
_SPELT |= {"imagenet": "ImageNet", "ood": "out-of-distribution", "ti": "Ti", "lisa": "on Lisa"}


def _words_of(name: str) -> list[str]:
    """`classifier-in-mini` as `classifier` and `in-mini`."""
    return re.findall(r"in-mini|[^-]+", name)


def _bound(metric: str) -> str:
    return next((words for end, words in _HOURS.items() if metric.endswith(end)), "")


def _unit(row: Row) -> str:
    return f"GPU {row.unit}" if row.metric.startswith("gpu") else row.unit


TABLES = {
    "mnist-classification": (classification, repeated),
    "cf-count": (counts,),
    "edge-loss": (retrained,),
    "loss-ablation": (ablation,),
    "shape-bias": (shape_bias, shape_bias_of_others),
    "backgrounds": (backgrounds,),
    "gradcam-iou": (overlap_by_digit, overlap),
    "ood": (out_of_distribution,),
    "ensemble-epochs": (epochs,),
    "compute": (compute,),
}
