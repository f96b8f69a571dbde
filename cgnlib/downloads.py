"""What the table of sources names, fetched: mirrors in order, checked, nothing overwritten.

Where nobody states a checksum, that of the first download is kept and every later one has to be
the same.  Nothing here runs unless the user asked for a download (data_prep/fetch.py).
"""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pooch
from filelock import FileLock, Timeout

from cgnlib import archives, paths, transfer
from cgnlib.data import sources
from cgnlib.errors import CGNError, reason
from cgnlib.transfer import Unreachable

IMAGES = (".jpeg", ".jpg", ".png")


def fetch(name: str, own: Path | None = None, keep: bool = False) -> Path:
    """Get what a name of the table stands for, and return where it lies.

    own: a file of the user's in place of the download; of an entry with several files an archive
    or a folder that holds them.  keep: a downloaded archive stays after it was unpacked.
    Raises CGNError where no url gives the right file, the disk is full, or another file is in its
    place already.
    """
    entry = sources.table()[name]
    if own is not None and not own.exists():
        raise CGNError(f"{own} does not exist: name the file that you have")
    if own is not None and own.is_dir() and "files" not in entry:
        raise CGNError(f"{own} is a folder: name the one file that {name} is, as it was downloaded")
    if "archive" in entry:
        _fetch_archive(name, entry, own, keep)
        return sources.place(name)
    missing = [part for part in sources.downloads(name) if not _is_there(part)]
    if missing and own is not None:
        with _alone(name):
            _take_all(name, own, missing)
    elif missing:
        _check_space(sources.place(name), sum(part["size"] for part in missing))
        with _alone(name):
            for part in missing:
                _download(name, part)
    return sources.place(name)


def check(path: Path, part: dict) -> bool:
    """True where a file is the stated or recorded one, False where nobody states what it is.

    Raises CGNError for another file.
    """
    if "md5" in part:
        if (found := pooch.file_hash(str(path), "md5")) != part["md5"]:
            raise CGNError(f"{path.name} has MD5 {found}, not {part['md5']}")
        return True
    place = paths.data() / part["file"]
    stated, found = part["sha256"], sources.sha256(path)
    if not found.startswith(stated):
        raise CGNError(f"{path.name} has sha256 {found}, not {stated}")
    if len(stated) == 64:
        return True
    record = sources.recorded(place)
    if not found.startswith(record):
        raise CGNError(
            f"{path.name} has sha256 {found}, and at the first download it was {record}: if you "
            f"trust the new file, delete {sources.beside(place)}"
        )
    size = path.stat().st_size
    near = part["size"] / 2 < size < part["size"] * 2  # stated sizes are rounded
    if not (record or near or "archive" in part):  # of an archive the images are counted
        raise CGNError(
            f"{path.name} has {size:,} bytes, and about {part['size']:,} are stated: "
            "it is another file, or a part of it"
        )
    return bool(stated or record)


def count_images(folder: Path, expected: dict[str, int], said: Path | None = None) -> None:
    """Raises CGNError where a part of an unpacked folder has not the images that it should.

    said: what the message names, if not the folder: the archive that it came from.
    """
    for part, wanted in expected.items():
        files = (folder / part).rglob("*")
        found = sum(path.suffix.lower() in IMAGES for path in files)
        if found != wanted:
            where = "it" if part == "." else part
            raise CGNError(
                f"{said or folder} is not the published data set: {where} holds {found:,} images "
                f"and not {wanted:,}"
            )


def _is_there(part: dict) -> bool:
    """Whether the file is in its place.  Raises CGNError where that is another one."""
    path = paths.data() / part["file"]
    if not path.is_file():
        return False
    try:
        known = check(path, part)
    except CGNError as error:
        raise CGNError(f"{error}: move {path} away to get it again") from error
    if not known:
        raise CGNError(
            f"{path} is there already, and nobody states its checksum: if you trust your copy, "
            f"state its own with `sha256sum {path} > {sources.beside(path)}`"
        )
    return True


def _fetch_archive(name: str, entry: dict, own: Path | None, keep: bool) -> None:
    target = sources.place(name)
    if target.exists():
        try:
            return count_images(target, entry["images"])
        except CGNError as error:
            raise CGNError(f"{error}: move {target} away to get it again") from error
    (part,) = sources.downloads(name)
    if own is None and not entry["urls"]:
        raise CGNError(
            f"{name} is not to be had without an account: download {entry['archive']} from "
            f"{entry['page']}, then {sources.command(name)}"
        )
    archive = own or paths.data() / part["file"]

    def counted(folder: Path) -> None:
        try:
            count_images(folder, entry["images"], archive)
        except CGNError as error:
            again = _another(name) if own else f"delete {archive} to get it again"
            raise CGNError(f"{error}; {again}") from error

    with _alone(name):
        if own is not None:
            _check_own(name, own, part)
        elif not _is_there(part):
            _check_space(archive, part["size"] + entry["unpacked"])
            _download(name, part)
        archives.unpack(archive, target, entry["inside"], counted)
        if own is None and not keep:
            archive.unlink()  # FILE.sha256 stays: another download has to be the same


