"""ImageNet's 1,000 classes: their ids, and the coarse categories of the tests.

The lists lie in `mappings/`, a row a category: its count and its classes, single or as first-last.
Counts are checked as a list is read.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from cgnlib.errors import CGNError, reason

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


@contextmanager
def mapping(name: str) -> Iterator[dict]:
    """What a list of `mappings/` holds.  Raises CGNError where it cannot be read, and where the
    block finds that it is another."""
    path = FOLDER / f"{name}.json"
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CGNError(f"{path} is damaged ({reason(error)}): install the package again") from error


@cache
def members(name: str) -> dict[str, tuple[int, ...]]:
    """A list of `mappings/`: the ImageNet classes of each category, in order.

    name: `sixteen`, `in9` or `imagenet_a`.  Raises CGNError where a category's classes are not as
    many as its count, or a class stands there twice.
    """
    with mapping(name) as content:
        table = content["categories"]
        found = {category: _expand(row["classes"]) for category, row in table.items()}
        for category, row in table.items():
            if (n := len(found[category])) != row["count"]:
                raise ValueError(f"it has {n} classes of {category} and says {row['count']}")
        every = [i for classes in found.values() for i in classes]
        if len(set(every)) != len(every):
            raise ValueError("it has a class twice")
        return found


def imagenet_a() -> Tensor:
    """The ImageNet classes of ImageNet-A, [200] in order: answers are restricted to these."""
    with mapping("imagenet_a"):
        return torch.tensor(members("imagenet_a")["imagenet-a"])


@cache
def wordnet() -> tuple[str, ...]:
    """The WordNet id of each ImageNet class, `n01440764` for 0.  Their order is the classes'.

    Raises CGNError where the list has not 1,000 of them, each once and in order.
    """
    with mapping("wordnet") as content:
        ids = tuple(" ".join(content["ids"]).split())
        if len(set(ids)) != CLASSES or ids != tuple(sorted(ids)):
            raise ValueError(f"it has not {CLASSES:,} classes in order")
        return ids


def _expand(text: str) -> tuple[int, ...]:
    """`2, 4-6` as 2, 4, 5, 6.  Raises ValueError for what is not of ImageNet's classes."""
    parts = [part.partition("-") for part in text.split(", ")]
    ends = [(int(first), int(last or first)) for first, _, last in parts]
    if not all(0 <= first <= last < CLASSES for first, last in ends):
        raise ValueError(f"{text} are not classes of 0 to {CLASSES - 1}")
    return tuple(i for first, last in ends for i in range(first, last + 1))


@cache
def _category_of_class(name: str, categories: tuple[str, ...]) -> Tensor:
    """Where the category of each ImageNet class stands among those of a list, or -1: [1000]."""
    with mapping(name):
        if tuple(found := members(name)) != categories:
            raise ValueError("it has other categories")
    place = torch.full((CLASSES,), -1)
    for i, classes in enumerate(found.values()):
        place[list(classes)] = i
    return place
