"""A run: one computation whose result is kept, told by typed fields.

Only the standard library and other declarations are imported in this room, so that a workflow can
read the grid in no time.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar, dataclass_transform

VARIANTS = ("colored", "double_colored", "wildlife")
IDENTITY = ("variant", "name", "seed", "profile")  # beside the kind; every other field is a setting


@dataclass(frozen=True)
class Input:
    """What a run reads besides other runs.

    kind: digits, textures, weights (of sources.toml), public (a data set of images), part (of the
    menagerie) or package.  name: which one of that kind.
    """

    kind: str
    name: str


@dataclass(frozen=True)
class Recipe:
    """Settings that belong together and come from a profile; in a spec they stand flat."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
@dataclass(frozen=True, kw_only=True)
class Run:
    """One computation whose result is kept; a class for each kind, by itself a frozen dataclass.

    variant: the data.  name: what tells it from its siblings.  A field that holds a run is a need,
    by its name; every other is a setting; None is neither, so a field that a kind gains later
    leaves older digests alone.  rehearsal: set where it is cut to its smallest size.
    """

    kind: ClassVar[str]  # part of the id and of the spec: never changed
    uses_gpu: ClassVar[bool] = False  # computes on a GPU that is here
    mixed: ClassVar[bool] = False  # products in bfloat16 where the CPU multiplies it
    trains_on_devices: ClassVar[bool] = False  # as many as there are: see processor
    shows_pictures: ClassVar[bool] = False  # in a samples.npz that the book draws from
    seconds_an_image: ClassVar[float] = 0.0  # on one core: see jobs
    gpu_hours: ClassVar[float] = 0.0  # on ImageNet: see jobs
    variant: str
    profile: str
    name: str = ""
    seed: int = 0
    rehearsal: bool | None = None

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    @property
    def id(self) -> str:
        parts = (self.kind, self.variant, self.name.replace("+", "-and-"), f"s{self.seed}")
        return "-".join(part for part in parts if part)

    @property
    def command(self) -> str:
        """What computes it."""
        return f"python -m cgnlib run --profile {self.profile} {self.id}"

    @property
    def needs(self) -> dict[str, "Run"]:
        """The runs that it reads, by role."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if isinstance(value, Run)}

    @property
    def settings(self) -> dict[str, object]:
        """All of them, resolved, flat, as the spec has them."""
        found: dict[str, object] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Recipe):
                found |= dict(_plain(value))
            elif f.name not in IDENTITY and value is not None and not isinstance(value, Run):
                found[f.name] = _plain(value)
        return found

    def spec(self) -> dict:
        """What decides the result, as plain JSON; of the needed runs, their id and digest."""
        return {"kind": self.kind} | {name: getattr(self, name) for name in IDENTITY} | {
            "settings": self.settings,
            "needs": {role: {"id": r.id, "digest": r.digest()} for role, r in self.needs.items()},
        }  # fmt: skip

    def digest(self) -> str:
        """A short hash of the spec, and through it of the specs of all needed runs."""
        text = json.dumps(self.spec(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def reads(self) -> dict[str, Input]:
        """The data and pretrained parts that it reads, by role."""
        return {}

    @property
    def behind(self) -> "Run | None":
        """The CGN or GAN that it measures or learned from, if there is one."""
        roles = ("generator", "set", "classifier", "images")
        need = next((self.needs[role] for role in roles if role in self.needs), None)
        return need if need is None or "generator" in self.needs else need.behind

    @property
    def asks_for_gpu(self) -> bool:
        """Whether a cluster is asked for a GPU; everything but ImageNet is small."""
        return False

    @property
    def gpu_memory_mb(self) -> float:
        """How much of a GPU's memory to keep free for it, where it uses one."""
        return 4_000

    def images_seen(self) -> int:
        """How many images pass through its nets: what its time grows with."""
        return getattr(self, "evaluated", 0)

    def seconds(self) -> float:
        """How long it should compute on one core."""
        return self.images_seen() * self.seconds_an_image

    def bytes_left(self) -> float:
        """About how much it takes on disk at most."""
        return 1.5e6


def _plain(value):
    """A setting as JSON has it: a table inside a recipe is a list of pairs."""
    if is_dataclass(value):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        return [[name, _plain(found)] for name, found in pairs if found is not None]
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def with_needs(runs: Iterable[Run]) -> list[Run]:
    """The runs and all that they need, each once, needs first."""
    found: dict[str, Run] = {}
    for run in runs:
        found |= {each.id: each for each in (*with_needs(run.needs.values()), run)}
    return list(found.values())
