"""A forest plot of claims, as HTML: how far each kind of evidence lies beyond what a rule asks for.

Its marks stand in small SVG strips whose places are in percent, so that the plot fits any width
with letters of one size, and takes the colours of the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import pandas as pd

from cgnbook import drawn
from cgnbook.verdict import Finding, Mark, badge, signed

LANE = 13  # pixels between the kinds of a row
AXIS = "points beyond what the rule asks for"
STEP = 50  # points between the lines of the axis
# A path round (0, 0) by how a kind begins; those of what others told are hollow.
SHAPES = {
    "Paper": "M0-5.5 5.5 0 0 5.5-5.5 0Z",
    "Study": "M-4.5-4.5h9v9h-9Z",
    "Authors": "M0-5.5 5.5 4.5h-11Z",
    "Trained": "M0 5.5 5.5-4.5h-11Z",
    "This run": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z",
}
TOLD = ("Paper", "Study")


@dataclass(frozen=True)
class Row:
    """A claim, where its evidence is, and the findings by kind of evidence."""

    href: str
    name: str
    text: str
    by: Mapping[str, Finding]

    def marks(self) -> dict[str, list[tuple[str, Mark]]]:
        """The kinds and marks of each effect, by what the effect is called."""
        found: dict[str, list[tuple[str, Mark]]] = {}
        for kind, finding in self.by.items():
            for mark in finding.marks:
                found.setdefault(mark.name, []).append((kind, mark))
        return found


@dataclass(frozen=True)
class Forest:
    """rows: the claims, of the same kinds of evidence."""

    rows: Sequence[Row]

    def __repr__(self) -> str:
        return "a forest plot"

    def _repr_html_(self) -> str:
        """Key, axis, and for each claim its verdicts and its strips."""
        kinds = list(self.rows[0].by)
        key = "".join(f"<span>{glyph(kind)} {escape(kind)}</span>" for kind in kinds)
        body = "".join(self._claim(row) for row in self.rows)
        return (
            f'<div class="forest"><p class="forest-key">{key}</p>{self._axis()}{body}'
            f"{self._axis()}</div>"
        )

    def table(self) -> pd.DataFrame:
        """A row for each mark and each end of an interval, as in `drawn.COLUMNS`; x in points."""
        return pd.DataFrame(
            [row.name, AXIS, "", kind + end, round(100 * x, 4), name, mark.said]
            for row in self.rows
            for name, of in row.marks().items()
            for kind, mark in of
            for end, x in _ends(mark)
        ).set_axis(drawn.COLUMNS, axis=1)

    @cached_property
    def range(self) -> tuple[float, float]:
        """The least and the greatest of the axis, as fractions: all marks, and some air."""
        places = [
            x
            for row in self.rows
            for of in row.marks().values()
            for _, m in of
            for _, x in _ends(m)
        ]
        return min(places) - 0.04, max(places) + 0.06

    def place(self, x: float) -> str:
        """Where a fraction lies on the axis."""
        least, most = self.range
        return f"{100 * (x - least) / (most - least):.2f}%"

    def _ticks(self) -> list[int]:
        least, most = self.range
        return [t for t in range(-500, 501, STEP) if least <= t / 100 <= most]

    def _axis(self) -> str:
        ticks = "".join(
            f'<text x="{self.place(t / 100)}" y="13" text-anchor="middle" fill="currentColor">'
            f"{signed(t / 100) if t else 'rule'}</text>"
            for t in self._ticks()
        )
        return (
            '<div class="forest-axis"><span>short of the rule ← → beyond it, in points</span>'
            f'<svg width="100%" height="18" aria-hidden="true" font-size="11">{ticks}</svg></div>'
        )

    def _claim(self, row: Row) -> str:
        badges = "".join(
            f"<li>{glyph(kind)} {badge(found.outcome)}</li>"
            for kind, found in row.by.items()
            if kind != "Paper"
        )
        strips = "".join(self._strip(name, of) for name, of in row.marks().items())
        return (
            f'<div class="forest-claim"><div><p><a href="{row.href}">{escape(row.name)}</a><br>'
            f"{escape(row.text)}</p><ul>{badges}</ul></div><div>{strips}</div></div>"
        )

    def _strip(self, name: str, of: Sequence[tuple[str, Mark]]) -> str:
        said = "; ".join(f"{kind}: {mark.said}" for kind, mark in of)
        height = LANE * len(of) + 4
        zero = self.place(0)
        lines = "".join(
            f'<line x1="{self.place(t / 100)}" x2="{self.place(t / 100)}" y2="100%" '
            f'class="{"forest-rule" if t == 0 else "forest-tick"}" stroke="currentColor"/>'
            for t in self._ticks()
        )
        marks = "".join(
            self._mark(kind, mark, LANE * i + LANE / 2 + 2) for i, (kind, mark) in enumerate(of)
        )
        return (
            f'<div class="forest-strip"><span>{escape(name)}</span>'
            f'<svg width="100%" role="img" aria-label="{escape(said)}" height="{height}">'
            f'<rect x="{zero}" width="100%" height="100%" class="forest-met" fill="currentColor" '
            f'fill-opacity="0.06"/>{lines}{marks}</svg></div>'
        )

    def _mark(self, kind: str, mark: Mark, y: float) -> str:
        bar = ""
        if mark.span:
            a, b = map(self.place, mark.span)
            bar = f'<line x1="{a}" x2="{b}" y1="{y}" y2="{y}" stroke="currentColor"/>'
        faint = ' opacity="0.4"' * mark.undecided
        return (
            f"<g{faint}>{bar}"
            f'<svg x="{self.place(mark.beyond)}" y="{y}" overflow="visible">{_path(kind)}</svg>'
            f"<title>{escape(f'{kind}: {mark.said}')}</title></g>"
        )


def glyph(kind: str) -> str:
    """The mark of a kind of evidence, to stand in a line of text."""
    return (
        '<svg class="forest-glyph" width="13" height="13" viewBox="-6.5 -6.5 13 13" role="img" '
        f'aria-label="{escape(kind)}">{_path(kind)}</svg>'
    )


def _path(kind: str) -> str:
    shape = next(path for name, path in SHAPES.items() if kind.startswith(name))
    fill = 'fill="white" class="forest-told"' if kind in TOLD else 'fill="currentColor"'
    return f'<path d="{shape}" {fill} stroke="currentColor" stroke-width="1.5"/>'


def _ends(mark: Mark) -> Iterator[tuple[str, float]]:
    yield "", mark.beyond
    if mark.span:
        yield ", from", mark.span[0]
        yield ", to", mark.span[1]
