"""Archives unpacked so that nothing lands outside the target, and a broken one leaves nothing."""

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

import machine
from cgnlib import paths
from cgnlib.data.sources import beside, sha256
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
        with _opened(archive) as (opened, extract):
            files = _files(archive, opened)
            top = _top(archive, files, inside)
            chosen = [file for name, file in files.items() if name.is_relative_to(top)]
            machine.check_space(archive.name, target.parent, sum(size for size, _ in chosen))
            temporary.mkdir(parents=True)
            extract(temporary, tqdm([m for _, m in chosen], disable=None, desc="unpack"))
        check(temporary / top)
        _write_manifest(temporary / top, beside(target), target.name)
        (temporary / top).rename(target)
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
    if not paths.is_file(beside(folder)):
        return
    lines = beside(folder).read_text().splitlines()
    for line in tqdm(lines, disable=None, desc=folder.name, leave=False):
        digest, _, name = line.partition("  ")
        path = folder.parent / name
        if not path.is_file() or sha256(path) != digest:
            raise CGNError(
                f"{path} is not what was unpacked: move {folder} away and unpack it again"
            )


@contextmanager
def _opened(archive: Path) -> Iterator[tuple]:
    """An archive, and the library's own unpacking of chosen members into a folder."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield opened.infolist(), opened.extractall
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            yield opened, partial(opened.extractall, filter="data")
    else:
        raise CGNError(f"{archive} is no tar or zip archive, or is damaged: get it again")


def _files(archive: Path, members: Iterable) -> dict[PurePosixPath, tuple[int, object]]:
    """The files of an archive, by path: (bytes, member); not what systems leave there.

    Raises CGNError for the first name that leaves the folder, and the first link or device.
    """
    files = {}
    for member in members:
        if isinstance(member, zipfile.ZipInfo):
            name, size, folder = member.filename, member.file_size, member.is_dir()
            mode = stat.S_IFMT(member.external_attr >> 16)
            plain = mode in (0, stat.S_IFREG, stat.S_IFDIR)
        else:
            name, size, folder = member.name, member.size, member.isdir()
            plain = folder or member.isreg()
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
            raise CGNError(f"{archive} would write outside its folder ({name!r}): do not trust it")
        if not plain:
            raise CGNError(f"{archive} holds a link or a device ({name!r}): do not trust it")
        if not folder and paths.is_data(path):
            files[path] = size, member
    return files


def _top(archive: Path, names: Iterable[PurePosixPath], inside: list[str]) -> PurePosixPath:
    """The folder of an archive that the first fitting pattern names."""
    folders = {parent for name in names for parent in name.parents}
    for pattern in inside:
        depth = len(PurePosixPath(pattern).parts)
        fitting = [f for f in folders if len(f.parts) == depth and fnmatchcase(str(f), pattern)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            found = ", ".join(sorted(map(str, fitting))[:3])
            raise CGNError(f"{archive} has more than one {pattern} ({found}): name another archive")
    raise CGNError(f"{archive} holds none of {', '.join(inside)}: name another archive")


def _write_manifest(folder: Path, path: Path, name: str) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    lines = [f"{sha256(p)}  {name}/{p.relative_to(folder).as_posix()}\n" for p in files]
    path.write_text("".join(lines))
