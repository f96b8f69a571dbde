"""Jobs: what runs ask of a cluster, what is done, and the workflow that orders them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from cgnlib import experiments
from cgnlib.data.sources import sha256
from cgnlib.errors import CGNError
from cgnlib.experiments import jobs

ROOT = Path(__file__).resolve().parents[2]
EVERY = [
    run for name in experiments.PROFILES for run in experiments.with_needs(experiments.grid(name))
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    yield tmp_path / "runs" / "mini"
    shutil.rmtree(jobs.mark(EVERY[0]).parent, ignore_errors=True)


def finish(folder, run):
    (folder / run.id).mkdir(parents=True, exist_ok=True)
    (folder / run.id / "spec.json").write_text(json.dumps(run.spec() | {"inputs": {}}))
    (folder / run.id / "metrics.json").write_text('{"score": 1}')
    stated = {"metrics.json": sha256(folder / run.id / "metrics.json")}
    (folder / run.id / "artefacts.json").write_text(json.dumps(stated))


def test_every_run_has_a_cost_and_resources_that_allow_for_it():
    for run in EVERY:
        needed = jobs.resources(run)
        assert needed.cores >= 1 and needed.memory_mb >= 1000
        assert needed.minutes * 60 >= 2 * jobs.expected_seconds(run) > 0, run.id


def test_only_the_paper_asks_for_gpus():
    asking = {(run.profile, run.variant) for run in EVERY if jobs.resources(run).gpus}
    assert asking == {("paper", "imagenet")}


def test_copies_and_packaged_classifiers_ask_for_no_gpu():
    asking = {type(run) for run in EVERY if jobs.resources(run).gpus}
    kinds = experiments.PublishedMechanisms, experiments.PretrainedPlain
    for kind in (*kinds, experiments.PackagedRobustness):
        assert kind in {type(run) for run in EVERY} and kind not in asking
    assert {experiments.Mechanisms, experiments.Ensemble, experiments.Robustness} < asking


def test_a_cgn_over_biggan_needs_room_for_its_checkpoints():
    trained = [run for run in EVERY if isinstance(run, experiments.Mechanisms)]
    for run in trained:
        two = 2 * 2.45e9 if run.profile == "paper" else 2 * 53e6
        assert two + run.facts.cgn < run.bytes_left() < 2 * (two + run.facts.cgn), run.id
    assert {run.profile for run in trained} == set(experiments.PROFILES)


def test_no_job_asks_for_longer_than_the_cluster_allows(monkeypatch):
    free = [jobs.resources(run) for run in EVERY]
    assert max(asked.minutes for asked in free) > 1440
    assert not any(asked.resumed for asked in free)
    for most in (1, 25, 1440):
        monkeypatch.setenv("CGN_MAX_MINUTES", str(most))
        for run, wanted in zip(EVERY, (asked.minutes for asked in free), strict=True):
            asked = jobs.resources(run)
            assert asked.minutes == min(wanted, most)
            assert asked.resumed * most < wanted <= (asked.resumed + 1) * asked.minutes
        assert jobs.resources_of_chapter().minutes == min(30, most)


LONG = pytest.param("9" * 5000, id="many digits")  # more than Python takes for a number


@pytest.mark.parametrize("told", ["0", "-5", "a day", "24:00:00", "1.5", LONG])
def test_a_wrong_longest_time_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_MAX_MINUTES", told)
    with pytest.raises(CGNError, match=r"CGN_MAX_MINUTES is .*: set it to a number of minutes"):
        jobs.resources(EVERY[0])


def test_jobs_with_and_without_a_gpu_go_to_partitions_of_their_own(monkeypatch):
    with_gpu, without = jobs.Resources(8, 32_000, 60, 1), jobs.resources_of_chapter()
    assert with_gpu.partition == without.partition == {}
    monkeypatch.setenv("CGN_GPU_PARTITION", "a100")
    monkeypatch.setenv("CGN_CPU_PARTITION", "")
    assert (with_gpu.partition, without.partition) == ({"slurm_partition": "a100"}, {})
    monkeypatch.setenv("CGN_CPU_PARTITION", "thin")
    assert without.partition == {"slurm_partition": "thin"}
    monkeypatch.setenv("CGN_CPU_PARTITION", " thin,thin-2.long\n")
    assert without.partition == {"slurm_partition": "thin,thin-2.long"}


@pytest.mark.parametrize("told", ["-p", "a b", "thin;ls", "'thin'", "{thin}"])
def test_what_names_no_partition_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_CPU_PARTITION", told)
    with pytest.raises(CGNError, match=r"^CGN_CPU_PARTITION is .*: set it to a partition"):
        assert jobs.resources_of_chapter().partition


def test_the_larger_profile_costs_more():
    for name in (
        "cgn-wildlife-s0",
        "classifier-wildlife-original-s0",
        "mechanisms-menagerie-none-s0",
    ):
        mini, full = (experiments.find(profile, name) for profile in ("mini", "full"))
        assert jobs.expected_seconds(full) > 3 * jobs.expected_seconds(mini)


def test_cost_grows_with_the_steps():
    run = experiments.profile("full").gan("colored", 0)
    longer = replace(run, recipe=replace(run.recipe, steps=10 * run.recipe.steps))
    costs = [jobs.expected_seconds(r) - jobs.START for r in (run, longer)]
    assert costs[1] == pytest.approx(10 * costs[0])


def test_originals_in_the_place_of_others_cost_nothing_more():
    p = experiments.profile("full")
    source = p.cgns("wildlife")[0]
    alone = p.classifier("wildlife", "cgn", 0, source)
    mixed = [p.mixed(source, 0, share) for share in (0.1, 0.9)]
    assert {jobs.expected_seconds(run) for run in mixed} == {jobs.expected_seconds(alone)}


def test_a_chain_ends_with_the_last_run_that_waits():
    p = experiments.profile("mini")
    source = p.cgn("wildlife", 0)
    images = p.image_set(source, 0)
    trained = p.classifier("wildlife", "cgn", 0, source)
    judged = p.evaluation(source)
    chain = jobs.chains([judged, trained])
    of = {run.id: jobs.expected_seconds(run) for run in (source, images, trained, judged)}
    assert chain[trained.id] == of[trained.id] and chain[judged.id] == of[judged.id]
    assert chain[images.id] == of[images.id] + of[trained.id]
    assert chain[source.id] == of[source.id] + max(chain[images.id], chain[judged.id])


def test_marks_follow_the_finished_runs(folder):
    runs = experiments.with_needs(experiments.grid("mini", "claim-1-mnist"))
    finish(folder, runs[0])
    os.utime(folder / runs[0].id / "metrics.json", (1000, 1000))
    jobs.renew_marks(runs)
    marks = jobs.mark(runs[0]).parent
    assert [path.name for path in marks.iterdir()] == [runs[0].id]
    assert jobs.mark(runs[0]).stat().st_mtime == 1000
    assert not marks.is_relative_to(folder)  # which may be others' runs
    shutil.rmtree(folder / runs[0].id)
    jobs.renew_marks(runs)
    assert not list(marks.iterdir())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", ""),
        ("metrics.json", "{}"),
        ("artefacts.json", None),
        ("artefacts.json", "[1]"),
        ("spec.json", "{"),
        ("spec.json", "{}"),
    ],
)
def test_what_is_damaged_or_of_another_spec_is_not_finished(name, content, folder):
    run = experiments.profile("mini").gan("colored", 0)
    finish(folder, run)
    assert jobs.is_finished(run)
    (folder / run.id / name).unlink()
    if content is not None:
        (folder / run.id / name).write_text(content)
    assert not jobs.is_finished(run)  # so the workflow makes it, and cgnlib says what is wrong


def test_the_cost_counts_what_is_left(folder):
    runs = experiments.grid("mini", "claim-1-mnist")
    assert jobs.cost(runs).startswith("0 of 3 runs are done; about ")
    for run in runs:
        finish(folder, run)
    assert jobs.cost(runs) == "3 of 3 runs are done; about 0.0 core hours and 0 GPU hours are left"


# --- the workflow


def snakemake(*words, cwd=ROOT):
    """Exit code and output.  In a fork, as Snakemake's imports take longer than most plans."""
    from snakemake import cli

    with tempfile.TemporaryFile("w+") as said:
        if not (pid := os.fork()):
            code = 1
            try:
                for name in [name for name in sys.modules if name.startswith("cgnlib")]:
                    del sys.modules[name]  # that of the folder is to be read
                sys.path.insert(0, str(cwd))
                os.chdir(cwd)
                for stream in (1, 2):
                    os.dup2(said.fileno(), stream)
                sys.stdout = sys.stderr = said
                cli.main(["--cores", "2", *words])
            except SystemExit as left:
                code = left.code
            finally:
                said.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return code, said.read()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which nothing was made yet, where only careful people have one."""
    copy = tmp_path_factory.mktemp("copy") / "it's my {half} 50% & #1 étude"
    ignored = shutil.ignore_patterns("runs", "data", "_build", ".git", ".venv", ".snakemake")
    return Path(shutil.copytree(ROOT, copy, ignore=ignored))


@pytest.mark.slow
@pytest.mark.parametrize("profile", list(experiments.PROFILES))
def test_a_dry_run_plans_every_run_and_chapter_and_says_the_cost(profile, project):
    planned = ("-n", "--config", f"profile={profile}", "--", "book")
    code, said = snakemake(*planned, cwd=project)
    assert code == 0, said
    runs = experiments.with_needs(experiments.grid(profile))
    jobs_of_it = {line.split()[0] for line in said.splitlines() if line.strip().endswith(" 1")}
    assert {run.id for run in runs} <= jobs_of_it and "book" in jobs_of_it
    assert f"profile {profile}: 0 of {len(runs)} runs are done; about" in said


@pytest.mark.slow
def test_a_chapter_is_executed_wherever_project_and_python_lie(project):
    (project / ".venv").symlink_to(sys.prefix)
    python = str(project / ".venv/bin" / Path(sys.executable).name)
    command = [python, "-m", "snakemake", "--cores", "2", "01_context"]
    env = os.environ | {"PYTHONPATH": str(project)}
    made = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (project / "_build/chapters/mini/01_context").exists()
    assert "Nothing to be done" in snakemake("-n", "01_context", cwd=project)[1]
    notebook = project / "book/01_context.ipynb"
    notebook.write_text("<<<<<<< HEAD")  # of a merge
    made = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    assert made.returncode == 0 and notebook.read_text().startswith('{\n "cells"'), made.stderr
    (project / "_build/chapters/mini/01_context").unlink()
    start = {"cwd": project, "env": env, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    both = [subprocess.Popen(command, **start, text=True) for _ in range(2)]
    said = "".join(one.communicate()[0] for one in both)
    assert [one.returncode for one in both] == [0, 0], said
    assert said.count("another Snakemake makes this book: waiting for it") == 1
    assert said.count("book/01_context.md") == 1 and "Nothing to be done" in said


@pytest.mark.slow
def test_who_waits_for_another_book_can_be_interrupted(project):
    (project / "_build").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "01_context"]
    with FileLock(project / "_build" / ".lock"):
        waiting = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True)
        said = ""
        while "waiting for it" not in said:
            assert waiting.poll() is None, said
            said += waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        said = waiting.communicate()[1]
    assert (waiting.returncode, said) == (130, "interrupted while waiting: nothing was done\n")


@pytest.mark.slow
def test_a_plan_follows_the_settings_of_the_cluster(monkeypatch, project):
    monkeypatch.setenv("CGN_CPU_PARTITION", "thin")
    monkeypatch.setenv("CGN_MAX_MINUTES", "7")
    code, said = snakemake("-n", "--quiet", "reason", "--", "08_claim3_mnist", cwd=project)
    asked = [line for line in said.splitlines() if line.strip().startswith("resources:")]
    assert code == 0 and len(asked) > 10, said
    assert all("slurm_partition=thin" in line and "runtime=7" in line for line in asked)
    monkeypatch.setenv("CGN_MAX_MINUTES", "a day")
    code, said = snakemake("-n", "08_claim3_mnist", cwd=project)
    assert code != 0 and "CGN_MAX_MINUTES is 'a day': set it to a number" in said
    monkeypatch.delenv("CGN_MAX_MINUTES")
    monkeypatch.setenv("CGN_CPU_PARTITION", "a b")
    code, refused = snakemake("-n", "08_claim3_mnist")
    assert code != 0 and "CGN_CPU_PARTITION is 'a b': set it to a partition" in refused
    assert "Traceback" not in said + refused


@pytest.mark.slow
def test_what_is_done_is_planned_no_more(folder):
    claim = experiments.with_needs(experiments.grid("mini", "claim-1-mnist"))
    for run in claim[:-1]:
        finish(folder, run)
    code, said = snakemake("-n", "claim-1-mnist")
    assert code == 0 and claim[-1].id in said
    assert not [run.id for run in claim[:-1] if f"\n{run.id} " in said]
    finish(folder, claim[-1])
    assert "Nothing to be done" in snakemake("-n", "claim-1-mnist")[1]


@pytest.mark.slow
def test_a_book_is_built_and_printed_only_when_something_changed(folder, project):
    for run in experiments.with_needs(experiments.grid("mini")):
        finish(folder, run)
    made = project / "_build"
    texts = [project / "index.md", *(project / "book").glob("[0-9]*.md")]
    for path in [*(made / "chapters" / "mini" / text.stem for text in texts),
                 made / "html" / ".buildinfo", made / "html" / "cgn-book.pdf"]:  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def planned():
        code, said = snakemake("-n", "pdf", cwd=project)
        assert code == 0, said
        return {line.split()[0] for line in said.splitlines() if line.strip().endswith(" 1")}

    assert planned() == set()
    for changed in ("book/_static/book.css", "book/17_lessons.ipynb"):
        stamp = (project / changed).stat().st_mtime
        (project / changed).touch()
        assert planned() == {"book", "pdf"}
        os.utime(project / changed, (stamp, stamp))
    (project / "book/17_lessons.md").touch()
    assert planned() == {"17_lessons", "book", "pdf"}


@pytest.mark.slow
def test_what_failed_after_it_wrote_is_made_again(tmp_path):
    """As a strict build does that finds something amiss at its end."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    rule = 'rule book:\n    output: "built"\n    shell: "echo again >> log; touch built; exit 1"\n'
    (tmp_path / "Snakefile").write_text(rule)
    assert [snakemake("book", cwd=tmp_path)[0] for _ in range(2)] == [1, 1]
    assert (tmp_path / "log").read_text().split() == ["again", "again"]


@pytest.mark.slow
def test_an_unknown_profile_is_an_error():
    code, said = snakemake("-n", "--config", "profile=huge", "--", "book")
    assert code != 0 and "unknown profile 'huge': choose mini, full, paper" in said


def test_chapters_wait_for_the_runs_that_they_ask_for():
    """The pattern by which the workflow reads claims from the chapters finds all of them."""
    for text in [ROOT / "index.md", *(ROOT / "book").glob("[0-9]*.md")]:
        content = text.read_text()
        asked = content.count("experiments.grid(profile")
        closed = content.count("experiments.grid(profile)") + sum(
            content.count(f'experiments.grid(profile, "{claim}")') for claim in experiments.CLAIMS
        )
        assert asked == closed, text.name


def test_profiles_are_options_of_snakemake():
    _, said = snakemake("--help")
    of_the_plugin = {"slurm-status-command", "slurm-no-account"}
    for name in ("default", "slurm"):
        options = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
        assert not [o for o in options.keys() - of_the_plugin if f"--{o}" not in said], name
        assert options.get("retries", jobs.RETRIES) == jobs.RETRIES
