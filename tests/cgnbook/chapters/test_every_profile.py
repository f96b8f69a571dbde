"""Every page has its facts at every profile, whatever its runs find."""

import re
from functools import cache, cached_property

import finished
import numpy as np
import pytest
import tracked

from cgnbook import page, records
from cgnlib import experiments as e
from cgnlib import runs
from cgnlib.runs.results import Result

ENV = dict.fromkeys(records.ENVIRONMENT, finished.MADE_UP) | {"seconds": 1.0}


class Drawn(Result):
    """A finished run that lies nowhere."""

    env = ENV

    @cached_property
    def metrics(self):
        return finished.drawn(self.run, np.random.default_rng(list(self.run.id.encode())))[0]


@cache
def live(claim, profile):
    """The results of a claim's runs, their numbers drawn at random, and their records."""
    results = tuple(Drawn(run, None) for run in e.grid(profile, claim))
    return results, records.frame(results, claim)


def opened(chapter, profile):
    claim, *beside = tracked.PAGES[chapter]
    results, numbers = live(claim, profile)
    return page.opened(claim, profile, numbers, *beside, results=results)


@pytest.mark.parametrize("profile", ("full", "paper"))
@pytest.mark.parametrize("chapter", tracked.FACTS)
def test_what_the_text_names_is_there(chapter, profile, monkeypatch):
    monkeypatch.setattr(runs, "load", lambda run: Drawn(run, None))
    facts = tracked.FACTS[chapter](opened(chapter, profile))
    text = tracked.text_of(chapter)
    clocks = set(re.findall(r'page\.glue\(\{"([\w-]+)"', text))
    assert tracked.named(text) - facts.keys() - clocks == set()
    assert all(value == value for value in facts.values()), "no fact is undefined"


def test_a_drawn_run_has_what_a_real_one_has():
    declared = {run.id: run for claim in e.CLAIMS for run in e.grid("mini", claim)}
    seen = set()
    for claim in e.CLAIMS:
        for name, rows in records.read(claim, "mini").groupby("run"):
            assert Drawn(declared[name], None).metrics.keys() == set(rows.metric), name
            seen.add(type(declared[name]))
    assert len(seen) > 8
