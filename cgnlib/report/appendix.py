"""Tables of the appendix and of the page on reproduction."""

import pandas as pd

from cgnlib import experiments, paths
from cgnlib.experiments import TRAIN_SETS, VARIANTS, with_needs
from cgnlib.report import records
from cgnlib.report.tables import NAMES, SETTINGS


def profiles() -> pd.DataFrame:
    """The three profiles in words and sizes."""
    return pd.DataFrame(
        {
            "Profile": p.name,
            "For": p.purpose,
            "Digits": p.digits,
            "Textures": p.textures,
            "ImageNet claims on": p.world,
            "Gram loss": p.cgn["wildlife"]["perceptual"],
            "Counterfactuals, at most": f"{max(p.counterfactuals.values()):,}",
            "Seeds": len(p.seeds),
        }
        for p in experiments.PROFILES.values()
    )


def run_counts() -> pd.DataFrame:
    """How many runs of each kind a profile declares."""
    grids = {name: with_needs(experiments.grid(name)) for name in experiments.PROFILES}
    kinds = dict.fromkeys(run.kind for runs in grids.values() for run in runs)
    rows = [
        {"Kind": kind} | {n: sum(r.kind == kind for r in runs) for n, runs in grids.items()}
        for kind in kinds
    ]
    return pd.DataFrame([*rows, {"Kind": "all"} | {n: len(runs) for n, runs in grids.items()}])


def tracked() -> pd.DataFrame:
    """The records that came with this copy of the book."""
    rows = []
    for path in sorted(paths.records().glob("*.csv")):
        rows.append({"File": path.name, "Rows": len(pd.read_csv(path))})
    return pd.DataFrame(rows)


def reported_classification() -> pd.DataFrame:
    """The MNIST table as paper, article and cached files have it, train / test in per cent."""
    told = records.reported("mnist-classification")
    rows = []
    for variant in VARIANTS:
        for train_on in TRAIN_SETS:
            row = {"Data": NAMES[variant], "Trained on": SETTINGS[train_on]}
            for source, title in (
                ("paper", "Paper"), ("article", "Article"), ("talk", "Talk"), ("cached", "Cached")
            ):  # fmt: skip
                pair = [
                    told[
                        (told.column == variant)
                        & (told.row == train_on)
                        & (told.source == source)
                        & (told.metric == metric)
                    ].value.iloc[0]
                    for metric in ("train_accuracy", "test_accuracy")
                ]
                row[title] = " / ".join(map(str, pair))
            rows.append(row)
    return pd.DataFrame(rows)


def reported_counts() -> pd.DataFrame:
    """The study's ablation over set size (rows) and counterfactuals per shape (columns)."""
    told = records.reported("cf-count", metric="test_accuracy")
    table = told.pivot_table(
        index=["column", "row"], columns=None, values="value", aggfunc="first"
    ).reset_index()
    table["Data"] = table["column"].map(NAMES)
    return table[["Data", "row", "value"]].rename(columns={"row": "Setting", "value": "Test, %"})


def plain(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns of a reported table, with headings a reader can read."""
    return rows[columns].rename(columns=str.capitalize)


def inconsistencies() -> pd.DataFrame:
    """Every disagreement and irreproducibility, from the tracked list."""
    table = pd.read_csv(paths.records() / "inconsistencies.csv", keep_default_na=False)
    return table.rename(columns=lambda c: c.replace("_", " ").capitalize())
