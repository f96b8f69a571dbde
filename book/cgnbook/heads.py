"""Tables of claim 3 on ImageNet and the menagerie: shape bias and backgrounds."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cgnbook import records, reported
from cgnbook.names import CLASSIFIERS, INVARIANT, NONE, PLAIN, SUBJECTS
from cgnbook.tables import bare_spread, pct, spread
from cgnlib.data import public
from cgnlib.experiments import Run
from cgnlib.measures import decisions

_WORDS = {"in": "IN", "sin": "SIN", "cgn": "CGN", "in-mini": "IN-mini", "mixed-rand": "Mixed-Rand"}
_HEADS = {"shape": "shape", "texture": "text", "bg": "bg"}  # as the reported rows call them
_SPLITS = {"original": "in-9", "mixed_same": "mixed-same", "mixed_rand": "mixed-rand"}

Measured = dict[str, dict[str, dict[str, list[float]]]]


def measured(frame: pd.DataFrame) -> Measured:
    """Every measure by training set (plain, real, real+cgn) and subject, one value a run."""
    by: Measured = {}
    for row in frame.itertuples():
        subject, slash, measure = row.metric.partition("/")
        if slash:
            of = by.setdefault(row.train_on, {}).setdefault(subject, {})
            of.setdefault(measure, []).append(float(row.value))
    return by


def biases(by: Measured) -> dict[str, list[float]]:
    """Shape bias of the plain classifier and of each head, in the form of the verdict."""
    of = {PLAIN: by.get(PLAIN, {}).get("plain", {})} | by.get(INVARIANT, {})
    return {name: values.get("shape_bias", []) for name, values in of.items()}


def gaps(by: Measured) -> dict[str, dict[str, list[float]]]:
    """What the verdict on backgrounds is made from."""
    return {PLAIN: by.get(PLAIN, {}).get("plain", {})} | by.get(INVARIANT, {})


def told_biases(source: str, data: str) -> dict[str, list[float]]:
    """Reported shape biases in the form of `biases`.

    data: `in` or `in-mini`.  The plain ResNet-50 is that of the stimuli's authors.
    """
    rows = reported.table("shape-bias", metric="shape_bias")
    found = {PLAIN: _values(rows[(rows.row == "resnet-50")])}
    mine = rows[rows.source == source]
    for head, name in _HEADS.items():
        found[head] = _values(mine[mine.row == f"{data}+cgn-{name}"])
    return found


def told_epochs() -> dict[str, float]:
    """From the study's cached epochs, in percent: top-1 of each head on held-out counterfactuals
    (told-*), and the range of the shape head's shape bias (epoch-*)."""
    rows = reported.table("ensemble-epochs", source="cached")
    rows = rows.assign(value=rows.value.astype(float))
    held_out = rows[(rows.column == "cf-val") & (rows.metric == "top1")]
    heads = {row.row.rpartition("-")[2]: row.value for row in held_out.itertuples()}
    bias = rows[rows.row.str.endswith("-shape") & (rows.metric == "shape_bias")].value
    return {f"told-{head}": heads[name] for head, name in _HEADS.items()} | {
        "epoch-low": float(bias.min()),
        "epoch-high": float(bias.max()),
    }


def told_gaps(source: str, row: str) -> dict[str, dict[str, list[float]]]:
    """Reported numbers of the background table in the form of `gaps`; plain is the row `in`."""
    rows = reported.table("backgrounds")
    found = {}
    for subject, of in ((PLAIN, rows[rows.row == "in"]), ("shape_texture", rows[rows.row == row])):
        of = of[of.source == ("paper" if subject == PLAIN else source)]
        found[subject] = {
            "bg_gap": _values(of[of.metric == "bg_gap"]),
            "mixed_rand": _values(of[of.column == "mixed-rand"]),
        }
    return found


def shape_bias(reference: pd.DataFrame, live: pd.DataFrame, label: str) -> pd.DataFrame:
    """The study's table of shape bias, in percent, beside our runs.

    Paper: ResNet-50 on ImageNet and its counterfactuals; study: on IN-mini and its own.
    """
    told = {"Paper": told_biases("paper", "in"), "Study": told_biases("article", "in-mini")}
    accuracy = reported.table("shape-bias")
    ours = {"Reference run": measured(reference), label: measured(live)}
    rows = []
    for subject in ("plain", "shape", "texture", "bg", "avg"):
        row = {"Measure": "Shape bias", "Who decides": SUBJECTS[subject]}
        row |= {source: spread(by.get(subject, [])) for source, by in told.items()}
        row |= {source: bare_spread(biases(by).get(subject, [])) for source, by in ours.items()}
        rows.append(row)
    for metric, name in (("top1", "Top-1 accuracy"), ("top5", "Top-5 accuracy")):
        row = {"Measure": name, "Who decides": SUBJECTS["avg"]}
        for source, (where, data) in {
            "Paper": ("paper", "in"),
            "Study": ("article", "in-mini"),
        }.items():
            chosen = accuracy[(accuracy.metric == metric) & (accuracy.source == where)]
            row[source] = spread(_values(chosen[chosen.row == f"{data}+cgn"]))
        for source, by in ours.items():
            row[source] = bare_spread(
                by.get(INVARIANT, {}).get("avg", {}).get(f"real_{metric}", [])
            )
        rows.append(row)
    return pd.DataFrame(rows)


