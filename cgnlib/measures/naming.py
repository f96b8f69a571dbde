"""What the numbers of a run are called, where a name has parts: put together and taken apart."""

from collections.abc import Sequence
from typing import NamedTuple

FOLLOWS = "_follows_"


class Measure(NamedTuple):
    """Of whom a number is.

    what: is measured.  subject: who decides, of several.  layer: at which layer of its net.  On
    disk `what`, `subject/what` or `layer/subject/what`.
    """

    what: str
    subject: str = ""
    layer: str = ""

    @property
    def name(self) -> str:
        return "/".join(part for part in (self.layer, self.subject, self.what) if part)

    @classmethod
    def of(cls, name: str) -> "Measure":
        """Raises ValueError for a name of more than three parts."""
        what, subject, layer, *more = [*reversed(name.split("/")), "", ""]
        if any(more):
            raise ValueError(f"{name} has more parts than layer/subject/measure")
        return cls(what, subject, layer)


def follows(origins: Sequence[str], cue: str) -> str:
    """The share of answers that name a cue: `real_real_cgn_follows_shape`.

    origins: of the image, or of its strokes, foreground and background; `real` or `cgn` each.
    """
    return "_".join(origins) + FOLLOWS + cue
