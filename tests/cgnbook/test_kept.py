"""The pictures of the reference run that the book keeps: whole where shown, and of runs we have."""

import json

import numpy as np
import pytest

from cgnbook import boxes, kept, records
from cgnlib import experiments, paths, runs
from cgnlib.errors import CGNError
from cgnlib.runs import results

RECORDS = paths.records()
TRACKED = sorted((RECORDS / "samples").iterdir())
ENV = {"commit": "0a1b2c3d4e", "device": "a CPU", "python": "3.12.0", "torch": "2.6.0"}
ENV |= {"seconds": 1.5, "finished": "2024-01-01T00:00:00+00:00"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Runs and records of the test's own."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    (tmp_path / "records").mkdir()
    monkeypatch.setattr(paths, "records", lambda: tmp_path / "records")
    return tmp_path / "records"


@pytest.fixture
def judged(monkeypatch):
    """A run of claim 2, with pictures, as if it had been computed and were the only one kept."""
    run = kept.pictured("claim-2")[-1]
    monkeypatch.setattr(kept, "pictured", lambda claim: [run])
    made = runs.folder_of(run)
    made.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shape = {"counterfactual": (24, 64, 64, 3), "classes": (24, 3)}
    arrays = {
        name: rng.integers(1, 256, shape.get(name, (10, 64, 64, 3)), np.uint8)
        for name in kept.SHOWN["none"]
    }
    np.savez(made / "samples.npz", **arrays, another=arrays["fg"])
    metrics = {"class_read": 0.5}
    for name, content in (("spec", results.full_spec(run)), ("env", ENV), ("metrics", metrics)):
        (made / f"{name}.json").write_text(json.dumps(content))
    state(run)
    return run, arrays


def state(run):
    """Let a run that was changed be as it was written."""
    (runs.folder_of(run) / results.STATEMENT).unlink(missing_ok=True)
    runs.adopt(run)


def test_of_each_cgn_one_seed_is_kept():
    ablations = [*(a for a in experiments.ABLATIONS if a != "none"), "none"]
    ids = [run.id for run in kept.pictured("claim-2")]
    assert ids == [f"quality-menagerie-{a}-s0" for a in ablations]
    mnist = [run.id for run in kept.pictured("claim-1-mnist")]
    assert mnist == [f"evaluation-{v}-published-s0" for v in experiments.VARIANTS]
    assert kept.pictured("claim-3-mnist") == []


def test_what_is_shown_is_kept_and_nothing_else(judged, folder):
    run, arrays = judged
    assert list(kept.write("full")) == [folder / "samples" / run.id]
    with np.load(folder / "samples" / run.id / "samples.npz") as stored:
        assert set(stored) == set(kept.SHOWN["none"])
        for name, rows in kept.SHOWN["none"].items():
            left = np.delete(stored[name], rows, axis=0)
            assert np.array_equal(stored[name][list(rows)], arrays[name][list(rows)])
            assert stored[name].shape == arrays[name].shape and not left.any()


def test_what_is_kept_again_takes_the_place_of_the_old(judged, folder):
    run, arrays = judged
    list(kept.write("full"))
    np.savez(runs.folder_of(run) / "samples.npz", **{n: a[::-1] for n, a in arrays.items()})
    state(run)
    (folder / "samples" / f"{run.id}.part").mkdir()  # a write that was cut off
    list(kept.write("full"))
    with np.load(folder / "samples" / run.id / "samples.npz") as stored:
        assert np.array_equal(stored["fg"][1], arrays["fg"][-2])
    assert [path.name for path in (folder / "samples").iterdir()] == [run.id]


def test_what_says_the_same_stays_with_its_date(judged, folder):
    run, _ = judged
    (kept_in,) = kept.write("full")
    later = json.dumps(ENV | {"finished": "2025-01-01T00:00:00+00:00"})
    (runs.folder_of(run) / "env.json").write_text(later)
    state(run)
    assert list(kept.write("full")) == [kept_in]
    assert "2024" in (kept_in / "env.json").read_text() and len(list(folder.rglob("*.json"))) == 3
    (runs.folder_of(run) / "metrics.json").write_text('{"class_read": 0.25}')
    state(run)
    assert list(kept.write("full")) == [kept_in]
    assert "2025" in (kept_in / "env.json").read_text() and len(list(folder.rglob("*.json"))) == 3


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_pictures_of_another_profile_do_not_take_their_place(profile, judged, folder):
    assert list(kept.write(profile)) == [] and not (folder / "samples").exists()


@pytest.mark.parametrize("damage", ["truncated", "missing", "foreign"])
def test_pictures_that_cannot_be_read_are_an_error_and_leave_the_old_ones(damage, judged, folder):
    run, arrays = judged
    list(kept.write("full"))
    before = (folder / "samples" / run.id / "samples.npz").read_bytes()
    path = runs.folder_of(run) / "samples.npz"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "missing":
        path.unlink()
    else:
        np.savez(path, fg=arrays["fg"])
    state(run)
    with pytest.raises(CGNError, match=rf"samples.npz cannot be read .*delete .*{run.id}"):
        list(kept.write("full"))
    assert (folder / "samples" / run.id / "samples.npz").read_bytes() == before


def test_a_kept_run_says_whose_network_it_is(judged):
    run, _ = judged
    list(kept.write("full"))
    (result,) = kept.read("claim-2")
    assert result.metrics == {"class_read": 0.5}
    box = boxes.box("panels", records.frame([result]), result)
    assert "full, trained here" in box and f"book/records/samples/{run.id}" in box


def test_missing_pictures_are_an_error_with_a_way_out(judged):
    run, _ = judged
    with pytest.raises(CGNError, match=f"{run.id} has no pictures: restore it with git checkout"):
        kept.read("claim-2")


@pytest.mark.parametrize("path", TRACKED, ids=lambda path: path.name)
def test_a_tracked_picture_is_of_a_run_in_the_records(path, monkeypatch):
    monkeypatch.setattr(paths, "records", lambda: RECORDS)
    claims = {r.id: c for c in reversed(experiments.CLAIMS) for r in kept.pictured(c)}
    assert path.name in claims, "no run of this name is declared: delete the folder"
    rows = records.read(claims[path.name], "full")
    mine = rows[rows.run == path.name].set_index("metric")
    (result,) = (r for r in kept.read(claims[path.name]) if r.folder == path)
    assert set(mine.commit) == {result.env["commit"]}
    assert set(mine.finished) == {result.env["finished"]}
    assert mine.value.to_dict() == result.metrics
    assert result.spec | result.run.spec() == result.spec
    with np.load(path / "samples.npz") as stored:
        for name in ("counterfactual", "x_gen"):
            rows = kept.SHOWN[result.run.name].get(name, ())
            assert all(stored[name][row].any() for row in rows)
