"""Every figure and table of the executed book: its name, its box, its data and its runs."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import nbformat
import pytest
from boxed import facts, file_of, parsed, pictures_of
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from cgnbook import boxes, drawn, names, records, reported
from cgnlib import experiments
from sources import ROOT, notebooks, source_of, tags

NOTEBOOKS = [path for path in notebooks(ROOT) if path.exists()]
BADGES = {*experiments.PROFILES, "reported", "no run"}


def markup(cell, kind: str = "text/html") -> str:
    """The HTML that a cell shows."""
    found = (output.get("data", {}).get(kind, "") for output in cell.outputs)
    return "\n".join("".join(part) for part in found)


@dataclass(frozen=True)
class Shown:
    """A figure or a table."""

    chapter: str
    name: str
    caption: str
    cell: NotebookNode

    @cached_property
    def markup(self) -> str:
        return markup(self.cell)

    @cached_property
    def box(self) -> Tag:
        return parsed(self.markup)


def shown(path) -> list[Shown]:
    """Everything on a page that is a figure, a table, or is called one."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "remove-cell" in tags(cell):
            continue
        of = cell.metadata.get("mystnb", {}).get("figure", {})
        kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
        pictures = any(kind.startswith("image/") for kind in kinds)
        live = ' live"' in markup(cell)  # a live picture: its tables are what stands for it
        if of or pictures or ("<table" in markup(cell) and not live):
            found.append(Shown(path.stem, of.get("name", ""), of.get("caption", ""), cell))
    return found


EVERY = [found for path in NOTEBOOKS for found in shown(path)]


def defects(check) -> list[str]:
    """What `check` finds wrong with any of them."""
    found = []
    for it in EVERY:
        try:
            check(it)
        except (AssertionError, ValueError) as error:
            found.append(f"{it.chapter}, {it.name}: {error}")
    return found


def called(name: str) -> Shown:
    return next(it for it in EVERY if it.name == name)


def test_the_book_has_figures_and_tables():
    kinds = [it.name[:4] for it in EVERY]
    assert kinds.count("fig-") >= 20 and kinds.count("tab-") >= 50


def test_each_has_a_caption_and_a_name_of_its_own():
    every = [it.name for it in EVERY]

    def check(it):
        assert re.fullmatch(r"(fig|tab)-[a-z0-9-]+", it.name)
        assert it.caption.endswith(".")
        assert every.count(it.name) == 1
        assert ("<table" in it.markup) == it.name.startswith("tab-")

    assert not defects(check)


def test_each_says_at_which_scale():
    def check(it):
        badges = it.box.summary.select(".profile-badge")
        words = {badge.text.partition(",")[0] for badge in badges}
        assert badges and words <= BADGES
        # the words for a scale are the classes that give it its colour
        for badge in badges:
            word = badge.text.partition(",")[0]
            assert f"scale-{word if word in experiments.PROFILES else 'none'}" in badge["class"]
        for link in it.box.select("a"):
            scales = link["download"].partition(".")[0].split("-")
            assert words & set(experiments.PROFILES) <= set(scales)

    assert not defects(check)


def test_each_offers_its_data():
    def check(it):
        table = BeautifulSoup(it.markup, "html.parser").table
        data = file_of(it.box.select_one("a"))
        assert len(data)
        if table is None:
            assert list(data.columns) == drawn.COLUMNS
            return
        head, *rows = [
            [" ".join(cell.stripped_strings) for cell in row.select("th, td")]
            for row in without_print(table).select("tr")
        ]
        assert head == list(data.columns)
        for mine, theirs in zip(rows, data.values.tolist(), strict=True):
            for a, b in zip(map(folded, mine), map(folded, theirs), strict=True):
                linked = a.endswith(" evidence") and a.startswith(f"{b} ")  # of the scorecard
                if not (linked or b in (a, a.replace("−", "-"), TRUTH.get(a))):
                    assert float(a.replace(",", "")) == pytest.approx(float(b), abs=1e-4)  # rounded

    assert not defects(check)


TRUTH = {"yes": "True", "no": "False"}


def folded(value: str) -> str:
    return re.sub(r"\s+", " ", value).strip()


def without_print(table):
    """A table without what is there for the eye: places to break at, letters set lower."""
    for tag in table.select("wbr, i, sub"):
        if tag.name == "sub":
            tag.insert_before("_")
        tag.unwrap()
    table.smooth()
    return table


def test_each_offers_its_pictures():
    carried = []

    def check(it):
        data, pictures = file_of(it.box.a), pictures_of(it.box)
        if "series" not in data:
            assert not pictures
            return
        wanted = set(data.value[data.series == "picture"])
        if "not carried" in it.box.text:  # too large, which hangs on what was drawn
            assert not pictures
            assert f"{len(wanted)}, not carried here for their size" in it.box.text
            return
        carried.append(it.name)
        assert set(pictures) == wanted
        for digest, pixels in pictures.items():
            assert hashlib.sha256(pixels.tobytes()).hexdigest().startswith(digest)

    assert not defects(check) and len(carried) > 3


