"""Downloads: from a server on this machine that cuts off, changes its mind and answers with pages.

The file is `weights/net.pth` of the entry `net`; its bytes are CONTENT.
"""

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import socketserver
import threading
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import download
import transfer
from cgnlib.data import digits, sources
from cgnlib.errors import CGNError

CONTENT = bytes(range(256)) * 2000
SHA = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[::-1]
PAGE = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"
WITHOUT_TAGS = b"Quota exceeded"  # only its type says that it is a page


@dataclass
class Site:
    """What a local server has: paths to bytes.  asked: (path, Range) of every request.

    cut: by path, after how many bytes the next answers break off.  ranges: whether parts can be
    asked for.  etag: by path.  kind: by path, the Content-Type.  odd: by path, a Content-Range.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    etag: dict[str, str] = field(default_factory=dict)
    kind: dict[str, str] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site, path = self.server.site, self.path
        wanted = self.headers.get("Range")
        site.asked.append((path, wanted))
        content = site.files.get(path)
        if content is None:
            return self.send_error(404)
        etag, start = site.etag.get(path, '"1"'), 0
        if wanted and site.ranges and self.headers.get("If-Range", etag) == etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            stated = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", site.odd.get(path, stated))
        else:
            self.send_response(200)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", site.kind.get(path, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cuts = site.cut.get(path)
        self.wfile.write(content[start : start + cuts.pop(0)] if cuts else content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # the client went away, as some tests want

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def site(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server.site = Site(f"http://127.0.0.1:{server.server_port}")
    server.site.files = {"/net": CONTENT}
    return server.site


@pytest.fixture
def table(site, no_data, monkeypatch):
    """The entry `net`; more can be added."""
    table = {
        "net": {
            "file": "weights/net.pth",
            "urls": [f"{site.address}/net"],
            "sha256": SHA,
            "size": len(CONTENT),
        }
    }
    monkeypatch.setattr(sources, "table", lambda: table)
    return table


@pytest.fixture
def path(table, no_data):
    return no_data / "weights" / "net.pth"


def left(path):
    return sorted(os.listdir(path.parent)) if path.parent.exists() else []


def keep(path, content, url, version='"1"'):
    """As if a download of `content` had stopped there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    transfer.part_of(path).write_bytes(content)
    transfer._from(transfer.part_of(path)).write_text(json.dumps({"url": url, "version": version}))


def test_a_file_is_downloaded_once(site, path):
    assert download.fetch("net") == path and path.read_bytes() == CONTENT
    assert download.fetch("net") == path and site.asked == [("/net", None)]
    assert left(path) == ["net.pth"]


def test_a_cut_off_download_goes_on_where_it_was(site, path):
    site.cut["/net"] = [1000, 100_000]
    download.fetch("net")
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=1000-", "bytes=101000-"]


def test_the_same_command_goes_on_later(site, path):
    site.cut["/net"] = [1000, 1000, 1000]
    with pytest.raises(CGNError, match="cut off after 3,000 of 512,000 bytes") as error:
        download.fetch("net")
    assert "\n" not in str(error.value) and left(path) == ["net.pth.from", "net.pth.part"]
    download.fetch("net")
    assert path.read_bytes() == CONTENT and site.asked[-1] == ("/net", "bytes=3000-")
    assert left(path) == ["net.pth"]


def test_a_server_without_ranges_sends_all_of_it_again(site, path):
    site.ranges, site.cut["/net"] = False, [1000]
    download.fetch("net")
    assert path.read_bytes() == CONTENT and len(site.asked) == 2


@pytest.mark.parametrize(
    ("kept", "version", "asked"),
    [
        (OTHER[:5000], '"0"', ["bytes=5000-"]),  # and the server has another version
        (CONTENT, '"1"', [f"bytes={len(CONTENT)}-"]),
        (CONTENT + b"more", '"1"', [f"bytes={len(CONTENT) + 4}-", None]),
    ],
)
def test_what_is_kept_goes_on_only_where_it_fits(kept, version, asked, site, path):
    keep(path, kept, f"{site.address}/net", version)
    download.fetch("net")
    assert path.read_bytes() == CONTENT and [wanted for _, wanted in site.asked] == asked


