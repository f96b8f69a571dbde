"""The box under a figure or a table: what it says and what it offers."""

import nbformat
import numpy as np
import pandas as pd
from boxed import facts, file_of, parsed
from bs4 import Tag

import guard
from cgnbook import boxes, page, reported
from cgnbook.records import AUTHORS, TRAINED
from cgnlib import experiments

RUN = [
    "classifier-colored-original-s0",
    "mini",
    0,
    "abc",
    "a <CPU>",
    "3.11",
    "2.14",
    90.0,
    "2026-01-02",
    "",
]
FRAME = pd.DataFrame([RUN, RUN], columns=boxes.RUN).assign(
    run=["classifier-colored-original-s0", "classifier-colored-original-s1"],
    seed=[0, 1],
    seconds=[90.0, 30.0],
    source="This run",
    claim="claim-3-mnist",
)
DATA = pd.DataFrame({"a": ["<b>"], "b": [1]})


def box_of(*sources, data=DATA) -> Tag:
    return parsed(boxes.box("name", data, *sources))


def test_a_box_has_the_facts_of_its_runs():
    found = facts(box_of(FRAME))
    assert found["Runs (mini)"] == "2: classifier-colored-original-s0, s1"
    assert found["Seeds (mini)"] == "0, 1"
    assert found["Device (mini)"] == "a <CPU>"
    assert found["Wall time (mini)"].startswith("2 min in all, 90 s the longest run")
    assert "--profile mini classifier-colored-original-s0" in found["Make it again"]
    assert found["Versions (mini)"] == "Python 3.11, torch 2.14"
    assert "Tracked in (mini)" not in found


def test_a_tracked_record_says_whose_networks_it_is_of():
    tracked = FRAME.assign(profile="full", source=TRAINED)
    theirs = FRAME.assign(profile="full", source=AUTHORS)
    box = box_of(tracked[tracked.seed == 0], theirs[theirs.seed == 1], FRAME)
    badges = [badge.text for badge in box.select(".profile-badge")]
    assert badges == ["full, trained here", "full, authors' weights", "mini"]
    assert facts(box)["Tracked in (full, trained here)"] == "book/records/claim-3-mnist-full.csv"
    assert box.a["download"] == "name-full-mini.csv"


def test_a_page_s_numbers_part_into_who_says_them():
    numbers = page.tracked("claim-3-mnist", "mini").numbers
    box = box_of(numbers[numbers.table.isin(["", "mnist-classification"])])
    badges = [badge.text for badge in box.select(".profile-badge")]
    assert badges == ["mini", "full, trained here", "full, authors' weights", "reported"]
    assert "by article, cached, paper, qichenglao2021, talk" in facts(box)["Reported"]


def test_declared_runs_reported_numbers_and_sentences_have_their_own_badges():
    grid = experiments.grid("mini", "claim-1-mnist")
    told = reported.table("shape-bias")
    box = box_of(grid, told, "`cgnlib.x`, seed 3", experiments.profile("paper"))
    badges = [badge.text for badge in box.select(".profile-badge")]
    assert badges == ["mini, declared", "reported", "no run", "paper, declared"]
    assert box.select_one("dd code").text == "cgn-colored-s0"  # what a run needs comes first
    assert facts(box)["Made by"] == "cgnlib.x, seed 3"
    assert "table shape-bias" in facts(box)["Reported"]


def test_a_claim_stands_for_its_runs():
    assert boxes._targets("mini", ["one"]) == "one"
    claim = [run.id for run in experiments.grid("mini", "claim-3-mnist")]
    assert boxes._targets("mini", claim) == "claim-3-mnist"
    assert boxes._targets("mini", [*claim, "one"]) == "claim-3-mnist one"


def test_data_come_back_as_they_were_and_large_ones_packed():
    assert file_of(box_of().a).values.tolist() == [["<b>", "1"]]
    large = pd.DataFrame({"a": np.arange(20_000)})
    link = box_of(data=large).a
    assert link["download"] == "name-drawn.csv.gz"
    assert file_of(link)["a"].astype(int).tolist() == list(range(20_000))


def test_a_box_alone_is_nothing_that_nbval_checks():
    def cell(markup):
        output = nbformat.v4.new_output("execute_result", {"text/html": markup})
        return nbformat.v4.new_code_cell("show()", outputs=[output])

    assert not guard.is_checked(cell(boxes.box("name", DATA, FRAME)))
    assert guard.is_checked(cell("<table></table>" + boxes.box("name", DATA, FRAME)))


def test_a_summary_offers_the_rows_of_all_its_sources():
    told = reported.table("shape-bias")
    box = parsed(boxes.behind("name", FRAME, FRAME, told, inputs={"Digits": "a <set>"}).markup)
    data = file_of(box.a)
    assert len(data) == 2 + len(told)
    assert data.run.tolist()[:3] == [*FRAME.run, ""] and data.row.tolist()[2:] == list(told.row)
    assert facts(box)["Digits (this run)"] == "a <set>"