def contradictions(table: str) -> pd.DataFrame:
    """Every reported number of a table by source: several in one cell contradict each other."""
    rows = reported.table(table)
    rows = rows[~rows.metric.str.contains("_m")]  # extremes over epochs are no one's claim
    sources = [s for s in ("paper", "article", "talk", "cached") if s in set(rows.source)]
    made = []
    for (row, column, metric), group in rows.groupby(["row", "column", "metric"], sort=False):
        cells = {
            source.capitalize(): " / ".join(
                dict.fromkeys(f"{float(v):.1f}" for v in group[group.source == source].value)
            )
            or NONE
            for source in sources
        }
        if sum(cell != NONE for cell in cells.values()) > 1:
            made.append({"Trained on": named_data(row), "Number": _number(column, metric), **cells})
    return pd.DataFrame(made)


def borrowed() -> pd.DataFrame:
    """Every row of the study's background table, in percent, with where it comes from."""
    rows = reported.table("backgrounds")
    rows = rows[~rows.metric.str.contains("_m")]
    order = ["in", "sin", "in+sin", "mixed-rand", "in+cgn", "in-mini+cgn", "in-mini+cgn-avg"]
    rows = rows.sort_values("row", key=lambda c: c.map(order.index), kind="stable")
    own = rows.source.eq("recomputed")
    kind = rows.source.mask(own, rows["where"].str.startswith("talk").map(_RECOMPUTED))
    made = []
    for (row, source), group in rows.groupby(["row", kind], sort=False):
        if set(group.metric) == {"bg_gap"} and source not in _RECOMPUTED.values():
            continue
        at = {title: group[group.column == column] for title, column in _SPLIT_COLUMNS.items()}
        origin = "borrowed" if group.note.str.startswith("borrowed").any() else source
        made.append(
            {"Trained on": named_data(row)}
            | {title: spread(_values(cell)) for title, cell in at.items()}
            | {"BG-gap": spread(_values(group[group.metric == "bg_gap"])), "Source": origin}
        )
    return pd.DataFrame(made)


_SPLIT_COLUMNS = {"IN-9": "in-9", "Mixed-Same": "mixed-same", "Mixed-Rand": "mixed-rand"}
_RECOMPUTED = {True: "talk, subtracted", False: "recomputed"}


def named_data(row: str) -> str:
    """A reported training set in words: `in-mini+cgn-shape` as `IN-mini + CGN, shape head`."""
    sets, _, head = row.partition("cgn-")
    words = (sets + "cgn" if head else sets).split("+")
    name = " + ".join(_WORDS.get(word, word) for word in words)
    heads = {short: SUBJECTS[long] for long, short in _HEADS.items()} | {"avg": SUBJECTS["avg"]}
    return f"{name}, {heads[head]}" if head else name


def _number(column: str, metric: str) -> str:
    splits = {column: title for title, column in _SPLIT_COLUMNS.items()}
    names = {"bg_gap": "BG-gap", "shape_bias": "shape bias", "top1": "top-1", "top5": "top-5"}
    return names.get(metric) or splits[column]


