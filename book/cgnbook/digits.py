"""Digit classifiers and the CGNs that they learned from, as the sources have them."""

import pandas as pd

from cgnlib.experiments import VARIANTS

RECIPES = {
    "published": "the authors' weights",
    "trained": "as published",
    "edge": "with the study's edge loss",
}
COLUMNS = ["variant", "recipe", "generator", "usable", "read", "alone", "union"]
Accuracies = dict[str, dict[str, list[float]]]  # by variant and training set, one a run


def accuracies(
    frame: pd.DataFrame, generator: str = "published", metric: str = "test_accuracy"
) -> Accuracies:
    """Accuracies by variant and training set: what the verdict of claim 3 is made from.

    frame: of one source.  generator: which CGNs count, `published` or `trained` for those of our
    own; the study's are the published ones.  GANs are always our own.
    """
    cgns = frame.train_on.str.endswith("cgn")
    chosen = ~cgns | frame.generator.astype(str).str.startswith(generator)
    rows = frame[(frame.metric == metric) & chosen]
    return {
        variant: {t: part.value.tolist() for t, part in of.groupby("train_on", sort=False)}
        for variant, of in rows.groupby("variant", sort=False)
    }


def means(of: Accuracies) -> dict[str, dict[str, float]]:
    """The mean over runs of what `accuracies` gives."""
    return {v: {t: sum(a) / len(a) for t, a in by.items()} for v, by in of.items()}


def gan_gain(of: Accuracies) -> float:
    """The most that GAN samples add to the test accuracy of original images, in points."""
    return 100 * max(by["gan"] - by["original"] for by in means(of).values())


def cgns(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each CGN of the MNISTs, with the columns COLUMNS, in the order of RECIPES.

    frame: records of claims 1 and 3 and of `edge-loss`, whichever are wanted.  usable: of ten
    digits.  read: share of its counterfactuals in which the image reader sees the intended digit.
    alone, union: test accuracies of the classifiers that learned from it, by what else they saw.
    """
    learned = frame[frame.metric == "test_accuracy"]
    found = frame[frame.metric.isin(("usable_digits", "image_read"))]
    rows = []
    for (variant, generator), of in found.groupby(["variant", "generator"], sort=False):
        value = of.set_index("metric").value
        mine = learned[(learned.variant == variant) & (learned.generator == generator)]
        by = {t: part.value.tolist() for t, part in mine.groupby("train_on")}
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
