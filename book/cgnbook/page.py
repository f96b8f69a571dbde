"""Parts of a page as HTML: the scorecard, and tables of sentences that fold on a narrow screen."""

import re
from collections.abc import Sequence
from html import escape

import pandas as pd

from cgnbook import evidence
from cgnbook.findings import Claim, Finding
from cgnbook.scorecard import badge
from cgnbook.tables import NONE


def scorecard(claims: Sequence[Claim], folder: str, *sources: evidence.Source) -> evidence.Shown:
    """Claim by source: verdict, effects with their intervals, and the way to the evidence.

    folder: where the chapters lie, as seen from the page: nothing, or `book/`.  sources: what
    stands behind it, for its box.
    """
    columns = list(claims[0].by)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("Claim", *columns))
    body = "".join(
        f'<tr><th scope="row">{_claim(claim, folder)}</th>'
        + "".join(f"<td{_label(s)}>{_finding(claim.by[s])}</td>" for s in columns)
        + "</tr>"
        for claim in claims
    )
    table = pd.DataFrame(
        {"Claim": claim.name} | {name: _words(claim.by[name]) for name in columns}
        for claim in claims
    )
    return evidence.Shown(
        f'<table class="scorecard"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        + evidence.box("scorecard", table, *sources)
    )


def sentences(table: pd.DataFrame, name: str, *sources: evidence.Source) -> evidence.Shown:
    """A table whose cells hold sentences: they wrap, and a narrow screen puts them one below the
    other under their headings.  name: its id in the page.  sources: what
    stands behind it, for its box.  Empty cells become a dash."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td{_label(c)}>{_text(v)}</td>" for c, v in row.items()) + "</tr>"
        for row in table.to_dict("records")
    )
    return evidence.Shown(
        f'<table class="sentences" id="T_{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>" + evidence.box(name, table.replace("", NONE), *sources)
    )


def _text(value: object) -> str:
    """A cell as HTML; names of files and functions may break after their points and strokes."""
    return re.sub(r"(?<=[^\W\d])([/_:.])(?=[^\W\d])", r"\1<wbr>", escape(str(value))) or NONE


def _label(column: str) -> str:
    return f' data-label="{escape(column)}"'


def _claim(claim: Claim, folder: str) -> str:
    page = f"{folder}{claim.page}.html"
    return (
        f'<a href="{page}">{escape(claim.name)}</a><br>{escape(claim.text)}<br>'
        f'<a href="{page}#{claim.anchor}">evidence</a>'
    )


def _finding(finding: Finding) -> str:
    """A verdict, what it is made from, and the unit; an interval stays on one line."""
    effects = (re.sub(r" (?=[^(]*\))", "\u00a0", escape(effect)) for effect in finding.effects)
    lines = [badge(finding.outcome), *effects]
    return "<br>".join(lines + [f"<small>{escape(finding.unit)}</small>"] * bool(finding.unit))


def _words(finding: Finding) -> str:
    return " ".join([finding.outcome, *finding.effects, *([finding.unit] * bool(finding.unit))])
