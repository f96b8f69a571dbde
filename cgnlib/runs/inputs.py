"""What runs read besides other runs: data, pretrained parts, packages.

A kind of run names its inputs; their checksums become part of its spec, and `doctor` looks for
them before anything runs.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from cgnlib import paths
from cgnlib.data import digits, public, sources, textures
from cgnlib.experiments import Input
from cgnlib.nets import perceptual, shipped


def source_of(what: Input) -> str | None:
    """The entry of sources.toml that an input comes from; None where nothing is downloaded."""
    if what.kind == "public":
        folder = public.LAYOUTS[what.name].folder
        for name, entry in sources.table().items():
            if f"{folder}/".startswith(f"{entry.get('folder', '?')}/"):
                return name
        return None
    known = {("digits", "mnist"): "mnist", ("textures", "dtd"): "dtd"}
    return what.name if what.kind == "weights" else known.get((what.kind, what.name))


def checksum(what: Input) -> str:
    """What names an input's content in a run's spec.  Raises CGNError where it is missing."""
    return CHECKSUMS[what.kind](what.name)


def checksums(read: dict[str, Input]) -> dict[str, str]:
    """By role, the checksums of what a run reads.  Raises CGNError for the first missing one."""
    return {role: checksum(what) for role, what in read.items()}


def of_source(name: str) -> list[Input]:
    """What an entry of sources.toml gives to runs."""
    if "file" in sources.table()[name]:
        return [Input("weights", name)]
    known = [Input("digits", "mnist"), Input("textures", "dtd")]
    known += [Input("public", name) for name in public.LAYOUTS]
    return [what for what in known if source_of(what) == name]


@cache
def _digits(name: str, folder: Path) -> str:
    return digits.checksum(name)


@cache
def _textures(name: str, folder: Path) -> str:
    return textures.checksum(textures.load(name))


CHECKSUMS: dict[str, Callable[[str], str]] = {
    "digits": lambda name: _digits(name, paths.data()),
    "textures": lambda name: _textures(name, paths.data()),
    "weights": lambda name: sources.checksum(name),
    "package": lambda name: perceptual.checksum(name),
    "part": lambda name: sources.sha256(shipped.check(name)),
    "public": lambda name: public.fingerprint(name),
}
