"""A page opens a claim: its runs, and every number that anybody has of it in one frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import myst_nb
import numpy as np
import pandas as pd

from cgnbook import boxes, cited, records, reported, tables
from cgnbook.records import AUTHORS, FULL, THIS, TRAINED
from cgnbook.verdict import Finding, Verdict, badge
from cgnlib import runs
from cgnlib.experiments import Run, with_needs
from cgnlib.precision import BFLOAT16
from cgnlib.runs import Result


@dataclass(frozen=True)
class Page:
    """A claim at a profile.

    numbers: a row for each number, in the vocabulary of the records, whoever says it: the column
    `source` is Paper, Study, ... (see `reported`), or one of ours: see `ours`.
    """

    claim: str
    profile: str
    grid: tuple[Run, ...]
    results: tuple[Result, ...]
    numbers: pd.DataFrame

    @property
    def label(self) -> str:
        """What this run is called beside other sources."""
        return f"{THIS} ({self.profile})"

    @property
    def live(self) -> pd.DataFrame:
        """What ran just now."""
        return self.numbers[self.numbers.source == THIS]

    @property
    def reference(self) -> pd.DataFrame:
        """What the reference run has of this claim: both kinds of its evidence."""
        return self.reference_of(self.claim)

    @property
    def ours(self) -> dict[str, pd.DataFrame]:
        """The kinds of our own evidence on this claim, by what they are called.

        The authors' weights run again, what was trained in the reference run, and this run; a kind
        of the reference run that has nothing is left out, unless it has neither.
        """
        rows = self.reference
        kinds = {kind: rows[rows.source == kind] for kind in (AUTHORS, TRAINED)}
        there = {kind: of for kind, of in kinds.items() if len(of)} or {TRAINED: rows}
        return there | {self.label: self.live}

    def reference_of(self, *claims: str) -> pd.DataFrame:
        """What the reference run has of some claims; without names, of all on this page.

        Raises KeyError for a claim that the page did not gather.
        """
        rows = self.numbers[self.numbers.source.isin((AUTHORS, TRAINED))]
        if missing := set(claims) - {self.claim, *rows.claim}:
            raise KeyError(f"{sorted(missing)} are not on this page: name them in page.gather")
        return pd.concat([rows[rows.claim == claim] for claim in claims]) if claims else rows

    def told(self, table: str, **fixed: object) -> pd.DataFrame:
        """What others reported in one table, rows matching `fixed`.

        Raises KeyError where there is none.
        """
        rows = self.numbers[self.numbers.table == table]
        for column, value in fixed.items():
            rows = rows[rows[column] == value]
        if rows.empty:
            raise KeyError(f"reported.csv has no rows for table {table!r} with {fixed}")
        return rows


def gather(claim: str, results: Sequence[Result], *beside: str) -> Page:
    """Everything that is known of a claim whose runs are there.

    claim: `all` for the runs of all claims.  beside: other claims whose records of the reference
    run the page shows.  Raises CGNError where these are not there.
    """
    profile = results[0].run.profile
    live = records.frame(results, claim)
    return opened(claim, profile, live, *beside, results=tuple(results))


def opened(
    claim: str, profile: str, live: pd.DataFrame, *beside: str, results: tuple[Result, ...] = ()
) -> Page:
    """`gather` for a claim whose numbers are there already, as tracked ones are."""
    numbers = records.stacked(
        [
            live.assign(source=THIS, claim=claim),
            records.read(claim, FULL),
            *(records.needed(other, FULL) for other in beside),
            reported.numbers(),
        ]
    )
    return Page(claim, profile, tuple(result.run for result in results), results, numbers)


def tracked(claim: str, profile: str, *beside: str) -> Page:
    """The page of a claim as its tracked records of a profile have it; no run is there."""
    return opened(claim, profile, records.needed(claim, profile), *beside)


def glue(facts: Mapping[str, object]) -> None:
    """Put facts where the text names them: a verdict as its badge, a number as Python's own, since
    a text formats no other, all else as it is.  A fact that knows its rows says where it is from
    (see `cited`); book/_press/citations.py puts that into the page."""
    rows = getattr(facts, "rows", {})
    for name, fact in facts.items():
        if isinstance(fact, Verdict | Finding):
            fact = boxes.Shown(badge(fact.outcome))
        elif isinstance(fact, np.generic):
            fact = fact.item()
        if name in rows and not isinstance(fact, boxes.Shown):
            fact = cited.Number(fact, cited.sources(rows[name]))
        myst_nb.glue(name, fact, display=False)


def summary(this: Page, *behind: boxes.Source) -> None:
    """Put the box of *At a glance* under it, with the data that this run read.  behind: what else
    is, besides both runs."""
    frames = (this.live, this.reference, *behind)
    read = tables.inputs(this.results)
    glue({"at-a-glance": boxes.behind(this.claim, *frames, inputs=read)})


def protocol(grid: Sequence[Run]) -> boxes.Shown:
    """The table of the declared runs in groups, folded."""
    table = tables.show(tables.protocol(grid), "protocol", grid).markup
    title = f"{len(with_needs(grid))} runs"
    return boxes.Shown(f"<details class='folded'><summary>{title}</summary>{table}</details>")


def drift(this: Page) -> str:
    """How far this run lies from the tracked run of its profile; see `tables.drift`.

    Products in bfloat16 and in float32 train other nets: a tracked run whose classifiers were
    trained in the other arithmetic says nothing of this one.
    """
    trained = [runs.load(run).env["device"] for run in with_needs(this.grid) if run.mixed]
    there = records.read("claim-3-mnist", this.profile).device
    alike = any(BFLOAT16 in device for device in trained) == there.str.contains(BFLOAT16).any()
    return tables.drift(
        this.live if alike else this.live[:0], records.read(this.claim, this.profile)
    )
