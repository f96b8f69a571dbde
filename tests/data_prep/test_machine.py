"""What the machine offers, from stand-ins for Slurm and from this one."""

import os

import pytest
import torch

import machine


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Puts shell scripts, the only commands that are found."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(**scripts):
        for name, script in scripts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    return put


def test_without_slurm_it_says_so(commands):
    found = machine.look_for_slurm()
    assert not found.sbatch and not found.answers and "no sinfo" in found.trouble


@pytest.mark.parametrize(("gres", "gpu"), [("gpu:a100:4", True), ("(null)", False)])
def test_partitions_are_those_of_sinfo(gres, gpu, commands):
    commands(sbatch="exit 0", sinfo=f"echo 'main*   {gres}  12'; echo ''")
    found = machine.look_for_slurm()
    assert found == machine.Slurm(True, True, [f"main* {gres} 12"], gpu)


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("echo 'sinfo: error: no controller' >&2; echo more >&2; exit 1", "no controller"),
        ("exit 3", "exit code 3"),
    ],
)
def test_a_cluster_that_does_not_answer_is_told(script, trouble, commands):
    commands(sbatch="exit 0", sinfo=script)
    assert machine.look_for_slurm() == machine.Slurm(True, False, trouble=trouble)


def test_a_cluster_that_hangs_is_not_waited_for(commands, monkeypatch):
    monkeypatch.setattr(machine, "SLURM_SECONDS", 0.2)
    commands(sinfo="exec /bin/sleep 60")
    found = machine.look_for_slurm()
    assert not found.answers and "timed out" in found.trouble


def test_this_machine(commands):
    found = machine.look()
    assert found.torch == torch.__version__ and 1 <= found.cores <= os.cpu_count()
    assert found.memory > 10**8 and len(found.gpus) == torch.cuda.device_count()


def test_a_folder_to_come_is_judged_by_the_one_above(tmp_path):
    needed = {"data": (tmp_path / "a" / "b", 5), "runs": (tmp_path, 7)}
    data, runs = machine.look_at_disks(needed)
    assert data.folder == str(tmp_path / "a" / "b") and data.writable
    assert data.needed == runs.needed == 12  # one disk holds both
    assert (data.own, runs.own) == (5, 7)
    assert data.enough and not (tmp_path / "a").exists()
