"""Runs that are killed at random points end as undisturbed ones: every kind, over and over."""

import hashlib
import os
import random
import signal
import threading
import time
from dataclasses import replace

import pytest
import test_runs as small
import torch

from cgnlib import experiments
from cgnlib.compute import mechanisms
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments import with_needs
from cgnlib.nets import shipped as parts
from cgnlib.runs import attempt
from cgnlib.runs import lease as lease_runs_
from cgnlib.runs import results as artefacts
from cgnlib.runs.signals import SIGNALS, signals_set

KILLS = 4  # of each run
FILES = ("weights.safetensors", "images.npy", "labels.npy", "decisions.csv", "history.csv")
SMALL = {"train": 24, "val": 6, "batch": 4}


def of_mnist():
    source = small.tiny(small.cgn(), steps=40)
    readers = small.evaluation(source)
    return [readers, small.classifier("cgn", source), small.gan(steps=80)]


def of_the_menagerie():
    """As small as it gets; the classifiers go on for some epochs."""
    p = experiments.profile("mini")
    p = replace(
        p,
        mechanisms=p.mechanisms | {"steps": 6, "batch": 1, "window": 1},
        images=p.images | {"train": 9, "val": 5},
        plain=p.plain | SMALL | {"epochs": 3},
        ensemble=p.ensemble | SMALL | {"epochs": 3},
        ensemble_seeds=(0,),
        robustness=p.robustness | {"val": 6},
    )
    return experiments.claim_3_imagenet(p)[-1:]


@pytest.fixture(autouse=True)
def small_world(shipped, tmp_path, monkeypatch):
    small.use_an_eighth(monkeypatch)
    monkeypatch.setattr(parts, "FOLDER", shipped)
    monkeypatch.setattr(mechanisms, "_save_samples", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CGN_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))


def in_a_process(run):
    """A process that computes a run and ends."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        stop = threading.Event()
        with signals_set(stop):
            attempt.compute(run, stop)
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
    logs = sorted(artefacts.logs_of(artefacts.folder_of(run)))
    assert code == 0, f"{run.id}: {logs[-1].read_text()}"


@pytest.mark.slow
@pytest.mark.parametrize("declare", [of_mnist, of_the_menagerie])
def test_killed_at_random_points_and_equal_at_the_end(declare, tmp_path, monkeypatch):
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    chance, ends = random.Random(0), []
    for run in with_needs(declare()):
        monkeypatch.setenv("CGN_RUNS", str(tmp_path / "undisturbed"))
        start = time.monotonic()
        compute(run)
        seconds, undisturbed = time.monotonic() - start, artefacts.folder_of(run)
        monkeypatch.setenv("CGN_RUNS", str(tmp_path / "killed"))
        for _ in range(KILLS):
            pid = in_a_process(run)
            time.sleep(chance.uniform(0, seconds * 0.4))
            os.kill(pid, chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            ends.append(end_of(pid))
        compute(run)
        killed = artefacts.folder_of(run)
        for name in (*FILES, "metrics.json", "spec.json"):
            assert (killed / name).exists() == (undisturbed / name).exists(), f"{run.id}/{name}"
            if (killed / name).exists():
                same = (killed / name).read_bytes() == (undisturbed / name).read_bytes()
                assert same, f"{run.id}/{name} after {ends[-KILLS:]}"
        assert not list(killed.glob("checkpoint*"))
    hit = [code for code in ends if code in (-signal.SIGKILL, 75)]
    assert len(hit) >= 10, ends  # and as many of the other kinds of data


def test_a_run_asked_to_stop_saves_and_says_so(tmp_path):
    run, stop = small.gan(steps=50), threading.Event()
    stop.set()
    with pytest.raises(Interrupted, match="stopped after step 1"):
        attempt.compute(run, stop)
    folder = artefacts.folder_of(run)
    assert (folder / "checkpoint.pt").exists() and not artefacts.is_done(run)
    assert "interrupted: stopped after step 1" in (folder / "attempt-001.log").read_text()
    stop.clear()
    attempt.compute(run, stop)
    assert artefacts.is_done(run)
    log = (folder / "attempt-002.log").read_text()
    assert "going on after step 1" in log and log.rstrip().endswith("done")
    assert artefacts.load(run).env["attempts"] == 2


def results(folder):
    """The sha256 of each file that a finished run is read from."""
    found = [p for p in folder.iterdir() if not p.name.startswith(("attempt-001", "checkpoint"))]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def test_the_lease_of_a_silent_owner_is_taken_over_and_the_owner_stops(tmp_path, monkeypatch):
    """The owner sleeps (SIGSTOP) for longer than a lease; the run is made once, by the other."""
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    monkeypatch.setattr(lease_runs_, "LEASE_SECONDS", 1.5)
    run = small.gan(steps=100)
    folder = artefacts.folder_of(run)
    pid = in_a_process(run)
    for _ in range(600):
        if (folder / "checkpoint.pt").exists():
            break
        time.sleep(0.05)
    os.kill(pid, signal.SIGSTOP)
    attempt.compute(run, threading.Event())
    before = results(folder)
    os.kill(pid, signal.SIGCONT)
    assert end_of(pid) == 1
    assert "taken over by another process" in (folder / "attempt-001.log").read_text()
    assert results(folder) == before


def test_the_lease_of_a_dead_owner_is_free(tmp_path):
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot be forked here")
    run = small.gan(steps=100)
    pid = in_a_process(run)
    while not (artefacts.folder_of(run) / "checkpoint.pt").exists():
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    end_of(pid)
    lease = artefacts.folder_of(run).parent / ".locks" / f"{run.id}.lease"
    assert lease.exists()
    start = time.monotonic()
    with lease_runs_._leased(lease, run.id, threading.Event()):
        assert time.monotonic() - start < 5  # its process is known to be gone: nobody waits
    assert not lease.exists()


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
