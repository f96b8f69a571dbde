"""An empty CGN_RUNS, and computations that are up to a test."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cgnlib import compute
from cgnlib.compute import Found
from cgnlib.runs import pool


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of profile mini, under a CGN_RUNS of the test's own."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs" / "mini"


@pytest.fixture
def fake(monkeypatch):
    """`compute.compute` that only notes which runs it is given, and fails where told."""

    def found(run, job):
        found.started.append(run.id)
        time.sleep(found.seconds.get(run.name, 0))
        if error := found.errors.get(run.name):
            raise error
        (job.folder / "artefact").write_text(run.id)
        (job.folder / "images").mkdir(exist_ok=True)
        (job.folder / "images" / "0.jpg").write_text(run.id)
        return Found({"score": 0.5}, [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.125}])

    found.started, found.errors, found.seconds = [], {}, {}
    monkeypatch.setattr(compute, "compute", found)
    return found


@pytest.fixture
def threads(monkeypatch):
    """Workers are threads of this process, so that they start at once and see its patches."""
    monkeypatch.setattr(pool, "ProcessPoolExecutor", lambda n, *_: ThreadPoolExecutor(n))
