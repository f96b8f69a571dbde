"""Runs: what lands on disk, when it is reused, and what happens when something breaks."""

import csv
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cgnlib import chance, experiments, runs
from cgnlib.compute import digits as execute
from cgnlib.counterfactuals import digits as counterfactuals
from cgnlib.data import digits, variants
from cgnlib.data import images as images_data
from cgnlib.errors import CGNError
from cgnlib.experiments import Run, with_needs
from cgnlib.measures.metrics import mask_coverage, nearest_iou
from cgnlib.runs import provenance
from cgnlib.runs.inputs import Input
from cgnlib.training import loop

MINI = experiments.profile("mini")
VARIANT = "double_colored"
SMALL = {"batch": 4, "latent": 4, "ngf": 4, "ndf": 8}


def tiny(run, needs=None, **settings):
    settings = tuple(sorted((dict(run.settings) | settings).items()))
    return replace(run, settings=settings, needs=run.needs if needs is None else needs)


def cgn(variant=VARIANT, **settings):
    run = experiments.cgn(MINI, variant, 0)
    return tiny(run, steps=3, layers=(0,), factors=(0.3,), **SMALL | settings)


def gan(**settings):
    return tiny(experiments.gan(MINI, VARIANT, 0), **SMALL | {"steps": 3} | settings)


def generated(source):
    return tiny(experiments.generated(MINI, source, 0), size=200)


def classifier(train_on, source=None):
    run = experiments.classifier(MINI, VARIANT, train_on, 0, source)
    needs = () if source is None else (("set", generated(source)),)
    return tiny(run, needs, batch=500, epochs=1)


def evaluation(source):
    readers = {"oracle": experiments.oracle(MINI, VARIANT), "probe": experiments.probe(MINI)}
    readers = {role: tiny(run, batch=500, epochs=1) for role, run in readers.items()}
    readers["oracle"] = tiny(readers["oracle"], renderings=2)
    needs = (("generator", source), *readers.items())
    return tiny(experiments.evaluation(MINI, source), needs, evaluated=20)


def simple(name="", needs=(), **settings):
    """A run that reads no data: what `execute` makes of it is up to a test."""
    settings = {"source": "none", "steps": 3, "batch": 1} | settings
    return Run("cgn", "colored", name, 0, "mini", tuple(sorted(settings.items())), needs)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The profile's folder, under a CGN_RUNS of the test's own."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs" / "mini"


@pytest.fixture
def fake(monkeypatch):
    """`execute.execute` that only notes which runs it is given, and fails where told."""

    def execute_one(run, folder, needs, checkpoint):
        execute_one.started.append(run.id)
        time.sleep(execute_one.seconds.get(run.name, 0))
        if error := execute_one.errors.get(run.name):
            raise error
        (folder / "artefact").write_text(run.id)
        return {"score": 0.5}, [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.125}]

    execute_one.started, execute_one.errors, execute_one.seconds = [], {}, {}
    monkeypatch.setattr(execute, "execute", execute_one)
    return execute_one


@pytest.fixture
def threads(monkeypatch):
    """Workers are threads of this process, so that they start at once and see its patches."""
    monkeypatch.setattr(runs, "ProcessPoolExecutor", lambda n, *_: ThreadPoolExecutor(n))


def compute(run):
    for one in with_needs([run]):
        runs._compute_one(one)
    return runs.load(run)


def files(folder):
    return {path.name for path in folder.iterdir()}


