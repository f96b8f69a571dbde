"""Numbers that know where they come from: which rows of records and tables each fact hangs on.

Nobody writes it down.  The facts of a chapter are computed once more from numbers of which some
are changed a little: a fact that changes as well was made from these.  So what a number cites is
what its own code reads, and cannot fall behind it.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cgnbook import records
from cgnbook.names import NAMES

if TYPE_CHECKING:
    from cgnbook.page import Page

# Rows that are alike in these are cited together.
TOGETHER = ["source", "profile", "claim", "table", "metric", "variant"]
# Then rows that differ in these are told apart, first by so many draws of a share of them.
SETTINGS = ["train_on", "removed", "generator", "size", "per_shape", "epochs", "share"]
SETTINGS += ["row", "column"]
DRAWS, SHARE = 24, 0.3
CHANGES = (0.1, 0.01)  # of a value, at most; the second where the first is refused
LARGE = (0.5,)  # for numbers that no small change moves, as those of ranks
SEED = 29


class Facts(dict[str, object]):
    """Facts by name that know their rows, and keep them where | joins them with others."""

    def __init__(self, facts: Mapping[str, object], rows: Callable[[], Mapping[str, pd.DataFrame]]):
        super().__init__(facts)
        self._find = rows

    @functools.cached_property
    def rows(self) -> Mapping[str, pd.DataFrame]:
        """The numbers that a fact was made from, by its name, as far as found; takes seconds."""
        return self._find()

    def __or__(self, other: Mapping[str, object]) -> "Facts":
        def rows() -> Mapping[str, pd.DataFrame]:
            mine = {name: of for name, of in self.rows.items() if name not in other}
            return mine | getattr(other, "rows", {})

        return Facts({**self, **other}, rows)

    __ior__ = __or__

    def __ror__(self, other: Mapping[str, object]) -> "Facts":
        return Facts({**other, **self}, lambda: self.rows)

    def told(self, name: str, form: Callable[[object], object] = lambda fact: fact) -> "Facts":
        """The same facts otherwise named and put.  name: `reference-{}`, say."""
        return Facts(
            {name.format(of): form(fact) for of, fact in self.items()},
            lambda: {name.format(of): rows for of, rows in self.rows.items()},
        )


@dataclass(frozen=True)
class Number:
    """A fact as a notebook keeps it: what it is without, and its sources beside that."""

    fact: object
    sources: list[dict[str, str]]

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        return {"text/plain": repr(self.fact)}, {"cited": self.sources}


def cited(facts: Callable[..., Mapping[str, object]]) -> Callable[..., Facts]:
    """A function of a page whose facts then know their rows."""

    @functools.wraps(facts)
    def knowing(this: "Page", *more: object) -> Facts:
        base = facts(this, *more)
        return Facts(base, lambda: _rows(base, this, lambda page: facts(page, *more)))

    return knowing


def _rows(
    base: Mapping[str, object], this: "Page", facts: Callable[["Page"], Mapping[str, object]]
) -> dict[str, pd.DataFrame]:
    numbers, rng = this.numbers, np.random.default_rng(SEED)
    noise = rng.uniform(0.5, 1, len(numbers))
    places, groups = np.arange(len(numbers)), _groups(numbers, TOGETHER)
    units = _groups(numbers, [*TOGETHER, *SETTINGS])

    def touched(there: np.ndarray, changes: tuple[float, ...] = CHANGES) -> set[str] | None:
        """Which facts change with some rows, a mask; None where such numbers cannot be."""
        for change in changes:
            step = change * noise * there
            values = numbers.value * (1 - step) + step * (numbers.value == 0)
            with suppress(ValueError, KeyError, AssertionError):
                found = facts(replace(this, numbers=numbers.assign(value=values)))
                return {name for name in base if _differ(base[name], found.get(name))}
        return None

    def search(
        parts: list[np.ndarray], names: set[str], *changes: tuple[float, ...]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Each fact with each part that it hangs on, by halves, of which one may be possible."""
        changed = touched(np.isin(places, np.concatenate(parts)), *changes)
        names = names if changed is None else names & changed
        if len(parts) == 1:
            yield from ((name, parts[0]) for name in names if changed is not None)
        elif names:
            half = len(parts) // 2
            yield from search(parts[:half], names, *changes)
            yield from search(parts[half:], names, *changes)

    def find(names: set[str], *changes: tuple[float, ...]) -> None:
        for name, part in search(groups, names, *changes) if names else ():
            of[name] = of.get(name, np.zeros(len(numbers), bool)) | np.isin(places, part)

    of: dict[str, np.ndarray] = {}
    floats = {name for name, fact in base.items() if isinstance(fact, float)}
    find(set(base))
    exact = floats & of.keys()  # words may hide a change
    find(floats - exact, LARGE)
    for _ in range(DRAWS if exact and len(units) > len(groups) else 0):
        drawn = [unit for unit in units if rng.random() < SHARE]
        there = np.isin(places, np.concatenate([*drawn, []]))
        if (changed := touched(there)) is not None:
            for name in exact - changed:
                of[name] &= ~there
    # what chance has left is asked about unit by unit, for facts that share none at once
    doubtful = [(unit, {name for name in exact if of[name][unit].any()}) for unit in units]
    while doubtful := [pair for pair in doubtful if pair[1]]:
        asked, later, busy = [], [], set[str]()
        for unit, names in doubtful:
            (later if names & busy else asked).append((unit, names))
            busy |= set() if names & busy else names
        changed = touched(np.isin(places, np.concatenate([unit for unit, _ in asked])))
        for unit, names in asked:
            for name in names - (names if changed is None else changed):
                of[name][unit] = False
        doubtful = later
    return {name: numbers[rows] for name, rows in of.items() if rows.any()}


