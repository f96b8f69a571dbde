"""Every command of Python that README and the chapters print does what they say of it."""

import re
import runpy
import shlex
import sys

import pytest

import doctor
import download
import execute
import fetch
from cgnbook import __main__ as cgnbook
from cgnlib import __main__ as cgnlib
from cgnlib import paths, runs
from sources import ROOT

TOOLS = {
    "-m cgnlib": cgnlib.main,
    "-m cgnbook": cgnbook.main,
    "data_prep/doctor.py": doctor.main,
    "data_prep/fetch.py": fetch.main,
    "book/_press/execute.py": execute.main,
}
COMMAND = re.compile(r"(?:^|`)python ((?:-m )?[\w/.]+)([^`\n]*)", re.MULTILINE)
TEXTS = (ROOT / "README.md", ROOT / "index.md", *sorted((ROOT / "book").glob("[0-9]*.md")))
FOLDERS = ("book/_press", "data_prep", "benchmarks")
SCRIPTS = [
    p for f in FOLDERS for p in sorted((ROOT / f).glob("*.py")) if "__main__" in p.read_text()
]
PRINTED = sorted({m.groups() for text in TEXTS for m in COMMAND.finditer(text.read_text())})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, no_data, monkeypatch):
    """Nothing is computed, downloaded or executed, and nothing that is here is touched."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(paths, "records", lambda: tmp_path / "records")
    monkeypatch.setattr(runs, "missing", lambda chosen: [])
    monkeypatch.setattr(runs, "ensure", lambda chosen, *_: list(chosen))
    monkeypatch.setattr(download, "fetch", lambda name, *_: no_data / name)
    monkeypatch.setattr(execute, "execute", lambda source, *_, **__: source)


def test_the_texts_print_them():
    assert len(PRINTED) > 25 and {tool for tool, _ in PRINTED} == TOOLS.keys()


@pytest.mark.parametrize(("tool", "words"), PRINTED, ids=" ".join)
def test_a_printed_command_is_understood(tool, words, capsys):
    argv = shlex.split(words, comments=True)
    code, said = TOOLS[tool](argv), capsys.readouterr()
    if tool == "data_prep/doctor.py":  # it says what is missing here
        assert code == 1 and "problems" in said.out
    elif argv[:1] == ["generate"]:  # from a run that is not here
        assert code == 1 and re.fullmatch(r"error: run \S+ is not done: .*\n", said.err)
    else:
        assert (code, said.err) == (0, "") and said.out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_begins_nothing_for_a_word_that_it_does_not_know(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(script), "--nosuch"])
    monkeypatch.syspath_prepend(script.parent)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    told = ended.value.code
    assert told == 2 or re.search("name a tool of|is not installed: make archive", told)
    assert "Traceback" not in capsys.readouterr().err
