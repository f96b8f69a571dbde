"""What the mechanisms keep apart, and where the heads look: tables and figures from records."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from cgnbook import boxes
from cgnbook.drawing import STYLE, arrays_of, tile
from cgnbook.names import CLASSIFIERS, NAMES, NONE, REMOVED, SUBJECTS
from cgnbook.tables import bare_spread, pct
from cgnlib.counterfactuals.draws import MECHANISMS
from cgnlib.runs import Result

WORLDS = NAMES | {"menagerie": "Menagerie"}


def sources(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The metrics of each source of images, by the id of its run."""
    rows = frame[frame.run.str.startswith("disentanglement")]
    return {
        run: dict(zip(group.metric, group.value.astype(float), strict=True))
        | {"variant": group.variant.iloc[0], "name": _name(group.iloc[0])}
        for run, group in rows.groupby("run", sort=False)
    }


def shares(frame: pd.DataFrame) -> dict[str, float]:
    """Of the first CGN of each world: disentanglement as a share of the renderer's."""
    found, truth = {}, {}
    for m in sources(frame).values():
        if m["name"] == "the renderer":
            truth[m["variant"]] = m["disentanglement"]
        elif m["variant"] in truth:
            found.setdefault(m["variant"], m["disentanglement"] / truth[m["variant"]])
    return found


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Control, leak and their difference, in percent; the renderer first in each world."""
    return pd.DataFrame(
        {
            "Data": WORLDS[m["variant"]],
            "Images of": m["name"],
            "Control": pct(m["control"]),
            "Leak": pct(m["leak"]),
            "Difference": pct(m["disentanglement"]),
        }
        for m in sources(frame).values()
    )


def diversity(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean difference of two draws of one class, in percent of the renderer's; by mechanism."""
    rows, truth = [], {}
    for m in sources(frame).values():
        if m["name"] == "the renderer":
            truth = m
            continue
        row = {"Data": WORLDS[m["variant"]], "Images of": m["name"]}
        for name in MECHANISMS:
            known = truth[f"diversity_{name}"]
            row[name.capitalize()] = (
                f"{100 * m[f'diversity_{name}'] / known:.0f}" if known else NONE
            )
        rows.append(row)
    return pd.DataFrame(rows)


def facts(frame: pd.DataFrame) -> dict[str, float]:
    """What the text says of the CGNs of a run, in percent.

    diagonal: the least that an exchanged class changes of its own factor, over the first CGNs of
    all worlds.  into-shape: the share of the other changes that the reader of shape sees.
    variety-least, variety-most: how much their shapes vary, of the renderer's.
    """
    first, variety, truth = {}, [], {}
    for m in sources(frame).values():
        if m["name"] == "the renderer":
            truth = m
            continue
        first.setdefault(m["variant"], m)
        variety.append(m["diversity_shape"] / truth["diversity_shape"])
    cells = {
        (a, b): [m[f"moved_{a}_{b}"] for m in first.values() if f"moved_{a}_{b}" in m]
        for a in MECHANISMS
        for b in MECHANISMS
    }
    leaks = {pair: sum(values) for pair, values in cells.items() if pair[0] != pair[1]}
    into_shape = sum(of for (_, read), of in leaks.items() if read == "shape")
    return {
        "diagonal": 100 * min(v for m in MECHANISMS for v in cells[m, m]),
        "into-shape": 100 * into_shape / sum(leaks.values()),
        "variety-least": 100 * min(variety),
        "variety-most": 100 * max(variety),
    }


def matrices(frame: pd.DataFrame) -> boxes.Shown:
    """Share of readings that an exchanged class changes: the renderer above, a CGN below."""
    found = sources(frame)
    shown = []
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(2, len(WORLDS), figsize=(9.2, 4.6), layout="constrained")
        for column, (variant, title) in zip(axes.T, WORLDS.items(), strict=True):
            pair = [run for run, m in found.items() if m["variant"] == variant][:2]
            shown += pair
            for axis, m in zip(column, map(found.get, pair), strict=True):
                values = [
                    [100 * m.get(f"moved_{a}_{b}", np.nan) for b in MECHANISMS] for a in MECHANISMS
                ]
                sns.heatmap(
                    values, vmin=0, vmax=100, annot=True, fmt=".0f", cmap="cividis", ax=axis,
                    cbar=False, linewidths=1, square=True,
                    xticklabels=MECHANISMS, yticklabels=MECHANISMS,
                )  # fmt: skip
                axis.tick_params(axis="x", rotation=35)
                left = axis in axes[:, 0]
                axis.tick_params(axis="y", rotation=0, left=left, labelleft=left)
            column[0].set_title(title)
        axes[0, 0].set_ylabel("renderer:\nmechanism")
        axes[1, 0].set_ylabel("CGN:\nmechanism")
    return boxes.show("matrices", frame[frame.run.isin(shown)])


