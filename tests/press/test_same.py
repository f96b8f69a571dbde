"""What is executed again and says the same leaves its notebook as it was, to the byte."""

import json
import shutil

import nbformat
import pytest

import same
from cgnbook import boxes, page, tables
from cgnlib import runs
from cgnlib.experiments import grid
from cgnlib.runs import results

FIRST = {"commit": "0a1b2c3d4e", "device": "a CPU", "python": "3.11.2", "torch": "2.6.0"}
FIRST |= {"seconds": 90.0, "finished": "2026-01-02T00:00:00+00:00"}
LATER = {"commit": "4e3d2c1b0a+", "device": "another (CPU)", "python": "3.13.1", "torch": "2.7.0"}
LATER |= {"seconds": 1234.5, "finished": "2026-03-04T00:00:00+00:00"}


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Makes a page of runs: a box that carries their rows (packed where they are many), the box of
    a summary, and the table of provenance."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    declared = [run for run in grid("mini", "claim-3-mnist") if not run.needs]

    def make(making: dict, accuracy: float = 0.5, rows: int = 1, seconds: int = 7):
        for run in declared:
            folder = runs.folder_of(run)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            numbers = {f"test_accuracy_{i}": accuracy for i in range(rows)}
            content = {"spec": results.full_spec(run), "env": making, "metrics": numbers}
            for name, of in content.items():
                (folder / f"{name}.json").write_text(json.dumps(of))
            runs.adopt(run)
        this = page.gather("claim-3-mnist", list(map(runs.load, declared)))
        shown = [
            boxes.box("name", this.live, this.live),
            boxes.behind("name", this.live, inputs={}).markup,
        ]
        made = tables.provenance(this.results)
        shown.append(tables.show(made, "provenance", this.results).markup)
        cells = [nbformat.v4.new_code_cell("x", id="a", execution_count=1)]
        cells[0].outputs = [
            nbformat.v4.new_output("display_data", {"text/html": markup}) for markup in shown
        ]
        return nbformat.v4.new_notebook(
            cells=cells, metadata={"cgn": {"source_sha256": "0", "seconds": seconds}}
        )

    return make


@pytest.mark.parametrize("rows", [1, 200])
def test_who_made_the_numbers_and_when_is_another_page_no_more(rows, executed, tmp_path):
    first, later = executed(FIRST, rows=rows), executed(LATER, rows=rows, seconds=9)
    assert ("application/gzip" in str(first)) == (rows > 1)
    path = tmp_path / "a.ipynb"
    nbformat.write(first, path)
    assert str(first.cells) != str(later.cells) and same.says_the_same(path, later)


@pytest.mark.parametrize("rows", [1, 200])
def test_another_number_is_another_page(rows, executed, tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(executed(FIRST, rows=rows), path)
    assert not same.says_the_same(path, executed(FIRST, accuracy=0.5000001, rows=rows))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda nb: nb.cells[0].update(execution_count=None),
        lambda nb: nb.cells[0].update(source="y"),
        lambda nb: nb.cells[0].outputs.pop(),
        lambda nb: nb.cells[0].metadata.update(tags=["nbval-skip"]),
        lambda nb: nb.metadata.cgn.update(source_sha256="1"),
        lambda nb: nb.metadata.cgn.pop("seconds"),
        lambda nb: nb.metadata.pop("cgn"),
    ],
)
def test_what_was_spoilt_is_never_kept(spoil, executed, tmp_path):
    fresh, path = executed(FIRST), tmp_path / "a.ipynb"
    assert not same.says_the_same(path, fresh)  # there is none
    path.write_text("{")
    assert not same.says_the_same(path, fresh)
    spoilt = executed(FIRST)
    spoil(spoilt)
    nbformat.write(spoilt, path)
    assert not same.says_the_same(path, fresh)
