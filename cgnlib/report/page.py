"""Parts of a page as HTML: the scorecard, and tables of sentences that fold on a narrow screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from cgnlib.report.findings import Claim, Finding
from cgnlib.report.scorecard import badge
from cgnlib.report.tables import NONE


@dataclass(frozen=True)
class Html:
    """A part of a page, as a notebook shows it."""

    text: str

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return "HTML"


def scorecard(claims: Sequence[Claim], folder: str) -> Html:
    """Claim by source: verdict, effects with their intervals, and the way to the evidence.

    folder: where the chapters lie, as seen from the page: nothing, or `book/`.
    """
    sources = list(claims[0].by)
    head = "".join(f"<th>{escape(source)}</th>" for source in ("Claim", *sources))
    body = "".join(
        f"<tr><td>{_claim(claim, folder)}</td>"
        + "".join(f"<td{_label(s)}>{_finding(claim.by[s])}</td>" for s in sources)
        + "</tr>"
        for claim in claims
    )
    return Html(
        f'<table class="scorecard"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def sentences(table: pd.DataFrame, name: str) -> Html:
    """A table whose cells hold sentences: they wrap, and a narrow screen puts them one below the
    other under their headings.  name: its id in the page.  Empty cells become a dash."""
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td{_label(c)}>{_text(v)}</td>" for c, v in row.items()) + "</tr>"
        for row in table.to_dict("records")
    )
    return Html(
        f'<table class="sentences" id="T_{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _text(value: object) -> str:
    return escape(str(value)) or NONE


def _label(column: str) -> str:
    return f' data-label="{escape(column)}"'


def _claim(claim: Claim, folder: str) -> str:
    page = f"{folder}{claim.page}.html"
    return (
        f'<a href="{page}">{escape(claim.name)}</a><br>{escape(claim.text)}<br>'
        f'<a class="evidence" href="{page}#{claim.anchor}">evidence</a>'
    )


def _finding(finding: Finding) -> str:
    lines = [badge(finding.outcome), *map(escape, finding.effects)]
    return "<br>".join(lines + [f"<small>{escape(finding.unit)}</small>"] * bool(finding.unit))
