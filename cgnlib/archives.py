"""Archives unpacked so that nothing lands outside the target, and a broken one leaves nothing."""

import gzip
import hashlib
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from cgnlib.data.sources import beside
from cgnlib.errors import CGNError, reason

BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


def unpack(archive: Path, target: Path, inside: list[str], check: Callable[[Path], None]) -> None:
    """Unpack the part of a tar, tar.gz or zip archive that `inside` names, as the folder `target`.

    inside: patterns of the folder in the archive, `.` for its top; the first that fits is taken.
    check: looks at the unpacked folder before it gets its place, and raises CGNError.
    Beside the folder FOLDER.sha256 lists all files as `sha256sum` writes them.
    Raises CGNError, and leaves nothing behind, for a path outside the target, a link or a device,
    a damaged archive, or one that holds something else; also where the target is there already.
    """
    if target.exists():
        raise CGNError(f"{target} is there already: move it away to unpack {archive.name} again")
    temporary = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    try:
        with _opened(archive) as (members, extract):
            top = _top(archive, list(members), inside)
            chosen = {n: m for n, m in members.items() if n.is_relative_to(top)}
            _check_space(archive, target, sum(size for size, _ in chosen.values()))
            temporary.mkdir(parents=True)
            for name, (_, member) in tqdm(chosen.items(), disable=None, desc="unpack"):
                path = temporary / name.relative_to(top)
                path.parent.mkdir(parents=True, exist_ok=True)
                with extract(member) as source, path.open("xb") as file:
                    shutil.copyfileobj(source, file, 2**20)
        check(temporary)
        _write_manifest(temporary, beside(target), target.name)
        temporary.rename(target)
    except (*BROKEN, RuntimeError) as error:  # the last: zipfile's, for encrypted archives
        raise CGNError(
            f"{archive} is damaged ({reason(error)}): delete it and get it again"
        ) from error
    except OSError as error:
        raise CGNError(
            f"{archive} cannot be unpacked into {target} ({reason(error)}): mend it and run again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not target.exists():
            beside(target).unlink(missing_ok=True)


def compare_with_manifest(folder: Path) -> None:
    """Hash what FOLDER.sha256 lists; nothing where there is no list.

    Raises CGNError for a file that is missing or has changed since it was unpacked.
    """
    if not beside(folder).is_file():
        return
    lines = beside(folder).read_text().splitlines()
    for line in tqdm(lines, disable=None, desc=folder.name, leave=False):
        digest, _, name = line.partition("  ")
        path = folder.parent / name
        if not path.is_file() or _sha256(path) != digest:
            raise CGNError(
                f"{path} is not what was unpacked: move {folder} away and unpack it again"
            )


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[dict, Callable]]:
    """The files of an archive, by path: (bytes, member), and what opens a member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _members(archive, map(_of_zip, opened.infolist())), opened.open
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            members = _members(archive, map(_of_tar, opened))
            # the library's own check, besides ours
            yield members, lambda m: opened.extractfile(tarfile.data_filter(m, str(archive.parent)))
    else:
        raise CGNError(f"{archive} is no tar or zip archive, or is damaged: get it again")


def _of_zip(member: zipfile.ZipInfo) -> tuple[str, str, int, zipfile.ZipInfo]:
    """(name, kind, bytes, member)."""
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", 0: "file"}.get(
        stat.S_IFMT(member.external_attr >> 16), "link or device"
    )
    return member.filename, "folder" if member.is_dir() else kind, member.file_size, member


def _of_tar(member: tarfile.TarInfo) -> tuple[str, str, int, tarfile.TarInfo]:
    kind = "folder" if member.isdir() else "file" if member.isreg() else "link or device"
    return member.name, kind, member.size, member


def _members(archive: Path, found: Iterator[tuple]) -> dict[PurePosixPath, tuple]:
    members = {}
    for name, kind, size, member in found:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
            raise CGNError(f"{archive} would write outside its folder ({name!r}): do not trust it")
        if kind == "link or device":
            raise CGNError(f"{archive} holds a link or a device ({name!r}): do not trust it")
        if kind == "file":
            members[path] = size, member
    return members


def _top(archive: Path, names: list[PurePosixPath], inside: list[str]) -> PurePosixPath:
    """The folder of an archive that the first fitting pattern names."""
    folders = {parent for name in names for parent in name.parents}
    for pattern in inside:
        parts = PurePosixPath(pattern).parts
        fitting = [f for f in folders if _fits(f.parts, parts)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            found = ", ".join(sorted(map(str, fitting))[:3])
            raise CGNError(f"{archive} has more than one {pattern} ({found}): name another archive")
    raise CGNError(f"{archive} holds none of {', '.join(inside)}: name another archive")


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))


def _check_space(archive: Path, target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(target.parent).free) < size:
        raise CGNError(
            f"{archive.name} needs {size / 1e9:.1f} GB at {target.parent}, which has "
            f"{free / 1e9:.1f}: free space or move CGN_DATA"
        )


def _write_manifest(folder: Path, path: Path, name: str) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    lines = [f"{_sha256(p)}  {name}/{p.relative_to(folder).as_posix()}\n" for p in files]
    path.write_text("".join(lines))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
