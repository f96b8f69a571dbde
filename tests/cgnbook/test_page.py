"""A page: every source in one frame, and what it puts into the text."""

import numpy as np
import pandas as pd
import pytest

from cgnbook import page, records
from cgnbook.verdict import NOT_RUN, UNRUN


@pytest.fixture(scope="module")
def this():
    return page.tracked("claim-3-mnist", "mini", "edge-loss")


def test_a_page_has_each_kind_of_evidence_and_what_others_reported(this):
    pd.testing.assert_series_equal(
        this.live.value.reset_index(drop=True), records.read("claim-3-mnist", "mini").value
    )
    whole = records.read("claim-3-mnist", "full")
    assert this.reference.value.tolist() == whole.value.tolist()
    assert set(this.reference.profile) == {"full"} and set(this.live.profile) == {"mini"}
    assert list(this.ours) == [records.AUTHORS, records.TRAINED, "This run (mini)"]
    whose = {kind: set(rows.generator) for kind, rows in this.ours.items()}
    assert whose[records.AUTHORS] == {"published"}
    assert not whose[records.AUTHORS] & (whose[records.TRAINED] | whose[this.label])
    assert {"Paper", "Study", "Talk"} <= set(this.numbers.source)
    assert this.numbers.value.dtype == float and this.numbers.notna().all(axis=None)


def test_other_claims_stand_beside_it_where_they_were_gathered(this):
    assert set(this.reference_of("edge-loss").claim) == {"edge-loss"}
    assert len(this.reference_of()) == len(this.reference) + len(this.reference_of("edge-loss"))
    with pytest.raises(KeyError, match=r"\['union'\] are not on this page"):
        this.reference_of("edge-loss", "union")


def test_what_was_told_is_asked_by_table_and_column(this):
    rows = this.told("mnist-classification", source="Study", metric="test_accuracy")
    assert len(rows) == 15 and rows.value.between(0, 1).all()
    with pytest.raises(KeyError, match="no rows for table 'mnist'"):
        this.told("mnist")
    with pytest.raises(KeyError, match="nobody"):
        this.told("mnist-classification", source="nobody")


def test_glue_shows_a_verdict_as_its_badge_and_all_else_as_it_is(monkeypatch):
    glued = {}
    monkeypatch.setattr(
        page.myst_nb, "glue", lambda name, value, display: glued.update({name: value})
    )
    page.glue({"verdict": UNRUN, "words": NOT_RUN, "share": 0.5, "n": np.int64(3)})
    assert glued["verdict"].markup == f'<span class="verdict-not-run">{NOT_RUN}</span>'
    assert (glued["words"], glued["share"]) == (NOT_RUN, 0.5)
    assert repr(glued["n"]) == "3"  # a text would print np.int64(3)