def interventions(results: Sequence[Result], n: int = 6) -> boxes.Shown:
    """The same scenes with another shape, texture or background: a block for each CGN."""
    cgns = [r for r in results if r.run.kind == "disentanglement" and r.run.name != "truth"]
    first = {r.run.variant: r for r in reversed(cgns)}
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9, 4.6), layout="constrained")
        rows = ("base", *MECHANISMS)
        for axis, (variant, title) in zip(axes.flat, WORLDS.items(), strict=True):
            arrays = arrays_of(first[variant])
            x = np.stack([arrays[name][:n] for name in rows])
            tile(axis, x)
            side = x.shape[2] + 2
            labels = ("scene", *(f"new {name}" for name in MECHANISMS))
            axis.set_yticks(np.arange(4) * side + side / 2, labels)
            axis.tick_params(length=0)
            axis.set_title(title)
        figure.get_layout_engine().set(w_pad=0.12)
    return boxes.show("interventions", first.values())


def points(scores: pd.DataFrame, classifiers: pd.DataFrame) -> pd.DataFrame:
    """Of each MNIST CGN: disentanglement as a share of the renderer's, and the mean test accuracy
    of the classifiers that learned from its counterfactuals alone."""
    rows, found = [], sources(scores)
    truth = {m["variant"]: m["disentanglement"] for m in found.values()
             if m["name"] == "the renderer"}  # fmt: skip
    for run, m in found.items():
        if m["name"] == "the renderer":
            continue
        at = scores[scores.run == run].iloc[0]
        of = classifiers[
            (classifiers.variant == at.variant)
            & (classifiers.generator == at.generator)
            & (classifiers.train_on == "cgn")
            & (classifiers.metric == "test_accuracy")
        ].value.astype(float)
        if len(of):
            share = m["disentanglement"] / truth[at.variant]
            rows.append({"variant": at.variant, "name": m["name"], "share": share, "n": len(of),
                         "accuracy": of.mean()})  # fmt: skip
    return pd.DataFrame(rows, columns=["variant", "name", "share", "n", "accuracy"])


def association(
    found: pd.DataFrame, draws: int = 20_000, seed: int = 0
) -> tuple[dict[str, float], float]:
    """Rank correlation of disentanglement and accuracy over the CGNs of each variant, and how
    often chance gives as much.

    found: `points`.  The second number is the share of draws, accuracies exchanged among the CGNs
    of one variant and one recipe, whose correlations within these groups sum to as much or more:
    a recipe may move both, and so may a variant.  Groups of fewer than three CGNs are left out.
    """
    rng, seen, drawn = np.random.default_rng(seed), 0.0, np.zeros(draws)
    recipe = found.name.str.replace(r" \d+$", "", regex=True)
    for _, of in found.groupby([found.variant, recipe], sort=False):
        if len(of) > 2:
            x, y = _ranks(of)
            seen += (x * y).mean()
            drawn += (rng.permuted(np.tile(y, (draws, 1)), axis=1) * x).mean(1)
    chance = (1 + (drawn >= seen - 1e-9).sum()) / (1 + draws)
    rhos = {}
    for variant, of in found.groupby("variant", sort=False):
        if len(of) > 2:
            x, y = _ranks(of)
            rhos[variant] = float((x * y).mean())
    return rhos, float(chance)


def _ranks(of: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The ranks on both axes, with mean 0 and deviation 1."""
    x, y = (of[axis].rank().to_numpy() for axis in ("share", "accuracy"))
    return tuple((v - v.mean()) / v.std() for v in (x, y))


def scatter(frames: dict[str, pd.DataFrame], *sources: boxes.Source) -> boxes.Shown:
    """Robustness over disentanglement: a mark for each CGN.  frames: `points`, by their source.

    Hollow marks: the published CGNs.
    """
    colours = dict(zip(NAMES, ("#0072B2", "#E69F00", "#009E73"), strict=True))
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(8.2, 4.2), layout="constrained")
        for (source, frame), mark in zip(frames.items(), "o^", strict=True):
            for variant, of in frame.groupby("variant", sort=False):
                label = f"{NAMES[variant]}, {source}"
                for published, part in of.groupby(of.name.str.contains("published")):
                    fill = "none" if published else None
                    axis.plot(100 * part.share, 100 * part.accuracy, mark, ms=8, mfc=fill, mew=1.6,
                              color=colours[variant], label=label)  # fmt: skip
                    label = None  # once in the legend
        axis.margins(0.08)
        axis.grid(alpha=0.25)
        axis.set_xlabel("disentanglement, % of the renderer's")
        axis.set_ylabel("test accuracy, %")
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return boxes.show("scatter", *sources)


def heads(frame: pd.DataFrame, layer: str = "fine") -> pd.DataFrame:
    """Heat inside the object and how well it ranks the object's pixels, in percent, by head."""
    rows = []
    for train_on, name in CLASSIFIERS.items():
        mine = frame[frame.train_on == train_on]
        for subject in ("plain", "shape", "texture", "bg", "avg"):
            of = {
                m: mine[mine.metric == f"{layer}/{subject}/{m}"].value.astype(float)
                for m in ("heat_inside", "heat_inside_swapped", "average_precision")
            }
            if len(of["heat_inside"]):
                cells = [bare_spread(values) for values in of.values()]
                row = {"Trained on": name, "Who decides": SUBJECTS[subject]}
                rows.append(row | dict(zip(("Inside", "Swapped", "AP"), cells, strict=True)))
    return pd.DataFrame(rows)


def _name(row: pd.Series) -> str:
    if "-truth-" in row.run:
        return "the renderer"
    if row.variant == "menagerie":
        return f"CGN, left out: {REMOVED[row.removed]}"
    return f"CGN, {row.generator.replace('-', ' ')}"
