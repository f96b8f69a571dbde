"""A chapter's text and its executed notebook are one notebook to an editor, and two true files.

Tried through Jupytext's own command, and through the contents manager that JupyterLab has of it.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.cli import jupytext as command
from nbformat import NotebookNode

import execute
import guard
import rules
from sources import ROOT, notebooks, source_of

TEXT = """\
# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "mini"
```

What it is about.

```{code-cell} ipython3
---
mystnb:
  figure:
    caption: A table whose caption is longer than a line of the file may be, so that
      it is folded.
    name: tab-made
tags: [nbval-ignore-output]
---
print("a clock")
```

```{code-cell} ipython3
print(f"made by {profile}")
```
"""
ORDERS = [("chapter.md", "chapter.ipynb"), ("chapter.ipynb", "chapter.md")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with the project's settings and a chapter, executed with another profile."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: chapter.ipynb\nchapters: []\n")
    (folder / "chapter.md").write_text(TEXT)
    execute.execute(folder / "chapter.md", profile="full", cwd=folder)
    return folder


@pytest.fixture
def book(made, tmp_path, monkeypatch) -> Path:
    """A copy of that folder, and a user who pairs notebooks in a way of his own."""
    own = tmp_path / "config/jupytext"
    own.mkdir(parents=True)
    (own / "jupytext.toml").write_text('formats = "ipynb,py:percent"\ncell_metadata_filter = "all"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own.parent))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))  # signatures of what is trusted
    return shutil.copytree(made, tmp_path / "book")


def age(*paths: Path) -> None:
    """Let files have been written in this order, an hour between them."""
    for hour, path in enumerate(paths):
        os.utime(path, (1_700_000_000 + 3600 * hour,) * 2)


def both(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ORDERS[0]]


def outputs(folder: Path) -> list[str]:
    """What the cells of the notebook print, one after another."""
    cells = nbformat.read(folder / "chapter.ipynb", as_version=4).cells
    return [output.text for cell in cells for output in cell.get("outputs", [])]


def edit(file: Path, old: str, new: str) -> None:
    """Change a file in a text editor, an hour after all that was written before."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    age(*(path for path in file.parent.glob("chapter.*") if path != file), file)


def execute_again(folder: Path) -> list[str]:
    """Do what the guard asks for, and ask it again."""
    execute.execute(folder / "chapter.md", cwd=folder)
    return list(guard.defects(folder / "chapter.ipynb"))


MADE = ["a clock\n", "made by full\n"]
STALE = ["stale: chapter.md has changed since it was executed: run `make chapters`"]


# --- by command


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ORDERS[0])
def test_a_sync_of_what_is_in_step_changes_nothing(book, order, name):
    before = both(book)
    age(*(book / file for file in order))
    assert command(["--sync", str(book / name)]) == 0
    assert both(book) == before and b"full" not in before[0]
    assert list(guard.defects(book / "chapter.ipynb")) == []


def test_a_text_that_was_edited_is_stale_until_it_is_executed(book):
    """Its notebook gets the new code, and keeps its outputs and the record of what made them."""
    edit(book / "chapter.md", "made by", "made again by")
    assert list(guard.defects(book / "chapter.ipynb")) == STALE
    command(["--sync", str(book / "chapter.md")])
    assert "made again by" in (book / "chapter.ipynb").read_text() and outputs(book) == MADE
    assert list(guard.defects(book / "chapter.ipynb")) == STALE
    assert execute_again(book) == [] and outputs(book) == ["a clock\n", "made again by mini\n"]


def test_cells_take_their_outputs_with_them(book):
    *before, clock, last = TEXT.split("\n\n```{code-cell}")
    new = " ipython3\nprint('not run')\n```"
    (book / "chapter.md").write_text(
        "\n\n```{code-cell}".join([*before, last.rstrip(), new, clock])
    )
    command(["--sync", str(book / "chapter.md")])
    assert "not run" in (book / "chapter.ipynb").read_text() and outputs(book) == MADE[::-1]


def test_a_notebook_that_was_edited_alone_gives_its_edit_to_the_text(book):
    edit(book / "chapter.ipynb", "What it is about", "What this is about")
    [defect] = guard.defects(book / "chapter.ipynb")
    assert defect.startswith("edited by hand") and "`jupytext --sync` takes them over" in defect
    command(["--sync", str(book / "chapter.md")])
    assert (book / "chapter.md").read_text() == TEXT.replace("What it is", "What this is")
    assert list(guard.defects(book / "chapter.ipynb")) == STALE and outputs(book) == MADE
    assert execute_again(book) == []


def test_what_people_write_is_put_into_the_form_that_a_sync_gives_it(book):
    folded = TEXT.partition("  figure:\n")[2].partition("tags:")[0]
    caption = " ".join(folded.split("caption: ")[1].split()[:-2])
    edit(book / "chapter.md", folded, f'    name: tab-made\n    caption: "{caption}"\n')
    assert execute_again(book) == [] and (book / "chapter.md").read_text() == TEXT
    before = both(book)
    for order in ORDERS:
        age(*(book / file for file in order))
        command(["--sync", str(book / "chapter.md")])
        assert both(book) == before


def test_an_edit_made_during_the_execution_is_not_taken_for_the_older(book, monkeypatch):
    run = execute.papermill.execute_notebook

    def executing(*words, **options):
        edit(book / "chapter.md", "What it is about", "What this is about")
        return run(*words, **options)

    monkeypatch.setattr(execute.papermill, "execute_notebook", executing)
    assert execute_again(book) == STALE
    command(["--sync", str(book / "chapter.md")])
    assert "What this is about" in (book / "chapter.md").read_text()


