"""The published recipe and what is tried against its lost digits, each trained over and over.

At the scale of a first run, where a training takes minutes: the records of `lottery` at `mini`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import matplotlib.pyplot as plt
import pandas as pd

from cgnbook import boxes, page
from cgnbook.cited import cited
from cgnbook.drawing import STYLE, WIDTH, sign
from cgnbook.names import NAMES
from cgnbook.page import Page
from cgnbook.records import THIS
from cgnbook.words import listed
from cgnlib.experiments import CGN, VARIANTS, grid
from cgnlib.experiments.recipes import REMEDIES

CLAIM, PROFILE = "lottery", "mini"
HERE = f"Trained here ({PROFILE})"
WORDS = {"plain": "as published", "edge": "edge loss", "border": "border loss"}
KEYS = ["variant", "remedy", "seed"]
REMEDIED = ("edge", "border")
ALL = 10  # digits
WITHIN = 0.05  # of the best training of the variant; no published network is of this scale
SURE = 0.05  # what chance must be less likely than


def opened() -> Page:
    """The kept numbers; whatever the profile of the page that shows them, they are not its own."""
    this = page.tracked(CLAIM, PROFILE)
    source = this.numbers.source.replace(THIS, HERE)
    return replace(this, numbers=this.numbers.assign(source=source))


@cache
def _behind() -> dict[str, tuple[str, str, int]]:
    """KEYS of the CGN behind each declared run, by its id."""
    found = {}
    for run in grid(PROFILE, CLAIM):
        cgn = run.behind
        assert isinstance(cgn, CGN)
        for remedy, changed in REMEDIES.items():
            if replace(cgn.recipe, **changed) == cgn.recipe:
                found[run.id] = cgn.variant, remedy, cgn.seed
    return found


def trainings(this: Page) -> pd.DataFrame:
    """A row for each CGN: KEYS, its usable digits, and the mean accuracy of the classifiers that
    learned from it."""
    rows = this.numbers[this.numbers.claim == CLAIM]
    told = pd.DataFrame(rows.run.map(_behind()).tolist(), rows.index, KEYS)
    every = told.join(rows[["metric", "value"]])
    of = every.pivot_table("value", KEYS, "metric").reset_index()
    order = {name: i for i, name in enumerate((*VARIANTS, *WORDS))}
    of = of.sort_values(KEYS, key=lambda c: c.map(lambda v: order.get(v, v)), ignore_index=True)
    names = {"usable_digits": "usable", "test_accuracy": "accuracy"}
    return of.rename(columns=names)[[*KEYS, *names.values()]]


def rule(of: pd.DataFrame, variant: str, remedy: str) -> bool:
    """Whether a remedy ends the lottery of a variant: each of its trainings keeps all ten digits,
    and the worst lies within WITHIN of the best that any training of the variant reaches."""
    there = of[of.variant == variant]
    mine = there[there.remedy == remedy]
    enough = there.accuracy.max() - WITHIN
    return bool((mine.usable == ALL).all() and (mine.accuracy >= enough).all())


def said(ending: Sequence[str]) -> str:
    """Which of REMEDIED ends the lottery, in words."""
    others = [remedy for remedy in REMEDIED if remedy not in ending]
    if not ending:
        return "neither loss ends the lottery"
    if not others:
        return "both losses end the lottery"
    return f"the {listed(ending)} loss ends the lottery, and the {listed(others)} loss does not"


def smallest_seen(n: int) -> int:
    """In how many of n trainings a remedy must keep all digits, where the published recipe does in
    none of n, for chance to be ruled out by Fisher's exact test; n + 1 where it never is."""
    chance = (2 * math.comb(n, k) / math.comb(2 * n, k) for k in range(n + 1))
    return next((k for k, p in enumerate(chance) if p < SURE), n + 1)


@cited
def facts(this: Page) -> dict[str, object]:
    """Of C-MNIST: how many trainings of each recipe, the digits that one keeps on average, whether
    a remedy ends the lottery, and how many trainings that keep all would rule out chance."""
    of = trainings(this)
    of = of[of.variant == "colored"]
    usable = of.groupby("remedy").usable.mean()
    n = int(of.groupby("remedy").size().min())
    return (
        {f"retrained-{remedy}": usable[remedy] for remedy in WORDS}
        | {"retrained-ends": said([remedy for remedy in REMEDIED if rule(of, "colored", remedy)])}
        | {"retrained-n": n, "retrained-seen": smallest_seen(n)}
    )


def drawn(this: Page, name: str = "retrained") -> boxes.Shown:
    """A panel a variant: left the usable digits of each training, right what is learned from it."""
    of = trainings(this)
    variants = [v for v in VARIANTS if {*of.remedy[of.variant == v]} == {*WORDS}]
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(
            len(variants), 2, figsize=(WIDTH, 0.5 + 1.5 * len(variants)),
            sharey="row", sharex="col", squeeze=False, layout="constrained",
        )  # fmt: skip
        for (left, right), variant in zip(axes, variants, strict=True):
            for y, remedy in enumerate(WORDS):
                mine = of[(of.variant == variant) & (of.remedy == remedy)]
                seen: dict[float, int] = {}
                for usable in mine.usable:
                    seen[usable] = seen.get(usable, 0) + 1
                    left.plot(usable, y + 0.16 * (seen[usable] - 1), **sign(HERE))
                right.plot(100 * mine.accuracy, [y] * len(mine), **sign(HERE))
            left.set_yticks(range(len(WORDS)), list(WORDS.values()))
            left.set(ylim=(len(WORDS) - 0.4, -0.5), xlim=(-0.5, 10.5), title=NAMES[variant])
            for axis in (left, right):
                axis.grid(axis="x")
        axes[-1][0].set_xlabel("usable digits of ten")
        axes[-1][1].set(xlabel="test accuracy, %", xlim=(0, 100))
    return boxes.show(name, this.numbers[this.numbers.claim == CLAIM])
