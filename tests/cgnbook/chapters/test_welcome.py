"""The first page: who found what and where it is shown, how to cite it, and its terms."""

import re

import pandas as pd
import pytest
import yaml

from cgnbook import page, painter, records
from cgnbook.chapters import welcome
from cgnbook.names import key
from cgnbook.verdict import EYE, NOT, NOT_MEASURED, NOT_RUN, PARTLY, REPRODUCED, Finding
from cgnlib import experiments, paths
from cgnlib.data import sources

THIS = "This run (mini)"


@pytest.fixture(scope="module")
def this():
    """All claims, with the tracked records of `mini` in place of a run."""
    live = pd.concat([records.read(claim, "mini") for claim in welcome.BEHIND])
    return page.opened("all", "mini", live.drop_duplicates(["run", "metric"]), *welcome.BEHIND)


@pytest.fixture(scope="module")
def claims(this):
    return welcome.judged(this)


def test_every_claim_has_the_same_sources(claims):
    assert len(claims) == len(welcome.CLAIMS) == 7
    kinds = ("Paper", "Study", records.AUTHORS, records.TRAINED, THIS)
    assert {tuple(claim.by) for claim in claims} == {kinds}


def test_no_verdict_on_the_digits_is_of_two_kinds_of_evidence(claims):
    """What the authors' networks do is no reproduction of the recipe."""
    for claim in (claims[0], claims[4]):
        theirs, ours = claim.by[records.AUTHORS], claim.by[records.TRAINED]
        assert (theirs.outcome, ours.outcome) == (REPRODUCED, PARTLY) and theirs != ours
    assert claims[1].by[records.AUTHORS].outcome == NOT_MEASURED  # one network is no recipe
    on_imagenet = [c for c in claims if "MNISTs" not in c.name]
    assert all(c.by[records.AUTHORS] == welcome.NO_WEIGHTS for c in on_imagenet)


def test_this_run_has_a_verdict_on_every_claim_that_it_tests(claims):
    recipe = claims[1].by[THIS]
    assert (recipe.outcome, recipe.unit) == (NOT_MEASURED, "mini trains by a recipe of its own")
    for claim in (claims[0], *claims[2:]):
        found = claim.by[THIS]
        assert found.outcome in (REPRODUCED, PARTLY, NOT), claim.name
        assert found.effects and found.unit and found.values


def test_the_study_judged_the_first_claim_by_eye_and_doubts_the_second(claims):
    eye = [claim.by["Study"].unit.endswith("by eye") for claim in claims]
    assert eye == [True] * 3 + [False] * 4 and claims[0].by["Study"] == EYE
    assert claims[3].by["Study"].unit.endswith("the study calls them inconclusive")


@pytest.mark.parametrize("findings", welcome.CLAIMS)
def test_a_chapter_without_runs_finds_nothing(findings):
    claim, *_ = welcome.CLAIMS[findings]
    bare = page.opened(claim, "mini", records.read(claim, "mini").iloc[:0])
    found = findings(bare)[THIS]
    assert found == Finding(NOT_RUN) or found.outcome == NOT_MEASURED


def test_the_page_of_a_claim_has_its_runs_alone_and_what_others_say(this):
    of = welcome.of_claim(this, "claim-3-mnist")
    declared = {run.id for run in experiments.grid("mini", "claim-3-mnist")}
    assert set(of.live.run) == declared < set(this.live.run)
    assert len(of.reference) == len(this.reference_of("claim-3-mnist"))
    assert len(of.told("backgrounds")) == len(this.told("backgrounds"))


def test_evidence_stands_under_a_heading_of_its_page(claims):
    for claim in claims:
        text = (paths.ROOT / "book" / f"{claim.page}.md").read_text()
        assert re.search(rf"^## {re.escape(claim.heading)}$", text, re.M), claim.name


def test_an_anchor_is_the_heading_as_an_address():
    claim = welcome.Claim("", "", "", "The shortcut, and who takes it", {})
    assert claim.anchor == "the-shortcut-and-who-takes-it"


def test_the_scorecard_shows_each_verdict_and_leads_to_its_evidence(this, claims):
    html = welcome.scorecard(this, "book").markup
    assert not re.search(r"\d \(", html.partition("</table>")[0])  # a value keeps its interval
    html = html.replace("\u00a0", " ")
    assert html.partition("</table>")[0].count("<tr>") == 1 + len(claims)
    for claim in claims:
        assert f'href="book/{claim.page}.html#{claim.anchor}"' in html
        assert "Paper" not in html  # it cannot reproduce itself
        for found in list(claim.by.values())[1:]:
            assert f">{found.outcome}</span>" in html
            assert all(effect in html for effect in found.effects)
    assert f'href="{claims[0].page}.html"' in welcome.scorecard(this).markup


