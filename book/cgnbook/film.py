"""Trainings of a CGN as films: what each draws at the same moments, beside its losses.

The films are kept (data_prep/film.py): of each a picture with a row for each moment, which stands
as a strip where no script runs, and of which the script of book/_interactive/film shows a row.
"""

import json
from collections.abc import Iterator
from math import log10

import pandas as pd

from cgnbook import boxes, live, records
from cgnlib import experiments, paths
from cgnlib.nets.mnist import N_CLASSES

FILES = ("film/film.css", "film/film.js")
# By loss, what it is called; those that only some trainings have are in the box.
LOSSES = {
    "adversarial": "generator",
    "discriminator": "discriminator",
    "perceptual": "Gram",
    "mask": "mask entropy",
}
WIDE, HIGH, LEFT, UNDER = 300, 100, 30, 16  # of the plot: its size, and the room of its labels
LEAST, MOST = 1e-3, 1.0  # of its axis of losses
READABLE = 0.5  # of the masks of a digit, at least
INVERTED = 0.25  # of the image's border, where no digit reaches; true masks have a hundredth


def kept() -> list[dict]:
    """What is known of each film: its run, moments, losses, which masks were read, and how much of
    them is around the digit."""
    return json.loads((paths.records() / "film/film.json").read_text())


def trainings() -> list[dict]:
    """The films that are shown: those of the seed of the first."""
    first, *others = kept()
    return [first, *(training for training in others if training["seed"] == first["seed"])]


def inverted(training: dict, moment: int) -> set[int]:
    """The digits whose masks are what is around them."""
    return {y for y, share in enumerate(training["around"][moment]) if share > INVERTED}


def readable(training: dict) -> list[list[bool]]:
    """Whether enough masks of a digit are read, by moment and digit."""
    return [[share >= READABLE for share in moment] for moment in training["read"]]


def facts() -> dict[str, object]:
    """How many trainings of which scale, moments and masks; the usable digits that each ends with,
    by the loss that it has, and those of the CGN of claim 1 at their scale."""
    of, mended = trainings(), fate("edge", "border")
    [edged] = (training for training in of if remedy(training) == "edge")
    other = experiments.profile(edged["profile"]).cgn("colored", edged["seed"])
    rows = records.needed("claim-1-mnist", edged["profile"])
    judged = rows[(rows.variant == "colored") & (rows.metric == "usable_digits")].value
    shared = {f"film-{name}": {training[name] for training in of} for name in ("profile", "masks")}
    shared["film-moments"] = {len(training["steps"]) for training in of}
    return {
        "film-n": len(of),
        **{name: value for name, (value,) in shared.items()},
        **{f"film-{remedy(training)}": training["usable"] for training in of},
        "film-edge-weight": edged["edge"],
        "film-other-weight": other.recipe.edge,
        "film-other": int(judged.item()),
        "film-first": of[0]["steps"][1],
        **{f"film-plain-{name}": fact for name, fact in fate("plain").items()},
        **{f"film-loss-{name}": mended[name] for name in ("n", "inverted", "early")},
    }


def fate(*remedies: str) -> dict[str, int]:
    """Of the masks of all trainings with some loss: how many end inverted, how many of these were
    so at the first moment after the start, and how many others were."""
    of = [training for training in kept() if remedy(training) in remedies]
    pairs = [(inverted(training, 1), inverted(training, -1)) for training in of]
    return {
        "n": len(of),
        "inverted": sum(len(end) for _, end in pairs),
        "early": sum(len(first & end) for first, end in pairs),
        "turned": sum(len(first - end) for first, end in pairs),
    }


def remedy(training: dict) -> str:
    """The loss that it has besides those of the published recipe."""
    return next((loss for loss in ("edge", "border") if training[loss]), "plain")


