"""The runs of a profile at their smallest size, for a rehearsal.

Ids, needs and inputs stay as declared.  So do sizes that tell runs apart, as far as tables need it.
"""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from cgnlib.experiments.digits import ImageSet
from cgnlib.experiments.profiles import profile
from cgnlib.experiments.recipes import ClassifierRecipe, ImagesRecipe
from cgnlib.experiments.run import Recipe, Run
from cgnlib.experiments.worlds import OnWorld

SMALLEST = {
    "steps": 2, "accumulate": 1, "window": 1, "batch": 8, "epochs": 1, "decay_every": 1,
    "renderings": 1, "evaluated": 100, "embedded": 100, "train": 40, "val": 40,
}  # fmt: skip
OF_PHOTOGRAPHS = SMALLEST | {"batch": 2, "evaluated": 4, "train": 4, "val": 20}
FROM_ALL = ("train", "val")  # of what there is, where nothing else is declared
WHOLE_BATCHES = 2000  # of counterfactuals, 20 of which share a shape


@cache
def smallest(run: Run) -> Run:
    """The run, and what it needs, each with the settings of SMALLEST where these are less."""
    sizes = SMALLEST
    if isinstance(run, OnWorld) and run.facts.photographs:
        sizes = OF_PHOTOGRAPHS
    changed: dict[str, Any] = {"rehearsal": True}
    told: Iterable[tuple[str, Any]] = ((f.name, getattr(run, f.name)) for f in fields(run))
    for name, value in told:
        if isinstance(value, Run):
            changed[name] = smallest(value)
        elif isinstance(value, ClassifierRecipe):
            changed[name] = replace(value, epochs=max(1, value.epochs // 10))
        elif isinstance(value, ImagesRecipe):
            changed[name] = replace(value, train=sizes["train"], val=sizes["train"])
        elif isinstance(value, Recipe):
            changed[name] = _with(value, _cut(value, sizes))
    if isinstance(run, ImageSet):
        changed["size"] = _size(run)
    return replace(run, **_cut(run, sizes) | changed)


def _with(recipe: Any, changed: dict[str, Any]) -> Recipe:
    return replace(recipe, **changed)


def _cut(part: Run | Recipe, sizes: dict[str, int]) -> dict[str, Any]:
    """The fields of a dataclass that are to be less."""
    assert is_dataclass(part)
    told = {f.name: getattr(part, f.name) for f in fields(part) if f.name in sizes}
    return {
        name: sizes[name] if value is None else min(value, sizes[name])
        for name, value in told.items()
        if value is not None or name in FROM_ALL
    }


def _size(run: ImageSet) -> int:
    """A batch, as claim 3 has it; of other sizes, which a table tells apart, some whole batches."""
    usual = profile(run.profile).digits.counterfactuals[run.variant]
    return 100 if (run.size, run.per_shape) == (usual, 1) else WHOLE_BATCHES + run.size // 1000
