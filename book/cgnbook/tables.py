"""Tables of the chapters: percentages, spread over seeds, sources side by side."""

import re
from collections.abc import Iterable
from html import escape

import numpy as np
import pandas as pd

from cgnbook import evidence, records
from cgnlib import runs
from cgnlib.experiments import TRAIN_SETS, VARIANTS, Run, with_needs
from cgnlib.runs import Result

NAMES = {"colored": "C-MNIST", "double_colored": "DC-MNIST", "wildlife": "W-MNIST"}
SETTINGS = {
    "original": "Original",
    "gan": "GAN",
    "cgn": "CGN",
    "original+gan": "Original + GAN",
    "original+cgn": "Original + CGN",
    "original+decorrelated": "Original + random cues",
}
WEIGHTS = {"published": ", published weights", "trained": ", trained here", "": ""}
NONE = "–"
NUMBER = r"[-–]|[-+]?\d[\d.,%()±/+ ]*"
LONG = 24  # letters, from which on a cell may wrap


def show(table: pd.DataFrame, name: str, *sources: evidence.Source) -> evidence.Shown:
    """A table as the page shows it: no index, numbers to the right, its box below.

    Columns with long cells wrap where a page is narrow; the box keeps the values as they are.
    name: its id in the page, and of its files.  sources: what stands behind it.
    """
    numbers = [c for c in table.columns if table[c].astype(str).str.fullmatch(NUMBER).all()]
    words = [c for c in table.columns if c not in numbers]
    styler = table.style.hide(axis="index").set_uuid(name).format(_shown)
    styler = styler.set_properties(subset=numbers, **{"text-align": "right"})
    styler = styler.set_properties(subset=words, **{"text-align": "left"})
    long = [c for c in words if table[c].astype(str).str.len().max() > LONG]
    styler = styler.set_properties(subset=long, **{"white-space": "normal", "min-width": "9em"})
    markup = styler.to_html().replace("<th id=", '<th scope="col" id=')
    return evidence.Shown(markup + evidence.box(name, table, *sources))


