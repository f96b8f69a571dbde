"""A slice of the study on a real Slurm cluster, with everything that can befall its jobs.

Eight runs of `mini` are made anew beside the finished ones, then the chapter that reads them; of
`paper` the runs of another chapter are rehearsed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import slurm_cluster

from cgnlib import experiments, paths, precision
from rehearse import Stage

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[1]
CHAPTER, REHEARSED = "08_claim3_mnist", "06_claim1_imagenet"
KILLED, CANCELLED, STOPPED = (f"gan-{variant}-s0" for variant in experiments.VARIANTS)
SECONDS = 1500


def remade():
    """The three GANs, and what needs them with the first seed."""
    wanted = []
    for run in experiments.with_needs(experiments.grid("mini", "claim-3-mnist")):
        of_gan = run.kind == "gan" or any(need.kind == "gan" for need in run.needs.values())
        trained = run.kind == "classifier" and run.id.endswith("colored-gan-g0-s0")
        if (of_gan or trained) and run.seed == 0:
            wanted.append(run.id)
    return wanted


@pytest.fixture(scope="module", autouse=True)
def cluster():
    try:
        slurm_cluster.start()
    except slurm_cluster.UnavailableError as error:
        pytest.skip(str(error))
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install -e '.[slurm]'")


@pytest.fixture
def study(tmp_path):
    """A copy of the project, and its runs: the finished ones by link, but for those remade."""
    finished = paths.runs("mini")
    needed = experiments.with_needs(experiments.grid("mini", "claim-3-mnist"))
    if not all((finished / run.id / "metrics.json").exists() for run in needed):
        pytest.skip("the runs of claim-3-mnist are not there: make runs")
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns(
        "runs", "data", "_build", ".git", ".venv", "venv", ".snakemake"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    (tmp_path / "runs" / "mini").mkdir(parents=True)
    for run in needed:
        if run.id not in remade():
            (tmp_path / "runs" / "mini" / run.id).symlink_to(finished / run.id)
    return copy


def arithmetic_of(run):
    """What a finished run computed in, as CGN_PRECISION names it."""
    noted = json.loads((paths.runs("mini") / run / "env.json").read_text())
    return precision.BFLOAT16 if precision.BFLOAT16 in noted["device"] else precision.FLOAT32


class Workflow:
    """Snakemake on Slurm, started in a copy of the project."""

    def __init__(self, folder):
        self.folder, self.runs = folder, folder.parent / "runs" / "mini"
        self.env = os.environ | {
            "CGN_RUNS": str(folder.parent / "runs"),
            "CGN_CHECKPOINT_SECONDS": "1",
            "CGN_PRECISION": arithmetic_of(KILLED),  # as the run that it is compared with
            "PYTHONPATH": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self):
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", CHAPTER]
        command += ["--slurm-init-seconds-before-status-checks", "5"]
        log = (self.folder / "workflow.log").open("ab")
        return subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)

    def log(self):
        return (self.folder / "workflow.log").read_text()[-3000:]

    def attempts(self, run):
        return len(list((self.runs / run).glob("attempt-*.log")))

    def process_of(self, run, attempt=1):
        """The process that computes a run, once it has saved something in that attempt."""

        def found():
            if self.attempts(run) < attempt or not (self.runs / run / "checkpoint.pt").exists():
                return None
            lease = (self.runs / ".locks" / f"{run}.lease").read_text()
            return int(re.search(r"^pid=(\d+)$", lease, re.MULTILINE)[1])

        return until(found, f"{run} is not under way", self)


def until(found, what, workflow, seconds=600):
    for _ in range(seconds):
        if (value := found()) is not None:
            return value
        time.sleep(1)
    pytest.fail(f"{what} after {seconds} s: {workflow.log()}")


def job_of(pid):
    """The Slurm job that a process belongs to."""
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next(v for k, _, v in (e.partition("=") for e in environment) if k == "SLURM_JOB_ID")


def test_a_study_survives_what_befalls_its_jobs(study):
    workflow = Workflow(study)
    untouched = {p: p.stat().st_mtime_ns for p in workflow.runs.glob("*/metrics.json")}
    first = workflow.start()

    def kill():
        os.kill(workflow.process_of(KILLED), signal.SIGKILL)

    def cancel():
        subprocess.run(["scancel", job_of(workflow.process_of(CANCELLED))], check=True)

    def run_out_of_time():
        process = workflow.process_of(STOPPED)
        os.kill(process, signal.SIGSTOP)  # so that the limit comes first, however fast the machine
        limit = ["scontrol", "update", f"JobId={job_of(process)}", "TimeLimit=1"]
        subprocess.run(limit, check=True)

    with ThreadPoolExecutor(3) as pool:  # whichever of the jobs comes first
        for done in [pool.submit(act) for act in (kill, cancel, run_out_of_time)]:
            done.result()

    first.kill()  # its jobs live on; the next one has them to find
    first.wait()
    second = workflow.start()
    try:
        code = second.wait(SECONDS)
    finally:
        second.kill()
    assert code == 0, workflow.log()

    finished = paths.runs("mini")
    for run in remade():
        made = {p.name: p.read_bytes() for p in (workflow.runs / run).iterdir()}
        assert "checkpoint.pt" not in made
        for name in ("metrics.json", "weights.safetensors", "images.npy", "history.csv"):
            if (finished / run / name).exists():
                assert made[name] == (finished / run / name).read_bytes(), f"{run}/{name}"
    for run in (KILLED, CANCELLED, STOPPED):
        assert workflow.attempts(run) >= 2, run
    assert {p: p.stat().st_mtime_ns for p in untouched} == untouched
    assert (study / "_build" / "chapters" / "mini" / CHAPTER).exists()

    third = workflow.start()  # everything is done
    assert third.wait(120) == 0 and "Nothing to be done" in workflow.log()


def test_a_chapter_of_the_paper_is_rehearsed(tmp_path):
    stage = Stage("paper", tmp_path)
    stage.set_up()
    stage.gather()
    stage.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    slurm = ["--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "5"]
    stage.run(["-m", "snakemake", *slurm, "--config", "profile=paper", "--", REHEARSED])
    needed = experiments.with_needs(experiments.grid("paper", "claim-1-imagenet"))
    logs = [p.read_text() for p in (stage.folder / "runs").glob("paper/*/attempt-001.log")]
    assert len(logs) == len(needed) and all("Slurm job" in log for log in logs)
    assert (stage.project / "book" / f"{REHEARSED}.ipynb").exists()
