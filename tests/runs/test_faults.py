"""Runs that are killed, asked to stop, or wanted by two processes end as undisturbed ones."""

import hashlib
import os
import random
import signal
import threading
import time
from dataclasses import replace
from itertools import count

import efficientnet_lite_pytorch  # noqa: F401  what each fork would load anew
import lightning_fabric  # noqa: F401
import pytest
import torch
from tiny import TINY, cgn, gan, simple, use_an_eighth
from tqdm import tqdm

from cgnlib import compute as board
from cgnlib import runs
from cgnlib.compute import Found, mechanisms
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments import CLAIMS, with_needs
from cgnlib.nets import shipped as parts
from cgnlib.runs import attempt, lease, results
from cgnlib.runs.signals import SIGNALS, signals_set
from cgnlib.training import loop
from cgnlib.training.checkpoints import Checkpoint

pytestmark = pytest.mark.slow


class After:
    """Asks to stop when it was looked at so often."""

    def __init__(self, times):
        self.left = times

    def set(self):
        self.left = 0

    def is_set(self):
        self.left -= 1
        return self.left < 0


def of_mnist(size):
    source = cgn(steps=15 * size)
    learnt = TINY.classifier(source.variant, "cgn", 0, source)
    return [TINY.evaluation(source), learnt, gan(steps=30 * size)]


def of_the_menagerie(size):
    w, learnt = TINY.world, {"train": 8 * size, "epochs": 2}
    world = replace(
        w, mechanisms=replace(w.mechanisms, steps=2 * size),
        plain=replace(w.plain, **learnt), ensemble=replace(w.ensemble, **learnt),
    )  # fmt: skip
    return CLAIMS["claim-3-imagenet"](replace(TINY, world=world))[-1:]


@pytest.fixture(autouse=True)
def small_world(shipped, monkeypatch):
    use_an_eighth(monkeypatch)
    monkeypatch.setattr(parts, "FOLDER", shipped)
    monkeypatch.setattr(mechanisms, "_show", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CGN_CHECKPOINT_SECONDS", "0")


def in_a_process(run):
    """A process that computes a run and ends."""
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    if pid := os.fork():
        return pid
    code = 1
    tqdm.set_lock(threading.RLock())  # who is killed may hold that which forks share
    try:
        stop = threading.Event()
        with signals_set(stop):
            attempt.attempt(run, stop)
        code = 0
    except Interrupted:
        code = 75
    finally:
        os._exit(code)


def end_of(pid):
    """How a process ended: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def compute(run):
    code = end_of(in_a_process(run))
    logs = sorted(results.logs_of(runs.folder_of(run)))
    assert code == 0, f"{run.id}: {logs[-1].read_text()}"


def once_saved(run):
    """A process that is computing a run and has a checkpoint."""
    pid = in_a_process(run)
    while not (runs.folder_of(run) / "checkpoint.pt").exists():
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        time.sleep(0.02)
    return pid


def contents(folder, but=("env.json", "artefacts.json", "attempt-", "checkpoint")):
    """The sha256 of each file that a finished run is read from, by its place in the folder."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    kept = {name: path for name, path in found.items() if not name.startswith(but)}
    return {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in kept.items()}


# --- killed


@pytest.mark.parametrize(
    ("size", "kills"),
    [(1, 4), pytest.param(3, 12, marks=pytest.mark.long)],
    ids=["four_a_run", "twelve_a_run"],
)
@pytest.mark.parametrize("declare", [of_mnist, of_the_menagerie])
def test_killed_at_random_points_and_equal_at_the_end(declare, size, kills, tmp_path, monkeypatch):
    chance, ends = random.Random(0), []
    for run in with_needs(declare(size)):
        monkeypatch.setenv("CGN_RUNS", str(tmp_path / "undisturbed"))
        start = time.monotonic()
        compute(run)
        seconds, undisturbed = time.monotonic() - start, contents(runs.folder_of(run))
        monkeypatch.setenv("CGN_RUNS", str(tmp_path / "killed"))
        for _ in range(kills):
            pid = in_a_process(run)
            time.sleep(chance.uniform(0, seconds * 0.4))
            os.kill(pid, chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            ends.append(end_of(pid))
        compute(run)
        killed = runs.folder_of(run)
        assert contents(killed) == undisturbed, f"{run.id} after {ends[-kills:]}"
        assert not list(killed.glob("checkpoint*"))
    hit = [code for code in ends if code in (-signal.SIGKILL, 75)]
    assert len(hit) >= 10, ends  # and as many of the other kinds of data


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(tmp_path, folder, monkeypatch):
    run, steps = gan(steps=70), count(1)
    with monkeypatch.context() as patch:
        kill = lambda: next(steps) == 20 and os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        patch.setattr(attempt, "Checkpoint", lambda path, *_: Checkpoint(path, 0, kill))
        assert end_of(in_a_process(run)) == -signal.SIGKILL
    left = {"spec.json", "checkpoint.pt", "checkpoint.before.pt", "attempt-001.log"}
    assert {p.name for p in (folder / run.id).iterdir()} == left and not runs.is_done(run)
    (folder / run.id / ".tmpAbCdEf").write_bytes(b"half")  # as safetensors leaves it
    original, first_steps = loop.index_batches, []

    def noted(n, batch, seed, first, last):
        first_steps.append(first)
        return original(n, batch, seed, first, last)

    monkeypatch.setattr(loop, "index_batches", noted)
    attempt.attempt(run, threading.Event())
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "undisturbed"))
    attempt.attempt(run, threading.Event())
    assert first_steps == [19, 0]
    resumed, undisturbed = folder / run.id, runs.folder_of(run)
    assert contents(resumed) == contents(undisturbed) and not list(resumed.glob("checkpoint*"))


