"""The box under every figure and table: its profile, its data, and what made them.

A figure function ends in `return boxes.show("its-name", *sources)` in place of plt.show(), and
its cell ends in that call; a table is shown by `tables.show(table, "its-name", *sources)`, and its
cell has a caption and a name `tab-...` under `mystnb: figure:`.  A source is a frame of records or
of reported numbers, results, declared runs, a profile, or a sentence on what made it where no run
did.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cgnbook import carried, drawing, drawn, records, reported
from cgnbook.records import AUTHORS, THIS, TRAINED
from cgnlib import experiments, paths
from cgnlib.experiments import Profile, Run, with_needs
from cgnlib.runs import Result

Source = pd.DataFrame | Result | Run | Profile | str | Iterable[Result | Run]
RUN = ["run", "profile", "seed", *records.ENVIRONMENT, "spec"]
TITLE = "Data and provenance"
ROOM = 60_000  # bytes; pictures that are larger when packed are not carried by the page
SHOWN = 8  # groups of runs; the others are in the file


class Shown:
    """HTML that a notebook displays."""

    def __init__(self, markup: str):
        self.markup = markup

    def __repr__(self) -> str:
        return "data and provenance"

    def _repr_html_(self) -> str:
        return self.markup


def show(name: str, *sources: Source) -> Shown:
    """Show the figure that was just drawn, and return the box that stands under it."""
    figure = plt.gcf()
    data, pictures = drawn.table(figure), drawn.pictures(figure)
    drawing.show(figure)
    return Shown(box(name, data, *sources, pictures=pictures))


def behind(name: str, *sources: Source, inputs: Mapping[str, str]) -> Shown:
    """The box of numbers in the text; its data are the records and reported numbers behind them.

    inputs: what this run read, by what it is.
    """
    frames = [part for source in sources for _, part, _ in _parts(source)
              if isinstance(part, pd.DataFrame)]  # fmt: skip
    data = pd.concat(frames).drop_duplicates()
    said = data.loc[:, (data.notna() & (data != "")).any()]
    return Shown(box(name, said, *sources, inputs=inputs, title=f"{TITLE} of this summary"))


def box(
    name: str,
    data: pd.DataFrame,
    *sources: Source,
    pictures: Mapping[str, np.ndarray] | None = None,
    inputs: Mapping[str, str] | None = None,
    title: str = TITLE,
) -> str:
    """The closed box of one figure or table, as HTML.

    name: of the files that it offers, with the profiles behind them.  data: what is drawn.
    pictures: [H, W, 3] bytes, by the names that they have in the data.  inputs: more facts, on
    what this run read.
    """
    flat = [part for source in sources for part in _parts(source)]
    kinds = list(dict.fromkeys(kind for kind, _, _ in flat)) or ["no run"]
    stem = "-".join([name, *dict.fromkeys(re.sub(r"\W.*", "", k) if k != "no run" else "drawn"
                                          for k in kinds)])  # fmt: skip
    runs = _runs(part for kind, part, _ in flat
                 if isinstance(part, pd.DataFrame) and kind != "reported")  # fmt: skip
    links = [carried.table(data, f"{stem}.csv", "Data", "rows")]
    if len(runs):
        links.append(carried.table(_with_needed(runs), f"{stem}-runs.csv", "Runs", "runs"))
    kept = flat and all(where.startswith("samples/") for *_, where in flat)  # tracked: see `kept`
    packed = carried.zipped(pictures) if pictures and not kept else b""
    if packed and len(packed) <= ROOM:
        words = f"Pictures, {len(pictures)} files, named as in the data"
        links.append(carried.link(packed, "application/zip", f"{stem}-pictures.zip", words))
    badges = " ".join(f'<span class="profile-badge {_css(k)}">{html.escape(k)}</span>'
                      for k in kinds)  # fmt: skip
    facts = "".join(
        f"<dt>{term}</dt><dd>{text}</dd>"
        for kind in kinds
        for term, text in _facts(kind, [(p, note) for k, p, note in flat if k == kind])
    )
    facts += "".join(
        f"<dt>{html.escape(term)} (this run)</dt><dd>{html.escape(text)}</dd>"
        for term, text in (inputs or {}).items()
    )
    if pictures and kept:
        facts += f"<dt>Pictures</dt><dd>{len(pictures)}, in the folders named above</dd>"
    if len(packed) > ROOM:
        facts += (
            f"<dt>Pictures</dt><dd>{len(pictures)}, not carried here for their size "
            f"({len(packed) / 1e6:.1f} MB); the data have the first digits of the sha256 of their "
            "pixels</dd>"
        )
    return (
        f'<details class="evidence" data-name="{name}">'
        f"<summary><span>{title}</span> {badges}</summary>"
        f"<p>{' '.join(links)}</p><dl>{facts}"
        f"<dt>Make it again</dt><dd>{_commands(runs)}</dd></dl></details>"
    )


def _parts(source: Source) -> Iterator[tuple[str, object, str]]:
    """The badge of each part of a source, the part, and where it is tracked."""
    if isinstance(source, str):
        yield "no run", source, ""
    elif isinstance(source, Profile):
        yield f"{source.name}, declared", source, ""
    elif isinstance(source, Result):
        tracked = source.folder.is_relative_to(paths.records())
        rows = records.frame([source])
        whose = AUTHORS if (rows.generator == records.PUBLISHED).any() else TRAINED
        kind = _kind(source.run.profile, whose) if tracked else source.run.profile
        where = str(source.folder.relative_to(paths.records())) if tracked else ""
        yield kind, rows, where
    elif isinstance(source, Run):
        yield f"{source.profile}, declared", source, ""
    elif not isinstance(source, pd.DataFrame):
        for item in source:
            yield from _parts(item)
    elif "spec" not in source:
        yield "reported", source, ""
    else:
        ran = source.source.str.startswith((THIS, TRAINED.split(" (")[0], AUTHORS))
        by = source[ran].groupby(["source", "profile", "claim"], sort=False)
        for (who, profile, claim), rows in by:
            tracked = who != THIS
            where = records.path_of(claim, profile).name if tracked else ""
            yield _kind(profile, who) if tracked else profile, rows, where
        if not ran.all():
            yield "reported", source[~ran], ""


def _facts(kind: str, parts: Sequence[tuple[object, str]]) -> Iterator[tuple[str, str]]:
    badge = f" ({html.escape(kind)})"
    frames = [part for part, _ in parts if isinstance(part, pd.DataFrame)]
    declared = [part for part, _ in parts if isinstance(part, Run)]
    for part, _ in parts:
        if isinstance(part, Profile):
            yield f"Profile{badge}", html.escape(part.purpose)
        elif isinstance(part, str):
            yield "Made by", _code(part)
    if declared:
        declared = with_needs(declared)
        yield f"Declared runs{badge}", f"{len(declared)}: {_grouped(r.id for r in declared)}"
        yield f"Seeds{badge}", _list(run.seed for run in declared)
    if kind == "reported":
        for table, rows in pd.concat(frames).groupby("table", sort=False):
            told = _list(map(reported.as_written, rows["source"]))
            yield "Reported", f"by {told}; <code>book/records/reported.csv</code>, table {table}"
    elif frames:
        runs = _runs(frames)
        yield f"Runs{badge}", f"{len(runs)}: {_grouped(runs.run)}"
        if needed := _needed(runs):
            yield f"Made from{badge}", f"{len(needed)} more: {_grouped(r.id for r in needed)}"
        yield f"Seeds{badge}", _list(runs.seed)
        yield f"Commit{badge}", _list(runs.commit)
        yield f"Device{badge}", _list(runs.device)
        seconds = runs.seconds.astype(float)
        yield (
            f"Wall time{badge}",
            f"{_time(seconds.sum())} in all, {_time(seconds.max())} the longest run; finished "
            + " to ".join(sorted({runs.finished.min()[:10], runs.finished.max()[:10]})),
        )
        yield f"Versions{badge}", f"Python {_list(runs.python)}, torch {_list(runs.torch)}"
        for path in dict.fromkeys(note for _, note in parts if note):
            yield f"Tracked in{badge}", f"<code>book/records/{path}</code>"


def _runs(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """A row for each run behind some records."""
    frames = [frame[RUN] for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame(columns=RUN)
    return pd.concat(frames).drop_duplicates(["run", "profile"]).reset_index(drop=True)


def _with_needed(runs: pd.DataFrame) -> pd.DataFrame:
    """The same, and a row for each run that they need; these have no facts of their own here."""
    rows = [{"run": r.id, "profile": r.profile, "seed": r.seed, "spec": r.digest()}
            for r in _needed(runs)]  # fmt: skip
    needed = pd.DataFrame(rows, columns=RUN, dtype=object)
    both = [runs.astype(object).assign(role="shown"), needed.assign(role="needed")]
    return pd.concat([part for part in both if len(part)])


def _needed(runs: pd.DataFrame) -> list[Run]:
    """The runs that these were made from, as far as they are declared."""
    found = []
    for profile, rows in runs.groupby("profile"):
        declared, _ = _declared(profile)
        named = [declared[run] for run in rows.run if run in declared]
        found += [run for run in with_needs(named) if run.id not in set(rows.run)]
    return found


@cache
def _declared(profile: str) -> tuple[dict[str, Run], dict[str, set[str]]]:
    """Every declared run of a profile by its id, and the ids of each claim."""
    of = {claim: experiments.grid(profile, claim) for claim in experiments.CLAIMS}
    every = {run.id: run for runs in of.values() for run in with_needs(runs)}
    return every, {claim: {run.id for run in runs} for claim, runs in of.items()}


def _commands(runs: pd.DataFrame) -> str:
    """The page, and the runs; the build puts the chapter and its profile after the first."""
    lines = ["python book/_press/execute.py"]
    for profile, rows in runs.groupby("profile", sort=False):
        lines.append(f"python -m cgnlib run --profile {profile} {_targets(profile, rows.run)}")
    return "<br>".join(f"<code>{line}</code>" for line in lines)


def _targets(profile: str, ids: Iterable[str]) -> str:
    """The fewest names that mean these runs: themselves where they are few, else their claims."""
    left = list(dict.fromkeys(ids))
    if len(left) <= 3:
        return " ".join(left)
    chosen = []
    _, claims = _declared(profile)
    for claim in sorted(claims, key=lambda c: -len(claims[c].intersection(left))):
        if claims[claim].intersection(left):
            chosen.append(claim)
            left = [run for run in left if run not in claims[claim]]
    return " ".join([*chosen, *left])


def _grouped(ids: Iterable[str]) -> str:
    """Ids with the seeds of one group together: `cgn-wildlife-s0, s1`."""
    groups: dict[str, list[str]] = {}
    for run in ids:
        stem, _, seed = run.rpartition("-")
        groups.setdefault(stem, []).append(seed)
    names = [f"<code>{stem}-{', '.join(seeds)}</code>" for stem, seeds in groups.items()]
    more = f" and {len(names) - SHOWN} more groups" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _list(values: Iterable[object]) -> str:
    found = set(map(str, values))
    key = int if all(map(str.isdigit, found)) else str
    return html.escape(", ".join(sorted(found, key=key)))


def _code(sentence: str) -> str:
    """A sentence with `code` in it, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(sentence))


def _kind(profile: str, whose: str) -> str:
    """The badge of one kind of evidence of the reference run."""
    return f"{profile}, " + ("authors' weights" if whose == AUTHORS else "trained here")


def _css(kind: str) -> str:
    word = kind.partition(",")[0]
    return f"scale-{word if word in experiments.PROFILES else 'none'}"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
