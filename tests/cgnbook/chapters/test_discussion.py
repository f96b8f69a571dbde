"""The numbers of the discussion and of the lessons: from the records that they are of."""

import re

import pandas as pd
import pytest

from cgnbook import page, records
from cgnbook.chapters import discussion
from cgnlib import experiments, paths


@pytest.fixture(scope="module")
def this():
    """All claims, with the tracked records of `mini` in place of a run."""
    live = pd.concat([records.read(claim, "mini") for claim in experiments.CLAIMS])
    return page.opened("all", "mini", live.drop_duplicates(["run", "metric"]), *discussion.BEHIND)


@pytest.fixture(scope="module")
def facts(this):
    return discussion.facts(this) | discussion.verdicts(this)


@pytest.fixture(scope="module")
def lessons():
    return discussion.lessons(page.tracked("explanations", "mini", *discussion.LESSONS))


def test_every_number_of_the_texts_is_there(facts, lessons):
    for name, found in (("16_discussion", facts), ("17_lessons", lessons)):
        text = (paths.ROOT / f"book/{name}.md").read_text()
        named = set(re.findall(r"{glue:\w*}`([^`:]+)", text))
        assert named <= found.keys() and len(named) > 15


def test_the_lessons_say_what_the_discussion_says(facts, lessons):
    shared = facts.keys() & lessons.keys() - {"iou-empty", "iou-least", "iou-most"}
    assert len(shared) > 20
    assert {name: facts[name] for name in shared} == {name: lessons[name] for name in shared}


def test_a_claim_has_the_values_behind_its_verdict(facts):
    assert 0 < facts["study-claim2-met"] <= facts["study-claim2-of"]
    gap = facts["live-claim3_backgrounds-BG-gap"]
    assert gap < 0 and facts["live-claim3_backgrounds-BG-gap-signed"] == f"−{-gap:.0f}"


def test_the_study_s_single_runs(facts):
    assert facts["union-printed"] == pytest.approx(62.8)
    assert facts["moved"] == pytest.approx(65.60 - 62.8)  # the same cell, in another run
    assert facts["repeated"] == 5
    assert facts["repeated-span"] == pytest.approx(93.57 - 92.43)
    assert (facts["epoch-low"], facts["epoch-high"]) == pytest.approx((46.3, 57.8))
    assert facts["hours"] == 112 and facts["hours-described"] == 200


def test_a_number_that_is_not_the_only_one_is_refused(this):
    with pytest.raises(ValueError, match="2 numbers"):
        discussion._only(this, "compute", row="total-1080-ti")


def test_the_fall_is_the_difference_of_accuracies(facts):
    assert 10 < facts["fall"] < 25
    assert facts["union-real-background"] > 10 * facts["union-cgn-background"]


def test_ranges_over_seeds():
    of = {"wildlife": {"original": [0.1, 0.2], "gan": [0.3, 0.3], "original+gan": [0.0, 0.4]}}
    assert discussion.seeds(of) == pytest.approx({"seeds-widest": 40, "seeds-median": 10})


def test_an_empty_map_and_the_range_of_the_others():
    rows = [
        {"metric": m, "value": v, "generator": "published"}
        for m, v in (("study_iou", 0.3), ("study_iou", 0.5), ("study_iou_empty", 0.4))
    ]
    rows.append({"metric": "study_iou", "value": 0.9, "generator": "trained-0"})
    of = discussion.overlap(pd.DataFrame(rows))
    assert of == pytest.approx({"iou-empty": 40, "iou-least": 30, "iou-most": 50})


def test_truth_leaks_less_than_a_cgn(this):
    of = discussion.leaks(this, "mini")
    assert all(of[f"leak-{cue}-cgn"] > of[f"leak-{cue}-truth"] for cue in ("texture", "background"))