@pytest.mark.parametrize(
    "stated", ["bytes 0-511999/512000", "bytes 2000-511999/512000", "", "items 1"]
)
def test_another_part_than_asked_for_is_refused(stated, site, path):
    keep(path, CONTENT[:1000], f"{site.address}/net")
    site.odd["/net"] = stated
    with pytest.raises(CGNError, match="another part than asked for"):
        download.fetch("net")
    assert not path.exists()


def test_the_next_mirror_is_taken_where_one_has_nothing(site, table, path, capsys):
    table["net"]["urls"].insert(0, f"{site.address}/gone")
    table["net"]["urls"].insert(0, "http://127.0.0.1:9/closed")
    download.fetch("net")
    assert path.read_bytes() == CONTENT and "HTTP 404" in capsys.readouterr().err


def test_a_wrong_file_is_never_kept(site, table, path):
    site.files["/other"] = OTHER
    table["net"]["urls"].insert(0, f"{site.address}/other")
    download.fetch("net")
    assert path.read_bytes() == CONTENT
    path.unlink()
    table["net"]["urls"].pop()
    with pytest.raises(CGNError, match="has sha256") as error:
        download.fetch("net")
    assert "--from FILE" in str(error.value) and "\n" not in str(error.value) and left(path) == []


def test_a_mirror_finishes_what_another_began_where_a_checksum_tells(site, table, path):
    site.files["/mirror"], site.cut["/net"] = CONTENT, [1000] * 3
    table["net"]["urls"].append(f"{site.address}/mirror")
    download.fetch("net")
    assert path.read_bytes() == CONTENT and site.asked[-1] == ("/mirror", "bytes=3000-")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("text/html; charset=utf-8", WITHOUT_TAGS), ("application/octet-stream", PAGE)],
)
def test_a_page_in_place_of_a_file_is_told(kind, content, site, path):
    site.files["/net"], site.kind["/net"] = content, kind
    with pytest.raises(CGNError, match="a page and not the file"):
        download.fetch("net")
    assert not path.exists()


def test_a_page_of_google_drive_comes_with_the_link_for_a_browser():
    url = "https://drive.google.com/uc?export=download&id=1ao1-ovG_x"
    assert "https://drive.google.com/file/d/1ao1-ovG_x/view" in transfer._page(url)


# --- trust from the first download on


@pytest.fixture
def unstated(table):
    table["net"]["sha256"] = ""
    return table["net"]


def test_the_first_download_is_recorded_and_checked_ever_after(site, unstated, path, capsys):
    download.fetch("net")
    assert sources.beside(path).read_text() == f"{SHA}  net.pth\n"
    assert "checked from now on" in capsys.readouterr().out
    assert sources.find("net") == path
    path.write_bytes(OTHER)
    with pytest.raises(CGNError, match="move it away"):
        sources.find("net")
    with pytest.raises(CGNError, match=r"at the first download it was .*: move .* away"):
        download.fetch("net")
    assert path.read_bytes() == OTHER


def test_a_later_different_download_is_refused(site, unstated, path):
    download.fetch("net")
    path.unlink()
    site.files["/net"] = OTHER
    with pytest.raises(CGNError, match=f"at the first download it was {SHA}") as error:
        download.fetch("net")
    assert f"delete {sources.beside(path)}" in str(error.value) and "\n" not in str(error.value)
    assert left(path) == ["net.pth.sha256"]
    sources.beside(path).unlink()
    download.fetch("net")
    assert path.read_bytes() == OTHER


def test_a_stated_start_is_checked_and_the_rest_recorded(site, table, path):
    table["net"]["sha256"] = SHA[:8]
    site.files["/other"] = OTHER
    table["net"]["urls"].insert(0, f"{site.address}/other")
    download.fetch("net")
    assert path.read_bytes() == CONTENT and sources.recorded(path) == SHA