def snapshot(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


# --- what each kind leaves


def use_an_eighth(monkeypatch):
    """Of the digits: 50 a class to train on, 13 or 12 to test on."""
    Input("digits", "mnist-5k").checksum()  # kept from here on: it is of the whole source
    whole = digits.load_digits
    monkeypatch.setattr(digits, "load_digits", lambda *what: whole(*what)[::8])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One tiny run of each kind, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        use_an_eighth(patch)
        root = tmp_path_factory.mktemp("runs")
        patch.setenv("CGN_RUNS", str(root))
        source = cgn()
        wanted = [evaluation(source), classifier("original"), classifier("original+cgn", source)]
        wanted += [classifier("gan", gan())]
        return root, {run.id: compute(run) for run in with_needs(wanted)}


COMMON = {"spec.json", "env.json", "metrics.json", "attempt-001.log"}
KINDS = {
    "cgn": COMMON | {"weights.safetensors", "history.csv"},
    "gan": COMMON | {"weights.safetensors", "history.csv"},
    "set": COMMON | {"images.npy", "labels.npy"},
    "classifier": COMMON | {"weights.safetensors", "history.csv", "decisions.csv"},
    "evaluation": COMMON | {"samples.npz"},
}


def test_each_kind_leaves_its_files_and_nothing_else(finished):
    _, results = finished
    assert {result.run.kind for result in results.values()} == set(KINDS)
    for result in results.values():
        assert files(result.folder) == KINDS[result.run.kind], result.run.id


def test_spec_and_environment_are_recorded(finished):
    for result in finished[1].values():
        inputs = result.spec.pop("inputs")
        assert {k: v for k, v in result.spec.items() if k != "inputs"} == result.run.spec()
        assert ("perceptual" in inputs) == (result.run.kind == "cgn")
        assert ("digits" in inputs) == (result.run.kind != "set")
        assert result.env["threads"] == 1 and result.env["torch"] == torch.__version__
        assert result.env["seconds"] >= 0 and result.env["device"]


def test_decisions_hold_what_the_accuracy_says(finished, monkeypatch):
    use_an_eighth(monkeypatch)
    test = variants.Variant(
        VARIANT, "mnist-5k", "test", chance.generator(execute.TEST_SEED, "test")
    )
    for result in finished[1].values():
        if result.run.kind != "classifier" or result.run.variant != VARIANT:
            continue
        with (result.folder / "decisions.csv").open(newline="") as file:
            rows = [{k: int(v) for k, v in row.items()} for row in csv.DictReader(file)]
        assert [row["item"] for row in rows] == list(range(125))
        for column, values in (("label", test.y), ("fg", test.fg), ("bg", test.bg)):
            assert [row[column] for row in rows] == values.tolist()
        hits = sum(row["label"] == row["prediction"] for row in rows)
        assert result.metrics["test_accuracy"] == hits / 125
        assert result.metrics["test_images"] == 125


def test_combined_sets_are_as_large_as_both(finished):
    images = {
        result.run["train_on"]: result.metrics["train_images"]
        for result in finished[1].values()
        if result.run.kind == "classifier" and result.run.variant == VARIANT
    }
    assert images == {"original": 500, "original+cgn": 700, "gan": 200, "decorrelated": 1000}


def test_a_stored_set_is_read_back(finished):
    _, results = finished
    (result,) = (r for r in results.values() if r.run.id.startswith("set") and "cgn" in r.run.id)
    images = result.images()
    assert images.x.shape == (200, 32, 32, 3) and images.x.dtype == torch.uint8
    assert images.y.shape == (200,) and images.y.dtype == torch.int64
    assert result.metrics == {"images": 200}


def test_an_evaluation_measures_in_fractions(finished, monkeypatch):
    use_an_eighth(monkeypatch)
    _, results = finished
    (result,) = (r for r in results.values() if r.run.kind == "evaluation")
    values = dict(result.metrics)
    assert values.pop("usable_digits") in range(11)
    assert len(values) == 19 and all(0 <= v <= 1 for v in values.values())
    of_class = [values[f"mask_read_{digit}"] for digit in range(10)]
    assert values["mask_read"] == pytest.approx(sum(of_class) / 10)
    test = variants.Variant(VARIANT, "mnist-5k", "test", chance.generator(0))
    coverage = mask_coverage(test.mask.float()).mean().item()
    assert values["mask_coverage_true"] == pytest.approx(coverage)
    with np.load(result.folder / "samples.npz") as stored:
        shapes = {name: stored[name].shape[:3] for name in stored}
        assert all(stored[name].dtype == np.uint8 for name in stored)
    ten, thirty = (10, 32, 32), (30, 32, 32)
    assert shapes == {"mask": ten, "fg": ten, "bg": ten, "x_gen": ten} | {
        "real": thirty, "counterfactual": thirty,
    }  # fmt: skip


def test_an_evaluation_is_of_the_cgns_own_masks(finished, monkeypatch):
    """Read again one image at a time."""
    use_an_eighth(monkeypatch)
    _, results = finished
    (result,) = (r for r in results.values() if r.run.kind == "evaluation")
    folders = {role: results[need.id].folder for role, need in result.run.needs}
    net = execute.load_cgn(folders["generator"] / "weights.safetensors", 4, 4)
    probe, oracle = (
        execute.load_cnn(folders[role] / "weights.safetensors") for role in ("probe", "oracle")
    )
    y = torch.arange(20) // 2
    with torch.inference_mode():
        made = next(counterfactuals.interventions(net, y, chance.generator(0, "evaluation")))
        bare = [(mask > 0.5).expand(3, 32, 32) * 2.0 - 1 for mask in made[0]]
        images = [m * f + (1 - m) * b for m, f, b in zip(*made[:3], strict=True)]
        read = {
            name: [reader(x[None]).argmax().item() for x in shown]
            for name, reader, shown in (("mask", probe, bare), ("image", oracle, images))
        }
    for name, classes in read.items():
        hits = [a == b for a, b in zip(classes, y.tolist(), strict=True)]
        assert result.metrics[f"{name}_read"] == pytest.approx(sum(hits) / 20)
    true = digits.load_digits("mnist-5k", "train", VARIANT)
    iou = nearest_iou(made[0] > 0.5, y, digits.digit_masks(true), true.labels)
    assert result.metrics["mask_iou"] == pytest.approx(iou.mean().item())
    binary = ((made[0] - 0.5).abs() > 0.4).float().mean().item()
    assert result.metrics["mask_binary"] == pytest.approx(binary)
    assert result.metrics["mask_coverage"] == pytest.approx(made[0].mean().item())


# --- reuse


def test_history_and_metrics_are_read_back(fake):
    result = compute(simple())
    assert result.metrics == {"score": 0.5}
    assert result.history() == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.125}]


