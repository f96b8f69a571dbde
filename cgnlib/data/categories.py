"""ImageNet's 1,000 classes: their ids, and the coarse categories of the tests.

The lists lie in `mappings/`, a row a category: its count and its classes, single or as first-last.
Counts are checked as a list is read.
"""

import json
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from cgnlib.errors import CGNError

FOLDER = Path(__file__).with_name("mappings")
CLASSES = 1000
SIXTEEN = (
    *("airplane", "bear", "bicycle", "bird", "boat", "bottle", "car", "cat", "chair", "clock"),
    *("dog", "elephant", "keyboard", "knife", "oven", "truck"),
)
NINE = (
    *("dog", "bird", "wheeled vehicle", "reptile", "carnivore", "insect", "musical instrument"),
    *("primate", "fish"),
)


def sixteen(probabilities: Tensor) -> Tensor:
    """The score of each category of SIXTEEN, [B, 16] float64.

    probabilities: [B, 1000], a distribution a row.  A score is the mean (not the sum) over the
    classes of a category; the best is decided for, of equal ones the first.  Answers are read as
    float32 and summed as float64, so that equal means come out equal.  Raises ValueError for
    anything else.  Source: Geirhos et al. 2019.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES:
        raise ValueError(f"needs [B, {CLASSES}] probabilities, not {tuple(probabilities.shape)}")
    p = probabilities.detach().float()
    # an answer in bfloat16 is off by up to 2^-9 of itself
    if len(p) and not (p.amin() >= 0 and (p.sum(1) - 1).abs().amax() < 5e-3):
        raise ValueError("a row of probabilities is negative, not finite or does not sum to 1")
    member = _category_of_class("sixteen", SIXTEEN)[:, None] == torch.arange(len(SIXTEEN))
    member = member.to(p.device, torch.float64)
    return p.double() @ member / member.sum(0)


def nine(classes: Tensor) -> Tensor:
    """The class of NINE that each ImageNet class belongs to, -1 for none (which is wrong), [B].

    classes: [B] integers, the arg-max of a 1,000-way answer.  Raises ValueError for others.
    Source: Xiao et al. 2021.
    """
    if classes.ndim != 1 or classes.is_floating_point() or classes.dtype == torch.bool:
        raise ValueError(f"needs [B] integers, not {tuple(classes.shape)} {classes.dtype}")
    if classes.numel() and (classes.amin() < 0 or classes.amax() >= CLASSES):
        raise ValueError(f"a class lies outside 0 to {CLASSES - 1}")
    return _category_of_class("in9", NINE).to(classes.device)[classes.long()]


@cache
def members(name: str) -> dict[str, tuple[int, ...]]:
    """A list of `mappings/`: the ImageNet classes of each category, in order.

    name: `sixteen`, `in9` or `imagenet_a`.  Raises CGNError where a category's classes are not as
    many as its count, or a class stands there twice.
    """
    path = FOLDER / f"{name}.json"
    table = json.loads(path.read_text())["categories"]
    found = {category: _expand(row["classes"]) for category, row in table.items()}
    for category, row in table.items():
        if len(found[category]) != row["count"]:
            raise CGNError(
                f"{path} has {len(found[category])} classes of {category} and says {row['count']}: "
                "install the package again"
            )
    every = [i for classes in found.values() for i in classes]
    if len(set(every)) != len(every) or not set(every) <= set(range(CLASSES)):
        raise CGNError(f"{path} has a class twice or outside 0 to 999: install the package again")
    return found


def imagenet_a() -> Tensor:
    """The ImageNet classes of ImageNet-A, [200] in order: answers are restricted to these."""
    return torch.tensor(members("imagenet_a")["imagenet-a"])


@cache
def wordnet() -> tuple[str, ...]:
    """The WordNet id of each ImageNet class, `n01440764` for 0.  Their order is the classes'.

    Raises CGNError where the list has not 1,000 of them, each once and in order.
    """
    path = FOLDER / "wordnet.json"
    ids = tuple(" ".join(json.loads(path.read_text())["ids"]).split())
    if len(set(ids)) != CLASSES or ids != tuple(sorted(ids)):
        raise CGNError(f"{path} has not {CLASSES:,} classes in order: install the package again")
    return ids


def _expand(text: str) -> tuple[int, ...]:
    """`2, 4-6` as 2, 4, 5, 6."""
    parts = [part.partition("-") for part in text.split(", ")]
    return tuple(i for first, _, last in parts for i in range(int(first), int(last or first) + 1))


@cache
def _category_of_class(name: str, categories: tuple[str, ...]) -> Tensor:
    """Where the category of each ImageNet class stands among those of a list, or -1: [1000]."""
    if tuple(found := members(name)) != categories:
        raise CGNError(f"{FOLDER / name}.json has other categories: install the package again")
    place = torch.full((CLASSES,), -1)
    for i, classes in enumerate(found.values()):
        place[list(classes)] = i
    return place
