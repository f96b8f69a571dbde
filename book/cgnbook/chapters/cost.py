"""What everything costs: benchmarks, the runs that were made, those that are declared."""

from collections.abc import Sequence

import pandas as pd

from cgnbook import cited, records, reported
from cgnbook.names import NONE
from cgnlib import experiments as e
from cgnlib import paths, runs
from cgnlib.errors import CGNError, reason
from cgnlib.experiments import Run, jobs, with_needs
from cgnlib.runs import Result

COLUMNS = [
    *("benchmark", "metric", "value", "unit", "n"),
    *("cores", "memory_gib", "device", "torch", "commit", "finished"),
]
ON_MNIST = ("claim-1-mnist", "claim-3-mnist", "edge-loss", "union-shares", "set-size")
# The study's items of work, and the claim of this book that has the same runs.
ITEMS = {
    "evaluating-samples": ("Samples of the MNIST CGNs", "claim-1-mnist"),
    "mnist-classification": ("MNIST classifiers", "claim-3-mnist"),
    "loss-ablation": ("Loss ablation", "claim-2"),
    "in-mini-classification": ("IN-mini classifiers", "claim-3-imagenet"),
    "cf-count": ("Number of counterfactuals", "set-size"),
    "improved-cgn-training": ("Retraining with the edge loss", "edge-loss"),
}


def benchmarks() -> pd.DataFrame:
    """The tracked record of `make bench`.  Raises CGNError where it lacks a column."""
    path = paths.records() / "benchmarks.csv"
    try:
        table = pd.read_csv(path)
        return table[[*COLUMNS, *(c for c in table.columns if c not in COLUMNS)]]
    except (OSError, KeyError, ValueError) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): `make bench` makes it") from error


def facts(measured: pd.DataFrame) -> dict[str, object]:
    """Every number of the text but `hours`: GiB, GPU hours.  measured: of `benchmarks`."""
    grown = growth(measured).values()
    value = measured.drop_duplicates("metric").set_index("metric").value
    million = measured[measured.benchmark == "A million images"].set_index("metric").value
    told = reported.table("compute", metric="gpu_hours")
    told = told.drop_duplicates("row").set_index("row").value.astype(float)
    return on_gpu() | {
        "machine": machine(measured),
        "growth-least": float(min(grown)),
        "growth-most": float(max(grown)),
        "peak": float(value["peak"]),
        "peak_bfloat16": float(value["peak_bfloat16"]),
        "told-total-1080-ti": float(told["total-1080-ti"]),
        "told-total-lisa": float(told["total-lisa"]),
        "one-training": float(told["cgn-training-imagenet-other-settings"]),
        "million-private": float(million["private"]),
        "million-on_disk": float(million["on_disk"]),
        "million-peak": float(million["private"] + million["mapped"]),
    }


def told(measured: pd.DataFrame) -> dict[str, cited.Number]:
    """`facts`, each with where it is from."""
    row, table = measured.iloc[0], "gpu_hours in reported.csv, table compute"
    bench = {"who": f"Benchmarked on {machine(measured)}", "rows": "benchmarks.csv"}
    bench |= {"command": "make bench", "scale": f"finished {row.finished[:10]} at {row.commit}"}
    study = {"who": "Study", "rows": table}
    ran = {"who": records.TRAINED, "rows": f"seconds and finished in {', '.join(ON_MNIST)}"}
    ran |= {"command": "python -m cgnlib run --profile full all"}
    whose = {"told": study, "one": study, "gpu": ran}
    return {
        name: cited.Number(fact, [whose.get(name.partition("-")[0], bench)])
        for name, fact in facts(measured).items()
    }


def machine(measured: pd.DataFrame) -> str:
    """Where the benchmarks ran, in a line."""
    row = measured.iloc[0]
    return f"{row.cores} cores of {row.device}, {row.memory_gib} GiB, torch {row.torch}"


def made_by() -> str:
    """What stands behind the benchmarks, for the box under a figure or table."""
    row = benchmarks().iloc[0]
    return (
        f"`make bench`, on {row.finished[:10]} at commit {row.commit}: {machine(benchmarks())}; "
        "`book/records/benchmarks.csv`"
    )


def fast_paths(measured: pd.DataFrame) -> pd.DataFrame:
    """A row for each piece of work: images a second, ratio, share of the peak."""
    of = measured.pivot_table("value", "benchmark", "metric", sort=False)
    of = of[of["ratio"].notna()]
    return pd.DataFrame(
        {
            "Work": of.index,
            "Plain": [_rate(v) for v in of["plain_rate"]],
            "Fast": [_rate(v) for v in of["fast_rate"]],
            "Ratio": [_ratio(v) for v in of["ratio"]],
            "In one process": [_ratio(v) for v in of["ratio_alone"]],
            "Peak GiB": [f"{a:.1f} to {b:.1f}" for a, b in zip(of.plain_peak, of.fast_peak,
                                                              strict=True)],
            "Of the peak": [NONE if pd.isna(v) else f"{v:.0%}" for v in of["peak_share"]],
        }
    )  # fmt: skip


