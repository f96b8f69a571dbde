"""Pages and figures made by hand."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cgnbook import boxes, page, records, reported


@pytest.fixture
def page_of():
    """Makes the page of a claim at `mini` from frames: of this run, and of the reference run by
    claim; others have reported what they have."""

    def make(claim: str, live: pd.DataFrame | None = None, **reference: pd.DataFrame) -> page.Page:
        every = {name.replace("_", "-"): frame for name, frame in reference.items()}
        frames = [frame.assign(source=records.REFERENCE, claim=c) for c, frame in every.items()]
        if live is not None:
            frames.append(live.assign(source=records.THIS, claim=claim))
        empty = pd.DataFrame(columns=[*records.COLUMNS, "share"])
        numbers = records.stacked([*frames, reported.numbers()])
        numbers = numbers.reindex(columns=[*dict.fromkeys([*numbers, *empty])], fill_value="")
        return page.Page(claim, "mini", (), (), numbers)

    return make


@pytest.fixture
def figures(monkeypatch):
    """The figures that are shown, with their boxes left out."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    monkeypatch.setattr(boxes, "box", lambda name, data, *sources, pictures: name)
    yield shown
    plt.close("all")
