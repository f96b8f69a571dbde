"""Downloaded files: the table is complete, and nothing is used unchecked."""

import hashlib
import re

import pytest

from cgnlib import sources
from cgnlib.errors import CGNError


@pytest.fixture
def entry(monkeypatch):
    """One file of a known content, `abc`, under a name of its own."""
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    made = {"file": "weights/abc.pth", "urls": ["https://example.org/abc.pth"], "sha256": digest}
    monkeypatch.setattr(sources, "table", lambda: {"abc": made})
    return made


@pytest.mark.parametrize("name", sources.table())
def test_every_entry_says_where_from_what_and_under_which_licence(name):
    entry = sources.table()[name]
    assert set(entry) == {"file", "urls", "sha256", "licence", "about"}
    assert entry["urls"] and all(url.startswith("https://") for url in entry["urls"])
    assert re.fullmatch("[0-9a-f]{64}|[0-9a-f]{8}|", entry["sha256"])
    assert not entry["file"].startswith("/") and ".." not in entry["file"]
    assert entry["licence"] and entry["about"]


def test_no_two_entries_share_a_file():
    files = [entry["file"] for entry in sources.table().values()]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("variant", "start"),
    [("colored", "6b178e7c"), ("double_colored", "7aa06c90"), ("wildlife", "db5bc310")],
)
def test_published_checkpoints_have_the_published_checksums(variant, start, original):
    assert sources.table()[f"cgn-{variant}"]["sha256"].startswith(start)
    original(f"weights/cgn_{variant}_MNIST.pth")
    assert sources.find(f"cgn-{variant}").is_file()


def test_a_missing_file_comes_with_the_command_that_gets_it(entry, no_data):
    with pytest.raises(CGNError) as error:
        sources.find("abc")
    message = str(error.value)
    assert str(no_data / "weights" / "abc.pth") in message and "\n" not in message
    assert "python data_prep/fetch.py abc" in message and "https://example.org" in message
    assert not list(no_data.iterdir())


@pytest.mark.parametrize("length", [64, 8])
def test_a_right_file_is_found(length, entry, no_data):
    entry["sha256"] = entry["sha256"][:length]  # a publisher may state the first digits only
    (no_data / "weights").mkdir()
    (no_data / entry["file"]).write_bytes(b"abc")
    assert sources.find("abc") == no_data / entry["file"]


@pytest.mark.parametrize("length", [64, 8])
@pytest.mark.parametrize("content", [b"", b"ab", b"<html>not found</html>"])
def test_another_file_is_refused_and_left_alone(content, length, entry, no_data):
    entry["sha256"] = entry["sha256"][:length]
    path = no_data / entry["file"]
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        sources.find("abc")
    assert "sha256" in str(error.value) and "fetch.py abc" in str(error.value)
    assert path.read_bytes() == content


def test_the_checksum_is_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 999)
    expected = hashlib.sha256(bytes(range(256)) * 999).hexdigest()
    assert sources.sha256(tmp_path / "file") == expected
