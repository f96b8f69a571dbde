"""The scorecard: verdicts and effects of each source, and the way to the evidence."""

import re
from pathlib import Path

import pandas as pd
import pytest

from cgnbook import findings, records, tables, verdict
from cgnlib.experiments import TRAIN_SETS, VARIANTS

BOOK = Path(__file__).resolve().parents[2] / "book"
MINI = ("claim-1-mnist", "claim-2", "claim-3-mnist", "claim-3-imagenet")


@pytest.fixture(scope="module")
def claims():
    live = pd.concat([records.read(claim, "mini") for claim in MINI])
    return findings.of_all(live, "mini")


def accuracies(cgn, original, gan=(0.1,)):
    others = {name: list(gan) for name in TRAIN_SETS}
    sets = others | {"cgn": list(cgn), "original": list(original)}
    return dict.fromkeys(VARIANTS, sets)


def test_points_are_differences_of_means_with_the_range_of_all_pairs():
    found = findings.robust_digits(accuracies([0.8, 0.9], [0.1, 0.2]))
    assert found.effects[0] == "C-MNIST +70 (+60 to +80)"
    assert found.unit == "points gained (range over seeds)"
    assert found.outcome == verdict.REPRODUCED
    assert found.values == pytest.approx((70, 70, 70))


def test_single_runs_have_no_range_and_say_so():
    found = findings.robust_digits(accuracies([0.8], [0.1]))
    assert found.effects[0] == "C-MNIST +70"
    assert found.unit.endswith("(single runs)")


def test_effects_are_told_also_where_the_rule_lacks_a_cell():
    found = findings.robust_digits(accuracies([0.8], [0.1], gan=()))
    assert found.outcome == verdict.NOT_RUN
    assert len(found.effects) == len(VARIANTS)


def test_what_was_not_run_has_neither_effects_nor_a_unit():
    nothing = pd.DataFrame(columns=records.COLUMNS)
    for found in (
        findings.digits_read(nothing, "trained"),
        findings.cues_read(nothing),
        findings.losses_needed({}),
        findings.shape_heads({}),
        findings.backgrounds({}),
        findings.robust_digits({}),
    ):
        assert found == findings.Finding(verdict.NOT_RUN)


def quality(*shares):
    """A reader's share of 1,000 images for each CGN, on every variant; its ceiling is 0.8."""
    rows = [
        {"variant": v, "metric": m, "value": x, "n": 1000, "generator": f"trained-{i}"}
        for v in VARIANTS
        for i, share in enumerate(shares)
        for m, x in (("image_read", share), ("image_read_true", 0.8))
    ]
    return pd.DataFrame(rows)


def test_one_cgn_has_the_interval_of_its_images():
    found = findings.digits_read(quality(0.4), "trained")
    assert found.effects[0] == "C-MNIST 0.50 (0.46 to 0.54)"  # Wilson: 0.370 to 0.431, over 0.8
    assert "95% over images" in found.unit


def test_several_cgns_have_their_range():
    found = findings.digits_read(quality(0.4, 0.6), "trained")
    assert found.effects[0] == "C-MNIST 0.62 (0.50 to 0.75)"
    assert "lowest to highest CGN" in found.unit


def test_trends_of_several_seeds_are_counted_seed_by_seed():
    base = {"inception_score": [100.0, 100.0], "mask_coverage": [0.3, 0.3]}
    ablated = {"inception_score": [50.0, 100.0], "mask_coverage": [0.3, 0.3]}
    measured = {"none": base} | dict.fromkeys(
        ("shape", "texture", "background", "reconstruction"), ablated
    )
    found = findings.losses_needed(measured)
    assert found.effects == ("2 of 6 trends (0 to 2)",)
    assert found.values == (2, 6)


def test_every_claim_has_the_same_sources(claims):
    assert len(claims) == 6
    assert {tuple(claim.by) for claim in claims} == {("Study", "Reference run", "This run (mini)")}


def test_this_run_has_a_verdict_on_every_claim_with_its_effects(claims):
    for claim in claims:
        found = claim.by["This run (mini)"]
        assert found.outcome in (verdict.REPRODUCED, verdict.PARTLY, verdict.NOT), claim.name
        assert found.effects and found.unit


def test_evidence_stands_under_a_heading_of_its_page(claims):
    for claim in claims:
        text = (BOOK / f"{claim.page}.md").read_text()
        assert re.search(rf"^## {re.escape(claim.heading)}$", text, re.M), claim.name


def test_an_anchor_is_the_heading_as_an_address():
    claim = findings.Claim("", "", "", "The shortcut, and who takes it", {})
    assert claim.anchor == "the-shortcut-and-who-takes-it"


def test_the_scorecard_shows_each_verdict_and_leads_to_its_evidence(claims):
    html = findings.scorecard(claims, "book/").markup.replace("\u00a0", " ")
    assert html.count("<tr>") == 1 + len(claims)
    for claim in claims:
        assert f'href="book/{claim.page}.html#{claim.anchor}"' in html
        for found in claim.by.values():
            assert f">{found.outcome}</span>" in html
            assert all(effect in html for effect in found.effects)


def test_sentences_are_escaped_and_empty_ones_a_dash():
    html = tables.sentences(pd.DataFrame({"A & B": ["<b>", ""]}), "name").markup
    assert 'data-label="A &amp; B">&lt;b&gt;</td>' in html
    assert ">–</td>" in html
    assert 'id="T_name"' in html