def test_metrics_are_written_last_and_by_rename(fake, monkeypatch, folder):
    moved, original = [], os.replace

    def noted(source, target):
        moved.append((Path(source).name, Path(target).name, files(folder / "cgn-colored-s0")))
        original(source, target)

    monkeypatch.setattr(os, "replace", noted)
    compute(simple())
    assert [target for _, target, _ in moved] == ["spec.json", "env.json", "metrics.json"]
    source, _, there = moved[-1]
    assert source != "metrics.json"
    assert there >= {"spec.json", "env.json", "history.csv", "artefact"}


def test_what_is_done_is_not_computed_again(fake, folder, threads):
    first = runs.ensure([simple(), simple("b")], workers=1)
    before = snapshot(folder)
    again = runs.ensure([simple("b"), simple()], workers=2)
    assert fake.started == ["cgn-colored-s0", "cgn-colored-b-s0"]
    assert snapshot(folder) == before
    assert [result.folder for result in again] == [result.folder for result in first[::-1]]


def test_a_run_that_another_process_finished_is_left_alone(fake, folder):
    compute(simple())
    before = snapshot(folder)
    runs._compute_one(simple())
    assert snapshot(folder) == before and len(fake.started) == 1


@pytest.mark.parametrize(
    "call", [runs.is_done, runs.load, runs._compute_one, lambda r: runs.ensure([r])]
)
def test_a_changed_setting_is_an_error_and_overwrites_nothing(call, fake, folder):
    compute(simple())
    before = snapshot(folder)
    with pytest.raises(CGNError, match="steps was 3 and is 4") as error:
        call(simple(steps=4))
    assert str(folder / "cgn-colored-s0") in str(error.value)
    assert snapshot(folder) == before and len(fake.started) == 1


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (simple(more=1), "more was None and is 1"),
        (replace(simple(), settings=(("source", "none"),)), "steps"),
        (simple(needs=(("generator", simple("b", steps=9)),)), "digest was"),
    ],
)
def test_every_other_spec_is_an_error(other, message, fake):
    compute(simple(needs=(("generator", simple("b")),)) if other.needs else simple())
    with pytest.raises(CGNError, match=message):
        runs.is_done(other)


def test_other_inputs_are_an_error(fake, monkeypatch):
    compute(simple())
    monkeypatch.setattr(execute, "inputs", lambda run: {"digits": "other"})
    with pytest.raises(CGNError, match="digits was None and is 'other'"):
        runs.load(simple())


