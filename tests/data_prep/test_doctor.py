"""The doctor: what keeps a profile from running here, and how that is said."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

import doctor
import machine
import needs
from cgnlib import experiments, paths
from cgnlib.data import sources

GB = 10**9
GPU = machine.Gpu("a card", 12 * GB)
SLURM = machine.Slurm(True, True, ["gpu* gpu:a100:4 3"], True)
NO_SLURM = machine.Slurm(False, False, trouble="there is no sinfo here")


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
        monkeypatch.setattr(machine, "look", lambda *_: found)
        usage = type("usage", (), {"free": free})
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)

    set_up()
    return set_up


@pytest.mark.parametrize(
    ("gpus", "slurm", "enough"),
    [
        ([GPU], NO_SLURM, True),
        ([], SLURM, True),
        ([], NO_SLURM, False),
        ([machine.Gpu("a small card", 8 * GB)], NO_SLURM, False),
        ([machine.Gpu("a small card", 8 * GB), GPU], NO_SLURM, True),
        ([replace(GPU, trouble="no kernels for sm_61")], NO_SLURM, False),
        ([GPU, replace(GPU, trouble="no kernels for sm_61")], NO_SLURM, True),
        ([replace(GPU, trouble="no kernels for sm_61"), GPU], NO_SLURM, False),  # the first is used
        ([], replace(SLURM, gpu=False), False),
        ([], replace(SLURM, sbatch=False), False),
    ],
)
def test_paper_wants_a_gpu_here_or_in_slurm(gpus, slurm, enough, no_data, computer):
    computer(gpus, slurm)
    report = doctor.examine("paper")
    assert any(problem.startswith("no GPU of 11 GB") for problem in report.problems) != enough
    for smaller in ("mini", "full"):
        assert not any("GPU" in problem for problem in doctor.examine(smaller).problems)


def test_space_is_wanted_for_what_is_still_to_come(no_data, computer, tmp_path):
    declared = experiments.with_needs(experiments.grid("paper"))
    data, runs = doctor.examine("paper").disks
    assert (data.what, runs.what) == ("data", "runs") and data.needed == runs.needed  # one disk
    assert runs.own == int(sum(run.bytes_left() for run in declared))
    assert data.own > sources.table()["sketch"]["size"] + sources.table()["sketch"]["unpacked"]
    done = tmp_path / "runs" / "paper" / declared[0].id
    done.mkdir(parents=True)
    (done / "metrics.json").write_text('{"score": 1}')
    (done / "spec.json").write_text(json.dumps(declared[0].spec()))
    stated = {"metrics.json": sources.sha256(done / "metrics.json")}
    (done / "artefacts.json").write_text(json.dumps(stated))
    again = doctor.examine("paper").disks[1]
    assert runs.own - again.own == pytest.approx(declared[0].bytes_left(), abs=1)


def test_larger_profiles_leave_more_behind(no_data, computer):
    mini, full, paper = (doctor.examine(name).disks[1].own for name in experiments.PROFILES)
    assert GB < mini < 3 * GB < full < paper


def test_a_gpu_that_torch_cannot_use_is_told_in_words(no_data, computer, monkeypatch, capsys):
    computer([replace(GPU, trouble="this torch has no kernels for sm_61, but for sm_75")])
    found = replace(machine.look(), driver="too old")
    monkeypatch.setattr(machine, "look", lambda *_: found)
    assert doctor.main([]) == 0  # the smallest profile wants none
    out = capsys.readouterr().out
    assert (
        "  a card is not used: this torch has no kernels for sm_61, but for sm_75; install" in out
    )
    assert "  a GPU is not used: too old; update the driver" in out and "everything is there" in out
    computer([GPU])
    assert doctor.main([]) == 0 and "not used" not in capsys.readouterr().out


def test_a_small_disk_is_a_problem(no_data, computer):
    computer(free=GB)
    report = doctor.examine("mini")
    assert not report.ok and "GB free of about" in report.problems[0]
    assert all(disk.enough == (disk.needed <= GB) for disk in report.disks)


def test_a_folder_that_cannot_be_written_is_a_problem(no_data, computer, monkeypatch):
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    report = doctor.examine("full")
    assert sum("cannot be written" in problem for problem in report.problems) == 2


@pytest.mark.parametrize("name", ["mnist", "dtd", "weights", "cue_conflict", "in9/mixed_same/val"])
def test_what_one_may_not_read_is_a_line(name, closed, computer, capsys):
    assert doctor.main(["--profile", "paper"]) == 1  # and imports what it needs
    capsys.readouterr()
    with closed(name) as folder:
        assert doctor.main(["--profile", "paper"]) == 1
    out, err = capsys.readouterr()
    assert str(folder) in out.partition("problems\n")[2] and "Traceback" not in err


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
    | {"slurm", "driver"},
    "slurm": {"sbatch", "answers", "partitions", "gpu", "trouble"},
}


def test_the_json_has_one_schema(no_data, computer, capsys):
    computer([GPU], SLURM)
    assert doctor.main(["--profile", "paper", "--json"]) == 1
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
    assert doctor.main(["--profile", "paper"]) == 1
    out = capsys.readouterr().out
    for name in needs.downloads_of("paper"):
        assert re.search(rf"missing .*{re.escape(sources.command(name))}\n", out), name
    assert "python data_prep/fetch.py --profile paper" in out and str(no_data) in out
    assert "no GPU of 11 GB" in out and "inputs are missing, see above" in out


def test_the_smallest_profile_has_all_it_needs(no_data, computer, capsys):
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    assert out.endswith("everything is there\n") and "missing" not in out
    assert not list(no_data.iterdir()) and not paths.runs("mini").exists()  # nothing is written


def test_every_example_of_the_help_is_right_usage(no_data, computer, capsys):
    lines = [line for line in doctor.EXAMPLES.splitlines() if "doctor.py" in line]
    for line in lines:
        arguments = line.split("    ")[0].split("doctor.py")[1].split()
        assert doctor.main(arguments) == ("--profile" in arguments), line
    with pytest.raises(SystemExit) as left:
        doctor.main(["--help"])
    assert left.value.code == 0 and lines[-1] in capsys.readouterr().out and len(lines) >= 4


def test_bad_usage_and_an_interruption_have_their_exit_codes(capsys, monkeypatch):
    with pytest.raises(SystemExit) as left:
        doctor.main(["--profile", "tiny"])
    assert left.value.code == 2 and "invalid choice: 'tiny'" in capsys.readouterr().err

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupt)
    assert doctor.main([]) == 130 and capsys.readouterr().err.startswith("interrupted")


def test_no_command_that_only_looks_opens_a_connection(no_data, capsys):
    from cgnlib.__main__ import main

    assert main(["list", "--profile", "paper"]) == 0
    assert doctor.main(["--profile", "paper"]) == 1
    assert main(["run", "--profile", "full", "--dry-run", "all"]) == 0


def test_importing_everything_opens_no_connection():
    code = """
import pkgutil, socket
def refuse(*_, **__): raise AssertionError("this would reach the network")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import cgnlib, doctor, fetch
for module in pkgutil.walk_packages(cgnlib.__path__, "cgnlib."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
"""
    folder = paths.ROOT / "data_prep"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=120)
