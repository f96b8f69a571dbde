"""How commands end: an exit status, and a line for what a user can mend."""

import json
import os
import signal
import subprocess
import sys

import pytest

import download
from cgnlib.counterfactuals.folder import read_spec
from cgnlib.data.pictures import read_image
from cgnlib.data.sources import sha256
from cgnlib.errors import CGNError, ended, ending
from cgnlib.experiments import find
from cgnlib.experiments.jobs import is_finished
from cgnlib.measures import decisions
from cgnlib.paths import ROOT
from cgnlib.runs import is_done
from cgnlib.runs.results import full_spec
from cgnlib.training.checkpoints import Checkpoint


def shell(printed: str, where: str) -> tuple[int, str]:
    """The exit status of a command that prints, and what it says of errors."""
    code = f"import sys; from cgnlib.errors import ended; sys.exit(ended(lambda: {printed}, ''))"
    line = f'"$0" -c "$1" {where}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, sys.executable, code],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("printed", "where"),
    [
        ("print(1)", ""),
        ("print(1)", ">&-"),
        ("print(1)", "<&- 2>&-"),
        ("[print(i) for i in range(9**6)] and 0", "| head -n 1"),
        ("print(chr(0xDC80))", ""),  # of a path that is no text
    ],
)
def test_what_is_printed_may_go_nowhere_and_be_no_text(printed, where):
    assert shell(printed, where) == (0, "")


def test_a_full_disk_is_one_line():
    status, said = shell("print(1)", ">/dev/full")
    assert status == 1 and said.startswith("error: ") and "No space left" in said
    assert said.count("\n") == 1 and "run the same command again" in said


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CGNError("a: mend b"), 1, "error: a: mend b\n"),
        (CGNError("a\nb\r: mend c"), 1, "error: a\\nb\\r: mend c\n"),  # names may have both
        (KeyboardInterrupt(), 130, "interrupted: c\n"),
        (PermissionError(13, "Denied", "d"), 1, "error: [Errno 13] Denied: 'd': mend it and run"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, status, said, capsys):
    def fail():
        raise error

    assert ended(fail, "c") == status and capsys.readouterr().err.startswith(said)


def test_what_a_user_cannot_mend_is_raised():
    with pytest.raises(KeyError):
        ended(lambda: {}[0], "")


@pytest.fixture
def pipe(tmp_path):
    """Makes a named pipe, on which who opens it waits for a writer: for a minute, here."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        return path

    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits for a writer"))
    signal.alarm(60)
    yield make
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "read",
    [
        ending,
        sha256,
        read_image,
        decisions.read,
        lambda path: read_spec(path.parent),
        lambda path: Checkpoint(path).load({}),
        lambda path: download.fetch("u2net", path),
        lambda path: download.fetch("mnist", path),
        lambda path: download.fetch("in-mini", path),
    ],
)
def test_nothing_waits_for_a_pipe_in_the_place_of_a_file(read, pipe, no_data):
    with pytest.raises((CGNError, OSError), match="a pipe or a device, and no file"):
        read(pipe("dataset.json"))


@pytest.mark.parametrize("name", ["spec.json", "metrics.json", "weights.safetensors"])
def test_a_pipe_among_the_files_of_a_run_is_named(name, pipe, tmp_path, monkeypatch):
    monkeypatch.setenv("CGN_RUNS", str(tmp_path))
    run = find("mini", "classifier-digits-s0")
    path = pipe(f"mini/{run.id}/{name}")
    for other, content in {
        "spec.json": json.dumps(full_spec(run)), "metrics.json": "{}",
        "artefacts.json": '{"metrics.json": ""}',
    }.items():  # fmt: skip
        if other != name:
            path.with_name(other).write_text(content)
    assert not is_finished(run) or name == "weights.safetensors"
    with pytest.raises(CGNError, match=rf"{name} cannot be read .*a pipe or a device, and"):
        is_done(run)
