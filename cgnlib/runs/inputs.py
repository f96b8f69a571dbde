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


def checksum(what: Input) -> str:
    """What names an input's content in a run's spec.  Raises CGNError where it is missing."""
    return CHECKSUMS[what.kind](what.name)


def checksums(read: dict[str, Input]) -> dict[str, str]:
    """By role, the checksums of what a run reads.  Raises CGNError for the first missing one."""
    return {role: checksum(what) for role, what in read.items()}


@cache
def _digits(name: str, folder: Path) -> str:
    return digits.checksum(name)


@cache
def _textures(name: str, folder: Path) -> str:
    return textures.checksum(textures.load(name))


CHECKSUMS: dict[str, Callable[[str], str]] = {
    "digits": lambda name: _digits(name, paths.data()),
    "textures": lambda name: _textures(name, paths.data()),
    "weights": lambda name: sources.sha256(sources.find(name)),
    "package": lambda name: perceptual.checksum(name),
    "part": lambda name: sources.sha256(shipped.check(name)),
    "public": lambda name: public.fingerprint(name),
}
