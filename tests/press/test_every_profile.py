"""A slice of the rehearsal, as CI has it: a run of each kind is computed, and the book is built.

The numbers of the other runs are drawn at random; see `finished`.
"""

import subprocess
import sys

import nbformat
import pytest
import tracked

from announce import WORDS
from cgnlib import experiments, paths
from rehearse import Stage
from sources import notebooks, source_of

pytestmark = pytest.mark.rehearsal


def one_of_each_kind(profile):
    """Ids: the last of each kind and world, which needs most of the others."""
    declared = experiments.with_needs(experiments.grid(profile))
    return {(type(run), isinstance(run, experiments.OnWorld)): run.id for run in declared}.values()


@pytest.fixture(params=("full", "paper"))
def stage(request, tmp_path):
    """A profile whose runs are all there."""
    stage = Stage(request.param, tmp_path)
    stage.set_up()
    stage.gather()
    stage.compute(*one_of_each_kind(stage.profile))
    stage.environment["PYTHONPATH"] += f":{paths.ROOT / 'tests'}"
    stage.run(["-c", f"import finished; finished.make({stage.profile!r})"])
    return stage


def test_the_book_is_built_and_every_number_is_in_it(stage):
    stage.build()
    for page in (stage.index, *stage.index.parent.glob("book/*.html")):
        assert WORDS in page.read_text(), page
    for notebook in notebooks(stage.project):
        text = source_of(notebook).read_text()
        assert tracked.named(text) <= tracked.glued(notebook).keys(), notebook.stem
        assert nbformat.read(notebook, as_version=4).metadata["cgn"]["CGN_REHEARSAL"]
    refused(stage)


def refused(stage):
    """Nothing of it passes for a result, in a rehearsal or out of one."""

    def said(**environment):
        command = [sys.executable, "-m", "cgnbook", "record", "--profile", stage.profile]
        variables = {k: v for k, v in (stage.environment | environment).items() if v}
        done = subprocess.run(
            command, cwd=stage.project, env=variables, capture_output=True, text=True
        )
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        return done.stderr

    assert "numbers of a rehearsal are no results" in said()
    assert "was made from another spec" in said(CGN_REHEARSAL=None)
    records = stage.project / "book" / "records"
    ours = paths.records()
    assert {p.name: p.read_bytes() for p in records.glob("*.csv")} == {
        p.name: p.read_bytes() for p in ours.glob("*.csv")
    }
