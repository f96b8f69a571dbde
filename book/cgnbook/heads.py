"""Classifiers with a head for each cue, on ImageNet and the menagerie: what is known of them.

Two chapters and what comes after them look at the same classifiers.
"""

from collections.abc import Mapping

import pandas as pd

from cgnbook import reported
from cgnbook.names import INVARIANT, NONE, PLAIN, SUBJECTS
from cgnbook.page import Page
from cgnbook.tables import spread
from cgnlib.measures.naming import Measure

# Whose numbers stand beside ours, and the data that their invariant classifier learned from.
TOLD = {"Paper": "imagenet", "Study": "in-mini"}
_WORDS = {"in": "IN", "sin": "SIN", "cgn": "CGN", "in-mini": "IN-mini", "mixed-rand": "Mixed-Rand"}
_HEADS = {"shape": "shape", "texture": "text", "bg": "bg"}  # as the reported rows call them
_NUMBERS = {  # reported: columns, and metrics that need no column
    "in-9": "IN-9",
    "mixed-same": "Mixed-Same",
    "mixed-rand": "Mixed-Rand",
    "bg_gap": "BG-gap",
    "shape_bias": "shape bias",
    "top1": "top-1",
    "top5": "top-5",
}

Measured = dict[str, dict[str, dict[str, list[float]]]]


def measured(rows: pd.DataFrame) -> Measured:
    """Every measure by training set (plain, real, real+cgn) and subject, one value a run."""
    by: Measured = {}
    for row in rows.itertuples():
        what, subject, layer = Measure.of(row.metric)
        if subject and not layer:
            of = by.setdefault(row.train_on, {}).setdefault(subject, {})
            of.setdefault(what, []).append(float(row.value))
    return by


def told(rows: pd.DataFrame, source: str) -> Measured:
    """What Paper or Study say of the plain ResNet-50 and of their own classifier, as `measured`.

    rows: of one reported table.  The plain ResNet-50 is the same for both; what the study did not
    print is that of its cached epoch.
    """
    mine = rows[(rows.train_on == INVARIANT) & (rows.variant == TOLD[source])]
    whose = [mine[mine.source == name] for name in (source, f"{source}, cached")]
    said = pd.concat([rows[rows.train_on == PLAIN], *whose])
    return measured(said.drop_duplicates(["train_on", "metric"]))


def by_source(this: Page, table: str) -> dict[str, Measured]:
    """Paper, study and our own evidence, by what they are called."""
    theirs = {source: told(this.told(table), source) for source in TOLD}
    return theirs | {source: measured(rows) for source, rows in this.ours.items()}


def deciding(by: Measured) -> dict[str, dict[str, list[float]]]:
    """What the rules of claim 3 look at: the plain classifier, and every head of the other."""
    return {"plain": by.get(PLAIN, {}).get("plain", {})} | by.get(INVARIANT, {})


def compared(sources: Mapping[str, Measured], titles: Mapping[str, tuple[str, list[str]]]):
    """A table in percent: a row for each measure and who decides, a column for each source.

    titles: of each measure by its title, the name and who decides.
    """
    return pd.DataFrame(
        {"Measure": title, "Who decides": SUBJECTS[subject]}
        | {
            source: spread(deciding(by).get(subject, {}).get(measure, []))
            for source, by in sources.items()
        }
        for title, (measure, subjects) in titles.items()
        for subject in subjects
    )


def contradictions(table: str) -> pd.DataFrame:
    """Every reported number of a table by source: several in one cell contradict each other."""
    rows = reported.table(table)
    rows = rows[~rows.metric.str.contains("_m")]  # extremes over epochs are no one's claim
    sources = [s for s in ("paper", "article", "talk", "cached") if s in set(rows.source)]
    made = []
    for (row, column, metric), group in rows.groupby(["row", "column", "metric"], sort=False):
        said = {s: [f"{float(v):.1f}" for v in group[group.source == s].value] for s in sources}
        if sum(map(bool, said.values())) > 1:
            number = _NUMBERS.get(metric) or _NUMBERS[column]
            cells = {s.capitalize(): " / ".join(dict.fromkeys(v)) or NONE for s, v in said.items()}
            made.append({"Trained on": named_data(row), "Number": number} | cells)
    return pd.DataFrame(made)


def named_data(row: str) -> str:
    """A reported training set in words: `in-mini+cgn-shape` as `IN-mini + CGN, shape head`."""
    sets, _, head = row.partition("cgn-")
    words = (sets + "cgn" if head else sets).split("+")
    name = " + ".join(_WORDS.get(word, word) for word in words)
    heads = {short: SUBJECTS[long] for long, short in _HEADS.items()} | {"avg": SUBJECTS["avg"]}
    return f"{name}, {heads[head]}" if head else name
