"""What each source says about digits, in the form of the verdicts."""

import pandas as pd

from cgnbook import records, reported
from cgnlib.experiments import TRAIN_SETS


def accuracies(
    frame: pd.DataFrame, generator: str = "trained"
) -> dict[str, dict[str, list[float]]]:
    """Test accuracies by variant and training set, one a run: what the verdict is made from.

    Runs of other claims in the frame are left out.  generator: `published`, or `trained` for the
    CGNs of our own; GANs are always our own.
    """
    rows = records.of_claim(frame[frame["metric"] == "test_accuracy"], "claim-3-mnist")
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows.itertuples():
        uses_cgn = row.train_on.endswith("cgn")
        if row.train_on in TRAIN_SETS and not (
            uses_cgn and not row.generator.startswith(generator)
        ):
            by.setdefault(row.variant, {}).setdefault(row.train_on, []).append(float(row.value))
    return by


def told_accuracies(source: str) -> dict[str, dict[str, list[float]]]:
    """Reported test accuracies in the form of `accuracies`.

    source: paper, article, talk or cached.
    """
    rows = reported.table("mnist-classification", metric="test_accuracy", source=source)
    by: dict[str, dict[str, list[float]]] = {}
    for row in rows.itertuples():
        by.setdefault(row.column, {}).setdefault(row.row, []).append(float(row.value) / 100)
    return by


def means(accuracies: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """The mean over runs of what `accuracies` gives."""
    return {v: {t: sum(a) / len(a) for t, a in by.items()} for v, by in accuracies.items()}


def readings(frame: pd.DataFrame, generator: str = "trained") -> tuple[dict, dict]:
    """(share of counterfactuals read as intended, the same on real digits), means by variant."""
    rows = frame[frame["generator"].str.startswith(generator)].copy()
    rows["value"] = rows["value"].astype(float)
    by = rows.groupby(["metric", "variant"])["value"].mean()
    return tuple(by[m].to_dict() if m in by else {} for m in ("image_read", "image_read_true"))


def usable(frame: pd.DataFrame, variant: str, generator: str = "trained") -> float:
    """Usable digits of ten of a variant's CGNs, the mean over them; see `readings`."""
    rows = frame[(frame["metric"] == "usable_digits") & (frame["variant"] == variant)]
    chosen = rows[rows["generator"].str.startswith(generator)]
    return float(chosen["value"].astype(float).mean())
