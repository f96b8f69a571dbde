"""A fact cites the rows that it was made from, and no others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cgnbook import cited, page
from cgnbook.chapters import claim2
from cgnbook.verdict import Verdict

OURS = "Reference run"


def rows(source: str, metric: str, *values: float, **more: object) -> pd.DataFrame:
    of = {"source": source, "metric": metric, "variant": "wildlife", "claim": "claim-3-mnist"}
    of |= {"profile": "" if source == "Study" else "full", "table": "", "n": "100.0"} | more
    made = [
        of | {"value": value, "seed": i, "run": f"{metric}-s{i}"} for i, value in enumerate(values)
    ]
    return pd.DataFrame(made)


@pytest.fixture
def this() -> page.Page:
    numbers = pd.concat(
        [
            rows(OURS, "test_accuracy", 0.7, 0.8, 0.9),
            rows(OURS, "train_accuracy", 0.95, 0.99),
            rows("Study", "test_accuracy", 0.6, table="mnist-classification", n=""),
            rows("Study", "test_accuracy", 0.1, table="mnist-classification", n="", train_on="gan"),
        ],
        ignore_index=True,
    )
    return page.Page("claim-3-mnist", "full", (), (), numbers)


@cited.cited
def facts(this: page.Page, scale: float) -> dict[str, object]:
    by = this.numbers.groupby(["source", "metric"]).value
    ours, study = (
        by.get_group((OURS, "test_accuracy")),
        by.get_group(("Study", "test_accuracy")),
    )
    if ours.max() < 0.85:
        raise ValueError("too low")
    return {
        "mean": scale * ours.mean(),
        "words": f"{100 * ours.min():.1f} to {100 * ours.max():.1f}",
        "ahead": ours.mean() - study.iloc[0],
        "several": (ours.mean(), study.mean()),
        "runs": this.numbers.run.nunique(),
    }


def of(found: cited.Facts) -> dict[str, set[tuple[str, str]]]:
    """Who and what each fact cites."""
    return {
        name: set(zip(rows.source, rows.metric, strict=True)) for name, rows in found.rows.items()
    }


def test_a_fact_cites_what_it_was_made_from(this):
    ours, study = (OURS, "test_accuracy"), ("Study", "test_accuracy")
    found = facts(this, 2.0)
    assert of(found) == {
        "mean": {ours},
        "words": {ours},
        "ahead": {ours, study},
        "several": {ours, study},
    }
    assert found == {"runs": 5} | {name: found[name] for name in of(found)}
    assert found["mean"] == pytest.approx(1.6)
    assert [len(found.rows[name]) for name in ("mean", "ahead", "several")] == [3, 4, 5]


def test_no_row_is_cited_by_chance(this):
    """Facts of three rows each, which few draws leave alone."""
    added = [rows(OURS, "read", i / 99, generator=f"trained-{i}") for i in range(1, 61)]
    more = replace(this, numbers=pd.concat(added, ignore_index=True))

    @cited.cited
    def by_three(page):
        return {f"from-{i}": page.numbers.value[i : i + 3].mean() for i in range(0, 60, 3)}

    found = by_three(more).rows
    assert {name: list(of.index) for name, of in found.items()} == {
        f"from-{i}": [i, i + 1, i + 2] for i in range(0, 60, 3)
    }


def test_joined_facts_keep_their_rows_under_any_name(this):
    found = {"before": 1} | facts(this, 1.0) | {"after": 2}
    found |= facts(this, 3.0).told("{}-again", lambda fact: [fact])
    assert [*found][:2] == ["before", "mean"] and found["mean-again"] == [3 * found["mean"]]
    assert found.rows.keys() == {f"{name}{end}" for name in of(facts(this, 1.0))
                                 for end in ("", "-again")}  # fmt: skip
    assert found.rows["mean"].equals(found.rows["mean-again"])
    assert "mean" not in (found | {"mean": 0.5}).rows


def test_what_no_small_change_moves_is_found_and_so_is_nothing_at_all(this):
    """What turns on an order, say, and what is zero."""
    added = rows(OURS, "read", 0.9), rows(OURS, "leaked", 0.0, 0.0)
    more = replace(this, numbers=pd.concat([this.numbers, *added], ignore_index=True))

    @cited.cited
    def asked(page):
        value = page.numbers.groupby("metric").value.mean()
        return {"over": float(value["read"] > 0.7), "leaks": value["leaked"]}

    found = asked(more)
    assert found == {"over": 1, "leaks": 0}
    assert of(found) == {"over": {(OURS, "read")}, "leaks": {(OURS, "leaked")}}


def test_a_source_says_who_how_large_and_how_again(this):
    ours, study = cited.sources(facts(this, 1.0).rows["ahead"])
    assert (ours["who"], ours["n"], ours["runs"]) == (OURS, "100", "3, seeds 0, 1, 2")
    assert ours["scale"] == "full, W-MNIST"
    assert ours["rows"] == "3 of test_accuracy in claim-3-mnist-full.csv"
    assert ours["command"].endswith(
        "--profile full test_accuracy-s0 test_accuracy-s1 test_accuracy-s2"
    )
    assert study == {
        "who": "Study",
        "rows": "1 of test_accuracy in reported.csv, mnist-classification",
    }


def test_a_number_is_kept_as_ever_with_its_sources_beside(this, monkeypatch):
    glued = {}
    monkeypatch.setattr(
        page.myst_nb, "glue", lambda name, fact, display: glued.update({name: fact})
    )
    found = facts(this, 1.0)
    page.glue(found)
    for name in ("mean", "words"):
        data, about = glued[name]._repr_mimebundle_()
        assert data == {"text/plain": repr(np.array(found[name]).item())}
        assert about == {"cited": cited.sources(found.rows[name])}
    assert glued["runs"] == 5


def test_what_a_chapter_does_not_cite_changes_none_of_its_cited_facts():
    this = page.tracked("claim-2", "mini")
    found = claim2.facts(this)
    numbers = [name for name, fact in found.items() if not isinstance(fact, Verdict | str)]
    assert len([name for name in numbers if name in found.rows]) > 1
    for name in found.rows:
        index = this.numbers.index.isin(found.rows[name].index)
        rng = np.random.default_rng(1)
        other = this.numbers.value.where(
            index, this.numbers.value * rng.uniform(0.9, 1, len(index))
        )
        changed = claim2.facts.__wrapped__(replace(this, numbers=this.numbers.assign(value=other)))
        assert changed[name] == found[name]
