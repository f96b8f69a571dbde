"""What runs read besides other runs: data, pretrained parts, packages.

A kind of run names its inputs; their checksums become part of its spec, and `doctor` looks for
them before anything runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cgnlib import benchmarks, mnists, sources, textures
from cgnlib.nets import parts, perceptual


@dataclass(frozen=True)
class Input:
    """kind: digits, textures, weights (of sources.toml), benchmark, part (of the menagerie) or
    package.  name: which one of that kind."""

    kind: str
    name: str

    @classmethod
    def of_net(cls, name: str) -> "Input":
        """Behind the name of a perceptual net: a file of sources.toml, or a package."""
        return cls("package" if name == perceptual.LITE0 else "weights", name)

    @property
    def source(self) -> str | None:
        """The entry of sources.toml that it comes from; None where nothing is downloaded."""
        if self.kind == "benchmark":
            folder = benchmarks.LAYOUTS[self.name].folder
            for name, entry in sources.table().items():
                if f"{folder}/".startswith(f"{entry.get('folder', '?')}/"):
                    return name
            return None
        known = {("digits", "mnist"): "mnist", ("textures", "dtd"): "dtd"}
        return self.name if self.kind == "weights" else known.get((self.kind, self.name))

    def checksum(self) -> str:
        """What names its content in a run's spec.  Raises CGNError where it is missing."""
        return CHECKSUMS[self.kind](self.name)


def checksums(read: dict[str, Input]) -> dict[str, str]:
    """By role, the checksums of what a run reads.  Raises CGNError for the first missing one."""
    return {role: found.checksum() for role, found in read.items()}


@cache
def _digits(name: str) -> str:
    return mnists.checksum(name)


@cache
def _textures(name: str) -> str:
    return textures.checksum(textures.load(name))


CHECKSUMS: dict[str, Callable[[str], str]] = {
    "digits": _digits,
    "textures": _textures,
    "weights": lambda name: sources.checksum(name),
    "package": lambda name: perceptual.checksum(name),
    "part": lambda name: sources.sha256(parts.check(name)),
    "benchmark": lambda name: benchmarks.fingerprint(name),
}
