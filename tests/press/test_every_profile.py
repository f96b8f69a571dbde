"""Every profile ends in a book: `make rehearsal` carries numbers drawn at random to its last page.

The chapters are executed by the workflow itself, in kernels of their own, in a copy of the project
that goes away with its runs; see `finished`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import finished
import pytest
import tracked

from sources import ROOT, notebooks, source_of

pytestmark = pytest.mark.rehearsal

PARTS = ("cgnlib", "book", "data_prep", "tests")
LEFT_OUT = shutil.ignore_patterns("*.ipynb", "__pycache__", "_build")


@pytest.fixture(params=("full", "paper"))
def profile(request, tmp_path, monkeypatch):
    """A profile whose runs are all there."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CGN_DATA", str(tmp_path / "no-data"))
    finished.make(request.param, monkeypatch.setattr)
    return request.param


@pytest.fixture
def project(tmp_path):
    """A copy of the project without its notebooks, whose kernels take stand-ins for inputs."""
    copy = tmp_path / "project"
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=LEFT_OUT)
    for path in (p for p in ROOT.iterdir() if p.is_file() and p.suffix != ".ipynb"):
        shutil.copy(path, copy)
    # kernels have no settings of the user's, so it is Python itself that makes them stand in
    (copy / "sitecustomize.py").write_text(
        "import sys\n"
        'if "ipykernel_launcher" in sys.orig_argv:\n    import finished\n    finished.stand_in()\n'
    )
    return copy


def workflow(project: Path, profile: str) -> subprocess.CompletedProcess:
    """What `make book` does once the runs are there."""
    path = ":".join(map(str, (project, project / "book", project / "tests")))
    command = ["-m", "snakemake", "--cores", "all", "--keep-going", "--config"]
    return subprocess.run(
        [sys.executable, *command, f"profile={profile}", "--", "book"],
        cwd=project, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_book_is_built_and_every_number_is_in_it(profile, project):
    made = workflow(project, profile)
    failed = [line for line in (made.stdout + made.stderr).splitlines() if "FAILED" in line]
    assert not failed, "\n".join(failed)
    assert made.returncode == 0, made.stderr[-3000:]
    assert (project / "_build" / "html" / "index.html").exists()
    for notebook in notebooks(project):
        text = source_of(notebook).read_text()
        assert tracked.named(text) <= tracked.glued(notebook).keys(), notebook.stem
        told = notebook.read_text()
        assert finished.MADE_UP in told or "page.summary(" not in text, notebook.stem
