"""The doctor: what a profile needs, what is missing or damaged, and how that is said."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from cgnlib import doctor, experiments, machine, paths
from cgnlib.__main__ import main
from cgnlib.compute import digits as execute
from cgnlib.data import digits, public, sources
from cgnlib.errors import CGNError, MissingError
from cgnlib.nets import shipped
from cgnlib.runs import inputs
from cgnlib.runs.inputs import Input

PROFILES = tuple(experiments.PROFILES)
GB = 10**9
GPU = machine.Gpu("a card", 12 * GB)
SLURM = machine.Slurm(True, True, ["gpu* gpu:a100:4 3"], True)
NO_SLURM = machine.Slurm(False, False, trouble="there is no sinfo here")


def every_run(profile):
    return experiments.with_needs(experiments.grid(profile))


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Whoever opens a connection here fails; runs are none."""

    def refuse(*_, **__):
        raise AssertionError("this would reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))


@pytest.fixture
def computer(monkeypatch):
    """Sets what the machine has."""

    def set_up(gpus=(), slurm=NO_SLURM, free=10**15):
        found = machine.Machine(
            "3.12.0", "2.9.0", "0.24.0", 8, 64 * GB, "float32", list(gpus), slurm
        )
        monkeypatch.setattr(machine, "look", lambda: found)
        usage = type("usage", (), {"free": free})
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)

    set_up()
    return set_up


def refused(profile):
    """The inputs that no run of a profile gets past, by asking for each alone."""
    found = set()
    for run in every_run(profile):
        for what in execute.reads(run).values():
            try:
                what.checksum()
            except CGNError:
                found.add(what)
    return found


def reported(report):
    return {Input(f.kind, f.name) for f in report.inputs if f.status != "there"}


# --- what is needed


@pytest.mark.parametrize("profile", PROFILES)
def test_what_runs_refuse_is_what_is_reported(profile, no_data, computer):
    report = doctor.examine(profile)
    assert reported(report) == refused(profile)
    assert bool(reported(report)) == (profile != "mini")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_run_is_refused_exactly_when_something_it_reads_is_reported(profile, no_data, computer):
    missing = reported(doctor.examine(profile))
    for run in every_run(profile):
        reads = set(execute.reads(run).values())
        if missing & reads:
            with pytest.raises(CGNError):
                execute.inputs(run)
        else:
            assert execute.inputs(run).keys() == execute.reads(run).keys()