def test_a_run_that_was_never_computed_cannot_be_loaded():
    with pytest.raises(CGNError, match="python -m cgnlib run --profile mini cgn-colored-s0"):
        runs.load(simple())


BROKEN = [b"", b"{", b'{"seed": 0', b"\xff\xfe\x00", b"[]"]


@pytest.mark.parametrize("content", BROKEN, ids=repr)
def test_a_corrupted_spec_is_named_and_left_alone(content, fake, folder):
    path = compute(simple()).folder / "spec.json"
    path.write_bytes(content)
    before = snapshot(folder)
    with pytest.raises(CGNError, match=r"spec\.json|another spec"):
        runs.ensure([simple()])
    assert snapshot(folder) == before


@pytest.mark.parametrize("content", BROKEN[:-1], ids=repr)
@pytest.mark.parametrize("name", ["metrics", "env"])
def test_corrupted_numbers_are_named_and_left_alone(name, content, fake, folder):
    path = compute(simple()).folder / f"{name}.json"
    path.write_bytes(content)
    with pytest.raises(CGNError, match=rf"{name}\.json cannot be read") as error:
        getattr(runs.ensure([simple()])[0], name)  # metrics already where they say it is done
    assert "\n" not in str(error.value) and path.read_bytes() == content


# --- failures


def test_missing_data_is_found_before_anything_is_computed(fake, monkeypatch):
    def inputs(run):
        if run.id == simple("b").id:
            raise CGNError("digits are missing")
        return {}

    monkeypatch.setattr(execute, "inputs", inputs)
    with pytest.raises(CGNError, match="digits are missing"):
        runs.ensure([simple("a"), simple("b")])
    assert not fake.started


def test_needs_are_computed_before_their_users(fake, threads):
    a, b = simple("a"), simple("b")
    c = simple("c", needs=(("x", a), ("y", b)))
    fake.seconds["a"] = 0.2
    results = runs.ensure([c, a], workers=3)
    assert fake.started[-1] == c.id and sorted(fake.started) == sorted(r.id for r in (a, b, c))
    assert [result.run for result in results] == [c, a]


def test_what_others_wait_for_comes_first(fake, threads):
    a, b = simple("a"), simple("b")
    c = simple("c", needs=(("x", b),))
    runs.ensure([a, c], workers=1)
    assert fake.started == [b.id, a.id, c.id]


def test_runs_share_the_cores_and_take_turns_on_a_gpu(monkeypatch):
    declared = experiments.with_needs(experiments.grid("paper"))
    large, small = (
        next(r for r in declared if r.variant == variant and r.kind == kind)
        for variant, kind in (("imagenet", "ensemble"), ("wildlife", "evaluation"))
    )
    assert runs._has_room(large, [], 2)  # alone, whatever it asks for
    assert not runs._has_room(large, [small], 2) and runs._has_room(large, [small], 9)
    assert runs._has_room(small, [small], 2) and not runs._has_room(small, [small, small], 2)
    assert runs._has_room(large, [large], 16)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(runs, "_gpu_memory_mb", lambda: 80_000)
    assert not runs._has_room(large, [large], 16) and runs._has_room(small, [large], 16)
    assert runs._has_room(large, [small], 16)  # which needs nothing of the GPU


@pytest.mark.parametrize(
    ("error", "kind"), [(CGNError("mend me"), CGNError), (ValueError("a bug"), RuntimeError)]
)
def test_a_run_whose_need_failed_is_not_computed(error, kind, fake, threads):
    need = simple("need")
    user = simple("user", needs=(("generator", need),))
    fake.errors["need"] = error
    with pytest.raises(kind, match=r"mend me|run cgn-colored-need-s0 failed: ValueError: a bug"):
        runs.ensure([user], workers=2)
    assert fake.started == [need.id]
    assert not runs.is_done(need) and not runs.is_done(user)
    with pytest.raises(CGNError, match="need-s0 is not done"):
        runs._compute_one(user)
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
    user = simple("user", needs=(("generator", need),))
    indirect = simple("indirect", needs=(("set", user),))
    fake.errors["need"] = CGNError("mend me")
    with pytest.raises(CGNError, match="mend me"):
        runs.ensure([indirect, simple("a"), simple("b")], workers=1, keep_going=True)
    done = [runs.is_done(run) for run in (need, user, indirect, simple("a"), simple("b"))]
    assert done == [False, False, False, True, True]
    assert f"{need.id} failed: mend me" in caplog.text


