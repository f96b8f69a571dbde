"""Where things live: what CGN_DATA and CGN_RUNS may say."""

from pathlib import Path

import pytest

from cgnlib import paths
from cgnlib.data import sources
from cgnlib.errors import CGNError


def test_a_place_means_the_same_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/reader")
    monkeypatch.setenv("WORK", "/fast disk")
    monkeypatch.chdir(tmp_path)
    for told, meant in (
        ("", paths.ROOT / "runs"),
        (" ", paths.ROOT / "runs"),
        ("/elsewhere/it's mine", Path("/elsewhere/it's mine")),
        ("runs", paths.ROOT / "runs"),
        ("../beside", paths.ROOT / "../beside"),
        ("~/cgn-runs", Path("/home/reader/cgn-runs")),
        ("$WORK/runs", Path("/fast disk/runs")),
    ):
        monkeypatch.setenv("CGN_RUNS", told)
        assert paths.runs("mini") == meant / "mini", told


def test_a_package_without_its_checkout_says_how_to_install_it(monkeypatch, tmp_path):
    sources.table.cache_clear()
    monkeypatch.setattr(paths, "ROOT", tmp_path)  # as site-packages, after `pip install .`
    for asked in (paths.data, lambda: paths.runs("mini"), sources.table):
        with pytest.raises(CGNError, match=r"is no checkout .* `pip install -e \.`$"):
            asked()


def test_what_systems_leave_behind_is_no_data():
    for name in ("n01440764", "1.JPEG", "a/1.png", "02_wheeled vehicle", ".", "_1.png", "thumbs"):
        assert paths.is_data(name), name
    for name in (".DS_Store", "._1.png", "a/._1.png", "__MACOSX/a/1.png", ".git/1.png",
                 "a/Thumbs.db", "desktop.ini", ".nfs0001", ".ipynb_checkpoints/1.png"):  # fmt: skip
        assert not paths.is_data(name), name


@pytest.mark.parametrize(
    "told", ["~nobody-of-that-name/data", "$NOT_SET_ANYWHERE/data", "pyproject.toml"]
)
def test_a_place_that_names_no_folder_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_DATA", told)
    with pytest.raises(CGNError, match=r"CGN_DATA is .*: set it to (a|the) path"):
        paths.data()
