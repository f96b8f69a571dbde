"""Tables of the chapters: percentages, spread over seeds, sources side by side."""

import re
from collections.abc import Iterable
from html import escape

import numpy as np
import pandas as pd

from cgnbook import boxes
from cgnbook.names import NAMES, NONE, SETTINGS
from cgnlib import runs
from cgnlib.experiments import Run, with_needs
from cgnlib.runs import Result

NUMBER = r"[-–]|[-+]?\d[\d.,%()±/+ –]*"
LONG = 24  # letters, from which on a cell may wrap


def show(table: pd.DataFrame, name: str, *sources: boxes.Source) -> boxes.Shown:
    """A table as the page shows it: no index, numbers to the right, its box below.

    Columns with long cells wrap where a page is narrow; the box keeps the values as they are.
    name: its id in the page, and of its files.  sources: what stands behind it.
    """
    numbers = [c for c in table.columns if table[c].astype(str).str.fullmatch(NUMBER).all()]
    words = [c for c in table.columns if c not in numbers]
    styler = table.style.hide(axis="index").set_uuid(name).format(as_html)
    styler = styler.set_properties(subset=numbers, **{"text-align": "right"})
    styler = styler.set_properties(subset=words, **{"text-align": "left"})
    long = [c for c in words if table[c].astype(str).str.len().max() > LONG]
    styler = styler.set_properties(subset=long, **{"white-space": "normal", "min-width": "9em"})
    markup = styler.to_html().replace("<th id=", '<th scope="col" id=')
    return boxes.Shown(markup + boxes.box(name, table, *sources))


