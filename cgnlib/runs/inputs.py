"""What runs read besides other runs: data, pretrained parts, packages.

A kind of run names its inputs; their checksums become part of its spec, and `doctor` looks for
them before anything runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cgnlib import paths
from cgnlib.data import digits, public, sources, textures
from cgnlib.nets import perceptual, shipped


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
            folder = public.LAYOUTS[self.name].folder
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


def of_source(name: str) -> list[Input]:
    """What an entry of sources.toml gives to runs."""
    if "file" in sources.table()[name]:
        return [Input("weights", name)]
    known = [Input("digits", "mnist"), Input("textures", "dtd")]
    known += [Input("benchmark", benchmark) for benchmark in public.LAYOUTS]
    return [what for what in known if what.source == name]


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
    "benchmark": lambda name: public.fingerprint(name),
}
