"""CGNs that were trained again with one recipe: what the draw decides."""

import pandas as pd

from cgnbook import reported
from cgnbook.names import NAMES, NONE
from cgnbook.tables import pct, spread
from cgnlib.experiments import VARIANTS

RECIPES = {
    "published": "the authors' weights",
    "trained": "as published",
    "edge": "with the study's edge loss",
}
COLUMNS = ["variant", "recipe", "generator", "usable", "read", "alone", "union"]


def cgns(*frames: pd.DataFrame) -> pd.DataFrame:
    """A row for each CGN of the MNISTs, with the columns COLUMNS, in the order of RECIPES.

    frames: records of claims 1 and 3 and of `edge-loss`, whichever are wanted.  usable: of ten
    digits.  read: share of its counterfactuals in which the oracle sees the intended digit.
    alone, union: test accuracies of the classifiers that learned from it, by what else they saw.
    """
    every = pd.concat(frames)
    learned = every[every.metric == "test_accuracy"]
    found = every[every.metric.isin(("usable_digits", "image_read"))]
    rows = []
    for (variant, generator), of in found.groupby(["variant", "generator"], sort=False):
        value = of.set_index("metric").value.astype(float)
        mine = learned[(learned.variant == variant) & (learned.generator == generator)]
        by = {t: part.value.astype(float).tolist() for t, part in mine.groupby("train_on")}
        rows.append(
            [variant, generator.split("-")[0], generator, int(value.usable_digits),
             value.image_read, by.get("cgn", []), by.get("original+cgn", [])]
        )  # fmt: skip
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {"variant": VARIANTS.index, "recipe": list(RECIPES).index}
    return table.sort_values(
        ["variant", "recipe", "generator"],
        key=lambda c: c.map(order[c.name]) if c.name in order else c,
        ignore_index=True,
    )


def usable(found: pd.DataFrame) -> pd.DataFrame:
    """Usable digits of each retraining beside the mean that the study tells of its own."""
    told = {"trained": _told("without"), "edge": _told("with-final")}
    rows = []
    for (variant, recipe), of in found.groupby(["variant", "recipe"], sort=False):
        rows.append(
            {
                "Data": NAMES[variant],
                "CGNs": RECIPES[recipe],
                "Usable digits": ", ".join(map(str, of.usable)),
                "Mean": f"{of.usable.mean():.1f}",
                "Study, mean": told.get(recipe, NONE) if variant == "colored" else NONE,
                "Image read": ", ".join(map(pct, of.read)),
            }
        )
    return pd.DataFrame(rows)


def accuracies(found: pd.DataFrame) -> pd.DataFrame:
    """What classifiers make of each CGN: its quality, and their test accuracies, in percent."""
    rows = (
        {
            "Data": NAMES[row.variant],
            "CGN": RECIPES[row.recipe] + row.generator[len(row.recipe) :].replace("-", ", seed "),
            "Usable digits": f"{row.usable} of 10",
            "Image read": pct(row.read),
            "CGN alone": spread(row.alone),
            "Original + CGN": spread(row.union),
        }
        for row in found.itertuples()
        if row.alone
    )
    return pd.DataFrame(rows)


def facts(found: pd.DataFrame) -> dict[str, float]:
    """What the accuracies of counterfactuals alone say of the draw, in points.

    apart-...: how far retrained CGNs of a variant lie apart; within: how far the classifiers of
    one CGN do, at most.  rank: their rank correlation with `read`, ranks being taken within each
    data set, since one may be harder to read and to learn than another.
    """
    of = found[found.alone.str.len() > 0]
    of = of.assign(mean=of.alone.map(lambda accuracies: sum(accuracies) / len(accuracies)))
    by = of[of.recipe == "trained"].groupby("variant")["mean"]
    apart = 100 * (by.max() - by.min())
    ranks = of.groupby("variant")[["read", "mean"]].rank()
    ranks -= ranks.groupby(of.variant).transform("mean")
    return {f"apart-{v.replace('_', '-')}": float(points) for v, points in apart.items()} | {
        "within": 100 * max(max(accuracies) - min(accuracies) for accuracies in of.alone),
        "rank": float(ranks["mean"].corr(ranks["read"])),
        "cgns": len(of),
    }


def _told(row: str) -> str:
    value = reported.table("edge-loss", metric="usable_digits", row=row).value
    return f"{float(value.iloc[0]):.1f}"
