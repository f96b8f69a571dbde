"""The press: text to notebook, the guard before the build, the links after it."""

import multiprocessing
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode

import execute
import guard
import links
import pdf
import surroundings
from sources import ROOT, sha256

CHAPTER = """\
# A chapter

```{code-cell} ipython3
:tags: [parameters]

profile = "mini"
```

```{code-cell} ipython3
:tags: [nbval-ignore-output]

import time

print(time.time())
```

```{code-cell} ipython3
print(f"{profile} ran")
```
"""


def write(folder: Path, text: str = CHAPTER, chapters: str = "[]") -> Path:
    """Put a source, and a table of contents that names it, into a folder."""
    toc = f"format: jb-book\nroot: chapter.ipynb\nchapters: {chapters}\n"
    (folder / "_toc.yml").write_text(toc)
    (folder / "chapter.md").write_text(text)
    return folder / "chapter.md"


def raising(line: str) -> str:
    """The chapter with a last cell that ends badly."""
    return CHAPTER + f"\n```{{code-cell}} ipython3\n{line}\n```\n"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A folder with a chapter and its executed notebook."""
    folder = tmp_path_factory.mktemp("good")
    execute.execute(write(folder), cwd=folder)
    return folder


@pytest.fixture
def book(good, tmp_path) -> Path:
    """A copy of that folder to spoil."""
    return shutil.copytree(good, tmp_path / "book")


# --- execute

CLOCK = r'"\d+\.\d+\\n"|"seconds": \d+'


def test_a_notebook_says_what_it_was_made_from(good):
    notebook = nbformat.read(good / "chapter.ipynb", as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info", "jupytext", "cgn"}
    record = dict(notebook.metadata.cgn)
    assert record.pop("seconds") < 60
    assert record == {
        "source": "chapter.md",
        "source_sha256": sha256(good / "chapter.md"),
        "profile": "mini",
        "exception": None,
    }
    assert [cell.id for cell in notebook.cells] == ["c000", "c001", "c002", "c003"]
    assert notebook.cells[1].metadata == {"tags": ["parameters"]}
    assert notebook.cells[3].outputs[0].text == "mini ran\n"
    assert not (good / "chapter.failed.ipynb").exists()


def test_a_second_execution_differs_in_nothing_but_clocks(book):
    notebook = book / "chapter.ipynb"
    before = notebook.read_text()
    execute.execute(book / "chapter.md", cwd=book)
    again = notebook.read_text()
    assert again != before  # it prints the time, which may be a result
    assert re.sub(CLOCK, "", again) == re.sub(CLOCK, "", before)


def test_what_says_the_same_stays_to_the_byte(tmp_path):
    source = write(tmp_path, CHAPTER.replace("time.time()", "len('four')"))
    notebook = execute.execute(source, cwd=tmp_path)
    aged = re.sub(r'"seconds": \d+', '"seconds": 999', notebook.read_text())
    notebook.write_text(aged)
    changed = notebook.stat().st_mtime_ns
    execute.execute(source, cwd=tmp_path)
    assert notebook.read_text() == aged and notebook.stat().st_mtime_ns == changed
    assert list(guard.defects(notebook)) == []
    notebook.write_text(aged.replace("mini ran", "maxi ran"))
    execute.execute(source, cwd=tmp_path)
    assert '"mini ran' in notebook.read_text() and '"seconds": 999' not in notebook.read_text()


def test_what_is_printed_is_one_output_however_it_came():
    def printed(name, text):
        return nbformat.v4.new_output("stream", name=name, text=text)

    shown = nbformat.v4.new_output("display_data", {"text/plain": "b"})
    came = [printed("stdout", "a\n"), printed("stdout", "b"), printed("stderr", "c"), shown]
    came += [shown.copy(), printed("stdout", "d"), printed("stdout", "e")]
    found = list(execute.joined(came))
    said = [output.get("text", output.output_type) for output in found]
    assert said == ["a\nb", "c", "display_data", "display_data", "de"]


def test_another_profile_is_told_to_the_kernel_and_leaves_no_cell(book):
    execute.execute(book / "chapter.md", profile="full", cwd=book)
    notebook = nbformat.read(book / "chapter.ipynb", as_version=4)
    assert notebook.metadata.cgn.profile == "full" and len(notebook.cells) == 4
    assert notebook.cells[1].source == 'profile = "mini"'
    assert notebook.cells[-1].outputs[0].text == "full ran\n"
    assert list(guard.defects(book / "chapter.ipynb")) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('raise ValueError("no such run")', "In [4]: ValueError: no such run"),
        ("import os; os.kill(os.getpid(), 9)", "DeadKernelError"),
    ],
)
def test_a_failure_keeps_the_last_good_notebook(book, capsys, line, said):
    before = (book / "chapter.ipynb").read_bytes()
    write(book, raising(line))
    assert execute.main([], root=book) == 1
    assert (book / "chapter.ipynb").read_bytes() == before
    assert "ran" in (book / "chapter.failed.ipynb").read_text()
    [printed] = capsys.readouterr().out.splitlines()
    assert printed.startswith("[1/1] chapter.md FAILED") and said in printed


def test_the_list_is_the_table_of_contents(book, capsys):
    write(book, chapters="[{file: book/b.ipynb}, {file: book/a.md}]")
    assert execute.main(["--list"], root=book) == 0
    assert capsys.readouterr().out.split() == ["chapter.ipynb", "book/b.ipynb"]


@pytest.mark.parametrize("name", ["nosuch", "", "a\nb"])
def test_an_unknown_chapter_is_refused_in_one_line(book, name):
    with pytest.raises(SystemExit, match="^" + re.escape(f"no chapter {name!r}; _toc")):
        execute.main([name], root=book)


# --- the machine of whoever executes

DRAWING = """\
# A figure

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-line
    caption: "A line."
