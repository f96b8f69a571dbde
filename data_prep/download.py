"""What the table of sources names, fetched: mirrors in order, checked, nothing overwritten.

Where nobody states a checksum, that of the first download is kept and every later one has to be
the same.  Nothing here runs unless the user asked for a download (data_prep/fetch.py).
"""

import errno
import gzip
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

import archives
import entries
import machine
import transfer
from cgnlib import paths
from cgnlib.data import digits, sources
from cgnlib.errors import CGNError, ending, legible, reason
from transfer import Unreachable

IMAGES = (".jpeg", ".jpg", ".png")


@legible()
def fetch(name: str, own: Path | None = None, keep: bool = False) -> Path:
    """Get what a name of the table stands for, and return where it lies.

    own: a file of the user's in place of the download; of an entry with several files an archive
    or a folder that holds them; of an archive also the folder that it was unpacked into, which is
    linked and not copied.  keep: a downloaded archive stays after it was unpacked.
    Raises CGNError where no url gives the right file, the disk is full, or another file is in its
    place already.
    """
    entry = sources.table()[name]
    if own is not None and not paths.exists(own):
        raise CGNError(f"{own} does not exist: name the file that you have")
    if own is not None:
        ending(own)  # also what a shell makes of <(...): it is read more than once
    if own is not None and paths.is_dir(own) and "file" in entry:
        raise CGNError(f"{own} is a folder: name the one file that {name} is, as it was downloaded")
    if "archive" in entry:
        _fetch_archive(name, entry, own, keep)
        return entries.place(name)
    missing = [part for part in entries.downloads(name) if not _is_there(part)]
    if missing and own is not None:
        with _alone(name):
            _take_all(name, own, missing)
    elif missing:
        _check_space(name, missing)
        with _alone(name):
            for part in missing:
                _download(name, part)
    return entries.place(name)


def check(path: Path, part: dict) -> bool:
    """True where a file is the stated or recorded one, False where nobody states what it is.

    Raises CGNError for another file.
    """
    if "md5" in part:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != part["md5"] and not ("content" in part and _content(path) == part["content"]):
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
        files = (path.relative_to(folder) for path in (folder / part).rglob("*"))
        found = sum(path.suffix.lower() in IMAGES and paths.is_data(path) for path in files)
        if found != wanted:
            where = "it" if part == "." else part
            raise CGNError(
                f"{said or folder} is not the published data set: {where} holds {found:,} images "
                f"and not {wanted:,}"
            )


def _is_there(part: dict) -> bool:
    """Whether the file is in its place.  Raises CGNError where that is another one."""
    path = next(filter(paths.is_file, _places(part)), None)
    if path is None:
        return False
    with _advice(f": move {path} away to get it again"):
        known = check(path, part)
    if not known:
        raise CGNError(
            f"{path} is there already, and nobody states its checksum: if you trust your copy, "
            f"state its own with `sha256sum {path} > {sources.beside(path)}`"
        )
    return True


def _places(part: dict) -> list[Path]:
    """Where a file may lie: also unpacked, where it is known by its content."""
    packed = paths.data() / part["file"]
    return [packed, packed.with_suffix("")] if "content" in part else [packed]


def _content(path: Path) -> str:
    """The MD5 of what is in a file, unpacked if it is a gzip."""
    try:
        with (gzip.open if _is_packed(path) else open)(path, "rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except (*archives.BROKEN, OSError) as error:
        raise CGNError(f"{path.name} is damaged ({reason(error)})") from error


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _fetch_archive(name: str, entry: dict, own: Path | None, keep: bool) -> None:
    target = entries.place(name)
    if target.is_symlink() and not target.exists():
        raise CGNError(f"{target} is a link to a folder that is gone: mend or remove it")
    if paths.exists(target):
        with _advice(f": move {target} away to get it again"):
            return count_images(target, entry["images"])
    if own is not None and paths.is_dir(own):
        return _link(name, entry, own)
    (part,) = entries.downloads(name)
    if own is None and not entry["urls"]:
        raise CGNError(f"{name} is not to be had without an account: {sources.get_it(name)}")
    archive = own or paths.data() / part["file"]

    again = _another(name) if own else f"delete {archive} to get it again"

    def counted(folder: Path) -> None:
        with _advice(f"; {again}"):
            count_images(folder, entry["images"], archive)

    with _alone(name):
        if own is not None:
            _check_own(name, own, part)
        elif not _is_there(part):
            _check_space(name, [part], entry["unpacked"])
            _download(name, part)
        archives.unpack(archive, target, entry["inside"], counted)
        if own is None and not keep:
            archive.unlink()  # FILE.sha256 stays: another download has to be the same


def _link(name: str, entry: dict, own: Path) -> None:
    """Link to a folder of the user's that was unpacked already, or to one inside it."""
    ends = [f"/{pattern.removeprefix('*/')}" for pattern in entry["inside"] if pattern != "."]
    own, target = own.resolve(), entries.place(name)
    folders = [own, *(path for path in sorted(own.rglob("*")) if path.is_dir())]
    fitting = [folder for end in ends for folder in folders if folder.as_posix().endswith(end)]
    with _advice(f"; {_another(name)}"):
        found = _whole(dict.fromkeys([*fitting, own]), entry["images"], own)
    with _alone(name):
        try:
            target.symlink_to(found, target_is_directory=True)
        except OSError as error:
            raise CGNError(
                f"{target} cannot be a link to {found} ({reason(error)}): move the folder there"
            ) from error
    print(f"{name} is linked and not copied: keep {found}")


def _whole(folders: Iterable[Path], images: dict[str, int], own: Path) -> Path:
    """The first folder that has all images.  Raises CGNError as of the first where none has."""
    wrong = []
    for folder in folders:
        try:
            count_images(folder, images, own)
        except CGNError as error:
            wrong.append(error)
        else:
            return folder
    raise wrong[0]


def _take_all(name: str, own: Path, missing: list[dict]) -> None:
    """Files of the user's: the one file itself, a folder, or an archive."""
    if "files" not in sources.table()[name]:
        return _take(name, own, missing[0])
    if paths.is_dir(own):
        return _take_from(name, own, missing, own)
    aside = paths.data() / entries.ARCHIVES / f"{name}.unpacked"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        archives.unpack(own, aside, ["."], lambda folder: None)
        _take_from(name, aside, missing, own)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        sources.beside(aside).unlink(missing_ok=True)


def _take_from(name: str, folder: Path, missing: list[dict], own: Path) -> None:
    """Files out of a folder, wherever in it they lie; own: what the user calls it."""
    inside = ((path.relative_to(folder), path) for path in sorted(folder.rglob("*")))
    held = [(f"/{inner.as_posix()}", path) for inner, path in inside if paths.is_data(inner)]
    for part in missing:
        names = [part[key] for key in ("name", "original") if key in part]
        if "content" in part:
            names += digits.names_of(part["name"].removesuffix(".gz"))
        ends = tuple(f"/{wanted}" for wanted in names)
        found = [path for inner, path in held if inner.endswith(ends) and paths.is_file(path)]
        if not found:
            listed = " or ".join(dict.fromkeys(names))
            raise CGNError(f"{own} does not hold {listed}; {_another(name)}")
        _take(name, found[0], part)


def _check_own(name: str, own: Path, part: dict) -> None:
    """Raises CGNError where a file of the user's is another one, and says what to do."""
    try:
        with _advice(f"; {_another(name)}"):
            check(own, part)
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
    path = _places(part)[-1] if "content" in part and not _is_packed(own) else _places(part)[0]
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
    """One file from the first url that gives it, checked before it gets its place."""
    path = paths.data() / part["file"]
    kept = transfer.part_of(path)
    known = "md5" in part or bool(part["sha256"] or sources.recorded(path))
    for url in part["urls"]:
        try:
            transfer.download(url, kept, known)
            check(kept, part)
            os.replace(kept, path)
            transfer.forget(kept)
            return _record(path, part)
        except (Unreachable, CGNError) as error:
            if isinstance(error, CGNError):  # another file: nothing of it can be used
                transfer.forget(kept)
            trouble = f"{url}: {reason(error)}"
            print(trouble, file=sys.stderr)
        except OSError as error:
            raise _mendable(path, error) from error
    raise CGNError(
        f"{name} could not be downloaded ({trouble}): try again later, or get the file "
        f"another way and name it with `python data_prep/fetch.py {name} --from FILE`"
    )


def _record(path: Path, part: dict) -> None:
    """Write FILE.sha256 at the first download of a file whose checksum nobody states whole."""
    if "md5" in part or len(part["sha256"]) == 64 or sources.recorded(path):
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


def _check_space(name: str, parts: list[dict], unpacked: int = 0) -> None:
    """Raises CGNError where the disk has not what is still to come, unpacked if it is packed."""
    places = [transfer.part_of(paths.data() / part["file"]) for part in parts]
    came = sum(place.stat().st_size for place in places if place.is_file())
    needed = sum(part["size"] for part in parts) + unpacked - came
    machine.check_space(name, places[0].parent, needed)


@contextmanager
def _advice(text: str) -> Iterator[None]:
    """Ends an error's message with what to do."""
    try:
        yield
    except CGNError as error:
        raise CGNError(f"{error}{text}") from error


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keeps a second process from fetching the same."""
    path = paths.data() / entries.ARCHIVES / f"{name}.lock"
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
