"""Retrainings of the CGN of C-MNIST: the digits that each keeps, and what is learned from it."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes, digits
from cgnbook.drawing import STYLE, WIDTH, legend, sign
from cgnbook.page import Page
from cgnbook.records import AUTHORS, PUBLISHED, TRAINED
from cgnbook.verdict import mean

BESIDE = ("claim-1-mnist", "claim-3-mnist", "edge-loss")  # what a page gathers for it
RECIPES = {"trained": "as published", "edge": "with the edge loss"}


def study(this: Page, recipe: str) -> dict[int, int]:
    """How many of the study's retrainings kept so many of ten digits, by its own count.

    Raises ValueError where its numbers do not add up to its runs.
    """
    value = this.told("edge-loss", generator=recipe).set_index("metric").value
    n = int(value["runs"])
    found: dict[int, int] = {}
    for kept in range(11):
        runs = value.get(f"runs_with_{kept:02}_usable")
        share = value.get(f"share_with_{kept:02}_usable", 0.0)
        found[kept] = round(n * share if runs is None else runs)
    if sum(found.values()) != n:
        raise ValueError(f"{sum(found.values())} of {n} retrainings are counted: {found}")
    return found


def ours(this: Page) -> pd.DataFrame:
    """The CGNs of C-MNIST in the reference run; see `digits.cgns`."""
    of = digits.cgns(this.reference_of(*BESIDE))
    return of[of.variant == "colored"]


def facts(this: Page) -> dict[str, object]:
    """How often, and with which digits and accuracies in percent; lottery-...-kept: all ten."""
    of = ours(this).groupby("recipe")
    found: dict[str, object] = {}
    for recipe in RECIPES:
        counted = study(this, recipe)
        found |= {
            f"lottery-{recipe}-runs": sum(counted.values()),
            f"lottery-{recipe}-kept": counted[10],
            f"lottery-{recipe}-n": len(of.get_group(recipe)),
        }
    told = this.told("edge-loss", generator="edge", metric="test_accuracy_mean")
    kept = this.told("edge-loss", generator="trained", metric="usable_digits").value.iloc[0]
    return found | {
        "lottery-tries": 1 / (float(kept) / 10) ** 10,  # as if digits survived independently
        "lottery-edge-accuracy": 100 * mean([mean(a) for a in of.get_group("edge").alone]),
        "lottery-told-accuracy": 100 * float(told.value.iloc[0]),
    }


def drawn(this: Page, name: str = "lottery") -> boxes.Shown:
    """Digits kept by every retraining of either recipe, and the accuracy of what learns from it.

    Bars count the study's retrainings.  Below the axis: a mark for each network measured here.
    """
    of = ours(this)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 1, figsize=(WIDTH, 6.4), height_ratios=(3, 3, 2.6), layout="constrained"
        )
        for axis, (recipe, words) in zip(axes, RECIPES.items(), strict=False):
            told = study(this, recipe)
            axis.bar([*told], [*told.values()], 0.8, fc="white", ec="black", label="Study")
            axis.axhline(0, color="black", lw=0.8)
            _marks(axis, TRAINED, of[of.recipe == recipe].usable, -2.2)
            if recipe == "trained":
                _marks(axis, AUTHORS, of[of.recipe == PUBLISHED].usable, -2.2)
            axis.set(title=f"{words}: the study's {sum(told.values())}", ylabel="retrainings")
            axis.set(xlim=(-0.7, 10.7), ylim=(-5.4, 16), xticks=range(11), yticks=(0, 5, 10, 15))
        axes[1].set_xlabel("usable digits of ten")
        _accuracies(axes[2], this, of)
        legend(figure, ["Study", TRAINED, AUTHORS])
    theirs = this.told("mnist-classification", train_on="cgn", variant="colored")
    return boxes.show(name, this.reference_of(*BESIDE), this.told("edge-loss"), theirs)


def _accuracies(axis: plt.Axes, this: Page, of: pd.DataFrame) -> None:
    """A row for each recipe: the test accuracy of classifiers, a mark for each CGN."""
    edge = this.told("edge-loss", generator="edge").set_index("metric").value
    told = this.told("mnist-classification", train_on="cgn", variant="colored", source="Study")
    printed = told[told.metric == "test_accuracy"].value
    rows = {"authors' network": PUBLISHED, "as published": "trained", "with edge loss": "edge"}
    for y, recipe in enumerate(rows.values()):
        alone = [100 * mean(values) for values in of[of.recipe == recipe].alone]
        _marks(axis, AUTHORS if recipe == PUBLISHED else TRAINED, alone, y - 0.16, along=True)
    _marks(axis, "Study", [100 * float(printed.iloc[0])], 0.2, along=True)
    ends = [100 * float(edge[f"test_accuracy_{end}"]) for end in ("min", "max")]
    axis.plot(ends, [2.2, 2.2], color="black", lw=1.2, label="Study, lowest to highest")
    _marks(axis, "Study", [100 * float(edge["test_accuracy_mean"])], 2.2, along=True)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlim=(0, 100), ylim=(2.6, -0.6), xlabel="test accuracy, %")
    axis.grid(axis="x")


def _marks(
    axis: plt.Axes, kind: str, values: Iterable[float], y: float, along: bool = False
) -> None:
    """Marks of one kind of evidence in a row; those at the same place stand below each other."""
    seen: dict[float, int] = {}
    for value in values:
        seen[value] = seen.get(value, 0) + 1
        drop = 0 if along else 1.6 * (seen[value] - 1)
        axis.plot(value, y - drop, label=kind, **sign(kind))
