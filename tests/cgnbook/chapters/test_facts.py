"""Every number that a text names is a fact of its chapter's module, and the notebook has it so."""

import re
from dataclasses import replace

import pytest
import tracked

from cgnbook.cited import Number
from cgnbook.records import THIS
from cgnbook.verdict import Finding, Verdict, badge
from cgnlib import paths

GATHERED = {"16_discussion", "17_lessons"}  # what they gather, they do not all tell


@pytest.mark.parametrize("chapter", tracked.FACTS)
def test_the_text_names_facts_and_no_fact_is_idle(chapter):
    text, facts = tracked.text_of(chapter), tracked.facts_of(chapter)
    named = tracked.named(text)
    clocks = set(re.findall(r'page\.glue\(\{"([\w-]+)"', text))  # of this run's folders
    assert named - facts.keys() - clocks == set()
    alike = ("verdict-", "met-")  # of all sources
    idle = {f for f in facts if f not in named and not f.startswith(alike)}
    assert not idle or chapter in GATHERED
    assert all(value == value for value in facts.values()), "no fact is undefined"


def turned(this):
    """The page with another run: every share of this one is what it is not."""
    here = this.numbers.source == THIS
    return replace(
        this,
        numbers=this.numbers.assign(value=this.numbers.value.mask(here, 1 - this.numbers.value)),
    )


@pytest.mark.parametrize("chapter", sorted(tracked.FACTS.keys() - GATHERED))
def test_what_does_not_hang_on_this_run_stands_in_the_notebook(chapter):
    facts = tracked.facts_of(chapter)
    others = tracked.FACTS[chapter](turned(tracked.page_of(chapter)))
    there = tracked.glued(paths.ROOT / "book" / f"{chapter}.ipynb")
    fixed = {name for name in facts if name in there and facts[name] == others.get(name)}
    for name in fixed:
        fact, told = facts[name], there[name]
        fact = fact.fact if isinstance(fact, Number) else fact
        if isinstance(fact, Verdict | Finding):
            assert told == badge(fact.outcome), name
        elif isinstance(fact, str):
            assert told.strip("'\"") == fact, name
        else:
            assert float(told) == pytest.approx(float(fact), rel=1e-9), name
    assert len(fixed) > 2