@pytest.mark.parametrize("blocked", [".", "mini", "mini/cgn-colored-s0", "mini/.locks"])
def test_a_file_in_place_of_a_folder_is_named(blocked, fake, folder):
    path = folder.parent / blocked
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file")
    with pytest.raises(CGNError, match="cgn-colored-s0") as error:
        runs._compute_one(simple())
    assert "\n" not in str(error.value) and not fake.started
    assert path.read_text() == "a file"


def full_disk(path):
    """A link to a device on which every write fails."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no device that is always full")
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("name", ["spec.part", "history.csv", "env.part", "metrics.part"])
def test_a_full_disk_is_named_and_the_run_is_not_done(name, fake, folder):
    full_disk(folder / "cgn-colored-s0" / name)
    with pytest.raises(CGNError, match=r"cgn-colored-s0 cannot be written .*No space left"):
        runs._compute_one(simple())
    assert not (folder / "cgn-colored-s0" / "metrics.json").exists()


@pytest.mark.parametrize("kind", ["gan", "set"])
def test_a_disk_full_of_artefacts_is_named_too(kind, folder):
    """As far as a limit on the size of files is like a full disk."""
    run = generated(gan()) if kind == "set" else gan()
    for _, need in run.needs:
        compute(need)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(CGNError, match=run.id) as error:
            runs._compute_one(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value) and not runs.is_done(run)


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("weights.safetensors", None),
        ("weights.safetensors", 100),
        ("images.npy", None),
        ("images.npy", 1000),
        ("labels.npy", 100),
    ],
)
def test_a_damaged_artefact_of_a_need_is_named(name, keep, finished, folder):
    """keep: how many bytes are left of the file; it is gone where none are."""
    shutil.copytree(finished[0] / "mini", folder)
    need = cgn() if name.startswith("weights") else generated(cgn())
    user = generated(cgn()) if need == cgn() else classifier("cgn", cgn())
    shutil.rmtree(runs.folder_of(user), ignore_errors=True)
    damaged = runs.folder_of(need) / name
    content = damaged.read_bytes()
    damaged.unlink()
    if keep is not None:
        damaged.write_bytes(content[:keep])
    with pytest.raises(CGNError, match=name) as error:
        runs._compute_one(user)
    message = str(error.value)
    assert "\n" not in message and "cannot be written" not in message
    assert not runs.is_done(user)


def test_a_missing_published_checkpoint_comes_with_its_command(no_data):
    run = experiments.published_cgn(experiments.profile("full"), "colored")
    with pytest.raises(CGNError, match=r"cgn_colored_MNIST\.pth is missing") as error:
        runs._compute_one(run)
    assert "python data_prep/fetch.py cgn-colored" in str(error.value)
    assert "\n" not in str(error.value) and not runs.is_done(run)


def test_a_published_checkpoint_becomes_a_run(original):
    original("weights/cgn_colored_MNIST.pth")
    result = compute(experiments.published_cgn(experiments.profile("full"), "colored"))
    assert files(result.folder) == COMMON | {"weights.safetensors"}
    net = execute.load_cgn(result.folder / "weights.safetensors", 32, 32)
    published = execute.published_cgn("colored").state_dict()
    assert all(torch.equal(v, published[k]) for k, v in net.state_dict().items())


# --- several processes


def _count_and_compute(log, start):
    def slow(run, folder, needs, checkpoint):
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        return {"score": 1}, None

    execute.execute = slow
    start.wait()
    runs._compute_one(simple())


def test_two_processes_compute_a_run_once(tmp_path):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("processes cannot be forked here")
    context = multiprocessing.get_context("fork")
    log, start = tmp_path / "log", context.Barrier(2)
    pair = [context.Process(target=_count_and_compute, args=(log, start)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(60)
    assert [process.exitcode for process in pair] == [0, 0]
    assert len(log.read_text().splitlines()) == 1 and runs.is_done(simple())


def test_workers_make_the_same_bits(folder):
    environment = dict(os.environ)
    pair = [gan(), replace(gan(), seed=1)]
    results = runs.ensure(pair, workers=2)
    assert dict(os.environ) == environment
    assert [result.env["threads"] for result in results] == [1, 1]
    made = [(result.folder / "weights.safetensors").read_bytes() for result in results]
    folder.rename(folder.with_name("by-workers"))
    here = [(compute(run).folder / "weights.safetensors").read_bytes() for run in pair]
    assert made == here and made[0] != made[1]


KILLED = """
import os, signal, sys
from itertools import count
import torch
sys.path.insert(0, sys.argv[1])
import test_runs
from cgnlib import attempts, runs
from cgnlib.checkpoints import Checkpoint
torch.set_num_threads(1)  # as in a worker
steps = count(1)
stop = lambda: next(steps) == 20 and os.kill(os.getpid(), signal.SIGKILL)
attempts.Checkpoint = lambda path, *_: Checkpoint(path, 0, stop)
runs._compute_one(test_runs.gan(steps=70))
"""


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(tmp_path, folder, monkeypatch):
    command = [sys.executable, "-c", KILLED, str(Path(__file__).resolve().parents[1])]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    run = gan(steps=70)
    left = {"spec.json", "checkpoint.pt", "checkpoint.before.pt", "attempt-001.log"}
    assert files(folder / run.id) == left and not runs.is_done(run)
    original, first_steps = loop.index_batches, []

    def noted(n, batch, seed, first, last):
        first_steps.append(first)
        return original(n, batch, seed, first, last)

    monkeypatch.setattr(loop, "index_batches", noted)
    resumed = compute(run)
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "undisturbed"))
    undisturbed = compute(run)
    assert first_steps == [19, 0]
    assert files(undisturbed.folder) == KINDS["gan"]
    assert files(resumed.folder) == KINDS["gan"] | {"attempt-002.log"}
    for name in ("weights.safetensors", "history.csv", "metrics.json", "spec.json"):
        assert (resumed.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes()


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


def test_a_run_that_failed_before_it_left_anything_starts_anew(fake, folder):
    """Its inputs may have been what failed: once they are mended, the spec is another."""
    run = simple()
    place = runs.folder_of(run)
    place.mkdir(parents=True)
    (place / "spec.json").write_text('{"kind": "gan", "inputs": {"digits": "damaged"}}')
    assert not runs.is_done(run)
    (place / "checkpoint.pt").write_bytes(b"work")
    with pytest.raises(CGNError, match="another spec"):
        runs.is_done(run)


def test_devices_are_looked_at_before_anything_starts(fake, folder, monkeypatch):
    monkeypatch.setenv("CGN_DEVICES", "many")
    with pytest.raises(CGNError, match="CGN_DEVICES is 'many'"):
        runs.ensure([experiments.ensemble(MINI, "real", 0)])
    assert not folder.exists() and not fake.started


# --- a share of originals


def images(n, level):
    return images_data.Images(
        torch.full((n, 32, 32, 3), level, dtype=torch.uint8), torch.arange(n) % 10
    )


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.1, 4), (0.5, 20), (1.0, 40)])
def test_originals_take_the_place_of_generated_images(share, n, rng):
    first, second = execute.mix(images(60, 1), images(40, 2), share, rng)
    assert (len(first), len(second)) == (n, 40 - n)
    assert (first.x == 1).all() and (second.x == 2).all()


def test_originals_are_drawn_at_random_without_repeats():
    """The digits of a source may come in the order of their classes."""
    original = images_data.Images(images(60, 1).x, torch.arange(60))
    drawn = [execute.mix(original, images(40, 2), 0.5, chance.generator(s))[0].y for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert len(drawn[0].unique()) == 20 and drawn[0].max() > 30


def test_too_few_originals_are_an_error(rng):
    with pytest.raises(ValueError, match="36 of 40 images cannot be originals: there are 30"):
        execute.mix(images(30, 1), images(40, 2), 0.9, rng)


def test_a_classifier_of_a_share_sees_as_many_images_as_the_set(folder, monkeypatch):
    use_an_eighth(monkeypatch)
    run = tiny(experiments.mixed(MINI, cgn(), 0, 0.9), (("set", generated(cgn())),), epochs=1)
    result = compute(run)
    assert result.metrics["train_images"] == 200 and run.id.endswith("-g0-r90-s0")