def _groups(numbers: pd.DataFrame, columns: list[str]) -> list[np.ndarray]:
    """The places of rows that are alike in some columns, as far as there are such."""
    there = [column for column in columns if column in numbers]
    return list(numbers.groupby(there, sort=True, dropna=False).indices.values())


def _differ(one: object, other: object) -> bool:
    if isinstance(one, float | np.floating) and isinstance(other, float | np.floating):
        return not np.isclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True)
    return bool(one != other)


def sources(rows: pd.DataFrame) -> list[dict[str, str]]:
    """What is said of a number, by who measured or reported its rows."""
    return [
        _measured(who, profile, part) if profile else _reported(who, part)
        for (who, profile), part in rows.groupby(["source", "profile"], sort=False)
    ]


def _measured(who: str, profile: str, rows: pd.DataFrame) -> dict[str, str]:
    runs, seeds = rows.run.unique(), sorted(rows.seed.astype(int).unique())
    claims = sorted(rows.claim.unique())
    return {
        "who": who,
        "scale": f"{profile}, {', '.join(NAMES.get(of, of) for of in rows.variant.unique())}",
        "runs": f"{len(runs)}, seeds {', '.join(map(str, seeds))}",
        "n": " or ".join(f"{n:,}" for n in sorted({int(float(n)) for n in rows.n if n})),
        "rows": f"{len(rows)} of {', '.join(_names(rows))} in "
        + ", ".join(
            claim if who == records.THIS else records.path_of(claim, profile).name
            for claim in claims
        ),
        "command": f"python -m cgnlib run --profile {profile} "
        + " ".join(runs if len(runs) <= 3 else claims),
    }


def _reported(who: str, rows: pd.DataFrame) -> dict[str, str]:
    tables = ", ".join(rows.table.unique())
    return {
        "who": who,
        "rows": f"{len(rows)} of {', '.join(_names(rows))} in reported.csv, {tables}",
    }


def _names(rows: pd.DataFrame) -> list[str]:
    """The metrics of some rows, as many as fit."""
    names = list(rows.metric.unique())
    return names if len(names) <= 3 else [*names[:3], f"{len(names) - 3} more metrics"]