def test_each_names_runs_that_are_declared_and_a_command():
    every = {
        name: {
            run.id
            for claim in experiments.CLAIMS
            for run in experiments.with_needs(experiments.grid(name, claim))
        }
        for name in experiments.PROFILES
    }

    def check(it):
        said = facts(it.box)
        commands = [code.text for code in it.box.select("dt:last-of-type + dd code")]
        assert commands[0] == "python book/_press/execute.py"  # the build adds chapter and profile
        links = it.box.select('a:not([href^="data:application/zip"])')
        if len(links) == 1:
            assert any(
                term.startswith(("Made by", "Declared", "Reported", "Profile")) for term in said
            )
            return
        runs = file_of(links[1])
        assert list(runs.columns) == [*boxes.RUN, "role"] and (runs.role == "shown").any()
        assert (runs[runs.role == "shown"] != "").all(axis=None)
        for profile, of in runs.groupby("profile"):
            assert set(of.run) <= every[profile]
            assert any(f"run --profile {profile} " in line for line in commands[1:])
        for fact in ("Runs", "Seeds", "Commit", "Device", "Wall time", "Versions"):
            assert any(term.startswith(f"{fact} (") for term in said), fact
        versions = " ".join(text for term, text in said.items() if term.startswith("Versions"))
        for version in {*runs.python, *runs.torch} - {""}:
            assert version in versions

    assert not defects(check)


GLUED = "application/papermill.record/text/html"
SUMMARIES = [path for path in NOTEBOOKS if "## At a glance" in source_of(path).read_text()]


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.stem)
def test_a_summary_has_a_box_with_every_run_behind_its_verdicts(path):
    text = source_of(path).read_text()
    assert re.search(r"^\| \| \|\n(\|.*\n)+\n```\{glue:\} at-a-glance\n```$", text, re.M)
    cells = nbformat.read(path, as_version=4).cells
    (glued,) = [c for c in cells if re.search(r'glue\("at-a-glance"|page\.summary\(', c.source)]
    box = parsed(markup(glued, GLUED))
    assert box.summary.span.text == "Data and provenance of this summary"
    data, runs = map(file_of, box.select("a"))
    claim = re.search(r'experiments\.grid\(profile, "([\w-]+)"\)', text)[1]
    named = set(runs[runs.role == "shown"].run)
    assert set(data.run) - {""} == named
    assert {run.id for run in experiments.grid("mini", claim)} <= named
    kept = records.path_of(claim, "full")
    assert (f"book/records/{kept.name}" in box.text) == kept.exists()
    told = re.search(r"study's numbers|`(paper|study|recipe)-", text.partition("```{code-cell}")[0])
    assert ("book/records/reported.csv" in box.text) == bool(told)


def test_what_is_made_by_hand_has_a_name_that_the_build_finds():
    for path in NOTEBOOKS:
        text = source_of(path).read_text()
        for block in re.findall(
            r"^(?:```|:::)\{(?:figure|list-table|csv-table)\}.*?\n\n", text, re.M | re.S
        ):
            assert re.search(r"^:name: (fig|tab)-", block, re.M), block
        for head in re.findall(r"^(\|.*\|)\n\|[-| :]+\|$", text, re.M):
            assert not head.strip("| "), f"a table without a number: {head}"


def test_a_drawing_has_the_colours_of_the_page_and_of_cues_alone():
    found = 0

    def check(it):
        nonlocal found
        for output in it.cell.outputs:
            drawing = "".join(output.get("data", {}).get("image/svg+xml", ""))
            found += bool(drawing)
            bare = re.sub(
                r"var\(--(cue-(shape|texture|background)|pst-[\w-]+), #\w+\)", "", drawing
            )
            bare = re.sub(r'href="[^"]*"', "", bare)
            assert set(re.findall(r"#[0-9a-f]{3,6}\b(?!-)", bare)) <= {"#111"}  # on a light hue
            assert "font-family" not in bare.partition(">")[2]
            assert not re.search(r' id="(?![0-9a-f]{8}-)', bare)  # two on a page do not meet

    assert not defects(check) and found


# --- the numbers are those of the records


def test_the_figure_of_robustness_has_the_numbers_of_its_sources():
    data = file_of(called("fig-robustness").box.select_one("a"))
    told = reported.table("mnist-classification", metric="test_accuracy")
    for source, name in (("paper", "Paper"), ("article", "Study")):
        rows = data[data.series == name]
        want = {
            (names.NAMES[r.column], names.SETTINGS[r.row], float(r.value))
            for r in told[told.source == source].itertuples()
        }
        assert {(r.panel, r.y, float(r.x)) for r in rows.itertuples()} == want
    kept = records.read("claim-3-mnist", "full")
    kept = kept[kept.metric == "test_accuracy"]
    for kind in (records.AUTHORS, records.TRAINED):
        want = sorted(round(100 * float(v), 3) for v in kept.value[kept.source == kind])
        rows = data[data.series == kind]
        assert sorted(round(float(x), 3) for x in rows.x) == want
    here = data[data.series == "This run (mini)"]
    assert len(here) == len(experiments.grid("mini", "claim-3-mnist"))


def test_the_runs_of_the_reference_have_the_facts_of_the_record():
    runs = file_of(called("tab-overlap-reference").box.select("a")[1])
    kept = records.read("explanations", "full").drop_duplicates("run").set_index("run")
    for run in runs[runs.role == "shown"].itertuples():
        assert (run.commit, run.device, run.finished, run.spec) == tuple(
            kept.loc[run.run, ["commit", "device", "finished", "spec"]]
        )