def reached(measured: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The targets that were reached, and those that were not: of speed, and some of memory."""
    of = measured.pivot_table("value", "benchmark", "metric", sort=False).dropna(subset="ratio")
    memory = of.dropna(subset="memory_target")
    done = dict(of["ratio"] >= of["target"])
    done |= {
        f"{name} (memory)": ok
        for name, ok in (memory["memory_ratio"] <= memory["memory_target"]).items()
    }
    return [name for name, ok in done.items() if ok], [n for n, ok in done.items() if not ok]


def growth(measured: pd.DataFrame) -> dict[str, float]:
    """By piece of work: time for the largest of three sizes over that for the smallest, divided by
    the ratio of sizes.  1 is linear."""
    found = {}
    for name, rows in _timed(measured).items():
        first, last = rows.iloc[0], rows.iloc[-1]
        found[name] = (last.value / first.value) / (last.n / first.n)
    return found


def _timed(measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The seconds of what was timed at several sizes, from the smallest on."""
    by = measured[measured.metric == "seconds"].groupby("benchmark", sort=False)
    return {name: rows.sort_values("n") for name, rows in by}


def with_results(results: Sequence[Result]) -> list[Result]:
    """The results, and those of every run that they needed, once each."""
    return [runs.load(run) for run in with_needs(r.run for r in results)]


def by_kind(results: Sequence[Result]) -> pd.DataFrame:
    """The core minutes that the finished runs took, by kind, the dearest first."""
    rows = [{"Kind": r.run.kind, "s": r.env["seconds"], "mb": r.env.get("peak_memory_mb")}
            for r in with_results(results)]  # fmt: skip
    table = (
        pd.DataFrame(rows)
        .groupby("Kind")
        .agg(Runs=("s", "size"), s=("s", "sum"), longest=("s", "max"), mb=("mb", "max"))
    )
    table = table.sort_values("s", ascending=False).reset_index()
    return pd.DataFrame(
        {
            "Kind": table["Kind"],
            "Runs": table["Runs"],
            "Core minutes": [f"{s / 60:.1f}" for s in table["s"]],
            "Longest, s": [f"{s:.0f}" for s in table["longest"]],
            "Peak GiB": [NONE if pd.isna(mb) else f"{mb / 1024:.1f}" for mb in table["mb"]],
        }
    )


def hours(results: Sequence[Result]) -> dict[str, float]:
    """Core hours that the runs, with all they needed, took, and that `jobs` expected of them."""
    done = with_results(results)
    expected = sum(jobs.expected_seconds(r.run) for r in done)
    return {"taken": sum(r.env["seconds"] for r in done) / 3600, "expected": expected / 3600}


def on_gpu(profile: str = "full") -> dict[str, str | float]:
    """The recorded runs on MNIST that were made on a GPU: on which, how many, and the minutes from
    the start of the first to the end of the last."""
    every = pd.concat([records.needed(claim, profile) for claim in ON_MNIST])
    of = every[~every.device.str.contains("CPU")].drop_duplicates("run")
    ended = pd.to_datetime(of.finished)
    began = ended - pd.to_timedelta(of.seconds.astype(float), unit="s")
    took = (ended.max() - began.min()).total_seconds() / 60
    return {"gpu": of.device.mode()[0], "gpu-runs": len(of), "gpu-minutes": took}


def plans() -> pd.DataFrame:
    """What each profile should cost, by `jobs`: the sum, and what no machine can shorten."""
    rows = []
    for name in e.PROFILES:
        declared = with_needs(e.grid(name))
        core, gpu = _expected(declared, on_gpu=False), _expected(declared, on_gpu=True)
        rows.append(
            {
                "Profile": name,
                "Runs": len(declared),
                "Core hours": f"{core:.1f}",
                "GPU hours": f"{gpu:.0f}" if gpu else NONE,
                "On two cores": NONE if gpu else _hours(core / 2),
                "On a cluster, at least": _hours(max(jobs.chains(declared).values()) / 3600),
            }
        )
    return pd.DataFrame(rows)


def beside_study() -> pd.DataFrame:
    """The study's GPU hours by item, and what the same claim of `paper` and `full` should take."""
    told = reported.table("compute", metric="gpu_hours", source="article").set_index("row")
    hours = told.value.astype(float)
    rows = [
        {"Work": words, "Study, GPU h": f"{hours[item]:g}"} | _ours(claim)
        for item, (words, claim) in ITEMS.items()
    ]
    both = f"{hours['total-1080-ti']:g} + {hours['improved-cgn-training']:g}"
    return pd.DataFrame([*rows, {"Work": "Whole profile", "Study, GPU h": both} | _ours("all")])


def _ours(claim: str) -> dict[str, str]:
    """Hours of the runs of `paper` on a GPU, and of those of both profiles on cores."""
    paper, full = (with_needs(e.grid(name, claim)) for name in ("paper", "full"))
    found = {
        "paper, GPU h": _expected(paper, on_gpu=True),
        "paper, core h": _expected(paper, on_gpu=False),
        "full, core h": _expected(full, on_gpu=False),
    }
    return {column: f"{of:.0f}" if of else NONE for column, of in found.items()}


def _expected(declared: Sequence[Run], on_gpu: bool) -> float:
    """Expected hours of the runs that ask for a GPU, or of those that do not."""
    return sum(jobs.expected_seconds(r) for r in declared if r.asks_for_gpu == on_gpu) / 3600


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _hours(hours: float) -> str:
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"
