"""python -m cgnbook: what it writes, and what it says."""

import pytest

from cgnbook import records
from cgnbook.__main__ import main
from cgnbook.records import Written


def test_record_says_what_it_wrote(capsys, monkeypatch):
    monkeypatch.setattr(
        records, "write", lambda profile: [Written(f"claim-{profile}.csv", 7, ("a", "b"), ("c",))]
    )
    assert main(["record", "--profile", "full"]) == 0
    assert capsys.readouterr().out == (
        "claim-full.csv: 7 rows\n  kept, of runs elsewhere: a, b\n  lost: c\n"
    )


def test_record_says_that_nothing_is_done(capsys, monkeypatch):
    monkeypatch.setattr(records, "write", lambda profile: [])
    assert main(["record", "--profile", "paper"]) == 0
    out = capsys.readouterr().out
    assert "nothing was written" in out and "python -m cgnlib run --profile paper" in out


def test_records_that_cannot_be_written_are_one_line(capsys, monkeypatch):
    def write(profile):
        raise PermissionError("no right to write")
        yield

    monkeypatch.setattr(records, "write", write)
    assert main(["record"]) == 1
    assert "error: cannot write (no right to write): make" in capsys.readouterr().err


def test_numbers_of_a_rehearsal_are_not_recorded(capsys, monkeypatch):
    monkeypatch.setattr(records, "write", lambda _: pytest.fail("nothing is to be written"))
    monkeypatch.setenv("CGN_REHEARSAL", "1")
    assert main(["record", "--profile", "paper"]) == 1
    assert capsys.readouterr().err == (
        "error: numbers of a rehearsal are no results: unset CGN_REHEARSAL\n"
    )


def test_an_unknown_profile_is_one_line(capsys):
    assert main(["record", "--profile", "tiny"]) == 1
    assert "error: unknown profile 'tiny'" in capsys.readouterr().err


def test_without_a_command_it_is_bad_usage(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
