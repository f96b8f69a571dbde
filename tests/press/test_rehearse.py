"""The rehearsal's first minute: what is broken stops it, in one line."""

import subprocess
import sys

import pytest

import rehearse
from rehearse import Stage, defects_of_texts
from sources import ROOT

TEXT = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

```{code-cell} ipython3
x = 1
```

```{code-cell} ipython3
print(x
```
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A project of one page, whose second cell is broken."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index.ipynb\n")
    (tmp_path / "index.md").write_text(TEXT)
    monkeypatch.setattr(rehearse, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "wrong",
    [
        {"print(x": "'(' was never closed"},
        {
            "print(y)": 'Name "y" is not defined',
            "from cgnbook import colour": 'Module "cgnbook" has no attribute "colour"',
            "runs.asure()": 'Module has no attribute "asure"',
            "runs.ensure()": 'Missing positional argument "runs" in call to "ensure"',
        },
    ],
)
def test_a_broken_chapter_stops_it_before_anything_is_made(book, capsys, wrong):
    cells = "\n```\n\n```{code-cell} ipython3\n".join(wrong)
    (book / "index.md").write_text(
        TEXT.replace("x = 1", "from cgnlib import runs").replace("print(x", cells)
    )
    assert rehearse.main(["paper"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"error: index.md: code cell {number}: {fault}: {cell}"
        for number, (cell, fault) in enumerate(wrong.items(), start=2)
    ]
    assert not (book / "_build").exists() and not said.out


def test_every_chapter_of_the_book_is_python():
    assert not list(defects_of_texts(ROOT))


def test_what_a_step_refuses_ends_it(tmp_path, monkeypatch, capfd):
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index.ipynb\n")
    (tmp_path / "index.md").write_text(TEXT.replace("print(x", "print(x)"))
    monkeypatch.setattr(rehearse, "ROOT", tmp_path)
    monkeypatch.setattr(Stage, "set_up", lambda stage: stage.project.mkdir(parents=True))
    monkeypatch.setattr(Stage, "gather", lambda stage: stage.run(["-c", "exit('error: no u2net')"]))
    monkeypatch.setattr(Stage, "compute", lambda *_: pytest.fail("nothing is to be computed"))
    assert rehearse.main(["paper"]) == 1
    assert capfd.readouterr().err == "error: no u2net\n"


def test_a_stage_is_a_copy_without_notebooks_and_has_places_of_its_own(tmp_path):
    stage = Stage("full", tmp_path / "stage")
    stage.set_up()
    assert not list(stage.project.rglob("*.ipynb")) and not (stage.project / ".git").exists()
    printed = "from cgnlib import paths; print(paths.ROOT, paths.data(), paths.runs('full'))"
    said = subprocess.run(
        [sys.executable, "-c", printed], cwd=stage.project, env=stage.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    places = [stage.project, stage.folder / "data", stage.folder / "runs" / "full"]
    assert said.stdout.split() == [str(place) for place in places]
    stale = stage.project / "stale"
    stale.touch()
    stage.set_up()
    assert not stale.exists()
