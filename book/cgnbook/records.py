"""Runs as numbers: a row for each metric, of what ran just now and of what a reference run left."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cgnlib import experiments, paths, runs
from cgnlib.errors import CGNError, reason
from cgnlib.measures import decisions
from cgnlib.measures.naming import FOLLOWS, Measure
from cgnlib.runs import Result

# fmt: off
COLUMNS = [
    "run", "variant", "train_on", "removed", "generator", "seed", "metric", "value", "unit", "n",
    "profile", "commit", "device", "python", "torch", "seconds", "finished", "spec",
]
# fmt: on
ENVIRONMENT = ["commit", "device", "python", "torch", "seconds", "finished"]
# What the records of a claim have besides: settings of each run, or of the set that it learns from.
MORE = {"set-size": ["size", "per_shape", "epochs"], "union-shares": ["share"]}
# the rest are names, also where they look like numbers
NUMBERS = {"seed", "value", "n", "seconds", "size", "per_shape", "epochs", "share"}
UNITS = {
    "usable_digits": "digits",
    "inception_score": "score",
    "inception_score_spread": "score",
}
THIS, REFERENCE = "This run", "Reference run"  # who says a number; the others are in `reported`
FULL = "full"  # the profile of the reference run


def frame(results: Iterable[Result], claim: str = "") -> pd.DataFrame:
    """Every metric of every run as a row, with the run's provenance.

    claim: with the columns that its records have besides.  The first two columns say the source,
    which is this run, and the claim.
    """
    rows, more = [], MORE.get(claim, [])
    for result in results:
        try:
            rows += [row | _settings(result.run, more) for row in _rows(result)]
        except KeyError as error:
            raise CGNError(
                f"{result.folder} lacks {error} in its metrics or env.json: delete it, then "
                f"{result.run.command}"
            ) from error
    return _said(pd.DataFrame(rows, columns=columns(claim)), THIS, claim)


def _said(rows: pd.DataFrame, source: str, claim: str) -> pd.DataFrame:
    """The rows with who says them and for which claim; their values are numbers."""
    rows.insert(0, "source", source)
    rows.insert(1, "claim", claim)
    return rows.astype({"value": float})


def stacked(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames of different columns as one; what a frame does not say is empty, as it is on disk."""
    frames = [frame for frame in frames if len(frame)]
    every = list(dict.fromkeys(column for frame in frames for column in frame))
    return pd.concat(
        [frame.reindex(columns=every, fill_value="") for frame in frames], ignore_index=True
    )


def columns(claim: str) -> list[str]:
    """What the records of a claim say of each number."""
    return [*COLUMNS, *MORE.get(claim, [])]


def of_claim(frame: pd.DataFrame, claim: str) -> pd.DataFrame:
    """The rows of one claim's own runs, out of those of many."""
    grids = (experiments.grid(profile, claim) for profile in frame.profile.unique())
    return frame[frame.run.isin({run.id for runs in grids for run in runs})]


def read(claim: str, profile: str) -> pd.DataFrame:
    """The tracked records of a claim at a profile, in the form of `frame`; an empty table where
    none were made yet.

    Raises CGNError when the file is there but lacks a column.
    """
    path = path_of(claim, profile)
    wanted = columns(claim)
    rows = table(path, wanted) if path.exists() else pd.DataFrame(columns=wanted)
    return _said(rows, REFERENCE, claim)


@dataclass(frozen=True)
class Written:
    """A file, and its number of rows.

    kept: runs whose rows stay though they are not on this machine.  lost: runs whose rows went,
    since they are declared no more, or otherwise.
    """

    path: Path
    rows: int
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def write(profile: str) -> Iterator[Written]:
    """Write the records of every claim from the finished runs of a profile; says what it wrote.

    Rows of runs that are not on this machine stay as they are, as long as the run is still
    declared with the same spec; a run that was never done has no rows.  Rows that say the same as
    before stay with their dates.  Raises CGNError, before anything is written, for a damaged run.
    """
    made = [_updated(claim, profile) for claim in experiments.CLAIMS]
    run_of = {run.id: run for run in experiments.grid(profile)}
    asked = [run for run in run_of.values() if isinstance(run, experiments.PackagedRobustness)]
    whole = {
        run: decisions.read(runs.folder_of(run) / "decisions.csv")
        for run in asked
        if runs.is_done(run)
    }
    for written, rows in filter(None, made):
        part = written.path.with_suffix(".part")
        rows.to_csv(part, index=False, lineterminator="\n")
        part.replace(written.path)
        yield written
    for run, of in whole.items():
        path = decisions_of(run)
        path.parent.mkdir(exist_ok=True)
        decisions.write(path, of)
        yield Written(path, len(of))


def _updated(claim: str, profile: str) -> tuple[Written, pd.DataFrame] | None:
    """The rows of a claim as they are to be, and what changes; None where no run of it is done."""
    declared = {run.id: run.digest() for run in experiments.grid(profile, claim)}
    done = [run for run in experiments.grid(profile, claim) if runs.is_done(run)]
    if not done:
        return None
    old, made = read(claim, profile), frame((runs.load(run) for run in done), claim)
    current = old.run.map(declared) == old.spec
    here = set(made.run)
    settled = _settled(made, old)
    stays = current & (~old.run.isin(here) | old.run.isin(settled))
    rows = pd.concat(
        [f[columns(claim)] for f in (made[~made.run.isin(settled)], old[stays]) if len(f)]
    )
    rows = rows.sort_values("run", key=lambda c: c.map(list(declared).index), kind="stable")
    kept, lost = old.run[current & ~old.run.isin(here)], old.run[~current & ~old.run.isin(here)]
    path = path_of(claim, profile)
    return Written(path, len(rows), tuple(kept.unique()), tuple(lost.unique())), rows


def _settled(made: pd.DataFrame, old: pd.DataFrame) -> set[str]:
    """The runs of which the tracked rows say the same as those just made."""

    def said(frame: pd.DataFrame) -> dict[str, set]:
        of: dict[str, set] = {}
        for run, *numbers in frame[["run", "spec", "metric", "value", "n"]].itertuples(index=False):
            of.setdefault(run, set()).add(tuple(map(str, map(_number, numbers))))
        return of

    before = said(old)
    return {run for run, numbers in said(made).items() if before.get(run) == numbers}


def _number(said: object) -> object:
    try:
        return float(said)  # type: ignore[arg-type]
    except ValueError:
        return said


def decisions_of(run: experiments.Run) -> Path:
    """Where the tracked decisions of a run lie whose test images a reader may not have."""
    return paths.records() / "decisions" / f"{run.id}.csv"


def path_of(claim: str, profile: str) -> Path:
    """Where the tracked records of a claim lie."""
    return paths.records() / f"{claim}-{profile}.csv"


def _rows(result: Result) -> Iterator[dict]:
    run = result.run
    evaluated = run.settings.get("evaluated", result.metrics.get("explained_images", ""))
    shared = {
        "run": run.id,
        "variant": run.variant,
        "train_on": run.settings.get("train_on", ""),
        "removed": run.settings.get("ablation") or _left_out(run.behind),
        "generator": "" if run.behind is None else _named(run.behind),
        "seed": run.seed,
        "profile": run.profile,
        "spec": run.digest(),
        **{name: result.env[name] for name in ENVIRONMENT},
    }
    for metric, value in result.metrics.items():
        n = result.metrics.get(_count_of(metric), evaluated)
        if FOLLOWS in metric:
            # a share of the images whose cues differ; `following` did not count how many these are
            n = result.metrics.get("conflicting_images", "")
        yield shared | {
            "metric": metric,
            "value": value,
            "unit": UNITS.get(metric, "images" if metric.endswith("images") else "fraction"),
            "n": n,
        }


def _settings(run: experiments.Run, names: list[str]) -> dict:
    """Settings of a run or of the set that it learns from, by name."""
    of_set = run.needs["set"].settings if "set" in run.needs else {}
    return {name: (of_set | run.settings)[name] for name in names}


def _count_of(metric: str) -> str:
    """The name of the number of images behind a metric."""
    name = Measure.of(metric).what
    if name.endswith("_images"):
        return name
    if name.startswith(("shape_bias", "cue_")):
        return "cue_conflict_images"
    if name == "bg_gap":
        return "mixed_rand_images"
    if name.endswith(("_top1", "_top5")):
        return f"{name[:-5]}_images"
    return name.replace("accuracy", "images") if "accuracy" in name else f"{name}_images"


def _left_out(generator: experiments.Run | None) -> str:
    """The group of losses that a CGN of ImageNet or the menagerie went without."""
    return "" if generator is None else generator.settings.get("ablation", "")


def _named(generator: experiments.Run) -> str:
    """`published`, or how it was trained and with which seed."""
    if generator.name == "published":
        return generator.name
    return f"{'edge' if generator.name == 'edge' else 'trained'}-{generator.seed}"


def needed(claim: str, profile: str) -> pd.DataFrame:
    """What `read` gives, for a page that cannot do without.  Raises CGNError where it is empty."""
    rows = read(claim, profile)
    if rows.empty:
        raise CGNError(
            f"{path_of(claim, profile)} has no numbers: restore it with git checkout, or make it "
            f"with python -m cgnlib run --profile {profile} {claim}, then python -m cgnbook record "
            f"--profile {profile}"
        )
    return rows


def table(path: Path, columns: list[str], numbers: Set[str] = NUMBERS) -> pd.DataFrame:
    """A tracked file.  numbers: the columns that are no words.

    Raises CGNError where it cannot be read or lacks a column.
    """
    try:
        words = dict.fromkeys(set(columns) - numbers, str)
        rows = pd.read_csv(path, keep_default_na=False, dtype=words)
    except (OSError, ValueError) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): restore it with git checkout"
        ) from error
    if missing := [column for column in columns if column not in rows.columns]:
        raise CGNError(
            f"{path} lacks the column {missing[0]!r}: restore it with git checkout"
            + (
                ""
                if "spec" not in columns
                else ", or delete it and make it again with python -m cgnbook record"
            )
        )
    return rows
