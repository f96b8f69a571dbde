"""The pictures of the reference run that the book keeps: whole where shown, and of runs we have."""

import json

import numpy as np
import pytest

from cgnlib import artefacts, experiments, paths, runs
from cgnlib.errors import CGNError
from cgnlib.report import evidence, kept, records

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
def judged():
    """A run of claim 2, with pictures, as if it had been computed."""
    run = kept.pictured("claim-2", "full")[1]
    made = runs.folder_of(run)
    made.mkdir(parents=True)
    rng = np.random.default_rng(0)
    shape = {"counterfactual": (24, 64, 64, 3), "classes": (24, 3)}
    arrays = {
        name: rng.integers(1, 256, shape.get(name, (10, 64, 64, 3)), np.uint8)
        for name in kept.SHOWN["quality"]
    }
    np.savez(made / "samples.npz", **arrays, another=arrays["fg"])
    metrics = {"class_read": 0.5}
    for name, content in (("spec", artefacts.full_spec(run)), ("env", ENV), ("metrics", metrics)):
        (made / f"{name}.json").write_text(json.dumps(content))
    return run, arrays


def test_of_each_cgn_one_seed_is_kept():
    ids = [run.id for run in kept.pictured("claim-2", "full")]
    ablations = [*(a for a in experiments.ABLATIONS if a != "none"), "none"]
    assert ids == [f"quality-menagerie-{a}-s0" for a in ablations]
    mnist = {run.id for run in kept.pictured("claim-1-mnist", "full")}
    assert mnist == {
        f"evaluation-{v}-{cgn}-s0" for v in experiments.VARIANTS for cgn in ("published", "g0")
    }
    assert kept.pictured("claim-3-mnist", "full") == []


def test_what_is_shown_is_kept_and_nothing_else(judged, folder):
    run, arrays = judged
    assert list(kept.write("full")) == [folder / "samples" / run.id] * 1
    with np.load(folder / "samples" / run.id / "samples.npz") as stored:
        assert set(stored) == set(kept.SHOWN["quality"])
        for name, rows in kept.SHOWN["quality"].items():
            left = np.delete(stored[name], rows, axis=0)
            assert np.array_equal(stored[name][list(rows)], arrays[name][list(rows)])
            assert stored[name].shape == arrays[name].shape and not left.any()


def test_kept_twice_is_kept_alike(judged, folder):
    run, _ = judged
    path = folder / "samples" / run.id / "samples.npz"
    first = [(list(kept.write("full")), path.read_bytes())[1] for _ in range(2)]
    assert first[0] == first[1]


def test_the_pictures_of_a_run_that_all_can_make_are_not_kept(judged, folder):
    assert list(kept.write("mini")) == [] and not (folder / "samples").exists()


def test_a_kept_run_says_that_it_is_the_reference_run(judged, folder, monkeypatch):
    run, _ = judged
    list(kept.write("full"))
    monkeypatch.setattr(kept, "pictured", lambda claim, profile: [run])
    (result,) = kept.read("claim-2")
    assert result.metrics == {"class_read": 0.5}
    box = evidence.box("panels", records.frame([result]), result)
    assert "full, reference run" in box and f"book/records/samples/{run.id}" in box


def test_missing_or_foreign_pictures_are_an_error_with_a_way_out(judged, folder, monkeypatch):
    run, _ = judged
    monkeypatch.setattr(kept, "pictured", lambda claim, profile: [run])
    with pytest.raises(CGNError, match=f"{run.id} has no pictures: restore it with git checkout"):
        kept.read("claim-2")
    list(kept.write("full"))
    spec = folder / "samples" / run.id / "spec.json"
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"seed": 7}))
    with pytest.raises(CGNError, match=f"{run.id} is of another spec: restore"):
        kept.read("claim-2")


@pytest.mark.parametrize("path", TRACKED, ids=lambda path: path.name)
def test_a_tracked_picture_is_of_a_run_in_the_records(path, monkeypatch):
    monkeypatch.setattr(paths, "records", lambda: RECORDS)
    claims = [c for c in experiments.CLAIMS for r in kept.pictured(c, "full") if r.id == path.name]
    rows = records.read(claims[0], "full")
    mine = rows[rows.run == path.name].set_index("metric")
    env = json.loads((path / "env.json").read_text())
    assert set(mine.commit) == {env["commit"]} and set(mine.finished) == {env["finished"]}
    assert mine.value.to_dict() == json.loads((path / "metrics.json").read_text())
    assert path in [result.folder for result in kept.read(claims[0])]
    with np.load(path / "samples.npz") as stored:
        for name, rows in kept.SHOWN[path.name.partition("-")[0]].items():
            assert all(stored[name][row].any() for row in rows if name != "classes")
