"""The film of a CGN's training: two seeds of one recipe, one of which loses a digit.

The frames lie below each other in one picture for each seed, which data_prep/film.py made with the
record of their losses; the script of book/_interactive/film moves through them.
"""

import json
from collections.abc import Sequence
from itertools import groupby

from cgnbook import boxes, live
from cgnbook.words import listed
from cgnlib import paths

FILES = ("film/film.css", "film/film.js")
LOSSES = {"adversarial": "generator", "discriminator": "critic", "mask": "mask entropy"}
USABLE = 0.5  # of the masks of a digit are read, as in the chapter
STILL = 6  # frames of a seed that stand for it without scripts


def films() -> dict[int, list[dict]]:
    """The rows of the record by seed, in the order of their steps."""
    rows = json.loads((paths.records() / "film.json").read_text())
    return {seed: list(of) for seed, of in groupby(rows, key=lambda row: row["seed"])}


def usable(row: dict) -> list[int]:
    """The digits of which the reader sees at least half of the masks."""
    return [y for y, share in enumerate(row["read"]) if share >= USABLE]


def facts() -> dict[str, object]:
    """What the text says: which digits each seed has lost in the end, and how it was made."""
    by = films()
    lost = {seed: [str(y) for y in range(10) if y not in usable(of[-1])] for seed, of in by.items()}
    first = next(iter(by.values()))
    return {f"film-lost-{seed}": listed(digits, "and") for seed, digits in lost.items()} | {
        "film-frames": len(first), "film-steps": first[-1]["step"], "film-masks": first[0]["images"]
    }  # fmt: skip


def page() -> boxes.Shown:
    """Both films, and without scripts some frames of each."""
    by = films()
    parts = "".join(_film(seed, of) for seed, of in by.items())
    steps = json.dumps([row["step"] for row in next(iter(by.values()))])
    return boxes.Shown(
        f'<div class="film live" data-steps="{steps}">{parts}</div>{live.loaded(*FILES)}'
    )


def _film(seed: int, rows: Sequence[dict]) -> str:
    """One seed: its frames, which digits are read in each, and its losses."""
    at = [round(i * (len(rows) - 1) / (STILL - 1)) for i in range(STILL)]
    stills = "".join(
        f'<figure class="live-still">{_frame(seed, rows, k)}<figcaption>Step {rows[k]["step"]:,}: '
        f"{len(usable(rows[k]))} of ten digits are read</figcaption></figure>"
        for k in at
    )
    read = json.dumps([usable(row) for row in rows])
    losses = "".join(_loss(words, [row[name] for row in rows]) for name, words in LOSSES.items())
    return (
        f'<section class="film-seed" data-seed="{seed}" data-read="{read}" '
        f'aria-label="Seed {seed}"><p class="film-title">Seed {seed}</p>{stills}'
        f'<div class="live-now">{_frame(seed, rows, 0)}'
        f'<div class="film-losses">{losses}</div></div></section>'
    )


def _frame(seed: int, rows: Sequence[dict], k: int) -> str:
    words = f"Masks and compositions of ten digits, seed {seed}, step {rows[k]['step']:,}"
    source = f"../film/wildlife-s{seed}.webp"
    return f'<img class="film-frame" style="--k: {k}" alt="{words}" src="{source}">'


def _loss(words: str, values: Sequence[float]) -> str:
    """A line over the frames, from 0 or its least to its most."""
    low, high = min(0.0, *values), max(values)
    points = " ".join(f"{k},{20 - 20 * (v - low) / (high - low):.2f}" for k, v in enumerate(values))
    return (
        f'<div class="film-loss" data-values="{json.dumps(values)}"><span>{words}</span><b></b>'
        f'<svg viewBox="0 0 {len(values) - 1} 20" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline points="{points}"/></svg></div>'
    )
