"""What a finished run leaves, when it counts as done, and what is said of damage."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny import Simple, gan, simple

from cgnlib import experiments, runs
from cgnlib.errors import CGNError
from cgnlib.experiments import Input
from cgnlib.runs import inputs, process, provenance, results


def compute(run):
    for one in experiments.with_needs([run]):
        process.compute_one(one)
    return runs.load(run)


def snapshot(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_history_and_metrics_are_read_back(fake):
    result = compute(simple())
    assert result.metrics == {"score": 0.5}
    assert result.history() == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.125}]


def test_metrics_come_last_by_rename_when_all_else_has_reached_the_disk(fake, monkeypatch, folder):
    place, moved, synced = folder / "cgn-colored-s0", [], set()
    replace, fsync = os.replace, os.fsync

    def noted_replace(source, target):
        moved.append((Path(source).name, Path(target).name, {p.name for p in place.iterdir()}))
        if Path(target).name == "metrics.json":
            assert {p.stat().st_ino for p in place.rglob("*") if p.is_file()} <= synced
        replace(source, target)

    def noted_fsync(file):
        synced.add(os.fstat(file).st_ino)
        fsync(file)

    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    compute(simple())
    assert [target for _, target, _ in moved] == [
        "spec.json", "env.json", "artefacts.json", "metrics.json",
    ]  # fmt: skip
    source, _, there = moved[-1]
    assert source != "metrics.json"
    assert there >= {"spec.json", "env.json", "history.csv", "artefact"}


def test_what_is_done_is_not_computed_again(fake, folder, threads):
    first = runs.ensure([simple(), simple("b")], workers=1)
    before = snapshot(folder)
    again = runs.ensure([simple("b"), simple()], workers=2)
    process.compute_one(simple())  # as where another process finished it in the meantime
    assert fake.started == ["cgn-colored-s0", "cgn-colored-b-s0"]
    assert snapshot(folder) == before
    assert [result.folder for result in again] == [result.folder for result in first[::-1]]


CALLS = [runs.is_done, runs.load, process.compute_one, lambda run: runs.ensure([run])]


@pytest.mark.parametrize("call", CALLS)
def test_a_changed_setting_is_an_error_and_overwrites_nothing(call, fake, folder):
    compute(simple())
    before = snapshot(folder)
    with pytest.raises(CGNError, match="steps was 3 and is 4") as error:
        call(simple(steps=4))
    assert str(folder / "cgn-colored-s0") in str(error.value)
    assert snapshot(folder) == before and len(fake.started) == 1


@pytest.mark.parametrize(
    ("made", "wanted", "message"),
    [
        (simple(steps=None), simple(), "settings: steps was None and is 3"),
        (simple(), simple(steps=None), "settings: it has steps besides"),
        (simple("a", simple("b")), simple("a", simple("b", steps=9)), "first: digest was"),
    ],
)
def test_every_other_spec_is_an_error(made, wanted, message, fake):
    compute(made)
    with pytest.raises(CGNError, match=message):
        runs.is_done(wanted)


def test_other_inputs_are_an_error(fake, monkeypatch):
    compute(simple())
    monkeypatch.setattr(Simple, "reads", lambda run: {"digits": Input("digits", "other")})
    monkeypatch.setitem(inputs.CHECKSUMS, "digits", lambda name: name)
    with pytest.raises(CGNError, match="digits was None and is 'other'"):
        runs.load(simple())


def test_a_run_that_failed_before_it_left_anything_starts_anew(folder):
    """Its inputs may have been what failed: once they are mended, the spec is another."""
    place = runs.folder_of(simple())
    place.mkdir(parents=True)
    (place / "spec.json").write_text('{"kind": "gan", "inputs": {"digits": "damaged"}}')
    (place / "attempt-001.log").write_text("failed")
    assert not runs.is_done(simple())
    (place / "checkpoint.pt").write_bytes(b"work")
    with pytest.raises(CGNError, match="another spec"):
        runs.is_done(simple())


def test_a_run_that_was_never_computed_cannot_be_loaded():
    with pytest.raises(CGNError, match="python -m cgnlib run --profile mini cgn-colored-s0"):
        runs.load(simple())


# --- damage

BROKEN = [b"", b"{", b'{"seed": 0', b"\xff\xfe\x00", b"[]", b"[" * 100_000]


@pytest.mark.parametrize("name", ["spec", "metrics", "env"])
def test_a_corrupted_file_is_named_and_left_alone(name, fake, folder):
    """The numbers already where they say that the run is done."""
    path = compute(simple()).folder / f"{name}.json"
    for content in BROKEN:
        path.write_bytes(content)
        before = snapshot(folder)
        with pytest.raises(CGNError, match=rf"{name}\.json (cannot be read|is not what)") as error:
            runs.ensure([simple()])
        assert ": delete " in str(error.value) and "\n" not in str(error.value)
        assert snapshot(folder) == before, content


@pytest.mark.parametrize(
    "content", [b"a\nword\n", b"\xff\xfe", b"a\n1,2\n", b"a\n" + b"1" * 200_000]
)
def test_a_history_that_is_none_is_named(content, fake, folder):
    result = compute(simple())
    (result.folder / "history.csv").write_bytes(content)
    again = "delete .*cgn-colored-s0, then python -m cgnlib run --profile mini cgn-colored-s0"
    with pytest.raises(CGNError, match=rf"history\.csv cannot be read .*{again}"):
        result.history()


def test_an_artefact_that_is_not_as_it_was_written_is_refused_with_what_mends_it(fake, folder):
    again = "delete .*cgn-colored-s0, then python -m cgnlib run --profile mini cgn-colored-s0"
    place = compute(simple()).folder
    (place / "notes.txt").write_text("of a reader")
    assert runs.is_done(simple())
    for name in ("artefact", "history.csv", "metrics.json"):
        path, content = place / name, (place / name).read_bytes()
        flipped = bytes([content[-3] ^ 1])
        path.write_bytes(content[:-3] + flipped + content[-2:])
        with pytest.raises(CGNError, match=rf"{name} is not what was written .*: {again}"):
            runs.load(simple())
        path.unlink()
        if name != "metrics.json":
            with pytest.raises(CGNError, match=rf"{name} is gone: {again}"):
                runs.is_done(simple())
        path.write_bytes(content)
    assert runs.is_done(simple())
    (place / "artefacts.json").write_text("{}")
    with pytest.raises(CGNError, match=rf"artefacts.json does not state .*: {again}"):
        runs.is_done(simple())


def test_what_systems_leave_beside_artefacts_is_none_of_them(tmp_path):
    (tmp_path / "sheets").mkdir()
    for name in ("weights", "sheets/1.png"):
        (tmp_path / name).write_bytes(b"pixels")
    before = results.sums(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "sheets/.DS_Store", "sheets/._1.png"):
        (tmp_path / name).write_bytes(b"left")
    assert results.sums(tmp_path) == before and before.keys() == {"weights", "sheets"}
    (tmp_path / "sheets" / "2.png").write_bytes(b"pixels")
    assert results.sums(tmp_path) != before


def test_a_run_that_states_nothing_is_refused_until_it_is_taken_as_it_is(fake, folder):
    """It is older than statements, or has lost its own."""
    place = compute(simple()).folder
    assert not runs.adopt(simple()) and not runs.adopt(simple("b"))  # it states; there is none
    stated = (place / "artefacts.json").read_bytes()
    (place / "artefacts.json").unlink()
    mend = "delete .*-s0, then python -m cgnlib run --profile mini cgn-colored-s0; .*"
    mend += "python -m cgnlib adopt --profile mini cgn-colored-s0"
    for call in CALLS:
        with pytest.raises(CGNError, match=rf"artefacts\.json is gone, .*: {mend}$"):
            call(simple())
    assert runs.adopt(simple()) and runs.is_done(simple())
    assert (place / "artefacts.json").read_bytes() == stated


@pytest.mark.parametrize("name", ["metrics", "env"])
def test_what_is_damaged_is_not_taken_as_it_is(name, fake, folder):
    place = compute(simple()).folder
    (place / "artefacts.json").unlink()
    for content in (b"{}", *BROKEN):
        (place / f"{name}.json").write_bytes(content)
        with pytest.raises(CGNError, match=rf"{name}\.json (says|cannot be read).*: delete "):
            runs.adopt(simple())
    assert not (place / "artefacts.json").exists()


def test_runs_that_one_may_not_read_are_named(closed, monkeypatch):
    with closed("runs/mini") as folder:
        monkeypatch.setenv("CGN_RUNS", str(folder.parent))
        with pytest.raises(CGNError, match=r"-s0/spec\.json cannot be read .*: ask its owner"):
            runs.is_done(simple())


@pytest.mark.parametrize("blocked", [".", "mini", "mini/cgn-colored-s0", "mini/.locks"])
def test_a_file_in_place_of_a_folder_is_named(blocked, fake, folder):
    path = folder.parent / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file")
    with pytest.raises(CGNError, match=r"cgn-colored-s0|CGN_RUNS is .*which is a file") as error:
        process.compute_one(simple())
    assert "\n" not in str(error.value) and not fake.started
    assert path.read_text() == "a file"


@pytest.mark.parametrize(
    "name", ["spec.part", "history.csv", "env.part", "artefacts.part", "metrics.part"]
)
def test_a_full_disk_is_named_and_the_run_is_not_done(name, fake, folder):
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no device that is always full")
    path = folder / "cgn-colored-s0" / name
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    with pytest.raises(CGNError, match=r"cgn-colored-s0 cannot be written .*No space left"):
        process.compute_one(simple())
    assert not (folder / "cgn-colored-s0" / "metrics.json").exists()


@pytest.mark.parametrize("kind", ["gan", "set"])
def test_a_disk_full_of_artefacts_is_named_too(kind, folder):
    """As far as a limit on the size of files is like a full disk."""
    run = experiments.profile("mini").image_set(gan(), 0) if kind == "set" else gan()
    for need in run.needs.values():
        compute(need)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(CGNError, match=run.id) as error:
            process.compute_one(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value) and not runs.is_done(run)


# --- provenance


def test_the_commit_is_named_where_there_is_one(monkeypatch, tmp_path):
    provenance.commit.cache_clear()
    known = provenance.commit().removesuffix("+")
    assert known == "unknown" or (len(known) == 10 and int(known, 16))
    monkeypatch.setattr(provenance.paths, "ROOT", tmp_path)
    assert provenance.commit().removesuffix("+") == known  # as it was when first asked
    provenance.commit.cache_clear()
    assert provenance.commit() == "unknown"
    provenance.commit.cache_clear()
    monkeypatch.setenv("CGN_COMMIT", "0123456789")
    assert provenance.commit() == "0123456789"
    provenance.commit.cache_clear()


def test_without_git_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CGN_COMMIT", raising=False)
    provenance.commit.cache_clear()
    assert provenance.commit() == "unknown"
    provenance.commit.cache_clear()


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
def test_the_commit_of_a_project_around_this_one_is_not_ours(monkeypatch, tmp_path):
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=b", "commit",
                                     "-q", "--allow-empty", "-m", "theirs"]):  # fmt: skip
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    (tmp_path / "copy").mkdir()
    for root, known in ((tmp_path, True), (tmp_path / "copy", False)):
        monkeypatch.setattr(provenance.paths, "ROOT", root)
        provenance.commit.cache_clear()
        assert (provenance.commit() != "unknown") == known
    provenance.commit.cache_clear()
