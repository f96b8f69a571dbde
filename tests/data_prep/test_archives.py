"""Archives: nothing lands outside the target, and what is broken leaves nothing."""

import hashlib
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile

import pytest

import archives
from cgnlib.errors import CGNError

FILES = {"top/a/1.png": b"one", "top/b/2.png": b"two" * 1000, "top/LICENCE": b"free"}
INSIDE = ["top", "*/top", "."]


def pack(path, files=FILES, extra=()):
    """A tar, tar.gz or zip archive; extra: members of its kind, ready made."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            for member, content in extra:
                archive.writestr(member, content)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member, content in extra:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def unpack(archive, target, inside=INSIDE, check=lambda folder: None):
    archives.unpack(archive, target, inside, check)


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(params=["x.tar", "x.tar.gz", "x.zip"])
def archive(request, tmp_path):
    return pack(tmp_path / request.param)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "set"


def left(target):
    """What lies in the target's folder."""
    return sorted(os.listdir(target.parent)) if target.parent.exists() else []


def test_what_is_inside_becomes_the_folder(archive, target):
    unpack(archive, target)
    assert tree(target) == {name.removeprefix("top/"): text for name, text in FILES.items()}
    assert left(target) == ["set", "set.sha256"] and archive.exists()


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (["top/a"], {"1.png"}),
        (["*/b"], {"2.png"}),
        (["nothing", "top"], {"a/1.png", "b/2.png", "LICENCE"}),
        (["top/a", "top/b"], {"1.png"}),
        (["."], {"top/a/1.png", "top/b/2.png", "top/LICENCE"}),
    ],
)
def test_the_first_pattern_that_fits_is_taken(inside, expected, archive, target):
    unpack(archive, target, inside)
    assert set(tree(target)) == expected


@pytest.mark.parametrize("inside", [["nothing"], ["a"], ["top/a/1.png"], ["*/*/top"]])
def test_an_archive_of_something_else_is_refused(inside, archive, target):
    with pytest.raises(CGNError, match="name another archive"):
        unpack(archive, target, inside)
    assert left(target) == []


LEFT = ("top/a/._1.png", "top/.DS_Store", "__MACOSX/top/a/._1.png", "__MACOSX/top/x.png", "._top")


@pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz", "x.zip"])
def test_what_systems_leave_in_an_archive_stays_there(kind, tmp_path, target):
    archive = pack(tmp_path / kind, FILES | dict.fromkeys(LEFT, b"Mac OS X"))
    unpack(archive, target, ["*/top", "top"])
    assert tree(target) == {name.removeprefix("top/"): text for name, text in FILES.items()}
    assert "._" not in archives.beside(target).read_text()


def test_a_pattern_that_fits_twice_is_refused(tmp_path, target):
    archive = pack(tmp_path / "x.zip", {"a/top/1.png": b"", "b/top/1.png": b""})
    with pytest.raises(CGNError, match="more than one"):
        unpack(archive, target)


def test_the_manifest_is_what_sha256sum_writes(archive, target):
    unpack(archive, target)
    lines = archives.beside(target).read_text().splitlines()
    assert f"{hashlib.sha256(b'one').hexdigest()}  set/a/1.png" in lines and len(lines) == 3
    archives.compare_with_manifest(target)
    (target / "a" / "1.png").write_bytes(b"another")
    with pytest.raises(CGNError, match=r"a/1\.png is not what was unpacked"):
        archives.compare_with_manifest(target)
    (target / "a" / "1.png").unlink()
    with pytest.raises(CGNError, match=r"a/1\.png"):
        archives.compare_with_manifest(target)


@pytest.mark.parametrize("name", ["../evil", "top/../../evil", "/tmp/evil", "C:/evil", "..\\evil"])
@pytest.mark.parametrize("kind", ["x.tar", "x.tar.gz", "x.zip"])
def test_a_path_out_of_the_folder_is_refused(kind, name, tmp_path, target):
    archive = pack(tmp_path / kind, FILES | {name: b"evil"})
    with pytest.raises(CGNError, match="outside its folder") as error:
        unpack(archive, target)
    assert "\n" not in str(error.value)
    assert left(target) == [] and not (tmp_path / "evil").exists()


def zip_link():
    member = zipfile.ZipInfo("top/link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member, b"/etc/passwd"


def tar_member(kind, link=""):
    member = tarfile.TarInfo("top/link")
    member.type, member.linkname = kind, link
    return member, b""


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("x.zip", zip_link()),
        ("x.tar", tar_member(tarfile.SYMTYPE, "/etc/passwd")),
        ("x.tar", tar_member(tarfile.SYMTYPE, "a")),
        ("x.tar", tar_member(tarfile.LNKTYPE, "top/a/1.png")),
        ("x.tar", tar_member(tarfile.CHRTYPE)),
        ("x.tar", tar_member(tarfile.FIFOTYPE)),
    ],
)
def test_links_and_devices_are_refused(kind, member, tmp_path, target):
    archive = pack(tmp_path / kind, extra=[member])
    with pytest.raises(CGNError, match="link or a device"):
        unpack(archive, target)
    assert left(target) == []


def test_a_truncated_archive_leaves_nothing(archive, target):
    content = archive.read_bytes()
    for size in (0, 10, len(content) // 2):
        archive.write_bytes(content[:size])
        with pytest.raises(CGNError, match=r"damaged|no tar or zip") as error:
            unpack(archive, target)
        assert "\n" not in str(error.value) and left(target) == []


def test_damaged_content_leaves_nothing(tmp_path, target):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as opened:  # stored as they are
        for name, content in FILES.items():
            opened.writestr(name, content)
    archive.write_bytes(archive.read_bytes().replace(b"two" * 1000, b"tow" + b"two" * 999))
    with pytest.raises(CGNError, match="damaged"):
        unpack(archive, target)
    assert left(target) == []


def test_an_encrypted_zip_is_one_line(tmp_path, target):
    archive = pack(tmp_path / "x.zip")
    content = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of encryption
        place = content.find(signature)
        while place >= 0:
            flags = struct.unpack_from("<H", content, place + at)[0]
            struct.pack_into("<H", content, place + at, flags | 1)
            place = content.find(signature, place + 1)
    archive.write_bytes(content)
    with pytest.raises(CGNError, match="encrypted"):
        unpack(archive, target)
    assert left(target) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, CGNError("too few"), OSError(28, "full")])
def test_what_fails_before_the_end_leaves_nothing(error, archive, target):
    def check(folder):
        assert (folder / "a" / "1.png").is_file()  # whole by now, and not yet in its place
        assert not target.exists()
        raise error

    with pytest.raises((KeyboardInterrupt, CGNError)):
        unpack(archive, target, check=check)
    assert left(target) == []


def test_the_rest_of_a_killed_run_is_no_obstacle(archive, target):
    rest = target.with_name(".set.unpacking")
    (rest / "old").mkdir(parents=True)
    unpack(archive, target)
    assert not rest.exists() and not (target / "old").exists()


def test_what_is_there_is_not_overwritten(archive, target):
    target.mkdir(parents=True)
    (target / "mine").write_text("mine")
    with pytest.raises(CGNError, match="move it away"):
        unpack(archive, target)
    assert tree(target) == {"mine": b"mine"}


def test_a_full_disk_is_found_before_anything_is_written(archive, target, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("usage", (), {"free": 100}))
    with pytest.raises(CGNError, match="free space"):
        unpack(archive, target)
    assert left(target) == []
