"""Downloaded files: the table is complete, and nothing is used unchecked."""

import hashlib
import re
from pathlib import Path

import pytest

import entries
from cgnlib.data import public, sources
from cgnlib.errors import CGNError, MissingError

ONE_FILE = b'[a]\nfile = "a"\nsha256 = ""\nsize = 1\nlicence = "MIT"\nabout = "A"\n'
NO_TABLES = {
    "cut off": b"a = ",
    "no text": b"\xff\xfe",
    "a page of the web": b"<html>",
    "no entry": b"a = 1",
    "an empty entry": b"[a]",
    "nowhere to get it": ONE_FILE + b"urls = []",
    "urls that are none": ONE_FILE + b"urls = [1]",
    "a size in words": ONE_FILE.replace(b"1", b'"1 MB"') + b"urls = ['https://a']",
    "files that are none": b"[a]\nfolder = 'a'\nfiles = [1]\nlicence = ''\nabout = ''\nurls = ['']",
    "half an archive": ONE_FILE + b"urls = ['https://a']\narchive = 'a.zip'",
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Reads the table of sources with this content."""

    def read(content):
        (tmp_path / "sources.toml").write_bytes(content)
        monkeypatch.setattr(sources.paths, "sources", lambda: tmp_path / "sources.toml")
        return sources.table.__wrapped__()

    return read


@pytest.mark.parametrize("content", NO_TABLES.values(), ids=NO_TABLES)
def test_a_damaged_table_is_one_line(content, written):
    with pytest.raises(CGNError, match=r"sources\.toml cannot be read .*git checkout -- "):
        written(content)


def test_an_entry_that_was_taken_out_is_one_line(written):
    found = written(ONE_FILE + b"urls = ['https://a']")
    assert list(found) == ["a"] and found["a"]["size"] == 1
    with pytest.raises(CGNError, match=r"sources\.toml has no 'mnist': restore it with `git"):
        found["mnist"]


@pytest.fixture
def entry(monkeypatch):
    """One file of a known content, `abc`, under a name of its own."""
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    made = {"file": "weights/abc.pth", "urls": ["https://example.org/abc.pth"], "sha256": digest}
    monkeypatch.setattr(sources, "table", lambda: {"abc": made})
    return made


ALWAYS = {"urls", "licence", "about"}
ONE = ALWAYS | {"file", "sha256", "size"}
SEVERAL = ALWAYS | {"folder", "files"}
ARCHIVE = ALWAYS | {"folder", "archive", "sha256", "size", "unpacked", "inside", "images"}


def test_every_entry_says_where_from_what_and_under_which_licence():
    def whole(entry):
        known = set(entry) in (ONE, ONE | {"page"}, SEVERAL, ARCHIVE, ARCHIVE | {"page"})
        where = bool(entry["urls"]) != ("page" in entry)  # a page is where to get it by hand
        return known and where and entry["licence"] and entry["about"]

    assert not [name for name, entry in sources.table().items() if not whole(entry)]


def test_every_download_is_named_and_measured():
    def whole(part):
        stated = part.get("md5", part.get("sha256"))
        digits = "[0-9a-f]{32}" if "md5" in part else "[0-9a-f]{64}|[0-9a-f]{8}|"
        inside = not part["file"].startswith("/") and ".." not in part["file"]
        safe = all(url.startswith("https://") for url in part["urls"])
        one = ("md5" in part) != ("sha256" in part)
        return one and re.fullmatch(digits, stated) and part["size"] > 0 and inside and safe

    every = [part for name in sources.table() for part in entries.downloads(name)]
    assert not [part["file"] for part in every if not whole(part)]
    assert sum(map(entries.size, sources.table())) == sum(part["size"] for part in every)


def test_no_two_entries_share_a_place():
    files = [part["file"] for name in sources.table() for part in entries.downloads(name)]
    assert len(set(files)) == len(files)
    places = [entries.place(name) for name in sources.table()]
    assert len(set(places)) == len(places)


def test_a_file_of_several_has_an_url_of_its_own():
    for part in entries.downloads("mnist"):
        assert all(url.endswith(f"/{part['name']}") for url in part["urls"])
        assert part["file"] == f"mnist/{part['name']}" and len(part["urls"]) == 2


def test_the_textures_are_those_that_are_read(original):
    folder = original("dtd")
    for part in entries.downloads("dtd"):
        assert sources.sha256(folder / part["name"]) == part["sha256"]
        assert (folder / part["name"]).stat().st_size == part["size"]


def test_counts_are_those_that_the_readers_ask_for():
    """Every benchmark with an entry, and every count of an entry, say the same."""
    counted = {}
    for entry in sources.table().values():
        for part, images in entry.get("images", {}).items():
            counted[(Path(entry["folder"]) / part).as_posix()] = images
    known = {layout.folder: layout.expected for layout in public.LAYOUTS.values()}
    assert counted.items() <= known.items() and len(counted) == 15
    rest = {folder.split("/")[0] for folder in known.keys() - counted.keys()}
    assert rest == {"stylized-imagenet"}  # nobody gives it out
    for layout in public.LAYOUTS.values():
        first = layout.folder.split("/")[0]
        assert (layout.entry is None) == (first in rest) == bool(layout.other), layout
        assert first in rest or sources.table()[layout.entry]["folder"] == first, layout


def test_what_cannot_be_downloaded_is_taken_from_a_file():
    command = "python data_prep/fetch.py in-mini --from imagenetmini-1000.zip"
    assert sources.command("in-mini") == command
    assert sources.command("in9") == "python data_prep/fetch.py in9"
    page = sources.table()["in-mini"]["page"]
    wanted = f"download imagenetmini-1000.zip from {page}, then `{command}` or set CGN_DATA"
    assert sources.get_it("in-mini").startswith(wanted)


@pytest.mark.parametrize(
    ("variant", "start"),
    [("colored", "6b178e7c"), ("double_colored", "7aa06c90"), ("wildlife", "db5bc310")],
)
def test_published_checkpoints_have_the_published_checksums(variant, start, original):
    assert sources.table()[f"cgn-{variant}"]["sha256"].startswith(start)
    original(f"weights/cgn_{variant}_MNIST.pth")
    assert sources.find(f"cgn-{variant}").is_file()


def test_a_missing_file_comes_with_the_command_that_gets_it(entry, no_data):
    with pytest.raises(MissingError) as error:
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