def show() -> boxes.Shown:
    """The films side by side, and the box of their losses."""
    of = trainings()
    keys = "".join(
        f'<li><svg viewBox="0 0 30 8" aria-hidden="true">{_line([(0, 4), (30, 4)], loss)}</svg>'
        f"{words}</li>"
        for loss, words in LOSSES.items()
    )
    panels = "".join(map(_panel, of))
    markup = f'<div class="film live">{panels}<ul class="film-key">{keys}</ul></div>'
    runs = [experiments.find(training["profile"], training["run"]) for training in of]
    return boxes.Shown(markup + live.loaded(*FILES) + boxes.box("film", table(of), runs))


def table(of: list[dict]) -> pd.DataFrame:
    """Every number that is drawn, and the losses that are not."""
    columns = ["run", "commit", "finished", "what", "step", "value"]
    return pd.DataFrame((row for training in of for row in _rows(training)), columns=columns)


def _rows(training: dict) -> Iterator[list]:
    about, losses = [training[name] for name in ("run", "commit", "finished")], training["losses"]
    for name in sorted(losses.keys() - {"step"}):
        for step, value in zip(losses["step"], losses[name], strict=True):
            yield [*about, name, int(step), value]
    for step, moment in zip(training["steps"], training["read"], strict=True):
        yield from ([*about, f"masks read as {y}", step, share] for y, share in enumerate(moment))


def title(training: dict) -> str:
    """How a training differs from the others."""
    of = remedy(training)
    words = "With neither loss" if of == "plain" else f"With the {of} loss"
    return f"{words}, seed {training['seed']}"


def _panel(training: dict) -> str:
    """One training: what it keeps, its losses, and its strip."""
    read, steps = readable(training), training["steps"]
    sheet = (paths.records() / f"film/{training['run']}.webp").read_bytes()
    end = f"{sum(read[-1])} of {N_CLASSES} read"
    usable = f"By all masks of its evaluation, {training['usable']} are usable in the end"
    words = f"The digits 0 to 9 at {len(steps)} moments of a training, from noise to digits"
    flags = " ".join("".join(str(int(is_read)) for is_read in moment) for moment in read)
    return (
        f'<section class="film-training" aria-label="{title(training)}" '
        f'data-steps="{" ".join(map(str, steps))}" data-read="{flags}">'
        f'<p class="live-title">{title(training)}: <span class="film-read">{end}</span> '
        f"<small>{usable}</small></p>"
        f'<figure class="live-still">{live.image(sheet, "webp", words)}'
        f"<figcaption>Above step {steps[0]}, below step {steps[-1]:,}</figcaption></figure>"
        f"{_plot(training)}</section>"
    )


def _plot(training: dict) -> str:
    """The losses on a logarithmic axis over the steps."""
    losses, end = training["losses"], training["steps"][-1]

    def at(step: float, value: float) -> tuple[float, float]:
        up = log10(min(max(value, LEAST), MOST) / LEAST) / log10(MOST / LEAST)
        return LEFT + (WIDE - LEFT) * step / end, HIGH - UNDER - (HIGH - UNDER - 8) * up

    ticks = [MOST / 10**power for power in range(round(log10(MOST / LEAST)) + 1)]
    grid = "".join(
        f'<path class="film-grid" d="M{LEFT} {at(0, tick)[1]:.1f}H{WIDE}"/>'
        f'<text x="{LEFT - 4}" y="{at(0, tick)[1] + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    )
    lines = "".join(
        _line(list(map(at, losses["step"], losses[name])), name)
        for name in LOSSES
    )  # fmt: skip
    ends = (
        f'<text x="{LEFT}" y="{HIGH - 2}">step 0</text>'
        f'<text x="{WIDE}" y="{HIGH - 2}" text-anchor="end">{end:,}</text>'
    )
    words = f"Losses over the steps: {', '.join(LOSSES.values())}"
    return (
        f'<svg class="film-losses" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{words}" '
        f'data-left="{LEFT}" data-foot="{HIGH - UNDER}">{grid}{lines}{ends}</svg>'
    )


def _line(points: list[tuple[float, float]], loss: str) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path data-loss="{loss}" d="M{path}"/>'