def as_html(value: object) -> str:
    """A cell as HTML: minus signs and thousands as in print, losses as in the formulas."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        value = f"{value:,}"
    text = re.sub(r"(?<![\w.–-])-(?=\d)", "−", escape(str(value)))
    return re.sub(r"\bL_([a-z]+)\b", r"<i>L</i><sub>\1</sub>", text)


def protocol(declared: Iterable[Run]) -> pd.DataFrame:
    """The declared runs in groups: how many of each kind, with which sizes and seeds.

    Groups of a kind stand together, kinds in the order in which they are first needed.
    """
    rows = []
    for run in with_needs(declared):
        rows.append(
            {
                "Run": run.kind,
                "On": _set(run.settings.get("train_on", "")),
                "Variant": NAMES.get(run.variant, run.variant),
                "Size": _size(run.settings),
                "seed": run.seed,
            }
        )
    kinds = list(dict.fromkeys(row["Run"] for row in rows))
    rows.sort(key=lambda row: kinds.index(row["Run"]))
    table = pd.DataFrame(rows).groupby(["Run", "On", "Size"], sort=False)
    return table.agg(
        Variants=("Variant", lambda v: ", ".join(dict.fromkeys(v))),
        Seeds=("seed", lambda s: ", ".join(map(str, sorted(set(s))))),
        Runs=("seed", "size"),
    ).reset_index()


def pct(fraction: float) -> str:
    """A fraction as a percentage with one decimal."""
    return f"{round(100 * fraction, 6):.1f}"  # one way at a half, however it was added up


def spread(values: Iterable[float]) -> str:
    """Mean ± standard deviation (number of runs), in percent; both of two runs, which have no
    spread to speak of; the bare value of a single one."""
    values = pd.Series(list(values), dtype=float)
    if values.empty:
        return NONE
    if len(values) == 1:
        return pct(values.iloc[0])
    if len(values) == 2:
        ends = dict.fromkeys((pct(values.min()), pct(values.max())))
        return f"{'–'.join(ends)} (2)"
    return f"{pct(values.mean())} ± {pct(values.std())} ({len(values)})"


def provenance(results: Iterable[Result]) -> pd.DataFrame:
    """What stands behind the numbers of a chapter, one line a fact."""
    results = list(results)
    every = [runs.load(run) for run in with_needs(r.run for r in results)]

    def environments(name: str) -> str:
        return ", ".join(sorted({str(r.env[name]) for r in every}))

    facts = {
        "Profile": results[0].run.profile,
        **inputs(results),
        "Seeds": ", ".join(sorted({str(r.run.seed) for r in every})),
        "Runs": str(len(every)),
        "Compute": f"{sum(r.env['seconds'] for r in every) / 60:.0f} core minutes",
        "Device": environments("device"),
        "Versions": f"Python {environments('python')}, torch {environments('torch')}",
        "Commit": environments("commit"),
    }
    return pd.DataFrame([(k, v) for k, v in facts.items() if v], columns=["Fact", "Value"])


def inputs(results: Iterable[Result]) -> dict[str, str]:
    """The data and pretrained parts that runs read, and those that they need, a line each."""
    every = [runs.load(run) for run in with_needs(r.run for r in results)]
    settings = [r.run.settings for r in every]

    def values(name: str) -> str:
        return ", ".join(sorted({str(s[name]) for s in settings if name in s}))

    read = {f"{k} {v[:12]}" for r in every for k, v in r.spec["inputs"].items()}
    found = {
        "Digits": values("digits"),
        "Textures": values("textures"),
        "Perceptual net": values("perceptual"),
        "Checksums (first 12 digits)": ", ".join(sorted(read)),
    }
    return {name: value for name, value in found.items() if value}


def drift(live: pd.DataFrame, tracked: pd.DataFrame, tolerance: float = 0.15) -> str:
    """One line that says how many fractions lie far from those of the tracked run of this profile.

    What nbval compares: training is not bit-equal on every CPU, but must stay near.
    """
    if tracked.empty:
        return "no record of this profile is tracked"
    key = ["run", "metric"]
    both = live[live.unit == "fraction"].merge(tracked, on=key, suffixes=("", "_tracked"))
    both = both[~both.metric.str.startswith(("loss_", "mask_read_", "shape_read_"))]
    moved = both[(both.value.astype(float) - both.value_tracked.astype(float)).abs() > tolerance]
    names = "".join(f"\n{row.run} {row.metric}" for row in moved.itertuples())
    return f"{len(moved)} numbers lie over {tolerance} from a tracked run of this arithmetic{names}"


def _set(train_on: str) -> str:
    """The name of a training set on the page."""
    return SETTINGS.get(train_on) or train_on.replace("+cgn", " + CGN") or NONE


def _size(settings: dict) -> str:
    """How much work a run is, in words: the first of these settings that it has."""
    for name, words in (
        ("epochs", "{epochs} epochs, batch {batch}"),
        ("steps", "{steps:,} steps of {batch}"),
        ("size", "{size:,} images"),
        ("evaluated", "{evaluated:,} counterfactuals"),
        ("mode", "{train:,} and {val:,} images"),
        ("conditions", "{tests} tests"),
    ):
        if name in settings:
            words = words.format(**settings, tests=len(settings.get("conditions", ())))
            return re.sub(r"^1 epochs", "1 epoch", words)
    return "published weights"


def sentences(
    table: pd.DataFrame, name: str, *sources: boxes.Source, folded: str = ""
) -> boxes.Shown:
    """A table whose cells hold sentences: they wrap, and a narrow screen puts them one below the
    other under their headings, without the empty ones.

    name: its id in the page.  sources: what stands behind it, for its box.  folded: words under
    which the table is shut away until it is asked for.  Empty cells become a dash.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{label(c)}{_EMPTY * (not v)}>{_text(v)}</td>" for c, v in row.items())
        + "</tr>"
        for row in table.to_dict("records")
    )
    shown = (
        f'<table class="sentences" id="T_{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    if folded:
        shown = f'<details class="folded"><summary>{escape(folded)}</summary>{shown}</details>'
    return boxes.Shown(shown + boxes.box(name, table.replace("", NONE), *sources))


_EMPTY = ' class="none"'


def _text(value: object) -> str:
    """A cell as HTML; names of files and functions may break after their points and strokes."""
    return re.sub(r"(?<=[^\W\d])([/_:.])(?=[^\W\d])", r"\1<wbr>", escape(str(value))) or NONE


def judged(verdict, scale: float = 100, unit: str = "points") -> pd.DataFrame:
    """The trends of a verdict, what was found, and whether that counts."""
    return pd.DataFrame(
        {"Trend": trend, "Found": f"{scale * effect:+.1f} {unit}", "Counts": trend in verdict.met}
        for trend, effect in verdict.effects.items()
    )


def label(column: str) -> str:
    """What a narrow screen writes beside a cell in place of the column's heading."""
    return f' data-label="{escape(column)}"'
