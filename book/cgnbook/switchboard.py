"""The losses of claim 2 as switches: what a CGN makes that was trained without one of them.

Everything is on the page: a panel for each setting, its pictures kept from the reference run and
its numbers from the records.  The script of book/_interactive/losses shows the chosen one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cgnbook import ablations, boxes, live, tables
from cgnbook.names import ABLATED
from cgnbook.page import Page
from cgnbook.verdict import mean
from cgnlib.experiments import ABLATIONS
from cgnlib.runs import Result

FILES = ("losses/losses.css", "losses/losses.js")
PARTS = {name: words for name, words in ablations.PANELS.items() if name != "x_gt"}
# By metric, what it is called, its unit and its digits; first what a reader sees as intended.
MEASURES = {
    **{metric: (f"{part} read", 100, "{:.0f}%") for metric, part in ablations.READ.items()},
    "mask_coverage": ("Mask coverage", 1, "{:.2f}"),
    "inception_score": ("Inception score", 1, "{:.2f}"),
}


def show(this: Page, kept: Sequence[Result], row: int) -> boxes.Shown:
    """The switchboard, and the box of its pictures and numbers.

    kept: runs of the reference run whose pictures are there.  row: the class that is shown.
    """
    by = {who: ablations.measured(rows) for who, rows in this.ours.items()}
    pictured = {result.run.ablation: ablations.arrays_of(result) for result in kept}
    data = table(by)
    panels = "".join(_panel(name, pictured[name], row, data) for name in ABLATIONS)
    markup = f'<div class="losses live">{panels}</div>{live.loaded(*FILES)}'
    return boxes.Shown(markup + boxes.box("losses", data, kept, this.reference, this.live))


def table(by: Mapping[str, ablations.Measured]) -> pd.DataFrame:
    """Every number that is shown: the mean over the trainings of a setting.

    by: `ablations.measured` by whose it is; what a source did not measure is left out.
    """
    return pd.DataFrame(
        {
            "ablation": ablation,
            "metric": metric,
            "source": who,
            "value": mean(values),
            "n": len(values),
        }
        for ablation in ABLATIONS
        for metric in MEASURES
        for who, of in by.items()
        if (values := of.get(ablation, {}).get(metric))
    )


def _panel(name: str, arrays: Mapping[str, np.ndarray], row: int, data: pd.DataFrame) -> str:
    """One setting: its five pictures, and a table of its numbers."""
    words = ABLATED[name]
    title = tables.as_html(words[0].upper() + words[1:])
    figures = "".join(
        f"<figure>{live.picture(arrays[part][row], f'{called}, {words}')}"
        f"<figcaption>{called}</figcaption></figure>"
        for part, called in PARTS.items()
    )
    of = data[data.ablation == name]
    sources = list(dict.fromkeys(data.source))
    head = "<td></td>" + "".join(f'<th scope="col">{who}</th>' for who in sources)
    body = "".join(
        f'<tr data-metric="{metric}"><th scope="row">{MEASURES[metric][0]}</th>'
        + "".join(f"<td>{_cell(of, metric, who)}</td>" for who in sources)
        + "</tr>"
        for metric in dict.fromkeys(of.metric)
    )
    return (
        f'<section class="losses-panel" data-without="{name}" aria-label="{words}">'
        f'<p class="live-title">{title}</p><div class="losses-parts">{figures}</div>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _cell(of: pd.DataFrame, metric: str, who: str) -> str:
    _, unit, form = MEASURES[metric]
    found = of[(of.metric == metric) & (of.source == who)].value
    return form.format(unit * found.iloc[0]) if len(found) else "–"
