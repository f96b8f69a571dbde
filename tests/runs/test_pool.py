"""`ensure`: in which order, by how many workers, and what happens when a run fails."""

import os
import random
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool

import pytest
from tiny import Simple, gan, simple

from cgnlib import experiments, runs
from cgnlib.errors import CGNError
from cgnlib.experiments import Input, jobs
from cgnlib.runs import inputs, pool, process

MINI = experiments.profile("mini")


# --- order and room


@pytest.mark.parametrize("workers", [1, 3])
def test_needs_come_before_users_and_what_most_waits_for_first(workers, monkeypatch):
    """On a graph of runs that end in an order drawn at random."""
    rng, wanted = random.Random(0), []
    for i in range(60):
        needs = rng.sample(wanted[-8:], min(len(wanted), rng.randrange(3)))
        wanted.append(simple(str(i), *needs, steps=rng.randrange(1, 500)))
    chain, started, done, wrong = jobs.chains(wanted), [], set(), []

    class Pool(Executor):
        def submit(self, _, run):
            ready = {r.id for r in wanted if {n.id for n in r.needs.values()} <= done}
            ready -= set(started)
            if run.id not in ready or chain[run.id] < max(chain[id] for id in ready):
                wrong.append(run.id)
            started.append(run.id)
            (future := Future()).run = run
            return future

    def one_ends(under_way, return_when):
        future = rng.choice(list(under_way))
        future.set_result(None)
        assert len(under_way) <= workers
        done.add(future.run.id)
        return {future}, set()

    monkeypatch.setattr(pool, "ProcessPoolExecutor", lambda *_: Pool())
    monkeypatch.setattr(pool, "wait", one_ends)
    pool._compute(wanted[::-1], workers, keep_going=False)
    assert not wrong and sorted(started) == sorted(run.id for run in wanted)


def test_runs_share_the_cores_and_take_turns_on_a_gpu(monkeypatch):
    paper = experiments.profile("paper")
    large = paper.ensemble("real", 0)
    small = paper.evaluation(paper.cgn("wildlife", 0))
    assert pool._has_room(large, [], 2)  # alone, whatever it asks for
    assert not pool._has_room(large, [small], 2) and pool._has_room(large, [small], 9)
    assert pool._has_room(small, [small], 2) and not pool._has_room(small, [small, small], 2)
    assert pool._has_room(large, [large], 16)
    monkeypatch.setattr("cgnlib.processor.on_gpu", lambda: True)
    monkeypatch.setattr(pool, "_gpu_memory_mb", lambda: 80_000)
    assert not pool._has_room(large, [large], 16) and pool._has_room(small, [large], 16)
    assert pool._has_room(large, [small], 16)  # which needs nothing of the GPU


def test_workers_make_the_same_bits(folder):
    environment = dict(os.environ)
    pair = [gan(), gan(seed=1)]
    results = runs.ensure(pair, workers=2)
    assert dict(os.environ) == environment
    assert [result.env["threads"] for result in results] == [1, 1]
    made = [(result.folder / "weights.safetensors").read_bytes() for result in results]
    folder.rename(folder.with_name("by-workers"))
    for run in pair:
        process.compute_one(run)
    here = [(runs.folder_of(run) / "weights.safetensors").read_bytes() for run in pair]
    assert made == here and made[0] != made[1]


# --- failures


def test_missing_data_is_found_before_anything_is_computed(fake, monkeypatch):
    def checksum(name):
        if name == "b":
            raise CGNError("digits are missing")
        return name

    monkeypatch.setattr(Simple, "reads", lambda run: {"digits": Input("digits", run.name)})
    monkeypatch.setitem(inputs.CHECKSUMS, "digits", checksum)
    with pytest.raises(CGNError, match="digits are missing"):
        runs.ensure([simple("a"), simple("b")])
    assert not fake.started


def test_devices_are_looked_at_before_anything_starts(fake, folder, monkeypatch):
    monkeypatch.setenv("CGN_DEVICES", "many")
    with pytest.raises(CGNError, match="CGN_DEVICES is 'many'"):
        runs.ensure([MINI.ensemble("real", 0)])
    assert not folder.exists() and not fake.started


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (CGNError("mend me"), CGNError, "^mend me$"),
        (ValueError("a bug"), RuntimeError, "run cgn-colored-need-s0 failed: ValueError: a bug"),
        (BrokenProcessPool(), CGNError, "computed cgn-colored-need-s0 was killed.*fewer --workers"),
    ],
)
def test_a_run_whose_need_failed_is_not_computed(error, kind, message, fake, threads):
    need = simple("need")
    user = simple("user", need)
    fake.errors["need"] = error
    with pytest.raises(kind, match=message):
        runs.ensure([user], workers=2)
    assert fake.started == [need.id]
    assert not runs.is_done(need) and not runs.is_done(user)
    with pytest.raises(CGNError, match="need-s0 is not done"):
        process.compute_one(user)
    assert not runs.is_done(user)
    fake.errors.clear()
    assert [r.run for r in runs.ensure([user], workers=2)] == [user]


def test_what_is_under_way_is_finished_and_nothing_else_started(fake, threads):
    fake.errors["a"], fake.seconds["b"] = CGNError("mend me"), 0.3
    with pytest.raises(CGNError, match="mend me"):
        runs.ensure([simple("a"), simple("b"), simple("c")], workers=2)
    assert [runs.is_done(simple(name)) for name in "abc"] == [False, True, False]
    assert sorted(fake.started) == [simple("a").id, simple("b").id]


def test_keeping_going_leaves_out_only_what_needs_the_failed_run(fake, threads, caplog):
    need = simple("need")
    user = simple("user", need)
    indirect = simple("indirect", user)
    fake.errors["need"] = CGNError("mend me")
    with pytest.raises(CGNError, match="mend me"):
        runs.ensure([indirect, simple("a"), simple("b")], workers=1, keep_going=True)
    done = [runs.is_done(run) for run in (need, user, indirect, simple("a"), simple("b"))]
    assert done == [False, False, False, True, True]
    assert f"{need.id} failed: mend me" in caplog.text
