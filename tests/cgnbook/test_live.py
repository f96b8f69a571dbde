"""Live pictures as the pages carry them: what stands there without scripts, and what they load."""

import pytest
from bs4 import BeautifulSoup

from cgnbook import ablations, kept, page, switchboard
from cgnbook.verdict import mean
from cgnlib.experiments import ABLATIONS
from sources import ROOT


@pytest.fixture(scope="module")
def this() -> page.Page:
    return page.tracked("claim-2", "mini")


def test_the_switchboard_has_a_panel_for_each_setting(this):
    soup = BeautifulSoup(switchboard.show(this, kept.read("claim-2"), 1).markup, "html.parser")
    panels = soup.select(".losses-panel")
    assert [panel["data-without"] for panel in panels] == list(ABLATIONS)
    assert all(len(panel("img")) == len(switchboard.PARTS) for panel in panels)
    assert len({image["src"] for image in soup("img")}) == 5 * 5
    files = [s["src"] for s in soup("script")] + [s["href"] for s in soup("link")]
    assert all((ROOT / "book/_interactive" / f.removeprefix("../")).is_file() for f in files)
    assert soup.select_one("details.evidence")


def test_its_numbers_are_means_of_the_records(this):
    of = switchboard.table({who: ablations.measured(rows) for who, rows in this.ours.items()})
    found = of.set_index(["ablation", "metric", "source"])
    rows = this.reference
    wanted = rows[(rows.removed == "shape") & (rows.metric == "shape_read")].value.tolist()
    row = found.loc[("shape", "shape_read", "Trained here (full)")]
    assert row.value == pytest.approx(mean(wanted)) and row.n == len(wanted) == 3
    assert set(of.ablation) == set(ABLATIONS) and of.value.notna().all()
