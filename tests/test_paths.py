"""Where things live: what CGN_DATA and CGN_RUNS may say."""

from pathlib import Path

import pytest

from cgnlib import paths
from cgnlib.errors import CGNError


def test_a_place_means_the_same_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/reader")
    monkeypatch.setenv("WORK", "/fast disk")
    monkeypatch.chdir(tmp_path)
    for told, meant in (
        ("", paths.ROOT / "runs"),
        ("/elsewhere/it's mine", Path("/elsewhere/it's mine")),
        ("runs", paths.ROOT / "runs"),
        ("../beside", paths.ROOT / "../beside"),
        ("~/cgn-runs", Path("/home/reader/cgn-runs")),
        ("$WORK/runs", Path("/fast disk/runs")),
    ):
        monkeypatch.setenv("CGN_RUNS", told)
        assert paths.runs("mini") == meant / "mini", told


@pytest.mark.parametrize("told", ["~nobody-of-that-name/data", "$NOT_SET_ANYWHERE/data"])
def test_a_place_that_names_no_folder_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_DATA", told)
    with pytest.raises(CGNError, match=r"CGN_DATA is .*: set it to a path"):
        paths.data()
