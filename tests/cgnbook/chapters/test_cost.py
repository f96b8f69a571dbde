"""Costs: tables of the benchmarks' record, of runs that were made and of those declared."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from cgnbook.chapters import cost
from cgnlib import experiments, paths
from cgnlib.errors import CGNError
from cgnlib.experiments import jobs


def record(**rows):
    """Benchmarks by name: {metric: value}, or a list of (n, seconds)."""
    lines = []
    for name, values in rows.items():
        if isinstance(values, dict):
            lines += [(name, metric, value, "", None) for metric, value in values.items()]
        else:
            lines += [(name, "seconds", seconds, "s", n) for n, seconds in values]
    table = pd.DataFrame(lines, columns=["benchmark", "metric", "value", "unit", "n"])
    return table.assign(cores=2, memory_gib=24, device="a CPU", torch="2")


RATES = {"plain_rate": 10.0, "plain_peak": 1.0, "fast_peak": 0.5, "ratio_alone": 1.5}


def test_targets_are_reached_from_the_number_on():
    measured = record(
        a=RATES | {"fast_rate": 20.0, "ratio": 2.0, "target": 2.0, "peak_share": 0.25},
        b=RATES | {"fast_rate": 19.0, "ratio": 1.9, "target": 2.0},
        c=[(1, 1.0), (4, 4.0)],
        d=RATES
        | {"fast_rate": 30.0, "ratio": 3.0, "target": 2.0}
        | {"memory_ratio": 0.75, "memory_target": 0.75},
        e=RATES
        | {"fast_rate": 30.0, "ratio": 3.0, "target": 2.0}
        | {"memory_ratio": 0.76, "memory_target": 0.75},
    )
    reached = cost.reached(measured)
    assert reached == (["a", "d", "e", "d (memory)"], ["b", "e (memory)"])
    table = cost.fast_paths(measured)
    assert list(table["Work"]) == ["a", "b", "d", "e"]
    assert list(table["Ratio"]) == ["2.00", "1.90", "3.00", "3.00"]
    assert set(table["In one process"]) == {"1.50"}
    assert list(table["Of the peak"]) == ["25%", "–", "–", "–"]


@pytest.mark.parametrize(("times", "expected"), [((2, 4, 8), 1.0), ((2, 8, 32), 4.0)])
def test_growth_is_one_where_time_follows_size(times, expected):
    measured = record(work=list(zip((10, 20, 40), times, strict=True)))
    assert cost.growth(measured) == {"work": expected}


def test_plans_name_every_profile_and_grow():
    table = cost.plans().set_index("Profile")
    assert list(table.index) == list(experiments.PROFILES)
    hours = table["Core hours"].astype(float)
    assert hours["mini"] < hours["full"] and table.loc["paper", "GPU hours"] != "–"
    assert table.loc["mini", "GPU hours"] == table.loc["full", "GPU hours"] == "–"


def test_every_reported_item_stands_beside_ours():
    table = cost.beside_study()
    told = cost.reported.table("compute", metric="gpu_hours", source="article")
    items = set(told.row) - {"total-1080-ti", "cgn-training-imagenet-other-settings"}
    assert items == cost.ITEMS.keys() and len(table) == len(items) + 1
    hours = table["Study, GPU h"].iloc[:-1].astype(float)
    assert hours.sum() == 112 + 48  # so no row is a part of another
    assert table.iloc[-1]["Study, GPU h"] == "112 + 48"


def test_a_record_without_a_column_is_one_error(tmp_path, monkeypatch):
    (tmp_path / "benchmarks.csv").write_text("benchmark,metric\na,ratio\n")
    monkeypatch.setattr(paths, "records", lambda: tmp_path)
    with pytest.raises(CGNError, match="make bench"):
        cost.benchmarks()


def test_hours_that_runs_took_beside_those_expected(monkeypatch):
    run = experiments.grid("mini", "claim-1-mnist")[0]
    done = SimpleNamespace(run=run, env={"seconds": 7200})
    monkeypatch.setattr(cost, "with_results", lambda results: [done, done])
    of = cost.hours([done])
    assert of == {"taken": 4, "expected": 2 * jobs.expected_seconds(run) / 3600}


def test_every_number_of_the_text_is_there():
    text = (paths.ROOT / "book/18_cost.md").read_text()
    found = cost.facts(cost.benchmarks()).keys() | {"taken", "expected"}
    assert set(re.findall(r"{glue:text}`([\w-]+)", text)) == found
