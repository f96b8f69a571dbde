"""The archive of the built book, as a repository gets it."""

import json
import zipfile

import pytest

from cgnlib import experiments, runs

pytest.importorskip("rocrate_validator", reason="needs the extra `archive`")
archive = pytest.importorskip("archive")

pytestmark = pytest.mark.browser  # of the book that `make book` built


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    """An archive, unpacked."""
    declared = experiments.with_needs(experiments.grid("mini"))
    made = archive.write("mini", [runs.load(run) for run in declared])
    folder = tmp_path_factory.mktemp("crate")
    zipfile.ZipFile(made).extractall(folder)
    made.unlink()
    return folder


@pytest.fixture
def graph(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_it_holds_the_book_and_what_it_rests_on(crate):
    for name in ("html/index.html", "records/reported.csv", "weights/cgn-colored.safetensors"):
        assert (crate / name).stat().st_size > 1000
    assert {name for name in archive.FILES if (crate / name).exists()} == archive.FILES.keys()


def test_each_run_has_its_inputs_its_commit_and_its_device(crate, graph):
    for run in experiments.with_needs(experiments.grid("mini")):
        action, left = graph[f"#run-mini-{run.id}"], f"runs/mini/{run.id}/"
        env = json.loads((crate / left / "env.json").read_text())
        assert action["instrument"]["@id"] == f"#cgnlib-{env['commit']}" in graph
        assert env["device"] in action["description"] and action["endTime"] == env["finished"]
        read = {entity["@id"] for entity in action["object"]}
        assert {f"runs/mini/{need.id}/" for need in run.needs.values()} <= read <= graph.keys()
        inputs = json.loads((crate / left / "spec.json").read_text())["inputs"].values()
        assert {f"#sha256-{sha256}" for sha256 in inputs} <= read


def test_runs_on_record_are_in_it_too(graph):
    recorded = graph["#run-full-classifier-colored-cgn-published-s0"]
    assert recorded["object"] and recorded["result"]["@id"] in graph


def test_the_validator_passes_it_and_would_not_pass_another(crate, graph):
    assert not archive.issues(crate)
    del graph["#run-mini-cgn-colored-s0"]["instrument"]
    text = crate / "ro-crate-metadata.json"
    whole = text.read_text()
    try:
        text.write_text(json.dumps(json.loads(whole) | {"@graph": list(graph.values())}))
        assert any("instrument" in wrong for wrong in archive.issues(crate))
    finally:
        text.write_text(whole)