---
import matplotlib.pyplot as plt

plt.plot([1, 2])
plt.show()
```

```{code-cell} ipython3
import locale
import sys
import warnings

warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old (found 11040).")
assert not sys.flags.optimize
print(locale.getlocale(), plt.rcParams["axes.facecolor"], __debug__)
print("by", sys.executable.encode().hex())
```
"""


def strange(folder: Path, monkeypatch) -> None:
    """Settings that other people have, each of which has spoilt somebody's pages."""
    deep = folder / ("long" * 30)
    kinds = ("matplotlib", "ipython/profile_default/startup", "jupyter/kernels/python3", "jupytext")
    for name in kinds:
        (folder / name).mkdir(parents=True)
    deep.mkdir()
    (folder / "matplotlib/matplotlibrc").write_text("axes.facecolor: red\nfigure.dpi: 20\n")
    own = folder / "ipython/profile_default"
    (own / "ipython_kernel_config.py").write_text(
        "c.InlineBackend.figure_formats = {'svg'}\nc.InteractiveShellApp.exec_lines = ['1 / 0']\n"
    )
    (own / "startup/first.py").write_text("import warnings; warnings.warn('of the user')\n")
    kernel = '{"argv": ["/bin/false"], "display_name": "Mine", "language": "python"}'
    (folder / "jupyter/kernels/python3/kernel.json").write_text(kernel)
    (folder / "jupytext/jupytext.toml").write_text('notebook_metadata_filter = "all"')
    (folder / "startup.py").write_text("raise ValueError('of the user')\n")
    user = {
        "HOME": "/dev/null",  # where nobody writes, root neither
        "IPYTHONDIR": folder / "ipython",
        "JUPYTER_DATA_DIR": folder / "jupyter",
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "nosuch",
        "JUPYTER_PREFER_ENV_PATH": "0",
        "JUPYTER_RUNTIME_DIR": "/dev/null/runtime",
        "LC_ALL": "tr_TR.ISO-8859-9",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": folder / "matplotlib",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONOPTIMIZE": "1",
        "PYTHONSTARTUP": folder / "startup.py",
        "PYTHONWARNINGS": "always",
        "TMPDIR": deep,
        "XDG_CACHE_HOME": "/dev/null/cache",
        "XDG_CONFIG_HOME": folder,
    }
    for name, value in user.items():
        monkeypatch.setenv(name, str(value))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is looked up once


def no_name(uid: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def test_nothing_of_the_users_changes_a_page(tmp_path, monkeypatch):
    source = write(tmp_path, DRAWING)
    plain = execute.execute(source, cwd=tmp_path).read_text()
    strange(tmp_path, monkeypatch)
    monkeypatch.setattr(pwd, "getpwuid", no_name)
    again = execute.execute(source, cwd=tmp_path).read_text()
    clock = r'"seconds": \d+'
    assert re.sub(clock, "", again) == re.sub(clock, "", plain)
    assert "image/png" in again and "by " + sys.executable.encode().hex() in again
    assert guard.main(tmp_path) == 0


def test_a_tool_is_run_as_pages_are(tmp_path, monkeypatch, capfd):
    strange(tmp_path, monkeypatch)
    said = "import matplotlib as m; print(m.get_backend(), m.rcParams['axes.facecolor'])"
    assert surroundings.main([Path(sys.executable).name, "-c", said]) == 0
    assert capfd.readouterr() == ("module://matplotlib_inline.backend_inline white\n", "")
    assert surroundings.main([Path(sys.executable).name, "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.parametrize("words", [[], [""], ["nosuch"], [".."], ["/etc/passwd"], ["x" * 5000]])
def test_a_tool_that_is_not_there_is_one_line(words):
    with pytest.raises(SystemExit, match=r"name a tool of .*, as jupyter-book"):
        surroundings.main(words)


def test_a_tool_that_is_interrupted_ends_in_its_own_way():
    tool = "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    tool += "try:\n    print('up', flush=True)\n    time.sleep(60)\n"
    tool += "except KeyboardInterrupt:\n    sys.exit(7)"
    command = [sys.executable, surroundings.__file__, Path(sys.executable).name, "-c", tool]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, start_new_session=True, **piped)
    assert running.stdout.readline() == "up\n"
    os.killpg(running.pid, signal.SIGINT)
    assert running.communicate(timeout=60) == ("", "") and running.returncode == 7


def test_data_runs_and_devices_stay_as_the_user_says(monkeypatch):
    said = {"CGN_RUNS": "r", "CGN_DATA": "d", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": "p"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with surroundings.environment() as variables:
        assert said.items() <= variables.items()


def test_a_kernel_may_take_minutes_to_start(tmp_path, monkeypatch):
    """Papermill gives up after one, in which a network's disk may not have read torch."""
    told = {}

    def executing(*_, **options):
        told.update(options)
        raise TimeoutError

    monkeypatch.setattr(execute.papermill, "execute_notebook", executing)
    with pytest.raises(TimeoutError):
        execute.execute(write(tmp_path), cwd=tmp_path)
    assert told["start_timeout"] >= 300


def test_two_presses_do_not_meet(book):
    """Each writes whole notebooks under a name of its own, and moves them into place."""
    presses = [multiprocessing.Process(target=execute.main, args=([], book)) for _ in range(3)]
    for press in presses:
        press.start()
    for press in presses:
        press.join()
    assert [press.exitcode for press in presses] == [0, 0, 0]
    assert guard.main(book) == 0 and len(list(book.glob("*.ipynb"))) == 1


# --- guard


def test_a_true_notebook_passes(book, capsys):
    assert guard.main(book) == 0
    assert capsys.readouterr().out == "guard: 1 notebooks in order\n"


def output(kind: str, **content: object) -> Callable[[NotebookNode], None]:
    """Let the last cell have this output instead of its own."""
    return lambda nb: nb.cells[3].update(outputs=[nbformat.v4.new_output(kind, **content)])


SPOILT = [
    (lambda nb: nb.metadata.cgn.update(source_sha256="0" * 64), "stale: chapter.md has changed"),
    (lambda nb: nb.cells[3].update(source="print(1)"), "edited by hand: its cells are not those"),
    (
        lambda nb: nb.cells[3].metadata.update(tags=["nbval-skip"]),
        "edited by hand: its cells are not",
    ),
    (lambda nb: nb.metadata.pop("cgn"), "not made by the press"),
    (lambda nb: nb.metadata.cgn.update(exception=True), "failed: papermill recorded"),
    (lambda nb: nb.metadata.cgn.pop("seconds"), "killed: the record has no duration"),
    (lambda nb: nb.metadata.cgn.update(CGN_REHEARSAL=True), "made in a rehearsal, so its numbers"),
    (lambda nb: nb.cells[3].update(execution_count=None), "never run, or killed"),
    (
        output("stream", name="stderr", text="UserWarning"),
        "In [3] leaves stderr on the page (UserWarning)",
    ),
    (output("error", ename="KeyError", evalue="x"), "failed: In [3] raised KeyError"),
    *(
        (output("stream", text=f"in {of}/runs"), "In [3] prints a path of one machine")
        for of in ("/home/ann", ROOT, sys.prefix)
    ),
    (lambda nb: nb.cells[3].update(outputs=[]), "code cell 2 is ignored by nbval"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_the_guard_refuses(book, capsys, spoil, said):
    notebook = nbformat.read(book / "chapter.ipynb", as_version=4)
    spoil(notebook)
    nbformat.write(notebook, book / "chapter.ipynb")
    assert guard.main(book) == 1
    printed = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"chapter.ipynb: {said}") for line in printed), printed


def test_the_guard_refuses_what_is_not_there_or_broke(book, capsys):
    shutil.copy(book / "chapter.ipynb", book / "chapter.failed.ipynb")
    assert guard.main(book) == 1
    assert "its last execution failed" in capsys.readouterr().out
    (book / "chapter.ipynb").unlink()
    assert guard.main(book) == 1
    assert "missing: run `make chapters`" in capsys.readouterr().out
    (book / "chapter.md").unlink()
    assert guard.main(book) == 1
    assert "has no source chapter.md" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{}", "null", "\ufeff{", "[" * 100_000, "half", "merge"])
def test_what_is_no_notebook_is_refused_and_executed_again(content, book, capsys):
    notebook, mark = book / "chapter.ipynb", book / "_build/chapters/mini/chapter"
    mark.parent.mkdir(parents=True)
    mark.touch()
    whole = notebook.read_text()
    spoilt = {"half": whole[: len(whole) // 2], "merge": f"<<<<<<< HEAD\n{whole}"}
    notebook.write_text(spoilt.get(content, content))
    assert guard.main(book) == 1 and not mark.exists()
    [said] = capsys.readouterr().out.splitlines()
    assert said.startswith("chapter.ipynb: is no notebook (") and said.endswith(guard.AGAIN)


def test_a_cell_that_was_edited_into_no_code_is_refused(book, capsys):
    notebook = nbformat.read(book / "chapter.ipynb", as_version=4)
    notebook.cells[3].source = "print("
    nbformat.write(notebook, book / "chapter.ipynb")
    assert guard.main(book) == 1
    assert "edited by hand: its cells are not those" in capsys.readouterr().out


def test_a_figure_that_was_not_drawn_is_missed(tmp_path, capsys):
    source = write(tmp_path, DRAWING.replace("plt.show()", "plt.close()"))
    execute.execute(source, cwd=tmp_path)
    assert guard.main(tmp_path) == 1
    said = "chapter.ipynb: In [1] declares the figure fig-line and shows none: run `make chapters`"
    assert said in capsys.readouterr().out.splitlines()


def test_what_is_refused_is_executed_again(book):
    """The workflow knows what was executed by its marks."""
    marks = [book / "_build/chapters" / profile / "chapter" for profile in ("mini", "full")]
    other = marks[0].with_name("other")
    for mark in [*marks, other]:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    assert guard.main(book) == 0 and all(mark.exists() for mark in marks)
    shutil.copy(book / "chapter.ipynb", book / "chapter.failed.ipynb")
    assert guard.main(book) == 1 and not any(mark.exists() for mark in marks) and other.exists()


def test_an_assertion_is_a_check_and_a_picture_is_not():
    cell = nbformat.v4.new_code_cell
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "AAAA", "text/plain": "<Figure size 640x480 with 1 Axes>"}
    )
    assert guard.is_checked(cell("for x in [1]:\n    assert x"))
    assert not guard.is_checked(cell("draw()", outputs=[picture]))
    assert not guard.is_checked(cell("assert 1", metadata={"tags": ["nbval-skip"]}))


# --- links


def check(folder: Path, body: str, capsys) -> list[str]:
    """What the link check says of a book of one page."""
    write(folder)
    html = folder / "html"
    html.mkdir(exist_ok=True)
    (html / "chapter.html").write_text(f"<html><body id='top'>{body}</body></html>")
    (html / "style.css").write_text("p { color: red }")
    links.soup.cache_clear()
    links.anchors.cache_clear()
    status = links.main(html, folder)
    printed = capsys.readouterr().out.splitlines()
    assert status == (printed != ["links: 1 pages in order"])
    return printed


def test_a_page_in_order_passes(tmp_path, capsys):
    body = """<link rel="stylesheet" href="style.css?v=1"><a href="#top">up</a>
        <a href="chapter.html#top">here</a> <a href="https://example.org">free to click</a>
        <img src="data:image/gif;base64,AAAA" alt="A digit"> <a href="mailto:a@b.c">write</a>
        <script>const ns = "http://www.w3.org/2000/svg"</script>"""
    assert check(tmp_path, body, capsys) == ["links: 1 pages in order"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">x</a>', "link to a missing file: gone.html"),
        ('<a href="#gone">x</a>', "link to a missing anchor: #gone"),
        ('<a href="../_toc.yml">x</a>', "link out of the book: ../_toc.yml"),
        ('<script src="//cdn.example/x.js"></script>', "loads from the network: //cdn"),
        ('<script>load("https://cdn.example/x.js")</script>', "loads from the network: https"),
        ('<link rel="stylesheet" href="https://x.example/a.css">', "loads from the network: http"),
        ('<iframe src="https://x.example"></iframe>', "loads from the network: https"),
        ('<p style="background: url(https://x.example/a.png)">', "loads from the network: https"),
        ('<img src="https://x.example/a.png" alt="A">', "loads from the network: https"),
        ('<img src="style.css">', "picture without alternative text: style.css"),
        ('<img src="style.css" alt="style.css">', "picture without alternative text: style.css"),
    ],
)
def test_the_link_check_refuses(tmp_path, capsys, body, said):
    [printed] = check(tmp_path, body, capsys)
    assert printed.startswith(f"chapter.html: {said}")


def test_a_page_that_was_not_built_is_missed(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "html").mkdir()
    (tmp_path / "html/a.css").write_text("@import 'https://x.example/a.css'; p { color: red }")
    assert links.main(tmp_path / "html", tmp_path) == 1
    assert capsys.readouterr().out.splitlines() == [
        "chapter.html: not built",
        "a.css: loads from the network: https://x.example/a.css",
    ]


# --- the PDF, as far as it needs no browser


@pytest.mark.parametrize(
    ("href", "leads"),
    [
        ("https://example.org/a.html#b", "https://example.org/a.html#b"),
        ("mailto:a@b.c", "mailto:a@b.c"),
        ("index.html#here", "#here"),
        ("#here", "#here"),
        ("../book/03_claim.html", "#document-book/03_claim"),
        ("03_claim.html#here", "#here"),
        ("#gone", None),
        ("04_gone.html", None),
        ("_images/here.png", None),
        ("data:text/csv;base64,AAAA", None),
    ],
)
def test_a_printed_link_leads_into_the_book_or_to_the_web(href, leads):
    assert pdf.destination(href, {"here", "document-book/03_claim"}) == leads


def test_what_is_printed_has_its_code_and_nothing_to_press():
    page = pdf.for_print(
        """<html data-theme="auto"><script src="a.js"></script>
        <link href="../losses/losses.css" rel="stylesheet"/>
        <script>window.MathJax = {}</script><script src="tex-mml-chtml.js?mathjax"></script>
        <details class="hide"><summary>Show</summary><pre>x = 1</pre></details>
        <figure>Kept<details class="evidence"><p>Hidden data</p></details></figure>
        <div class="composer">Press</div><span class="bibtex-citation" id="id1">
        <a href="index.html#id1">One</a></span><div class="citation" id="id1">Cited</div>
        <a href="data:text/csv;base64,AAAA">Data</a></html>"""
    )
    assert "<pre>x = 1</pre>" in page and "Kept" in page and 'data-theme="light"' in page
    assert not re.search("details|Show|Hidden|Press|base64|a[.]js", page)
    assert page.count("<script") == 2 and page.count('id="id1"') == 1
    assert '<a href="#id1">One</a>' in page and "<a>Data</a>" in page
    assert 'href="losses/losses.css"' in page  # chapters lie in a folder, the one page does not


def test_the_front_page_names_the_pdf_only_where_there_is_one():
    source = (ROOT / "index.md").read_text()
    assert pdf.NAME not in source
    once = pdf.announce(source, size=9_340_000)
    assert f'<p class="pdf-edition"><a href="{pdf.NAME}">' in once and "9.3 MB" in once
    assert "8.0 MB" in pdf.announce(once, size=8_000_000)  # and again, after another printing
    with pytest.raises(SystemExit, match="has 0 places for the PDF, not one: make book"):
        pdf.announce("<p>A page</p>", size=1)


def test_half_a_pdf_is_none(tmp_path):
    file = tmp_path / "a.pdf"
    assert not pdf.is_whole(file)
    file.write_bytes(b"%PDF-1.4 half")
    assert not pdf.is_whole(file)
    file.write_bytes(b"%PDF-1.4 whole %%EOF\n")
    assert pdf.is_whole(file)


def printing(page: Path, target: Path, chromium: str, monkeypatch) -> None:
    """Print with a stand-in for Chromium, a line of shell that knows the file as $out."""
    program = page.with_name("chromium")
    lines = [
        "#!/bin/sh",
        "for i; do case $i in --print-to-pdf=*) out=${i#*=};; esac; done",
        chromium,
    ]
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(program))
    pdf.print_page(page, target)


def test_a_pdf_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    page, target = tmp_path / "index.html", tmp_path / "book.pdf"
    page.write_text("<p>A page</p>")
    printing(page, target, "echo '%PDF-1.4 first %%EOF' > $out", monkeypatch)
    assert target.read_bytes() == b"%PDF-1.4 first %%EOF\n"
    for broken in ("echo '%PDF-1.4 half' > $out", "true", "cp $0 $out; exit 3"):
        with pytest.raises(SystemExit, match="Chromium printed no PDF"):
            printing(page, target, broken, monkeypatch)
    assert b"first" in target.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "book.pdf", "chromium"}


def test_no_pdf_without_a_browser_or_a_book(tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as unbuilt:
        pdf.main([], html=tmp_path)
    assert str(unbuilt.value) == "the book is not built: make book"
    (tmp_path / "index.html").write_text("<p></p>")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    fix = "install chromium, or name one: make pdf CHROMIUM=PATH"
    with pytest.raises(SystemExit) as missing:
        pdf.main([], html=tmp_path)
    assert str(missing.value) == f"no Chromium on this machine: {fix}"
    monkeypatch.setenv("CHROMIUM", "nosuch")
    with pytest.raises(SystemExit) as wrong:
        pdf.main([], html=tmp_path)
    assert str(wrong.value) == f"CHROMIUM=nosuch is no program: {fix}"


# --- the strict build with the book's own settings, and no network


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of a tiny book with a formula, built as `make book` builds."""
    folder = tmp_path_factory.mktemp("a book")
    shutil.copy(ROOT / "_config.yml", folder)
    for part in ("_press", "_static", "_interactive"):
        shutil.copytree(ROOT / "book" / part, folder / "book" / part)
    (folder / "book/references.bib").write_text("@misc{one, title={One}, year={2021}}")
    page = "# A\n\n$\\cancel{x}$ and {cite:t}`one`\n\n```{bibliography}\n```\n"
    (folder / "book/a.md").write_text(page)
    execute.execute(write(folder, chapters="[{file: book/a.md}]"), cwd=folder)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "-W", "-n", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_the_built_book_needs_no_network(built, capsys):
    assert links.main(built / "_build/html", built) == 0, capsys.readouterr().out
    page = (built / "_build/html/book/a.html").read_text()
    [mathjax] = re.findall(r'src="([^"?]*tex-mml-chtml.js)', page)
    assert (built / "_build/html/book" / mathjax).resolve().is_file()
    assert "thebe.js" not in page and "unpkg" not in page


def test_a_screen_reader_finds_the_way_home_and_a_list_of_sources(built):
    html = (built / "_build/html/book/a.html").read_text()
    page = BeautifulSoup(html, "html.parser")
    [title] = page.select(".bd-sidebar-primary .navbar-brand")
    assert title.get_text().strip() and title.find_parent("nav")["aria-label"] == "Home"
    [entry] = page.select(".citation-list[role=list] > *")
    assert entry["role"] == "listitem" and "doc-biblioentry" not in html


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_draws_the_formula_without_a_network(built, tmp_path):
    page = built / "_build/html/book/a.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"]
    flags += ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
    flags += [f"--user-data-dir={tmp_path}", "--dump-dom", page.as_uri()]
    done = subprocess.run(["chromium", *flags], capture_output=True, text=True, timeout=120)
    assert "<mjx-container" in done.stdout
    assert "<mjx-merror" not in done.stdout  # \cancel comes from an extension loaded when needed
