"""The table of decisions: a row for each image and subject; every number of claim 3 is read off it.

The columns are those of the raw data of texture-vs-shape and model-vs-human, so that humans and
models published there are read by the same function.  Ours may follow: `rank`, the place of the
true category among the ordered answers (1 is the best); `texture` and `background`, the
categories of the other cues where the image's name does not tell.
"""

import csv
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from cgnlib.errors import CGNError, ending, reason

COLUMNS = (
    *("subj", "session", "trial", "rt", "object_response", "category", "condition"),
    "imagename",
)
EXTRA = ("rank", "texture", "background")
NUMBERS = {"session": np.int64, "trial": np.int64, "rank": np.int64, "rt": np.float64}
PART = ".part"  # what the file is called until it is whole
TEXTURE = re.compile(r".*-([a-z]+)\d+\.\w+")  # `bicycle` in `car1-bicycle12.png`
Z = NormalDist().inv_cdf(0.975)  # of a 95 % interval


@dataclass(frozen=True)
class Table:
    """columns: by name, arrays [N]; words as str, session, trial and rank int64, rt float64."""

    columns: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        if missing := [name for name in COLUMNS if name not in self.columns]:
            raise ValueError(f"a table of decisions lacks {', '.join(missing)}")
        if len({len(column) for column in self.columns.values()}) != 1:
            raise ValueError("the columns of a table of decisions differ in length")
        if "rank" in self.columns and (self.columns["rank"] < 1).any():
            raise ValueError("a rank is below 1, the best place")

    def __len__(self) -> int:
        return len(self.columns["subj"])

    def __getitem__(self, name: str) -> np.ndarray:
        """A column.  Raises CGNError where there is none of that name."""
        if name not in self.columns:
            raise CGNError(f"these decisions have no column {name!r}: evaluate the images again")
        return self.columns[name]

    def where(self, subj: str | None = None, condition: str | None = None) -> "Table":
        """The rows of a subject, of a condition, or of both.  Raises CGNError for no row."""
        chosen = self
        for name, value in (("subj", subj), ("condition", condition)):
            if value is not None:
                keep = chosen[name] == value
                if not keep.any():
                    known = ", ".join(sorted(set(chosen[name].tolist())))
                    raise CGNError(f"no decision has the {name} {value!r}: choose {known}")
                chosen = chosen.rows(keep)
        return chosen

    def rows(self, keep: np.ndarray) -> "Table":
        """Some rows: by a mask [N], or by their indices."""
        return Table({name: column[keep] for name, column in self.columns.items()})


def build(
    subj: str,
    condition: str,
    images: Sequence[str],
    categories: Sequence[str],
    responses: Sequence[str],
    session: int = 1,
    rank: Sequence[int] | None = None,
    texture: Sequence[str] | None = None,
    background: Sequence[str] | None = None,
) -> Table:
    """The decisions of one subject in one condition, in order; trials count from 1, no times.

    Raises ValueError where the lists differ in length or a rank is below 1.
    """
    n = len(images)
    extra = {"rank": rank, "texture": texture, "background": background}
    values = {
        "subj": [subj] * n,
        "session": [session] * n,
        "trial": range(1, n + 1),
        "rt": [math.nan] * n,
        "object_response": responses,
        "category": categories,
        "condition": [condition] * n,
        "imagename": images,
    } | {name: given for name, given in extra.items() if given is not None}
    return Table({name: _array(name, list(given)) for name, given in values.items()})


def join(tables: Iterable[Table]) -> Table:
    """One table under the other.  Raises ValueError where they have different columns."""
    tables = list(tables)
    if not tables or len({frozenset(table.columns) for table in tables}) != 1:
        raise ValueError("tables of decisions are joined where they have the same columns")
    names = tables[0].columns
    return Table({name: np.concatenate([t[name] for t in tables]) for name in names})


def write(path: Path, table: Table) -> None:
    """Write the table as CSV, by rename: whole or not at all."""
    path = Path(path)
    names = [name for name in (*COLUMNS, *EXTRA) if name in table.columns]
    values = {name: table[name].tolist() for name in names}
    values["rt"] = ["NaN" if math.isnan(rt) else rt for rt in values["rt"]]
    part = path.with_name(path.name + PART)
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*values.values(), strict=True))
    os.replace(part, path)


def read(path: Path) -> Table:
    """A table of decisions, ours or a published one; other columns are left out.

    Column names are taken in any case (some published files have `Session`).  A response `na` is
    kept, as an answer that fits no category.  Raises CGNError for a file that is missing, lacks a
    column, is cut off in a row or has a word where a number belongs.
    """
    path = Path(path)
    try:
        with ending(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, ValueError, csv.Error) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): make or fetch it again"
        ) from error
    if missing := [name for name in COLUMNS if name not in header]:
        raise CGNError(f"{path} lacks the columns {', '.join(missing)}: its first line names them")
    for line, row in rows:
        if len(row) != len(header):
            raise CGNError(
                f"{path}, line {line} has {len(row)} fields and not {len(header)}: "
                "the file was cut off or edited; make or fetch it again"
            )
    columns = {name: [row[i] for _, row in rows] for i, name in enumerate(header)}
    names = [name for name in (*COLUMNS, *EXTRA) if name in header]
    try:
        return Table({name: _array(name, columns[name]) for name in names})
    except (ValueError, OverflowError) as error:
        raise CGNError(f"{path} has a field that does not fit: {reason(error)}") from error


def top1(table: Table) -> float:
    """The share of right decisions.  Raises ValueError for none."""
    return _share(table["object_response"] == table["category"])


def top5(table: Table) -> float:
    """The share of images whose true category is among the five best answers.

    Raises CGNError where the table has no ranks, ValueError for no decision.
    """
    return _share(table["rank"] <= 5)


def bg_gap(table: Table) -> float:
    """The accuracy on mixed_same less that on mixed_rand, -1...1.

    Raises CGNError where a condition is missing, ValueError where they differ in size.
    Source: Xiao et al. 2021; CGN paper, table of backgrounds.
    """
    same, rand = (table.where(condition=name) for name in ("mixed_same", "mixed_rand"))
    if len(same) != len(rand):
        raise ValueError(f"{len(same)} images of mixed_same and {len(rand)} of mixed_rand")
    return top1(same) - top1(rand)


class ShapeBias(NamedTuple):
    """value: n_shape / (n_shape + n_texture), with its 95 % interval; n: images with a conflict."""

    value: float
    low: float
    high: float
    n_shape: int
    n_texture: int
    n: int


def shape_bias(table: Table) -> ShapeBias:
    """How often the shape decides where either cue does, 0...1; same-category images are dropped.

    Decisions for neither cue count in n alone.  The interval is Wilson's.  Raises ValueError where
    no decision follows a cue, CGNError where textures are unknown.  Source: Geirhos et al. 2019.
    """
    shape, texture = table["category"], textures(table)
    decided = table["object_response"]
    conflict = shape != texture
    n_shape = int((conflict & (decided == shape)).sum())
    n_texture = int((conflict & (decided == texture)).sum())
    if not n_shape + n_texture:
        raise ValueError("no decision follows either cue; shape bias is undefined")
    low, high = wilson(n_shape, n_shape + n_texture)
    value = n_shape / (n_shape + n_texture)
    return ShapeBias(value, low, high, n_shape, n_texture, int(conflict.sum()))


def cue_shares(table: Table) -> dict[str, float]:
    """The shares of decisions for shape, texture, background (where known) and neither.

    Images of which two cues agree are dropped, so that the shares sum to 1.  Raises ValueError
    where none is left.
    """
    cues = {"shape": table["category"], "texture": textures(table)}
    if "background" in table.columns and (table["background"] != "").any():
        cues["background"] = table["background"]
    conflict = np.all([a != b for a, b in combinations(cues.values(), 2)], axis=0)
    decided = table["object_response"]
    hits = {name: (decided == cue)[conflict] for name, cue in cues.items()}
    hits["neither"] = ~np.any(list(hits.values()), axis=0)
    return {name: _share(hit) for name, hit in hits.items()}


def textures(table: Table) -> np.ndarray:
    """The category of each image's texture, [N] of str.

    It is the column `texture`, else the letters behind the last `-` of a stimulus' name:
    `bicycle` in `0001_s5n_dnn_0_airplane_00_airplane1-bicycle2.png`.  Raises CGNError where
    neither tells.
    """
    if "texture" in table.columns:
        return table["texture"]
    found = []
    for name in table["imagename"].tolist():
        if not (match := TEXTURE.fullmatch(name)):
            raise CGNError(f"the image name {name!r} tells no texture: add a column texture")
        found.append(match[1])
    return _array("texture", found)


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share of k in n, inside 0...1.  Raises ValueError for n = 0."""
    if not 0 <= k <= n or not n:
        raise ValueError(f"{k} of {n} is no share")
    centre = (k + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * math.sqrt(k * (n - k) / n + Z**2 / 4)
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def _share(hits: np.ndarray) -> float:
    if not len(hits):
        raise ValueError("there is no decision to count; the share is undefined")
    return float(hits.mean())


def _array(name: str, values: Sequence) -> np.ndarray:
    if name == "rt":  # R writes NA, and some files leave the field empty
        values = ["nan" if str(value).strip().lower() in ("", "na") else value for value in values]
    return np.array(values, dtype=NUMBERS.get(name, np.str_))
