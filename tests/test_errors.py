"""How commands end: an exit status, and a line for what a user can mend."""

import subprocess
import sys

import pytest

from cgnlib.errors import CGNError, ended
from cgnlib.paths import ROOT


def shell(printed: str, where: str) -> tuple[int, str]:
    """The exit status of a command that prints, and what it says of errors."""
    code = f"import sys; from cgnlib.errors import ended; sys.exit(ended(lambda: {printed}, ''))"
    line = f'"$0" -c "$1" {where}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, sys.executable, code],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("printed", "where"),
    [
        ("print(1)", ""),
        ("print(1)", ">&-"),
        ("print(1)", "<&- 2>&-"),
        ("[print(i) for i in range(9**6)] and 0", "| head -n 1"),
        ("print(chr(0xDC80))", ""),  # of a path that is no text
    ],
)
def test_what_is_printed_may_go_nowhere_and_be_no_text(printed, where):
    assert shell(printed, where) == (0, "")


def test_a_full_disk_is_one_line():
    status, said = shell("print(1)", ">/dev/full")
    assert status == 1 and said.startswith("error: ") and "No space left" in said
    assert said.count("\n") == 1 and "run the same command again" in said


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CGNError("a: mend b"), 1, "error: a: mend b\n"),
        (CGNError("a\nb\r: mend c"), 1, "error: a\\nb\\r: mend c\n"),  # names may have both
        (KeyboardInterrupt(), 130, "interrupted: c\n"),
        (PermissionError(13, "Denied", "d"), 1, "error: [Errno 13] Denied: 'd': mend it and run"),
    ],
)
def test_what_a_user_can_mend_is_one_line(error, status, said, capsys):
    def fail():
        raise error

    assert ended(fail, "c") == status and capsys.readouterr().err.startswith(said)


def test_what_a_user_cannot_mend_is_raised():
    with pytest.raises(KeyError):
        ended(lambda: {}[0], "")
