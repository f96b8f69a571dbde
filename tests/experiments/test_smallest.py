"""Rehearsed runs: what is declared, cut to its smallest size, and never taken for it."""

import json

import pytest

from cgnlib import experiments as e
from cgnlib import paths, rehearsal
from cgnlib.data.sources import sha256
from cgnlib.errors import CGNError
from cgnlib.experiments import jobs
from cgnlib.experiments.smallest import smallest

OFTEN = 3000  # images, the most that one passes through its nets


@pytest.fixture(params=e.PROFILES)
def declared(request):
    return e.with_needs(e.grid(request.param))


def rehearsed(declared, monkeypatch):
    monkeypatch.setenv(rehearsal.VARIABLE, "1")
    return e.with_needs(e.grid(declared[0].profile))


def test_every_declared_run_is_rehearsed_under_its_name(declared, monkeypatch):
    cut = rehearsed(declared, monkeypatch)
    assert [(type(run), run.id) for run in cut] == [(type(run), run.id) for run in declared]
    for run, whole in zip(cut, declared, strict=True):
        assert run.reads() == whole.reads()
        assert {r: n.id for r, n in run.needs.items()} == {r: n.id for r, n in whole.needs.items()}
        assert all(need.rehearsal for need in run.needs.values())


def test_no_digest_is_that_of_a_declared_run(declared):
    cut = [smallest(run) for run in declared]
    assert {run.digest() for run in cut}.isdisjoint(run.digest() for run in declared)
    assert all(run.settings["rehearsal"] is True for run in cut)


def test_only_1_asks_for_a_rehearsal(monkeypatch):
    for told, meant in (("", False), (" ", False), ("0", False), ("1", True), ("1 ", True)):
        monkeypatch.setenv(rehearsal.VARIABLE, told)
        assert rehearsal.under_way() is meant, told
    for told in ("no", "false", "yes", "2"):
        monkeypatch.setenv(rehearsal.VARIABLE, told)
        with pytest.raises(CGNError, match=f"CGN_REHEARSAL is '{told}': set it to 1, or unset it"):
            e.grid("mini")


def test_what_is_seen_is_little(declared):
    for run in map(smallest, declared):
        if not isinstance(run, e.Classifier | e.Reader | e.ImageSet):  # of digits there are few
            assert run.images_seen() <= 160, run.id
        sizes = [run.settings.get(name, 0) for name in ("steps", "epochs", "evaluated", "size")]
        assert max(sizes) <= OFTEN, run.id
        asked = jobs.resources(run)
        assert (asked.cores, asked.gpus) == (1, 0)


def test_a_set_keeps_whole_batches_and_sizes_stay_apart(declared):
    sets = [run for run in declared if isinstance(run, e.ImageSet)]
    sizes = {(run.variant, run.size, smallest(run).size) for run in sets if run.per_shape == 1}
    apart = {(variant, size) for variant, _, size in sizes}
    assert len(apart) == len({(variant, size) for variant, size, _ in sizes})
    assert all(smallest(run).size // 100 // run.per_shape for run in sets)


def test_a_rehearsed_run_that_has_nothing_to_cut_is_not_done_either(tmp_path, monkeypatch):
    monkeypatch.setenv("CGN_RUNS", str(tmp_path))
    copied = e.find("full", "cgn-wildlife-published-s0")
    for made, wanted in ((smallest(copied), copied), (copied, smallest(copied))):
        folder = paths.runs("full") / copied.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.json").write_text(json.dumps(made.spec()))
        (folder / "metrics.json").write_text("{}")
        stated = {"metrics.json": sha256(folder / "metrics.json")}
        (folder / "artefacts.json").write_text(json.dumps(stated))
        assert jobs.is_finished(made) and not jobs.is_finished(wanted)