def test_marks_and_verdicts_say_the_same(claims):
    """In claim 3 the whole bar has to clear the rule; elsewhere the mark itself."""
    seen = 0
    for claim in claims:
        for found in claim.by.values():
            if not found.marks:
                continue
            ends = [m.span[0] if "Claim 3" in claim.name and m.span else m.beyond
                    for m in found.marks]  # fmt: skip
            counted = [end >= -1e-9 and not m.undecided
                       for end, m in zip(ends, found.marks, strict=True)]  # fmt: skip
            if claim.name == "Claim 1b, MNISTs":  # a CGN counts by itself
                some = any(m.beyond > -1 for m in found.marks)
            elif claim.name == "Claim 2":
                some = found.values["met"] > 0
            else:
                some = any(counted)
            want = REPRODUCED if all(counted) else PARTLY if some else NOT
            assert found.outcome == want, (claim.name, found)
            seen += 1
    assert seen > 15


def test_the_plot_has_every_mark_of_every_kind_and_fits(this, claims):
    plot = welcome.picture(this)
    html, table = plot._repr_html_(), plot.table()
    marks = [(c.name, kind, m) for c in claims for kind, found in c.by.items() for m in found.marks]
    assert html.count("<title>") == len(marks) == sum(~table.series.str.contains(", from|, to"))
    for name, kind, mark in marks:
        row = table[(table.panel == name) & (table.series == kind) & (table.y == mark.name)]
        assert row.x.item() == pytest.approx(100 * mark.beyond, abs=1e-3)
    places = [float(x) for x in re.findall(r'<svg x="([\d.-]+)%', html)]
    assert len(places) == len(marks) and 0 < min(places) < max(places) < 100
    rule = float(re.search(r'x1="([\d.]+)%"[^>]*class="forest-rule"', html)[1])
    for place, (_, _, mark) in zip(places, sorted_as_drawn(claims), strict=True):
        assert (place >= rule - 0.01) == (mark.beyond >= -1e-9)
    assert html.count("verdict-") == sum(len(c.by) - 1 for c in claims)  # none for the paper


def sorted_as_drawn(claims):
    """Claim by claim and effect by effect, the kinds of each together."""
    for claim in claims:
        names = dict.fromkeys(m.name for found in claim.by.values() for m in found.marks)
        for name in names:
            yield from ((claim.name, kind, m) for kind, found in claim.by.items()
                        for m in found.marks if m.name == name)  # fmt: skip


def test_the_colophon_is_that_of_the_citation_file():
    cff = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    said = welcome.colophon()
    assert cff["authors"][0]["name"] in said and f"Version {cff['version']}" in said
    assert cff["license"] in said and "CC BY 4.0" in said


def test_the_result_is_of_the_records(this):
    """Three CGNs of each variant, and what is gained with them, counted by hand."""
    found = welcome.facts(this)
    rows = this.reference_of("claim-3-mnist")
    rows = rows[(rows.metric == "test_accuracy") & (rows.train_on == "cgn")]
    by = rows.groupby(["variant", "generator"]).value.mean() * 100
    own = by.drop("published", level="generator")
    assert found["retrained-n"] == len(own) == 3 * found["retrained-each"] == 9
    mine = rows[rows.generator != "published"].groupby("variant").value.mean() * 100
    for who, of in (("authors", by.xs("published", level="generator")), ("trained", mine)):
        for variant, value in of.items():
            name = key(variant)
            gain = value - found[f"original-{name}"]
            assert found[f"gain-{who}-{name}"] == pytest.approx(gain)
    assert found["retrained-holds"] == "one of three variants, DC-MNIST"
    assert found["authors-wildlife"] == pytest.approx(by["wildlife", "published"])
    assert found["original-wildlife"] < 15 < found["authors-wildlife"]
    text = (paths.ROOT / "index.md").read_text()
    assert set(re.findall(r"{glue:text}`([\w-]+)", text)) <= found.keys() | painter.facts().keys()


def test_book_paper_and_study_are_to_be_cited():
    text = welcome.citations()
    assert re.findall(r"^@(\w+){(\w+),$", text, re.M) == [
        ("misc", "cgnbook"),
        ("inproceedings", "sauer2021"),
        ("article", "bagad2022"),
    ]
    assert "doi = {10.5281/zenodo.6574635}" in text
    assert "author = {{The CGN reproduction book authors}}" in text
    assert "author = {Sauer, Axel and Geiger, Andreas}" in text


def test_braces_are_balanced_and_values_are_there():
    text = welcome.citations()
    assert text.count("{") == text.count("}")
    assert "None" not in text and "{}" not in text


def test_every_source_has_its_terms():
    table = welcome.licences()
    text = "\n".join(table["What"])
    for name, entry in sources.table().items():
        assert re.search(rf"\b{re.escape(name)}\b", text)
        assert entry["licence"] in set(table["Terms"])


def test_the_files_of_the_licences_are_there():
    named = set(re.findall(r"\b(LICENSE[\w-]*)", " ".join(welcome.PARTS.values())))
    assert named == {"LICENSE", "LICENSE-TEXT"}
    assert "CC BY 4.0" in (paths.ROOT / "LICENSE-TEXT").read_text()
    assert "MIT License" in (paths.ROOT / "LICENSE").read_text()
