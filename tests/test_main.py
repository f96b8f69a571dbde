"""The command line: what it prints, and its exit codes."""

import subprocess
import sys

import pytest

from cgnlib import __version__, experiments, runs
from cgnlib.__main__ import main
from cgnlib.errors import CGNError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty CGN_RUNS; nothing is computed here, whatever happens."""

    def refuse(*_):
        raise AssertionError("this would compute")

    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(runs, "_compute", refuse)
    return tmp_path / "runs"


def expected(*claims, profile="mini"):
    wanted = [run for claim in claims for run in experiments.grid(profile, claim)]
    return [run.id for run in experiments.with_needs(wanted)]


def listed(out):
    *lines, summary = out.splitlines()
    return [line.split() for line in lines], summary


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_list_shows_every_run_of_a_profile(profile, capsys, folder):
    assert main(["list", "--profile", profile]) == 0
    lines, summary = listed(capsys.readouterr().out)
    ids = expected("all", profile=profile)
    assert lines == [["-", run_id] for run_id in ids]
    assert summary == f"0 of {len(ids)} done in {folder / profile}"
    assert not folder.exists()


def test_list_says_what_is_done(capsys, monkeypatch):
    monkeypatch.setattr(runs, "is_done", lambda run: run.kind == "gan")
    assert main(["list", "claim-3-mnist"]) == 0
    lines, summary = listed(capsys.readouterr().out)
    assert {run_id.split("-")[0] for state, run_id in lines if state == "done"} == {"gan"}
    assert summary.startswith("3 of ")


@pytest.mark.parametrize(
    ("what", "claims"), [(["all"], ["all"]), (["claim-1-mnist"], ["claim-1-mnist"])]
)
def test_a_dry_run_prints_the_plan_and_computes_nothing(what, claims, capsys, folder):
    assert main(["run", "--dry-run", *what]) == 0
    lines, _ = listed(capsys.readouterr().out)
    assert [run_id for _, run_id in lines] == expected(*claims) and not folder.exists()


def test_a_run_comes_with_its_needs(capsys):
    assert main(["run", "--dry-run", "evaluation-wildlife-g0-s0"]) == 0
    lines, _ = listed(capsys.readouterr().out)
    ids = [run_id for _, run_id in lines]
    assert ids[-1] == "evaluation-wildlife-g0-s0" and "cgn-wildlife-s0" in ids and len(ids) == 4


def test_run_computes_what_is_asked_with_the_workers_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(runs, "ensure", lambda r, workers: asked.append((r, workers)) or r)
    assert main(["run", "--workers", "3", "gan-colored-s0", "claim-1-mnist"]) == 0
    (chosen, workers), *rest = asked
    ids = [run.id for run in experiments.grid("mini", "claim-1-mnist")]
    assert [run.id for run in chosen] == ["gan-colored-s0", *ids] and workers == 3 and not rest
    assert capsys.readouterr().out.startswith(f"{len(chosen)} runs are done")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--profile", "tiny"],
        ["list", "claim-9"],
        ["run", "--dry-run", "cgn-colored-s99"],
        ["run", "--profile", "tiny", "all"],
        ["run", "claim-9"],
        ["record", "--profile", "tiny"],
    ],
)
def test_an_unknown_name_is_one_line_and_exit_code_1(arguments, capsys):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: unknown ") and not captured.out
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")


def test_a_failed_run_is_one_line_and_exit_code_1(monkeypatch, capsys):
    def fail(*_):
        raise CGNError("the disk is full: free space")

    monkeypatch.setattr(runs, "ensure", fail)
    assert main(["run", "all"]) == 1
    assert capsys.readouterr().err == "error: the disk is full: free space\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["walk"],
        ["run"],
        ["list", "--prof"],
        ["run", "--workers", "two", "all"],
        ["run", "--workers", "0", "all"],
        ["run", "--workers", "-1", "all"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_code_2(arguments, capsys, monkeypatch):
    monkeypatch.setattr(runs, "ensure", lambda *_: [])
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage:")


def test_record_says_what_it_wrote(capsys, monkeypatch):
    from cgnlib.report import records

    monkeypatch.setattr(records, "write", lambda profile: [(f"claim-{profile}.csv", 7)])
    assert main(["record", "--profile", "full"]) == 0
    assert capsys.readouterr().out == "claim-full.csv: 7 rows\n"


def test_help_shows_examples_and_commands():
    command = [sys.executable, "-m", "cgnlib", "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "examples:" in out and "python -m cgnlib run claim-3-mnist" in out
    assert all(name in out for name in ("list", "run", "record", "bench"))


def test_every_example_of_the_help_is_right_usage(monkeypatch, capsys):
    from cgnlib.__main__ import EXAMPLES
    from cgnlib.report import records

    monkeypatch.setattr(runs, "ensure", lambda r, workers: r)
    monkeypatch.setattr(records, "write", lambda profile: [])
    lines = [line.split("python -m cgnlib ")[1] for line in EXAMPLES.splitlines()[1:]]
    for line in lines:
        assert main(line.split("   ")[0].split()) == 0, line
    assert len(lines) >= 5


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == f"{__version__}\n"
