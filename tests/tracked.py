"""The pages of the chapters as the tracked records have them, and the facts of their texts."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pandas as pd

from cgnbook import film, gate, page, records, retrained
from cgnbook.chapters import (
    claim1_imagenet,
    claim1_mnist,
    claim2,
    claim3_backgrounds,
    claim3_mnist,
    claim3_shape_bias,
    discussion,
    disentanglement,
    explanations,
    set_size,
    union,
)
from cgnlib import experiments, paths

PAGES = {  # the claim of a chapter, and what its page gathers beside it
    "05_claim1_mnist": ("claim-1-mnist", "claim-3-mnist", "edge-loss"),
    "06_claim1_imagenet": ("claim-1-imagenet",),
    "07_claim2": ("claim-2",),
    "08_claim3_mnist": ("claim-3-mnist", "claim-1-mnist", "edge-loss"),
    "09_claim3_shape_bias": ("claim-3-imagenet",),
    "10_claim3_backgrounds": ("claim-3-imagenet",),
    "11_explanations": ("explanations",),
    "12_disentanglement": (
        *("disentanglement", "claim-3-mnist", "edge-loss"),
        *("claim-3-imagenet", "ablated-robustness"),
    ),
    "13_set_size": ("set-size",),
    "14_union": ("union", "union-shares", "claim-3-mnist"),
    "15_out_of_distribution": ("claim-3-imagenet",),
    "16_discussion": ("all", *discussion.BEHIND),
    "17_lessons": ("explanations", *discussion.LESSONS),
}


def _of_disentanglement(this: page.Page) -> dict[str, object]:
    classifiers = records.read("claim-3-mnist", "mini")
    here = disentanglement.points(pd.concat([this.live, classifiers]))
    return disentanglement.facts(this, here, records.read("head-maps", "mini"))


def _of_digits(this: page.Page) -> dict[str, object]:
    again = retrained.facts(retrained.opened())
    return claim1_mnist.facts(this) | film.facts() | again


FACTS: dict[str, Callable[[page.Page], dict[str, object]]] = {
    "05_claim1_mnist": _of_digits,
    "06_claim1_imagenet": lambda this: claim1_imagenet.facts(
        this, records.read("disentanglement", "mini")
    ),
    "07_claim2": claim2.facts,
    "08_claim3_mnist": claim3_mnist.facts,
    "09_claim3_shape_bias": claim3_shape_bias.facts,
    "10_claim3_backgrounds": claim3_backgrounds.facts,
    "11_explanations": explanations.facts,
    "12_disentanglement": _of_disentanglement,
    "13_set_size": set_size.facts,
    "14_union": lambda this: union.facts(this) | gate.facts(),
    "16_discussion": lambda this: discussion.facts(this) | discussion.verdicts(this),
    "17_lessons": discussion.lessons,
}


def text_of(chapter: str) -> str:
    return (paths.ROOT / "book" / f"{chapter}.md").read_text()


def named(text: str) -> set[str]:
    """What a text names of what its cells glue."""
    return set(re.findall(r"\{glue:(?:text)?\}`([\w-]+)", text))


def glued(notebook: Path) -> dict[str, str]:
    """What a notebook holds by name, as text."""
    found = {}
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
                kinds = [f"application/papermill.record/text/{kind}" for kind in ("html", "plain")]
                found[name] = next(output["data"][kind] for kind in kinds if kind in output["data"])
    return found


@cache
def page_of(chapter: str) -> page.Page:
    """The page of a chapter, with the records of `mini` in place of a run."""
    claim, *beside = PAGES[chapter]
    if claim != "all":
        return page.tracked(claim, "mini", *beside)
    live = pd.concat([records.read(name, "mini") for name in experiments.profile("mini").claims])
    return page.opened(claim, "mini", live.drop_duplicates(["run", "metric"]), *beside)


@cache
def facts_of(chapter: str) -> dict[str, object]:
    """What its text says; nothing where the text names no fact."""
    return FACTS[chapter](page_of(chapter)) if chapter in FACTS else {}