def test_what_is_put_there_is_reported_no_more(no_data, computer, monkeypatch):
    """One file or folder after another; runs and doctor agree at every step."""
    before = reported(doctor.examine("paper"))
    table = {name: dict(entry) for name, entry in sources.table().items()}
    monkeypatch.setattr(sources, "table", lambda: table)
    for name in ("vgg16", "u2net", "cgn-colored"):
        path = sources.place(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        assert Input("weights", name) in reported(doctor.examine("paper")) & refused("paper")
        table[name] |= {"sha256": sources.sha256(path), "size": path.stat().st_size}
        before -= {Input("weights", name)}
        assert reported(doctor.examine("paper")) == refused("paper") == before
    (no_data / "mnist").mkdir()
    for name in digits.IDX_FILES:
        assert Input("digits", "mnist") in reported(doctor.examine("paper"))
        (no_data / "mnist" / name).touch()
    before -= {Input("digits", "mnist")}
    assert reported(doctor.examine("paper")) == refused("paper") == before


def test_a_new_setting_of_a_run_is_a_new_need(no_data, computer, monkeypatch):
    paper = experiments.profile("paper")
    tests = paper.robustness | {"conditions": ("in9/no_fg",)}
    monkeypatch.setitem(experiments.PROFILES, "paper", replace(paper, robustness=tests))
    names = {f.name for f in doctor.examine("paper").inputs}
    assert "in9/no_fg" in names and "sketch" not in names


def test_needs_count_the_runs_that_read_them():
    runs = every_run("paper")
    counts = needs.of(runs)
    trained = [run for run in runs if dict(run.settings).get("perceptual") == "vgg16"]
    assert counts[Input("weights", "vgg16")] == len(trained)
    assert counts[Input("weights", "resnet50")] == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_every_need_comes_from_a_source_a_package_or_this_repository(profile):
    for what in needs.of(every_run(profile)):
        own = what.kind in ("part", "package") or what.name in ("mnist-5k", "procedural")
        assert (what.source is None) == own


def test_downloads_of_a_profile():
    assert needs.downloads_of("mini") == []
    full = {"mnist", "dtd", "cue-conflict", *(f"cgn-{v}" for v in experiments.VARIANTS)}
    assert set(needs.downloads_of("full")) == full
    assert set(needs.downloads_of("paper")) == set(sources.table())  # nothing in vain


@pytest.mark.parametrize("name", sources.table())
def test_every_source_gives_something(name):
    found = inputs.of_source(name)
    assert found and all(what.source == name for what in found)
    assert len(found) == (8 if name == "in9" else 2 if name == "in-mini" else 1)


# --- what is damaged


def test_a_file_of_another_size_is_damaged_at_a_glance(no_data, computer):
    path = sources.place("vgg16")
    path.parent.mkdir()
    path.write_bytes(b"<html>")
    (found,) = [f for f in doctor.examine("paper").inputs if f.name == "vgg16"]
    assert found.status == "damaged" and "has 6 bytes and not 553,433,881" in found.detail


def test_another_content_is_found_when_everything_is_hashed(no_data, computer, monkeypatch):
    path = sources.place("cgn-colored")
    path.parent.mkdir()
    path.write_bytes(bytes(sources.table()["cgn-colored"]["size"]))
    what = Input("weights", "cgn-colored")
    needs.check(what)
    with pytest.raises(CGNError, match="has sha256"):
        needs.check(what, thorough=True)


def test_a_file_that_nobody_vouches_for_is_no_good(no_data):
    path = sources.place("biggan256")
    path.parent.mkdir()
    path.write_bytes(b"abc")
    with pytest.raises(CGNError, match="sha256sum") as error:
        needs.check(Input("weights", "biggan256"))
    assert not isinstance(error.value, MissingError)
    sources.beside(path).write_text(f"{sources.sha256(path)}  biggan256.pth\n")
    needs.check(Input("weights", "biggan256"), thorough=True)


def test_a_missing_class_and_a_missing_image_are_found(no_data, monkeypatch):
    root, what = no_data / "in9" / "mixed_same" / "val", Input("benchmark", "in9/mixed_same")
    layout = replace(public.LAYOUTS["in9/mixed_same"], images=9, per_class=1)
    monkeypatch.setitem(public.LAYOUTS, "in9/mixed_same", layout)
    for folder in public.IN9_FOLDERS:
        with pytest.raises(CGNError):
            needs.check(what)
        (root / folder).mkdir(parents=True)
    needs.check(what)
    for folder in public.IN9_FOLDERS:
        with pytest.raises(CGNError):
            needs.check(what, thorough=True)
        (root / folder / "1.JPEG").write_bytes(b"pixels")
    needs.check(what, thorough=True)
    manifest = sources.beside(no_data / "in9")
    image = root / public.IN9_FOLDERS[0] / "1.JPEG"
    manifest.write_text(f"{sources.sha256(image)}  {image.relative_to(no_data).as_posix()}\n")
    needs.check(what, thorough=True)
    image.write_bytes(b"PIXELS")
    with pytest.raises(CGNError, match="not what was unpacked"):
        needs.check(what, thorough=True)


def test_damaged_digits_are_found_when_they_are_read(no_data):
    (no_data / "mnist").mkdir()
    for name in digits.IDX_FILES:
        (no_data / "mnist" / name).touch()
    needs.check(Input("digits", "mnist"))
    with pytest.raises(CGNError, match="IDX"):
        needs.check(Input("digits", "mnist"), thorough=True)


def test_a_damaged_part_of_the_menagerie_is_found(random_parts, tmp_path, monkeypatch):
    for path in random_parts.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    what = Input("part", "probe")
    needs.check(what, thorough=True)
    (tmp_path / "probe.safetensors").write_bytes(b"abc")
    with pytest.raises(CGNError, match="not that of its record"):
        needs.check(what, thorough=True)
    (tmp_path / "probe.safetensors").unlink()
    with pytest.raises(MissingError):
        needs.check(what)


@pytest.mark.parametrize("profile", ["full"])
def test_the_real_data_is_whole(profile, original, computer, monkeypatch):
    for name in ("mnist", "dtd", "weights", "cue_conflict"):
        original(name)
    report = doctor.examine(profile, thorough=True)
    assert not reported(report) and report.ok


# --- the machine


@pytest.mark.parametrize(
    ("gpus", "slurm", "enough"),
    [
        ([GPU], NO_SLURM, True),
        ([], SLURM, True),
        ([], NO_SLURM, False),
        ([machine.Gpu("a small card", 8 * GB)], NO_SLURM, False),
        ([machine.Gpu("a small card", 8 * GB), GPU], NO_SLURM, True),
        ([], replace(SLURM, gpu=False), False),
        ([], replace(SLURM, sbatch=False), False),
    ],
)
def test_paper_wants_a_gpu_here_or_in_slurm(gpus, slurm, enough, no_data, computer):
    computer(gpus, slurm)
    report = doctor.examine("paper")
    assert any(problem.startswith("no GPU of 11 GB") for problem in report.problems) != enough
    assert not any("GPU" in problem for problem in doctor.examine("mini").problems)


def test_space_is_wanted_for_what_is_still_to_come(no_data, computer, tmp_path):
    report = doctor.examine("paper")
    data, runs = report.disks
    assert (data.what, runs.what) == ("data", "runs") and data.needed == runs.needed  # one disk
    total = sum(doctor.run_bytes(run) for run in every_run("paper"))
    first = every_run("paper")[0]
    done = tmp_path / "runs" / "paper" / first.id
    done.mkdir(parents=True)
    (done / "metrics.json").write_text("{}")
    (done / "spec.json").write_text(json.dumps(first.spec()))
    assert runs.needed > total > 10 * GB
    again = doctor.examine("paper").disks[1]
    assert runs.needed - again.needed == pytest.approx(doctor.run_bytes(first), abs=1)


def test_a_small_disk_is_a_problem(no_data, computer):
    computer(free=GB)
    report = doctor.examine("mini")
    assert not report.ok and "GB free of about" in report.problems[0]
    assert all(disk.enough == (disk.needed <= GB) for disk in report.disks)


def test_larger_profiles_leave_more_behind():
    mini, full, paper = (sum(map(doctor.run_bytes, every_run(name))) for name in PROFILES)
    assert GB < mini < 3 * GB < full < paper


def test_a_set_takes_its_images(tmp_path):
    (run,) = [r for r in every_run("full") if r.id == "set-colored-cgn-g0-s0"]
    assert doctor.run_bytes(run) == 50_000 * 32 * 32 * 3


def test_a_folder_that_cannot_be_written_is_a_problem(no_data, computer, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    report = doctor.examine("full")
    assert sum("cannot be written" in problem for problem in report.problems) == 2


def test_a_folder_that_nothing_comes_into_need_not_be_written(no_data, computer, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda place, _: place != paths.data())
    monkeypatch.setattr(doctor, "_bytes_of_source", lambda _: 0)
    assert not any("cannot be written" in problem for problem in doctor.examine("full").problems)


# --- how it is said


KEYS = {
    "": {"schema", "ok", "profile", "thorough", "inputs", "disks", "machine", "gpu_needed"}
    | {"problems"},
    "inputs": {"kind", "name", "status", "source", "size", "get", "detail", "runs"},
    "disks": {"what", "folder", "free", "needed", "own", "writable", "enough"},
    "machine": {"python", "torch", "torchvision", "cores", "memory", "precision", "gpus"}
    | {"slurm"},
    "slurm": {"sbatch", "answers", "partitions", "gpu", "trouble"},
}


def test_the_json_has_one_schema(no_data, computer, capsys):
    computer([GPU], SLURM)
    assert main(["doctor", "--profile", "paper", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1 and found["ok"] is False and found["profile"] == "paper"
    assert found.keys() == KEYS[""] and found["machine"].keys() == KEYS["machine"]
    assert found["machine"]["slurm"].keys() == KEYS["slurm"]
    assert found["machine"]["gpus"] == [asdict(GPU)]
    assert all(disk.keys() == KEYS["disks"] for disk in found["disks"])
    assert all(f.keys() == KEYS["inputs"] for f in found["inputs"])
    assert {f["status"] for f in found["inputs"]} == {"there", "missing"}
    assert len(found["problems"]) == sum(f["status"] == "missing" for f in found["inputs"])


def test_the_text_names_what_is_missing_and_how_to_get_it(no_data, computer, capsys):
    assert main(["doctor", "--profile", "paper"]) == 1
    out = capsys.readouterr().out
    for name in sources.table():
        assert re.search(rf"missing .*{re.escape(sources.command(name))}\n", out), name
    assert "python data_prep/fetch.py --profile paper" in out and str(no_data) in out
    assert "no GPU of 11 GB" in out and "inputs are missing, see above" in out


def test_the_smallest_profile_has_all_it_needs(no_data, computer, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("everything is there\n") and "missing" not in out
    assert not list(no_data.iterdir()) and not paths.runs("mini").exists()  # nothing is written


def test_an_unknown_profile_is_one_line(capsys):
    assert main(["doctor", "--profile", "tiny"]) == 1
    assert capsys.readouterr().err.startswith("error: unknown profile")


def test_no_command_that_only_looks_opens_a_connection(no_data, capsys):
    assert main(["list", "--profile", "paper"]) == 0
    assert main(["doctor", "--profile", "paper"]) == 1
    assert main(["run", "--profile", "full", "--dry-run", "all"]) == 0


def test_importing_everything_opens_no_connection():
    code = """
import pkgutil, socket
def refuse(*_, **__): raise AssertionError("this would reach the network")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import cgnlib
for module in pkgutil.walk_packages(cgnlib.__path__, "cgnlib."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