def head_by_head(frame: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the three background splits and the gap, in percent, by classifier and head."""
    rows = []
    for train_on, by in measured(frame).items():
        for subject in by:
            cells = {title: bare_spread(by[subject][m]) for title, m in _BACKGROUNDS.items()}
            row = {"Trained on": CLASSIFIERS[train_on], "Who decides": SUBJECTS[subject]}
            rows.append(row | cells)
    return pd.DataFrame(rows)


_BACKGROUNDS = {
    "Original": "original",
    "Mixed-Same": "mixed_same",
    "Mixed-Rand": "mixed_rand",
    "BG-gap": "bg_gap",
}


def backgrounds(reference: pd.DataFrame, live: pd.DataFrame, label: str) -> pd.DataFrame:
    """The study's background table, in percent, beside our runs.

    Paper: ImageNet and its counterfactuals; study: IN-mini and its own, beside the same plain
    ResNet-50.  Of the study, the mean of all heads is that of its cached epoch.
    """
    told = reported.table("backgrounds")
    of = {"paper": told[told.source == "paper"], "article": told[told.source == "article"]}
    of["cached"] = told[told.source == "cached"]
    rows = {  # by who decides: training set, and the reported rows of paper and study
        "plain": (PLAIN, ("paper", "in"), ("paper", "in")),
        "shape_texture": (INVARIANT, ("paper", "in+cgn"), ("article", "in-mini+cgn")),
        "avg": (INVARIANT, ("paper", ""), ("cached", "in-mini+cgn-avg")),
    }
    ours = {"Reference run": measured(reference), label: measured(live)}
    columns = {"Original": "in-9", "Mixed-Same": "mixed-same", "Mixed-Rand": "mixed-rand"}
    made = []
    for title, measure in _BACKGROUNDS.items():
        for subject, (train_on, *sources) in rows.items():
            row = {"Test images": title, "Who decides": SUBJECTS[subject]}
            for name, (source, told_row) in zip(("Paper", "Study"), sources, strict=True):
                chosen = of[source][of[source].row == told_row]
                column = columns.get(title, "")
                row[name] = spread(_values(chosen[chosen.column == column]))
            for name, by in ours.items():
                row[name] = bare_spread(by.get(train_on, {}).get(subject, {}).get(measure, []))
            made.append(row)
    return pd.DataFrame(made)


def counterfactual_heads(live: pd.DataFrame) -> pd.DataFrame:
    """How often each subject names its own cue of held-out counterfactuals, in percent."""
    by = measured(live)
    rows = []
    for train_on, name in CLASSIFIERS.items():
        for subject, of in by.get(train_on, {}).items():
            if subject in ("plain", "shape", "texture", "bg"):
                row = {"Trained on": name, "Who decides": SUBJECTS[subject]}
                row["Its own cue named"] = bare_spread(of["counterfactual_top1"])
                rows.append(row)
    return pd.DataFrame(rows)


def real_stimuli(runs: Sequence[Run]) -> pd.DataFrame:
    """Networks and humans on the 1,280 real stimuli: shape bias in percent, and what is behind it.

    runs: ours, of which the decisions are tracked; published values stand below.
    """
    rows = []
    for run in runs:
        table = decisions.read(records.decisions_of(run))
        bias = decisions.shape_bias(table)
        rows.append(
            {
                "Who": f"EfficientNet-lite0, {_PREPARED[run['preprocessing']]}",
                "Shape bias": f"{pct(bias.value)} ({pct(bias.low)}–{pct(bias.high)})",
                "By shape": str(bias.n_shape),
                "By texture": str(bias.n_texture),
            }
        )
    told = reported.table("shape-bias", source="geirhos2019")
    names = {"resnet-50": "ResNet-50, published", "humans": "Humans, published"}
    for row in told.itertuples():
        value = {"Who": names[row.row], "Shape bias": f"{float(row.value):.1f}"}
        rows.append(value | dict.fromkeys(("By shape", "By texture"), NONE))
    return pd.DataFrame(rows)


_PREPARED = {"paper": "enlarged and cropped", "authors": "as they are"}


def out_of_distribution(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The study's out-of-distribution sets in percent, and ours where they were run."""
    told = reported.table("ood", source="article")
    names = {"in-mini": "IN-mini", "in-a": "IN-A", "in-stylized": "cue conflict, by shape"}
    names |= {"in-sketch": "IN-Sketch"}
    ours = {"in-mini": "real_top1", "in-a": "imagenet-a", "in-stylized": "cue_conflict"}
    ours |= {"in-sketch": "sketch"}
    rows = []
    for column, name in names.items():
        of = told[told.column == column]
        cells = {
            "Study, ResNet-50": spread(_values(of[of.row.str.startswith("resnet")])),
            "Study, ensemble": spread(_values(of[of.row == "cgn-ensemble"])),
        }
        for source, frame in frames.items():
            by = measured(frame)
            plain = by.get(PLAIN, {}).get("plain", {}).get(ours[column], [])
            mean = by.get(INVARIANT, {}).get("avg", {}).get(ours[column], [])
            cells |= {
                f"{source}, plain": bare_spread(plain),
                f"{source}, ensemble": bare_spread(mean),
            }
        rows.append({"Images": name} | cells)
    return pd.DataFrame(rows)


def layouts() -> pd.DataFrame:
    """The public sets that the book reads, a row each: how many images a part of it must have."""
    rows = {}
    for name, layout in public.LAYOUTS.items():
        first, _, part = name.partition("/")
        row = rows.setdefault(first, {"Folder": first, "Parts": [], "Images": []})
        row["Parts"].append(part or NONE)
        row["Images"].append(f"{layout.images:,}")
    return pd.DataFrame(
        row | {"Parts": ", ".join(row["Parts"]), "Images": " / ".join(dict.fromkeys(row["Images"]))}
        for row in rows.values()
    )


def _values(rows: pd.DataFrame) -> list[float]:
    """Reported percentages as fractions."""
    return [float(value) / 100 for value in rows.value]
