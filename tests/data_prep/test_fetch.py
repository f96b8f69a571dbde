"""data_prep/fetch.py: its list, its choices and its exit codes; nothing is downloaded here."""

import os
import signal
import subprocess
import sys

import pytest

import doctor
import download
import fetch
import needs
from cgnlib import experiments, paths
from cgnlib.data import sources
from cgnlib.errors import CGNError


@pytest.fixture(autouse=True)
def fetched(monkeypatch, no_data):
    """The calls that would download."""
    calls = []
    monkeypatch.setattr(download, "fetch", lambda *call: calls.append(call) or no_data / call[0])
    return calls


def test_the_list_says_all_of_each(capsys, fetched):
    assert fetch.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()[:-1]
    assert [line.split()[0] for line in lines] == list(sources.table())
    for line, entry in zip(lines, sources.table().values(), strict=True):
        assert "missing" in line and entry["licence"] in line
        assert ("paper" in line) == (line.split()[0] in needs.downloads_of("paper")), line
    assert not fetched and "7,593.6 MB" in lines[-1]


def test_what_is_there_is_listed_and_kept(capsys, fetched, original, monkeypatch):
    monkeypatch.setenv("CGN_DATA", str(original("mnist").parent))
    assert fetch.main(["--list", "mnist"]) == 0
    out = capsys.readouterr().out
    assert "mnist                there" in out and "mnist: there already" in out and not fetched


def test_what_one_may_not_read_is_listed_and_is_one_line(closed, capsys, fetched):
    assert fetch.main(["--list"]) == 0
    with closed("mnist") as folder:
        assert fetch.main(["--list", "mnist"]) == 1
    assert str(folder) in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_what_is_damaged_is_listed_and_not_fetched_over(capsys, fetched, no_data):
    (no_data / "weights").mkdir()
    (no_data / "weights" / "vgg16-397923af.pth").write_bytes(b"<html>")
    assert fetch.main(["--list", "vgg16"]) == 1 and not fetched
    out, err = capsys.readouterr()
    assert "vgg16                damaged" in out
    assert err.startswith("error: ") and "has 6 bytes" in err and err.count("\n") == 1


def test_nothing_asked_for_is_the_list(capsys, fetched):
    assert fetch.main([]) == 0
    assert not fetched and len(capsys.readouterr().out.splitlines()) == len(sources.table()) + 1


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_a_profile_is_all_that_it_needs(profile, fetched):
    assert fetch.main(["--profile", profile]) == 0
    assert [name for name, *_ in fetched] == needs.downloads_of(profile)


def test_all_is_the_whole_table_each_once(fetched):
    assert fetch.main(["--all", "--profile", "paper", "sketch"]) == 0
    assert sorted(name for name, *_ in fetched) == sorted(sources.table())


def test_an_own_file_is_for_one_name(fetched, tmp_path, capsys):
    assert fetch.main(["in-mini", "--from", str(tmp_path)]) == 0
    assert fetched == [("in-mini", tmp_path, False)]
    for wrong in (["--all", "--from", "x"], ["--from", "x"], ["no-such"], ["--profile", "tiny"]):
        with pytest.raises(SystemExit) as left:
            fetch.main(wrong)
        assert left.value.code == 2
    assert capsys.readouterr().err.count("usage:") == 4


def test_what_fails_is_one_line_each_and_the_others_are_tried(monkeypatch, fetched, capsys):
    def fail(name, *_):
        fetched.append(name)
        if name != "dtd":
            raise CGNError(f"{name} is not to be had")

    monkeypatch.setattr(download, "fetch", fail)
    assert fetch.main(["mnist", "dtd", "u2net"]) == 1
    assert fetched == ["mnist", "dtd", "u2net"]
    expected = [f"error: {name} is not to be had" for name in ("mnist", "u2net")]
    assert capsys.readouterr().err.splitlines() == expected


def test_an_interruption_is_exit_code_130(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "fetch", interrupt)
    assert fetch.main(["mnist"]) == 130 and "goes on" in capsys.readouterr().err


def test_a_package_without_its_checkout_is_one_line(monkeypatch, tmp_path, capsys):
    sources.table.cache_clear()
    monkeypatch.setattr(paths, "ROOT", tmp_path)  # as site-packages, after `pip install .`
    for main in (fetch.main, doctor.main):
        assert main(["--profile", "full"]) == 1
        assert (error := capsys.readouterr().err).endswith("run `pip install -e .`\n")
        assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["fetch.py --list", "doctor.py --profile full"])
def test_a_closed_pipe_is_no_error(command):
    """`... | head -1`"""
    program, *arguments = command.split()
    call = [sys.executable, "-u", str(paths.ROOT / "data_prep" / program), *arguments]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(call, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert done.stderr == "" and done.returncode == -signal.SIGPIPE


def test_every_example_of_the_help_is_right_usage(fetched, capsys, tmp_path):
    lines = [line for line in fetch.EXAMPLES.splitlines() if "fetch.py" in line]
    for line in lines:
        assert fetch.main(line.split("   ")[0].split("fetch.py")[1].split()) == 0, line
    assert len(lines) >= 5 and len(fetched) > len(lines)
    with pytest.raises(SystemExit) as left:
        fetch.main(["--help"])
    assert left.value.code == 0 and fetch.EXAMPLES.splitlines()[1] in capsys.readouterr().out