@pytest.mark.parametrize("same", [True, False])
def test_without_a_checksum_only_the_same_version_goes_on(same, site, unstated, path):
    keep(path, CONTENT[:1000], f"{site.address}/net", '"1"' if same else "")
    download.fetch("net")
    assert path.read_bytes() == CONTENT
    assert site.asked == [("/net", "bytes=1000-" if same else None)]


def test_a_mirror_does_not_go_on_without_a_checksum(site, unstated, path):
    site.files["/mirror"], site.cut["/net"] = OTHER, [1000] * 3
    unstated["urls"].append(f"{site.address}/mirror")
    download.fetch("net")
    assert path.read_bytes() == OTHER  # whole, and not a mixture of the two


def test_a_copy_that_nobody_vouches_for_is_not_recorded(site, unstated, path):
    path.parent.mkdir()
    path.write_bytes(OTHER)
    with pytest.raises(CGNError, match="sha256sum"):
        download.fetch("net")
    assert left(path) == ["net.pth"] and not site.asked


# --- space, places, the user's own copies


def usage(free):
    return lambda _: shutil._ntuple_diskusage(10**9, 10**9 - free, free)


def test_too_small_a_disk_is_found_before(site, path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", usage(len(CONTENT) - 1))
    with pytest.raises(CGNError, match=r"needs about 0\.0 GB .*CGN_DATA"):
        download.fetch("net")
    assert not site.asked
    keep(path, CONTENT[:1000], f"{site.address}/net")  # which need not come again
    download.fetch("net")
    assert path.read_bytes() == CONTENT


def test_a_disk_that_fills_up_keeps_what_came(site, path, monkeypatch):
    def fill(answer, part, *_):
        part.parent.mkdir()
        part.write_bytes(answer.read(5000))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_append", fill)
    with pytest.raises(CGNError, match=r"is full: what came is kept in .*net\.pth\.part") as error:
        download.fetch("net")
    assert "\n" not in str(error.value) and transfer.part_of(path).stat().st_size == 5000


def test_a_folder_in_the_way_is_one_line(site, path):
    path.parent.parent.joinpath("weights").write_text("a file")
    with pytest.raises(CGNError, match="mend it") as error:
        download.fetch("net")
    assert "\n" not in str(error.value)


def test_another_file_in_the_place_is_left_alone(site, path):
    path.parent.mkdir()
    path.write_bytes(OTHER)
    with pytest.raises(CGNError, match="away to get it again"):
        download.fetch("net")
    assert path.read_bytes() == OTHER and not site.asked


def test_an_own_copy_is_checked_and_copied(site, path, tmp_path):
    own = tmp_path / "copy.bin"
    own.write_bytes(OTHER)
    with pytest.raises(CGNError, match=f"not {SHA}; name another .*: python .*fetch.py net$"):
        download.fetch("net", own)
    assert not path.exists() and left(path) == []
    own.write_bytes(CONTENT)
    download.fetch("net", own)
    assert path.read_bytes() == own.read_bytes() == CONTENT and not site.asked
    with pytest.raises(CGNError, match="does not exist"):
        download.fetch("net", tmp_path / "nothing")


def test_a_second_process_does_not_fetch_the_same_and_no_lock_is_left(path, no_data):
    with download._alone("net"), pytest.raises(CGNError, match="another process"):
        download.fetch("net")
    with pytest.raises(ValueError), download._alone("net"):
        raise ValueError("a download that failed")
    assert not list((no_data / "downloads").iterdir())


def test_no_two_pass_where_locks_come_and_go(path):
    inside, seen = [], []

    def try_often():
        for _ in range(200):
            with suppress(CGNError), download._alone("net"):
                inside.append(threading.get_ident())
                time.sleep(0.0001)
                seen.append(len(inside))
                inside.remove(threading.get_ident())

    threads = [threading.Thread(target=try_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {1} and len(seen) > 10


def test_a_folder_in_place_of_a_file_is_told(path, tmp_path):
    with pytest.raises(CGNError, match="is a folder: name the one file that net is"):
        download.fetch("net", tmp_path)


@pytest.mark.parametrize("name", ["n" * 300, "loop", "dangling", "file/in a file"])
def test_what_is_no_copy_is_one_line(name, path, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").touch()
    with pytest.raises(CGNError, match=r"does not exist|too long|cannot be read") as error:
        download.fetch("net", tmp_path / name)
    assert "\n" not in str(error.value) and not path.exists()


def test_an_own_copy_that_cannot_be_read_is_told(path, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    own = tmp_path / "own.bin"
    own.write_bytes(CONTENT)
    monkeypatch.setattr(download.sources, "sha256", refuse)
    with pytest.raises(CGNError, match=r"own\.bin cannot be read \(.*denied\): mend it"):
        download.fetch("net", own)


# --- several files, and archives

PARTS = {"a/one.bin": b"one", "two.bin": b"two"}


@pytest.fixture
def several(site, table):
    site.files |= {f"/several/{name}": content for name, content in PARTS.items()}
    files = [
        {"name": n, "size": len(c), "md5": hashlib.md5(c).hexdigest()} for n, c in PARTS.items()
    ]
    files[0]["original"] = "elsewhere/uno.bin"
    table["several"] = {
        "folder": "several",
        "urls": [f"{site.address}/gone/", f"{site.address}/several/"],
        "files": files,
    }
    return table["several"]


def check_several(folder):
    assert {name: (folder / name).read_bytes() for name in PARTS} == PARTS


def test_several_files_come_from_the_same_mirrors(site, several, no_data):
    assert download.fetch("several") == no_data / "several"
    check_several(no_data / "several")
    (no_data / "several" / "two.bin").unlink()
    site.asked.clear()
    download.fetch("several")
    assert {asked.split("/")[-1] for asked, _ in site.asked} == {"two.bin"}


@pytest.mark.parametrize("first", ["deep/a/one.bin", "deep/elsewhere/uno.bin"])
@pytest.mark.parametrize("packed", [True, False])
def test_several_files_are_found_in_what_the_user_has(packed, first, several, no_data, tmp_path):
    held = {first: b"one", "deep/two.bin": b"two", "deep/more": b""}
    if packed:
        own = tmp_path / "own.zip"
        with zipfile.ZipFile(own, "w") as archive:
            for name, content in held.items():
                archive.writestr(name, content)
    else:
        own = tmp_path / "own"
        for name, content in held.items():
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            (own / name).write_bytes(content)
    download.fetch("several", own)
    check_several(no_data / "several")
    assert sorted(p.name for p in no_data.iterdir()) == ["downloads", "several"]
    assert not list((no_data / "downloads").iterdir())


@pytest.mark.parametrize("packed", [True, False])
def test_what_the_users_copy_lacks_is_told_by_its_own_name(packed, several, no_data, tmp_path):
    own = tmp_path / ("own.zip" if packed else "own")
    if packed:
        own.write_bytes(zipped(["something/else.bin"]))
    else:
        own.mkdir()
    with pytest.raises(CGNError) as error:
        download.fetch("several", own)
    assert str(error.value).startswith(f"{own} ")
    assert str(error.value).endswith("; name another copy, or download it: "
                                     "python data_prep/fetch.py several")  # fmt: skip


def zipped(names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"pixels")
    return stream.getvalue()


@pytest.fixture
def images(site, table):
    """An archive of two images of one part and one of the other, whose checksum nobody states."""
    content = zipped(["set/val/a/1.JPEG", "set/val/b/2.png", "set/train/a/3.jpg", "set/README"])
    site.files["/set.zip"] = content
    table["set"] = {
        "folder": "set",
        "archive": "set.zip",
        "urls": [f"{site.address}/set.zip"],
        "sha256": "",
        "size": len(content),
        "unpacked": 100,
        "inside": ["set", "."],
        "images": {"val": 2, "train": 1},
    }
    return table["set"]


def test_an_archive_becomes_a_folder(site, images, no_data):
    assert download.fetch("set") == no_data / "set"
    assert (no_data / "set" / "val" / "a" / "1.JPEG").read_bytes() == b"pixels"
    download.fetch("set")
    assert len(site.asked) == 1
    assert not (no_data / "downloads" / "set.zip").exists()  # and what it was is known:
    assert sources.recorded(no_data / "downloads" / "set.zip")


def test_an_archive_can_be_kept(images, no_data):
    download.fetch("set", keep=True)
    assert (no_data / "downloads" / "set.zip").is_file()


def test_a_later_different_archive_is_refused(site, images, no_data):
    download.fetch("set")
    shutil.rmtree(no_data / "set")
    site.files["/set.zip"] = zipped(["set/val/a/1.JPEG", "set/val/b/2.png", "set/train/a/4.jpg"])
    with pytest.raises(CGNError, match="at the first download"):
        download.fetch("set")
    assert not (no_data / "set").exists()


@pytest.mark.parametrize("part", ["val", "train"])
def test_a_wrong_count_leaves_no_folder(part, images, no_data):
    images["images"][part] += 1
    with pytest.raises(CGNError, match=f"{part} holds") as error:
        download.fetch("set")
    assert "\n" not in str(error.value) and not (no_data / "set").exists()
    archive = no_data / "downloads" / "set.zip"
    assert str(error.value).startswith(f"{archive} is not the published data set")
    assert str(error.value).endswith(f"; delete {archive} to get it again")


def test_a_first_copy_of_another_size_is_not_taken(tmp_path):
    """Nobody states its checksum, so it would be what later copies are compared with."""
    part = {"file": "weights/net.pth", "sha256": "", "size": 1000}
    for size, taken in ((5, False), (600, True), (1900, True), (2500, False)):
        (tmp_path / "net.pth").write_bytes(b"x" * size)
        if taken:
            assert download.check(tmp_path / "net.pth", part) is False
            continue
        with pytest.raises(CGNError, match=rf"has {size:,} bytes, and about 1,000 are stated"):
            download.check(tmp_path / "net.pth", part)


def test_an_own_archive_of_a_wrong_count_is_told(site, images, no_data, tmp_path):
    images |= {"urls": [], "page": "https://example.org/set"}
    own = tmp_path / "own.zip"
    own.write_bytes(zipped(["set/val/a/1.JPEG"]))
    with pytest.raises(CGNError) as error:
        download.fetch("set", own)
    assert str(error.value) == (
        f"{own} is not the published data set: val holds 1 images and not 2; name the one from "
        "https://example.org/set"
    )
    assert own.is_file() and not (no_data / "set").exists()


SET = ("val/a/1.JPEG", "val/b/2.png", "train/a/3.jpg")


def lay(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"pixels")


@pytest.mark.parametrize("named", ["", "versions/1", "versions/1/set", "another name"])
def test_a_folder_that_is_unpacked_already_is_linked(named, images, no_data, tmp_path, capsys):
    """As Kaggle's download leaves it in a cache, and as people unpack by hand."""
    cache = tmp_path / ".cache" / "kaggle"
    held = cache / (named if named == "another name" else "versions/1/set")
    lay(held, [*SET, ".DS_Store", "val/a/._1.JPEG", "Thumbs.db"])
    assert download.fetch("set", cache / named) == no_data / "set"
    assert (no_data / "set").resolve() == held and (no_data / "set" / SET[0]).is_file()
    assert f"linked and not copied: keep {held}" in capsys.readouterr().out
    download.fetch("set", cache / named)  # it is there
    shutil.rmtree(cache)
    with pytest.raises(CGNError, match="a link to a folder that is gone: mend or remove it"):
        download.fetch("set")


def test_of_two_folders_of_the_name_the_whole_one_is_linked(images, no_data, tmp_path):
    lay(tmp_path / "own" / "set", [f"set/{name}" for name in SET])
    lay(tmp_path / "own" / "a" / "set", SET[:1])
    download.fetch("set", tmp_path / "own")
    assert (no_data / "set").resolve() == tmp_path / "own" / "set" / "set"


def test_an_unpacked_folder_of_something_else_is_refused(images, no_data, tmp_path):
    lay(tmp_path / "own" / "set", SET[:2])
    with pytest.raises(CGNError) as error:
        download.fetch("set", tmp_path / "own")
    assert str(error.value) == (
        f"{tmp_path / 'own'} is not the published data set: train holds 0 images and not 1; "
        "name another copy, or download it: python data_prep/fetch.py set"
    )
    assert not (no_data / "set").is_symlink()


@pytest.fixture
def digit_files(site, table, monkeypatch):
    """MNIST's four files as they are published, small."""
    plain = {name: name.encode() * 50 for name in digits.IDX_FILES}
    packed = {name: gzip.compress(content, mtime=1) for name, content in plain.items()}
    files = [
        {"name": f"{name}.gz", "size": len(packed[name])}
        | {"md5": hashlib.md5(packed[name]).hexdigest()}
        | {"content": hashlib.md5(plain[name]).hexdigest()}
        for name in plain
    ]
    table["mnist"] = {"folder": "mnist", "urls": [f"{site.address}/mnist/"], "files": files}
    site.files |= {f"/mnist/{name}.gz": content for name, content in packed.items()}
    return plain


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("named", ["{0}", "{1}", "{0}.gz", "{1}.gz", "{0}/{0}", "{1}/{1}"])
def test_digits_come_as_others_name_and_unpack_them(
    named, zipped, digit_files, site, no_data, tmp_path
):
    own = tmp_path / "own"
    for name, content in digit_files.items():
        path = own / "archive" / named.format(name, name.replace("-idx", ".idx"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        path.with_name(f"._{path.name}").write_bytes(b"Mac OS X")
    if zipped:
        own = shutil.make_archive(tmp_path / "packed", "zip", own)
    download.fetch("mnist", Path(own))
    for name, content in digit_files.items():
        found = digits.find_idx(name)
        opened = gzip.decompress if found.suffix == ".gz" else bytes
        assert opened(found.read_bytes()) == content and found.parent == no_data / "mnist"
    download.fetch("mnist")  # nothing is missing
    assert not site.asked and len(list((no_data / "mnist").iterdir())) == 4


@pytest.mark.parametrize("kind", ["plain", "gzip", "damaged"])
def test_other_digits_are_refused(kind, digit_files, no_data, tmp_path):
    wrong = {"plain": b"other", "gzip": gzip.compress(b"other")}.get(kind, b"\x1f\x8bnothing")
    for name in digit_files:
        (tmp_path / name).write_bytes(wrong)
    with pytest.raises(CGNError, match=r"is damaged|has MD5") as error:
        download.fetch("mnist", tmp_path)
    assert "\n" not in str(error.value) and not (no_data / "mnist").exists()


def test_a_folder_of_a_wrong_count_is_told(images, no_data):
    download.fetch("set")
    (no_data / "set" / "val" / "a" / "1.JPEG").unlink()
    with pytest.raises(CGNError, match=r"val holds 1 images and not 2: move .* away"):
        download.fetch("set")


def test_what_nobody_may_download_is_taken_from_the_users_archive(site, images, no_data, tmp_path):
    images |= {"urls": [], "page": "https://example.org/set"}
    with pytest.raises(CGNError, match=r"https://example\.org/set, then .* set --from set\.zip"):
        download.fetch("set")
    own = tmp_path / "own.zip"
    own.write_bytes(site.files["/set.zip"])
    download.fetch("set", own)
    assert (no_data / "set" / "train" / "a" / "3.jpg").is_file() and own.is_file()
    assert not site.asked
