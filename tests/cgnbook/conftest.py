"""Pages and figures made by hand."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cgnbook import boxes, drawing, page, records, reported


def _whose(frame: pd.DataFrame) -> pd.Series:
    """The kind of evidence that each row of the reference run is."""
    generator = frame.get("generator", frame.get("removed", pd.Series("", frame.index)))
    return generator.map(lambda g: records.AUTHORS if g == "published" else records.TRAINED)


@pytest.fixture
def page_of():
    """Makes the page of a claim at `mini` from frames: of this run, and of the reference run by
    claim; others have reported what they have."""

    def make(claim: str, live: pd.DataFrame | None = None, **reference: pd.DataFrame) -> page.Page:
        every = {name.replace("_", "-"): frame for name, frame in reference.items()}
        frames = [frame.assign(source=_whose(frame), claim=c) for c, frame in every.items()]
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
    monkeypatch.setattr(drawing, "show", shown.append)
    monkeypatch.setattr(boxes, "box", lambda name, data, *sources, pictures: name)
    yield shown
    plt.close("all")


MEASURES = ("real_top1", "real_top5", "counterfactual_top1", "shape_bias", "original")
MEASURES += ("mixed_same", "mixed_rand", "bg_gap", "cue_conflict")
CUES = {"cue_shape": 0.1, "cue_texture": 0.2, "cue_background": 0.6, "cue_neither": 0.1}


def of_heads(**subjects) -> pd.DataFrame:
    """Records: by `training set / subject` (as real_cgn__shape), {measure: one value a seed}."""
    rows = [
        {"train_on": train_on.replace("_", "+"), "metric": f"{subject}/{measure}"}
        | {"seed": seed, "value": value}
        for name, of in subjects.items()
        for train_on, subject in [name.split("__")]
        for measure, values in of.items()
        for seed, value in enumerate(values)
    ]
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=list(dict.fromkeys([*records.COLUMNS, *frame])), fill_value="")


@pytest.fixture
def classifiers() -> pd.DataFrame:
    """Two seeds of the plain classifier, of the control and of the invariant one."""

    def every(value, **of):
        return {m: [value, value] for m in MEASURES} | {m: [v, v] for m, v in CUES.items()} | of

    invariant = {f"real_cgn__{s}": every(0.5) for s in ("texture", "bg", "avg", "shape_texture")}
    invariant["real_cgn__shape"] = every(0.5, shape_bias=[0.7, 0.8])
    invariant["real_cgn__bg"].pop("shape_bias")  # undefined
    control = {f"real__{s}": every(0.4) for s in ("avg", "shape_texture")}
    return of_heads(plain__plain=every(0.25), **control, **invariant)