def test_a_run_asked_to_stop_saves_and_says_so(folder):
    run, stop = gan(steps=50), threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="stopped after step 1"):
        attempt.attempt(run, stop)
    assert (folder / run.id / "checkpoint.pt").exists() and not runs.is_done(run)
    log = (folder / run.id / "attempt-001.log").read_text()
    assert "interrupted: stopped after step 1" in log
    stop.clear()
    attempt.attempt(run, stop)
    assert runs.is_done(run)
    log = (folder / run.id / "attempt-002.log").read_text()
    assert "going on after step 1" in log and log.rstrip().endswith("done")
    assert runs.load(run).env["attempts"] == 2


# --- two processes


def test_two_processes_compute_a_run_once(tmp_path, monkeypatch):
    log = tmp_path / "log"

    def slow(run, job):
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.5)
        return Found({"score": 1})

    monkeypatch.setattr(board, "compute", slow)
    pair = [in_a_process(simple()) for _ in range(2)]
    assert [end_of(pid) for pid in pair] == [0, 0]
    assert len(log.read_text().splitlines()) == 1 and runs.is_done(simple())


def test_the_lease_of_a_silent_owner_is_taken_over_and_the_owner_stops(folder, monkeypatch):
    """The owner sleeps (SIGSTOP) for longer than a lease; the run is made once, by the other."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.5)
    run = gan(steps=100)
    pid = once_saved(run)
    os.kill(pid, signal.SIGSTOP)
    attempt.attempt(run, threading.Event())
    before = contents(folder / run.id, but=("attempt-001",))
    os.kill(pid, signal.SIGCONT)
    assert end_of(pid) == 1
    log = (folder / run.id / "attempt-001.log").read_text()
    assert "taken over by another process" in log
    assert contents(folder / run.id, but=("attempt-001",)) == before


@pytest.mark.parametrize("error", [None, OSError("gone")], ids=["finished", "failed"])
def test_who_lost_its_lease_writes_no_result_and_says_why(error, folder, monkeypatch):
    """Also where it computed without a checkpoint, and where the other took its files away."""
    held = folder / ".locks" / f"{simple().id}.lease"

    def taken_over(run, job):
        fields = held.read_text().splitlines()
        others = ("token=other" if line.startswith("token=") else line for line in fields)
        held.write_text("\n".join(others))
        if error:
            raise error
        return Found({"score": 1})

    monkeypatch.setattr(board, "compute", taken_over)
    with pytest.raises(CGNError, match="cgn-colored-s0 was taken over by another process"):
        attempt.attempt(simple(), threading.Event())
    assert not runs.is_done(simple())


def test_the_lease_of_a_dead_owner_is_free(folder):
    run = gan(steps=100)
    pid = once_saved(run)
    os.kill(pid, signal.SIGKILL)
    end_of(pid)
    held = folder / ".locks" / f"{run.id}.lease"
    assert held.exists()
    start = time.monotonic()
    with lease.leased(held, run.id, threading.Event()):
        assert time.monotonic() - start < 5  # its process is known to be gone: nobody waits
    assert not held.exists()


# --- asked to stop


@pytest.mark.parametrize("told", ["soon", "-1", "inf", "nan"])
def test_a_senseless_interval_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_CHECKPOINT_SECONDS", told)
    with pytest.raises(CGNError, match="CGN_CHECKPOINT_SECONDS"):
        attempt.checkpoint_seconds()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
def test_every_signal_asks_to_stop(number):
    """SIGUSR1 is what a cluster sends before a time limit."""
    stop, before = threading.Event(), signal.getsignal(number)
    with signals_set(stop):
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) == before


def test_only_a_second_ctrl_c_ends_at_once():
    stop = threading.Event()
    stop.set()  # as by a worker that heard the same Ctrl-C first
    with signals_set(stop):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_work_of_another_kind_of_node_waits_and_is_never_mixed_with_that_of_this(
    folder, monkeypatch
):
    run, whole = gan(steps=40), gan(seed=0, steps=40)
    attempt.attempt(whole, threading.Event())
    undisturbed = (runs.folder_of(whole) / "weights.safetensors").read_bytes()
    runs.folder_of(whole).rename(folder / "undisturbed")
    here, aside = runs.folder_of(run), ".made-on-cpu-in-float32"

    def stopped(arithmetic):
        monkeypatch.setenv("CGN_PRECISION", arithmetic)
        with pytest.raises(Interrupted):
            attempt.attempt(run, After(10))
        return Checkpoint(here / "checkpoint.pt").load({})["step"]

    first = stopped("float32")
    (here / "best.txt").write_text("of float32")
    assert stopped("bfloat16") <= first, "it begins anew"
    assert not (here / "best.txt").exists()
    assert (here / aside / "best.txt").read_text() == "of float32"
    said = (here / "attempt-002.log").read_text()
    assert "was made on a cpu in float32 and this is a cpu in bfloat16" in said
    monkeypatch.setenv("CGN_PRECISION", "float32")
    attempt.attempt(run, threading.Event())
    assert "goes on from its own work" in (here / "attempt-003.log").read_text()
    assert (here / "weights.safetensors").read_bytes() == undisturbed
    assert (here / "best.txt").exists() and not list(here.glob(".made-on-*"))
    assert runs.is_done(run)