@pytest.mark.parametrize("newer", [".md", ".ipynb"])
def test_a_sync_of_the_whole_book_changes_nothing(tmp_path, monkeypatch, newer):
    """As in a fresh clone, where either file of a chapter may be the newer."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    pairs = [(source_of(notebook), notebook) for notebook in notebooks(ROOT)]
    files = [file for pair in pairs for file in pair] + [ROOT / "pyproject.toml"]
    files += [file for file in (ROOT / "book").glob("[a-z]*.md")]  # pages without a notebook
    before = {file.relative_to(ROOT): file.read_bytes() for file in files}
    book = tmp_path / "clone"
    (book / "book").mkdir(parents=True)
    for name, content in before.items():
        (book / name).write_bytes(content)
    age(*sorted(filter(Path.is_file, book.rglob("*")), key=lambda file: file.suffix == newer))
    texts = [str(book / name) for name in before if name.suffix == ".md"]
    assert command(["--sync", "--quiet", *texts]) == 0
    after = {f.relative_to(book): f.read_bytes() for f in book.rglob("*") if f.is_file()}
    changed = [str(name) for name in after if after[name] != before.get(name)]
    assert not changed, "let Jupytext write it: `jupytext --to md:myst NAME.md`, `make chapters`"


def test_the_filter_of_cells_keeps_what_cells_may_say():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["jupytext"]
    assert set(settings["cell_metadata_filter"].split(",")) == rules.KEPT | {"-all"}


# --- in an editor


@pytest.fixture
def editor(book):
    """The contents manager with which JupyterLab opens and saves."""
    pytest.importorskip("jupyter_server", reason="pip install -e '.[editor]'")
    return jupytext.TextFileContentsManager(root_dir=str(book))


def opened(editor, name: str) -> NotebookNode:
    return editor.get(name, type="notebook")["content"]


def save(editor, name: str, notebook: NotebookNode) -> None:
    """As JupyterLab does; what the server fills in for the kernel, it has filled in."""
    notebook.metadata.kernelspec.display_name = "Python 3 (ipykernel)"
    notebook.metadata.language_info.update(version="3.11.7", nbconvert_exporter="python")
    editor.save({"type": "notebook", "content": notebook}, name)


def shown(notebook: NotebookNode) -> list[tuple]:
    """The sources of the cells, with their outputs."""
    return [(cell.source, cell.get("outputs")) for cell in notebook.cells]


def change(notebook: NotebookNode, old: str, new: str) -> None:
    """Change the cell that holds a text."""
    [cell] = [cell for cell in notebook.cells if old in cell.source]
    cell.source = cell.source.replace(old, new)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ORDERS[0])
class TestInAnEditor:
    """Whichever file is opened, and whichever is newer."""

    def test_text_and_outputs_are_one_notebook(self, book, editor, name, order):
        age(*(book / file for file in order))
        text, _ = both(book)
        notebook = opened(editor, name)
        written = jupytext.reads(TEXT, fmt="md:myst").cells
        assert [cell.source for cell in notebook.cells] == [cell.source for cell in written]
        assert [o.text for c in notebook.cells for o in c.get("outputs", [])] == MADE
        save(editor, name, notebook)
        assert both(book)[0] == text and outputs(book) == MADE
        assert list(guard.defects(book / "chapter.ipynb")) == []

    @pytest.mark.parametrize("old", ["What it is about", "made by"])
    def test_an_edit_is_saved_in_both_and_stale_until_executed(
        self, book, editor, name, order, old
    ):
        age(*(book / file for file in order))
        notebook = opened(editor, name)
        change(notebook, old, old + " here")
        save(editor, name, notebook)
        assert (book / "chapter.md").read_text() == TEXT.replace(old, old + " here")
        assert outputs(book) == MADE and shown(opened(editor, name)) == shown(notebook)
        assert list(guard.defects(book / "chapter.ipynb")) == STALE
        assert execute_again(book) == []

    def test_cleared_outputs_are_made_again(self, book, editor, name, order):
        age(*(book / file for file in order))
        text, _ = both(book)
        notebook = opened(editor, name)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        save(editor, name, notebook)
        assert both(book)[0] == text and outputs(book) == []
        assert "never run, or killed" in next(guard.defects(book / "chapter.ipynb"))
        assert execute_again(book) == []

    def test_nothing_of_a_machine_reaches_the_text(self, book, editor, name, order):
        age(*(book / file for file in order))
        text, _ = both(book)
        notebook = opened(editor, name)
        added = {"execution": {"iopub.status.busy": "2026-11-29"}, "scrolled": True}
        added |= {"editable": True, "slideshow": {"slide_type": ""}, "collapsed": True}
        added |= {"papermill": {"duration": 0.1}, "jupyter": {"source_hidden": True}}
        for cell in notebook.cells:
            cell.metadata.update(added)
        notebook.metadata.update(papermill={"duration": 1.0}, widgets={}, toc={}, mine=1)
        save(editor, name, notebook)
        assert both(book)[0] == text
        assert execute_again(book) == [] and b"papermill" not in both(book)[1]


def test_an_edit_of_the_notebook_alone_is_not_lost_in_an_editor(book, editor):
    """JupyterLab takes the text for right; it asks where the notebook is newer and differs."""
    edit(book / "chapter.ipynb", "What it is about", "What this is about")
    with pytest.raises(Exception, match=r"chapter\.ipynb .* is more recent than chapter\.md"):
        opened(editor, "chapter.md")


# --- what is run again


def test_a_notebook_is_run_again_with_its_profile(book):
    """`make nbval`, in little: the text says `mini`, and the notebook was executed with `full`."""
    shutil.copy(ROOT / "book/conftest.py", book)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    done = subprocess.run(
        [sys.executable, *words, f"--rootdir={book}", "chapter.ipynb"],
        cwd=book,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'book/_press'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout
