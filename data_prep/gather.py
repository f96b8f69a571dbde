"""The data of a rehearsal: real files where they are, linked and only read; stand-ins elsewhere.

    python data_prep/gather.py --profile paper --beside DATA

Called by book/_press/rehearse.py in a copy of the project, whose table of sources is written anew
to say what the stand-ins are; all go the way of the real files, and all are checked.
"""

import argparse
import gzip
import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import download
import entries
import needs
import stand_ins
from cgnlib import experiments, paths, rehearsal, worlds
from cgnlib.data import public, sources
from cgnlib.errors import CGNError
from cgnlib.experiments import Input
from cgnlib.nets import biggan, inception, mnist, perceptual, weights
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.u2net import U2Net
from cgnlib.worlds import imagenet as world

OFFERED = "offered"  # under CGN_DATA: stand-ins before they are fetched
KEPT_ELSEWHERE = {"mnist": ("MNIST",), "dtd": ("torchvision",)}  # as torchvision has them
FULL = {  # nets that a rehearsal has thin: what loads a file of the published width
    "biggan256": lambda path: weights.load(biggan.build(biggan.BIGGAN_256), path),
    "u2net": lambda path: weights.load(U2Net.published(), path),
    "cgn-imagenet": lambda path: weights.load(
        ImageNetCGN(biggan.BIGGAN_256, U2Net.published()), path
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True, choices=experiments.PROFILES)
    parser.add_argument("--beside", type=Path, required=True, metavar="DATA", help="real files")
    args = parser.parse_args(argv)
    try:
        if not rehearsal.under_way():
            raise CGNError(f"{rehearsal.VARIABLE} is not set: use `make rehearsal`")
        gather(args.profile, args.beside)
    except CGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def gather(profile: str, beside: Path) -> None:
    """Put what a profile reads into CGN_DATA, and check it.

    Raises CGNError for the first real file that is another or damaged, the first that is refused.
    """
    for name in needs.downloads_of(profile):
        real = _real(name, beside)
        if name in FULL:
            _check_layout(name, real)
            real = None
        for path in real or ():
            link = paths.data() / path.relative_to(beside)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        if not real:
            make(name)
        print(f"{name}: {'real' if real else 'a stand-in'}", flush=True)
    _check(profile)


def _real(name: str, beside: Path) -> list[Path]:
    """What lies beside of an entry, empty where it is not there.  Raises CGNError for another."""
    with _data(beside):
        status, wrong = needs.look(needs.given_by(name))
        place = entries.place(name)
        if status == "damaged" or (status == "missing" and place.exists()):  # in part
            raise CGNError(wrong)
        found = [place, sources.beside(place)]
        found += [beside / other for other in KEPT_ELSEWHERE.get(name, ())]
    return [path for path in found if path.exists()] if status == "there" else []


@contextmanager
def _data(folder: Path) -> Iterator[None]:
    """Another CGN_DATA."""
    before, os.environ["CGN_DATA"] = os.environ["CGN_DATA"], str(folder)
    try:
        yield
    finally:
        os.environ["CGN_DATA"] = before


def _check_layout(name: str, real: list[Path]) -> None:
    """Load a file of the published width, once.  Raises CGNError where it does not fit."""
    path = paths.data() / OFFERED / f"full-{name}.pth"
    if not real:
        stand_ins.write_layout(name, path)
    FULL[name](real[0] if real else path)


def _check(profile: str) -> None:
    """Everything that the runs read, as they read it.  Raises CGNError for the first defect."""
    runs = experiments.with_needs(experiments.grid(profile))
    read = needs.of(runs)
    for what in read:
        benchmark = what.name in public.LAYOUTS  # which take minutes to hash
        needs.check(what, thorough=not benchmark)
        if benchmark:
            public.read(what.name)
    for name in stand_ins.PUBLISHED:
        if Input("weights", name) in read:  # the menagerie's parts bear the same names
            _load(name)


def _load(name: str) -> None:
    """Load a weight file as a run does."""
    if name.removeprefix("cgn-") in experiments.VARIANTS:
        weights.load(mnist.CGN(32, 32), sources.find(name))
    elif name == "vgg16":
        perceptual.build(name, (3,))
    elif name == "inception-v3":
        inception.build("study")
    elif name == "resnet50":
        world.pretrained(name)
    elif name == "cgn-imagenet":
        world.published(name)
    else:
        worlds.find("imagenet").start()


def make(name: str) -> None:
    """Stand in for an entry of the table: write it as it is offered, declare it, and fetch it.

    Raises CGNError where it is refused, as the real one would be.
    """
    entry, offered = sources.table()[name], paths.data() / OFFERED
    offered.mkdir(parents=True, exist_ok=True)
    if "archive" in entry:
        own = offered / entry["archive"]
        stand_ins.write_images(name, own)
        images = [file.partition("/")[2] for file in stand_ins.IMAGES[name]()]
        counted = {
            part: sum(part == "." or file.startswith(f"{part}/") for file in images)
            for part in entry["images"]
        }
        declare(name, {"images": counted, "sha256": ""})
    elif name == "mnist":
        own = offered / name
        stand_ins.write_digits(own)
        declare(name, {"files": [_digit_file(own, part) for part in entry["files"]]})
    elif name == "dtd":
        own = offered / "dtd-r1.0.1.tar.gz"
        stand_ins.write_textures(own)
        declare(name, {"files": _textures(own, entry["files"])})
    else:
        own = offered / Path(entry["file"]).name
        stand_ins.write_weights(name, own)
        declare(name, {"sha256": sources.sha256(own), "size": own.stat().st_size})
    download.fetch(name, own)


def _digit_file(folder: Path, part: dict) -> dict:
    packed = (folder / part["name"]).read_bytes()
    content = hashlib.md5(gzip.decompress(packed)).hexdigest()
    stated = {"size": len(packed), "md5": hashlib.md5(packed).hexdigest(), "content": content}
    return part | stated


def _textures(own: Path, parts: list[dict]) -> list[dict]:
    with tarfile.open(own) as archive:
        held = {name: archive.extractfile(name).read() for name in archive.getnames()}
    found = [held[f"dtd/{part['original']}"] for part in parts]
    return [
        part | {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for part, content in zip(parts, found, strict=True)
    ]


def declare(name: str, what: dict) -> None:
    """Write into the table of this copy of the project what a stand-in is."""
    table = sources.table() | {name: sources.table()[name] | what}
    entries = (
        f"[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in entry.items())
        for name, entry in table.items()
    )
    paths.sources().write_text("\n".join(entries))
    sources.table.cache_clear()


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
