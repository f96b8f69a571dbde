"""Every number that a text names is a fact of its chapter's module."""

import re

import pandas as pd
import pytest

from cgnbook import page, records
from cgnbook.chapters import (
    claim1_imagenet,
    claim2,
    claim3_backgrounds,
    claim3_shape_bias,
    disentanglement,
)
from cgnlib import paths


def of_disentanglement():
    beside = {*disentanglement.ON_DIGITS, *disentanglement.ON_ABLATED} - {"disentanglement"}
    this = page.tracked("disentanglement", "mini", *beside)
    here = disentanglement.points(pd.concat([this.live, records.read("claim-3-mnist", "mini")]))
    return disentanglement.facts(this, here, records.read("head-maps", "mini"))


FACTS = {
    "06_claim1_imagenet": lambda: claim1_imagenet.facts(
        page.tracked("claim-1-imagenet", "mini"), records.read("disentanglement", "mini")
    ),
    "07_claim2": lambda: claim2.facts(page.tracked("claim-2", "mini")),
    "09_claim3_shape_bias": lambda: claim3_shape_bias.facts(
        page.tracked("claim-3-imagenet", "mini")
    ),
    "10_claim3_backgrounds": lambda: claim3_backgrounds.facts(
        page.tracked("claim-3-imagenet", "mini")
    ),
    "12_disentanglement": of_disentanglement,
}


@pytest.mark.parametrize("chapter", FACTS)
def test_the_text_names_facts_and_no_fact_is_idle(chapter):
    text = (paths.ROOT / "book" / f"{chapter}.md").read_text()
    named = set(re.findall(r"\{glue:(?:text)?\}`([\w-]+)", text))
    facts = FACTS[chapter]()
    assert named - facts.keys() == set()
    sources = ("verdict-", "met-")  # of all alike
    assert {f for f in facts if f not in named and not f.startswith(sources)} == set()
    assert all(value == value for value in facts.values()), "no fact is undefined"