def _shown(value: object) -> str:
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
        s = dict(run.settings)
        rows.append(
            {
                "Run": run.kind,
                "On": _set(s.get("train_on", "")),
                "Variant": NAMES.get(run.variant, run.variant),
                "Size": _size(s),
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


def classification(
    metric: str, reference: pd.DataFrame, live: pd.DataFrame, label: str
) -> pd.DataFrame:
    """The study's MNIST table for one metric, in percent: paper, study, reference and this run.

    A cell with several runs has their mean, the standard deviation and their number.
    label: what the last column is called.
    """
    told = records.reported("mnist-classification", metric=metric)
    rows = []
    for variant in VARIANTS:
        for train_on in TRAIN_SETS:
            generators = ("published", "trained") if train_on.endswith("cgn") else ("",)
            for generator in generators:
                others = generator != "trained"
                rows.append(
                    {
                        "Data": NAMES[variant],
                        "Trained on": SETTINGS[train_on] + WEIGHTS[generator],
                        "Paper": _told(told, variant, train_on, "paper") if others else NONE,
                        "Study": _told(told, variant, train_on, "article") if others else NONE,
                        "Reference run": _cell(reference, metric, variant, train_on, generator),
                        label: _cell(live, metric, variant, train_on, generator),
                    }
                )
    return pd.DataFrame(rows)


def quality(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Claim 1 in numbers, by variant and CGN; in brackets the same measure on real digits.

    frames: records by the name of their source.
    """
    rows = []
    for source, frame in frames.items():
        for (variant, generator), group in frame.groupby(["variant", "generator"], sort=False):
            value = group.set_index("metric")["value"].astype(float)
            rows.append(
                {
                    "Data": NAMES[variant],
                    "CGN": f"{source}, {generator.replace('-', ' ')}",
                    "Image read": f"{pct(value.image_read)} ({pct(value.image_read_true)})",
                    "Mask read": f"{pct(value.mask_read)} ({pct(value.mask_read_true)})",
                    "Mask IoU": f"{value.mask_iou:.2f} ({value.mask_iou_true:.2f})",
                    "Coverage": f"{value.mask_coverage:.2f} ({value.mask_coverage_true:.2f})",
                    "Usable digits": f"{value.usable_digits:.0f} of 10",
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values("Data", key=lambda c: c.map(list(NAMES.values()).index), kind="stable")


def pct(fraction: float) -> str:
    """A fraction as a percentage with one decimal."""
    return f"{round(100 * fraction, 6):.1f}"  # one way at a half, however it was added up


def spread(values: Iterable[float]) -> str:
    """Mean ± standard deviation (number of runs), in percent; the bare value of a single run."""
    values = pd.Series(list(values), dtype=float)
    if values.empty:
        return NONE
    if len(values) == 1:
        return pct(values.iloc[0])
    return f"{pct(values.mean())} ± {pct(values.std())} ({len(values)})"


def bare_spread(values: Iterable[float]) -> str:
    """Mean ± standard deviation in percent, without the number of runs, which text tells."""
    return spread(values).partition(" (")[0]


def provenance(results: Iterable[Result]) -> pd.DataFrame:
    """What stands behind the numbers of a chapter, one line a fact."""
    results = list(results)
    every = [runs.load(run) for run in with_needs(r.run for r in results)]
    inputs = {f"{k} {v[:12]}" for r in every for k, v in r.spec["inputs"].items()}
    settings = [dict(r.run.settings) for r in every]

    def values(name: str) -> str:
        return ", ".join(sorted({str(s[name]) for s in settings if name in s}))

    def environments(name: str) -> str:
        return ", ".join(sorted({str(r.env[name]) for r in every}))

    facts = {
        "Profile": results[0].run.profile,
        "Digits": values("digits"),
        "Textures": values("textures"),
        "Perceptual net": values("perceptual"),
        "Checksums (first 12 digits)": ", ".join(sorted(inputs)),
        "Seeds": ", ".join(sorted({str(r.run.seed) for r in every})),
        "Runs": str(len(every)),
        "Compute": f"{sum(r.env['seconds'] for r in every) / 60:.0f} core minutes",
        "Device": environments("device"),
        "Versions": f"Python {environments('python')}, torch {environments('torch')}",
        "Commit": environments("commit"),
    }
    return pd.DataFrame([(k, v) for k, v in facts.items() if v], columns=["Fact", "Value"])


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
    return f"{len(moved)} of {len(both)} numbers lie over {tolerance} from the tracked run{names}"


def by_contrast(results: Iterable[Result], train_on: str) -> pd.DataFrame:
    """DC-MNIST: accuracy where digit and background have the same colour, and where they differ.

    Computed from the decisions of the classifiers trained on `train_on`, all seeds together.
    """
    rows = [
        pd.read_csv(result.folder / "decisions.csv")
        for result in results
        if result.run.variant == "double_colored" and result.run["train_on"] == train_on
    ]
    decisions = pd.concat(rows)
    # the object palette is the background palette rotated by four
    same = (decisions.fg + 4) % 10 == decisions.bg
    correct = decisions.label == decisions.prediction
    return pd.DataFrame(
        {
            "Digit and background": ["same colour", "different colours"],
            "Test images": [int(same.sum()), int((~same).sum())],
            "Accuracy, %": [pct(correct[same].mean()), pct(correct[~same].mean())],
        }
    )


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


def _told(told: pd.DataFrame, variant: str, train_on: str, source: str) -> str:
    rows = told[(told.column == variant) & (told.row == train_on) & (told.source == source)]
    return f"{float(rows.value.iloc[0]):.1f}" if len(rows) else NONE


def _cell(frame: pd.DataFrame, metric: str, variant: str, train_on: str, generator: str) -> str:
    rows = frame[
        (frame.metric == metric) & (frame.variant == variant) & (frame.train_on == train_on)
    ]
    if generator:
        rows = rows[rows.generator.str.startswith(generator)]
    return spread(rows.value)