def _take_all(name: str, own: Path, missing: list[dict]) -> None:
    """Files of the user's: the one file itself, a folder, or an archive."""
    if "files" not in sources.table()[name]:
        return _take(name, own, missing[0])
    if own.is_dir():
        return _take_from(name, own, missing, own)
    aside = paths.data() / sources.ARCHIVES / f"{name}.unpacked"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        archives.unpack(own, aside, ["."], lambda folder: None)
        _take_from(name, aside, missing, own)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        sources.beside(aside).unlink(missing_ok=True)


def _take_from(name: str, folder: Path, missing: list[dict], own: Path) -> None:
    """Files out of a folder, wherever in it they lie; own: what the user calls it."""
    held = [(f"/{path.relative_to(folder).as_posix()}", path) for path in folder.rglob("*")]
    for part in missing:
        names = [part[key] for key in ("name", "original") if key in part]
        ends = tuple(f"/{wanted}" for wanted in names)
        found = [path for inner, path in held if inner.endswith(ends) and path.is_file()]
        if not found:
            raise CGNError(f"{own} does not hold {' or '.join(names)}; {_another(name)}")
        _take(name, found[0], part)


def _check_own(name: str, own: Path, part: dict) -> None:
    """Raises CGNError where a file of the user's is another one, and says what to do."""
    try:
        check(own, part)
    except CGNError as error:
        raise CGNError(f"{error}; {_another(name)}") from error
    except OSError as error:
        raise CGNError(f"{own} cannot be read ({reason(error)}): mend it and run again") from error


def _another(name: str) -> str:
    """What to do about a copy of the user's that is the wrong one."""
    entry = sources.table()[name]
    if entry["urls"]:
        return f"name another copy, or download it: {sources.command(name)}"
    return f"name the one from {entry['page']}"


def _take(name: str, own: Path, part: dict) -> None:
    """Copy a file of the user's to its place, if it is the right one."""
    _check_own(name, own, part)
    path = paths.data() / part["file"]
    temporary = path.with_name(f"{path.name}.copy")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(own, temporary)
        os.replace(temporary, path)
        _record(path, part)
    except OSError as error:
        raise CGNError(
            f"{own} cannot be copied to {path} ({reason(error)}): mend it and run again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _download(name: str, part: dict) -> None:
    """One file from the first url that gives it."""
    path = paths.data() / part["file"]
    pooch.get_logger().setLevel("WARNING")  # else it advises on checksums that are recorded here
    troubles = []
    for url in part["urls"]:
        downloader = partial(_resume, path=path, part=part)
        try:
            pooch.retrieve(url, _stated(part), path.name, path.parent, downloader=downloader)
            return _record(path, part)
        except (Unreachable, ValueError) as error:  # ValueError: pooch found another checksum
            troubles.append(f"{url}: {reason(error)}")
            print(troubles[-1], file=sys.stderr)
        except OSError as error:
            raise _mendable(path, error) from error
    raise CGNError(
        f"{name} could not be downloaded ({troubles[-1]}): try again later, or get the file "
        f"another way and name it with `python data_prep/fetch.py {name} --from FILE`"
    )


def _stated(part: dict) -> str | None:
    """A whole checksum as pooch writes it, None where nobody states one."""
    if "md5" in part:
        return f"md5:{part['md5']}"
    return f"sha256:{part['sha256']}" if len(part["sha256"]) == 64 else None


def _resume(url: str, output: str, _pooch: object, *, path: Path, part: dict) -> None:
    """A downloader for pooch, which checks the output against a whole checksum itself."""
    kept = transfer.part_of(path)
    known = "md5" in part or bool(part["sha256"] or sources.recorded(path))
    transfer.download(url, kept, known)
    if not _stated(part):
        try:
            check(kept, part)
        except CGNError as error:
            transfer.forget(kept)
            raise Unreachable(error) from error
    os.replace(kept, output)
    transfer.forget(kept)


def _record(path: Path, part: dict) -> None:
    """Write FILE.sha256 at the first download of a file whose checksum nobody states whole."""
    if _stated(part) or sources.recorded(path):
        return
    sources.beside(path).write_text(f"{sources.sha256(path)}  {path.name}\n")
    print(
        f"nobody states the whole checksum of {path.name}: that of this first copy is in "
        f"{sources.beside(path)} and is checked from now on"
    )


def _mendable(path: Path, error: OSError) -> CGNError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CGNError(
            f"the disk of {path.parent} is full: what came is kept in {transfer.part_of(path)}; "
            "free space and run the same command, it goes on from there"
        )
    return CGNError(f"{path} cannot be written ({reason(error)}): mend it or set CGN_DATA")


def _check_space(path: Path, needed: int) -> None:
    kept = transfer.part_of(path)
    needed -= kept.stat().st_size if kept.is_file() else 0
    folder = next(parent for parent in path.parents if parent.exists())
    if (free := shutil.disk_usage(folder).free) < needed:
        raise CGNError(
            f"{path.name} needs about {needed / 1e9:.1f} GB at {folder}, which has "
            f"{free / 1e9:.1f}: free space or set CGN_DATA to a larger disk"
        )


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keeps a second process from fetching the same."""
    path = paths.data() / sources.ARCHIVES / f"{name}.lock"
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise CGNError(f"another process is fetching {name}: wait for it") from error
    except OSError as error:
        raise CGNError(
            f"{path.parent} cannot be written ({reason(error)}): mend it or set CGN_DATA"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is ours: who opened it before sees that it went
        lock.release()
