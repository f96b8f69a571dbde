"""The gate's fade, its tipping point, and the table that stands for it without scripts."""

import pytest
import torch
from bs4 import BeautifulSoup

from cgnbook import gate
from cgnlib.nets import shipped
from sources import ROOT


def test_a_fade_ends_at_both_pictures():
    ends, _ = gate.pictures()
    assert torch.equal(gate.faded(ends, 0), ends[:, 0])
    assert torch.equal(gate.faded(ends, gate.STEPS), ends[:, 1])
    half = gate.faded(ends, gate.STEPS // 2).double() - ends.double().mean(1)
    assert half.min() >= 0 and half.max() <= 0.5  # halves are rounded up


@pytest.mark.parametrize(
    ("said", "at"), [([1, 1, 3, 3], 2), ([3, 1, 1, 3], 3), ([3, 3], 0), ([3, 1], None)]
)
def test_it_tips_where_the_digit_stays_to_the_end(said, at):
    assert gate.tip(said, 3) == at


def test_each_picture_tips_on_the_way():
    """As they were chosen: the background at one end, the digit at the other."""
    ends, cues = gate.pictures()
    said = gate.answers(ends)[gate.UNION]
    assert cues[:, 0].tolist() == list(range(10))
    assert all(len(set(scene)) == 3 for scene in cues.tolist())
    assert torch.equal(said[:, 0], cues[:, 2]) and torch.equal(said[:, -1], cues[:, 0])


def test_shape_and_texture_stay():
    ends, _ = gate.pictures()
    same = (ends[:, 0] == ends[:, 1]).all(-1).float().mean((1, 2))
    assert same.min() > 0.03 and same.max() < 0.4


def test_the_still_has_both_ends_and_every_answer():
    soup = BeautifulSoup(gate.page().markup, "html.parser")
    assert len(soup("img")) == 20 and len(soup.select("td span")) == 60
    files = {*gate.FILES} - {f"engine/{name}.js" for name in gate.ASKED}
    assert all((ROOT / "book/_interactive" / name).is_file() for name in files)
    tips = [cell.text for cell in soup("tr")[-1]("td")]
    assert all(0 < int(share.rstrip("%")) <= 100 for share in tips)


def test_the_text_knows_the_classifier_and_the_choice():
    found, of = gate.facts(), gate.about()
    assert of["union_sha256"] == shipped.record(gate.UNION)["sha256"]
    assert found["gate-share"] == 50 and 45 < float(found["gate-right"].fact) < 70
    kept = {name: sum(set(a) == {scene[cue]} for a, scene in zip(
        gate.answers(gate.pictures()[0])[name].tolist(), gate.pictures()[1].tolist(), strict=True))
        for name, cue in (("cnn-wildlife-original", 2), ("cnn-wildlife-cgn", 0))}  # fmt: skip
    assert [*kept.values()] == [found["gate-background"], found["gate-digit"]] == [7, 9]
    assert 10 < of["tip"] <= of["asked"] == found["gate-asked"] < 1000
