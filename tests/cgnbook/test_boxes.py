"""The box under every figure and table of the book, and how it is made."""

import base64
import gzip
import hashlib
import io
import re
import zipfile

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup, Tag
from PIL import Image

import guard
from cgnbook import boxes as evidence
from cgnbook import drawing, drawn, names, records, reported
from cgnlib import experiments
from cgnlib.errors import CGNError
from sources import ROOT, notebooks, source_of, tags

NOTEBOOKS = [path for path in notebooks(ROOT) if path.exists()]
BADGES = {*experiments.PROFILES, "reported", "no run"}


def markup(cell, kind: str = "text/html") -> str:
    """The HTML that a cell shows."""
    found = (output.get("data", {}).get(kind, "") for output in cell.outputs)
    return "\n".join("".join(part) for part in found)


def shown(path) -> list:
    """Name, HTML and cell of everything on a page that is a figure, a table, or is called one."""
    cells = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "remove-cell" in tags(cell):
            continue
        of = cell.metadata.get("mystnb", {}).get("figure", {})
        pictures = any("image/png" in output.get("data", {}) for output in cell.outputs)
        if of or pictures or "<table" in markup(cell):
            cells.append((of.get("name", ""), of.get("caption", ""), cell))
    return cells


EVERY = [(path.stem, *found) for path in NOTEBOOKS for found in shown(path)]
EACH = pytest.mark.parametrize(
    ("chapter", "name", "caption", "cell"), EVERY, ids=[f"{e[0]}-{e[1]}" for e in EVERY]
)


def box_of(cell, kind: str = "text/html") -> Tag:
    boxes = BeautifulSoup(markup(cell, kind), "html.parser").select("details.evidence")
    assert len(boxes) == 1, cell.source
    return boxes[0]


def content_of(link: Tag) -> tuple[str, bytes]:
    """The kind of a file that a link downloads, and its bytes."""
    kind, data = re.fullmatch(r"data:([\w/]+);base64,(.*)", link["href"]).groups()
    return kind, base64.b64decode(data)


def file_of(link: Tag) -> pd.DataFrame:
    """The table that a link downloads, as text."""
    kind, content = content_of(link)
    assert link["download"].endswith(".csv.gz" if kind == "application/gzip" else ".csv")
    content = gzip.decompress(content) if kind == "application/gzip" else content
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def pictures_of(box: Tag) -> dict[str, np.ndarray]:
    """The pixels of the pictures that a box offers, by name; none where it has none."""
    found = {}
    for link in box.select('a[href^="data:application/zip"]'):
        with zipfile.ZipFile(io.BytesIO(content_of(link)[1])) as opened:
            for name in opened.namelist():
                found[name.removesuffix(".png")] = np.asarray(Image.open(opened.open(name)))
    return found


def cell_called(name: str):
    return next(cell for _, found, _, cell in EVERY if found == name)


def test_the_book_has_figures_and_tables():
    kinds = [name[:4] for _, name, _, _ in EVERY]
    assert kinds.count("fig-") >= 20 and kinds.count("tab-") >= 50


@EACH
def test_each_has_a_caption_and_a_name_of_its_own(chapter, name, caption, cell):
    assert re.fullmatch(r"(fig|tab)-[a-z0-9-]+", name), cell.source
    assert caption.endswith(".")
    assert [other for _, other, _, _ in EVERY].count(name) == 1
    assert ("<table" in markup(cell)) == name.startswith("tab-")


@EACH
def test_each_says_at_which_scale(chapter, name, caption, cell):
    box = box_of(cell)
    badges = {badge.text for badge in box.summary.select(".profile-badge")}
    assert badges
    words = {badge.partition(",")[0] for badge in badges}
    assert words <= BADGES
    # the words for a scale are the classes that give it its colour
    for badge in box.summary.select(".profile-badge"):
        word = badge.text.partition(",")[0]
        assert f"scale-{word if word in experiments.PROFILES else 'none'}" in badge["class"]
    for link in box.select("a"):
        scales = link["download"].partition(".")[0].split("-")
        assert words & set(experiments.PROFILES) <= set(scales)


@EACH
def test_each_offers_its_data(chapter, name, caption, cell):
    table = BeautifulSoup(markup(cell), "html.parser").table
    data = file_of(box_of(cell).select_one("a"))
    assert len(data)
    if table is None:
        assert list(data.columns) == drawn.COLUMNS
        return
    head, *rows = [
        [" ".join(cell.stripped_strings) for cell in row.select("th, td")]
        for row in without_print(table).select("tr")
    ]
    assert head == list(data.columns)
    printed = [[re.sub(r"\s+", " ", value).strip() for value in row] for row in rows]
    kept = [[re.sub(r"\s+", " ", value).strip() for value in row] for row in data.values.tolist()]
    for mine, theirs in zip(printed, kept, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            linked = a.endswith(" evidence") and a.startswith(f"{b} ")  # of the scorecard
            if not (linked or b in (a, a.replace("−", "-"), TRUTH.get(a))):
                assert float(a.replace(",", "")) == pytest.approx(float(b), abs=1e-4)  # rounded


TRUTH = {"yes": "True", "no": "False"}


def without_print(table):
    """A table without what is there for the eye: places to break at, letters set lower."""
    for tag in table.select("wbr, i, sub"):
        if tag.name == "sub":
            tag.insert_before("_")
        tag.unwrap()
    table.smooth()
    return table


# Their pictures would make a notebook of a megabyte and more: the chapter draws them again.
TOO_LARGE = {
    "fig-imagenet-panels",
    "fig-interventions",
    "fig-menagerie",
    "fig-menagerie-biggan",
    "fig-menagerie-splits",
    "fig-tests",
    "fig-textures",
}
# Their pictures are tracked with the records of the reference run.
KEPT = {
    "fig-ablation-reference",
    "fig-imagenet-counterfactuals-reference",
    "fig-imagenet-panels-reference",
    "fig-samples-reference",
}


@EACH
def test_each_offers_its_pictures(chapter, name, caption, cell):
    box = box_of(cell)
    data, pictures = file_of(box.a), pictures_of(box)
    if "series" not in data:
        assert not pictures
        return
    wanted = set(data.value[data.series == "picture"])
    if name in KEPT:
        assert not pictures and f"{len(wanted)}, in the folders named above" in box.text
        assert "book/records/samples/" in box.text
        return
    if name in TOO_LARGE:
        assert not pictures and f"{len(wanted)}, not carried here for their size" in box.text
        return
    assert set(pictures) == wanted and "not carried" not in box.text
    for digest, pixels in pictures.items():
        assert hashlib.sha256(pixels.tobytes()).hexdigest().startswith(digest)


@EACH
def test_each_names_runs_that_are_declared_and_a_command(chapter, name, caption, cell):
    box = box_of(cell)
    facts = {dt.text: dt.find_next_sibling("dd").get_text(" ") for dt in box.select("dt")}
    commands = [code.text for code in box.select("dt:last-of-type + dd code")]
    assert commands[0] == "python book/_press/execute.py"  # the build adds chapter and profile
    links = box.select('a:not([href^="data:application/zip"])')
    if len(links) == 1:
        assert any(
            fact.startswith(("Made by", "Declared", "Reported", "Profile")) for fact in facts
        )
        return
    runs = file_of(links[1])
    assert list(runs.columns) == [*evidence.RUN, "role"] and (runs.role == "shown").any()
    assert (runs[runs.role == "shown"] != "").all(axis=None)
    for profile, of in runs.groupby("profile"):
        declared = {run.id for run in experiments.with_needs(experiments.grid(profile))}
        assert set(of.run) <= declared
        assert any(f"run --profile {profile} " in line for line in commands[1:])
    for fact in ("Runs", "Seeds", "Commit", "Device", "Wall time", "Versions"):
        assert any(term.startswith(f"{fact} (") for term in facts), fact
    said = " ".join(text for term, text in facts.items() if term.startswith("Versions"))
    for version in {*runs.python, *runs.torch} - {""}:
        assert version in said


GLUED = "application/papermill.record/text/html"
SUMMARIES = [path for path in NOTEBOOKS if "## At a glance" in source_of(path).read_text()]


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.stem)
def test_a_summary_has_a_box_with_every_run_behind_its_verdicts(path):
    text = source_of(path).read_text()
    assert re.search(r"^\| \| \|\n(\|.*\n)+\n```\{glue:\} at-a-glance\n```$", text, re.M)
    cells = nbformat.read(path, as_version=4).cells
    (glued,) = [c for c in cells if re.search(r'glue\("at-a-glance"|page\.summary\(', c.source)]
    box = box_of(glued, GLUED)
    assert box.summary.span.text == "Data and provenance of this summary"
    data, runs = map(file_of, box.select("a"))
    claim = re.search(r'experiments\.grid\(profile, "([\w-]+)"\)', text)[1]
    named = set(runs[runs.role == "shown"].run)
    assert set(data.run) - {""} == named
    assert {run.id for run in experiments.grid("mini", claim)} <= named
    kept = records.path_of(claim, "full")
    assert (f"book/records/{kept.name}" in box.text) == kept.exists()
    told = re.search(r"study's numbers|`(paper|study)-", text.partition("```{code-cell}")[0])
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


# --- the numbers are those of the records


def test_the_figure_of_robustness_has_the_numbers_of_its_sources():
    data = file_of(box_of(cell_called("fig-robustness")).select_one("a"))
    told = reported.table("mnist-classification", metric="test_accuracy")
    for source, name in (("paper", "Paper"), ("article", "Study")):
        rows = data[data.series == name]
        want = {
            (names.NAMES[r.column], names.SETTINGS[r.row], float(r.value))
            for r in told[told.source == source].itertuples()
        }
        assert {(r.panel, r.y, float(r.x)) for r in rows.itertuples()} == want
    kept = records.read("claim-3-mnist", "full")
    of_ours = kept.train_on.str.endswith("cgn") & (kept.generator != "published")
    kept = kept[(kept.metric == "test_accuracy") & ~of_ours]
    want = sorted(round(100 * float(v), 3) for v in kept.value)
    rows = data[data.series == "Reference run"]
    assert sorted(round(float(x), 3) for x in rows.x) == want
    here = data[data.series == "This run"]
    assert len(here) == len(experiments.grid("mini", "claim-3-mnist"))


def test_the_runs_of_the_reference_have_the_facts_of_the_record():
    runs = file_of(box_of(cell_called("tab-overlap-reference")).select("a")[1])
    kept = records.read("explanations", "full").drop_duplicates("run").set_index("run")
    for run in runs[runs.role == "shown"].itertuples():
        assert (run.commit, run.device, run.finished, run.spec) == tuple(
            kept.loc[run.run, ["commit", "device", "finished", "spec"]]
        )


# --- one box


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
FRAME = pd.DataFrame([RUN, RUN], columns=evidence.RUN).assign(
    run=["classifier-colored-original-s0", "classifier-colored-original-s1"],
    seed=[0, 1],
    seconds=[90.0, 30.0],
)
DATA = pd.DataFrame({"a": ["<b>"], "b": [1]})


def parsed(*sources, data=DATA) -> Tag:
    return BeautifulSoup(evidence.box("name", data, *sources), "html.parser").details


def facts(box: Tag) -> dict[str, str]:
    return {dt.text: dt.find_next_sibling("dd").text for dt in box.select("dt")}


def test_a_box_has_the_facts_of_its_runs():
    found = facts(parsed(FRAME))
    assert found["Runs (mini)"] == "2: classifier-colored-original-s0, s1"
    assert found["Seeds (mini)"] == "0, 1"
    assert found["Device (mini)"] == "a <CPU>"
    assert found["Wall time (mini)"].startswith("2 min in all, 90 s the longest run")
    assert "--profile mini classifier-colored-original-s0" in found["Make it again"]
    assert found["Versions (mini)"] == "Python 3.11, torch 2.14"
    assert "Tracked in (mini)" not in found


def test_a_tracked_record_is_a_reference_run():
    tracked = FRAME.assign(profile="full")
    tracked.attrs["tracked"] = "claim-full.csv"
    box = parsed(tracked[tracked.seed == 0], FRAME)
    assert [badge.text for badge in box.select(".profile-badge")] == ["full, reference run", "mini"]
    assert facts(box)["Tracked in (full, reference run)"] == "book/records/claim-full.csv"
    assert box.a["download"] == "name-full-mini.csv"


def test_records_know_that_they_are_tracked():
    rows = records.read("claim-3-mnist", "full")
    assert rows[rows.metric == "test_accuracy"].attrs == {"tracked": "claim-3-mnist-full.csv"}


def test_declared_runs_reported_numbers_and_sentences_have_their_own_badges():
    grid = experiments.grid("mini", "claim-1-mnist")
    told = reported.table("shape-bias")
    box = parsed(grid, told, "`cgnlib.x`, seed 3", experiments.profile("paper"))
    badges = [badge.text for badge in box.select(".profile-badge")]
    assert badges == ["mini, declared", "reported", "no run", "paper, declared"]
    assert box.select_one("dd code").text == "cgn-colored-s0"  # what a run needs comes first
    assert facts(box)["Made by"] == "cgnlib.x, seed 3"
    assert "table shape-bias" in facts(box)["Reported"]


def test_a_claim_stands_for_its_runs():
    assert evidence._targets("mini", ["one"]) == "one"
    claim = [run.id for run in experiments.grid("mini", "claim-3-mnist")]
    assert evidence._targets("mini", claim) == "claim-3-mnist"
    assert evidence._targets("mini", [*claim, "one"]) == "claim-3-mnist one"


def test_data_come_back_as_they_were_and_large_ones_packed():
    assert file_of(parsed().a).values.tolist() == [["<b>", "1"]]
    large = pd.DataFrame({"a": np.arange(20_000)})
    link = parsed(data=large).a
    assert link["download"] == "name-drawn.csv.gz"
    assert file_of(link)["a"].astype(int).tolist() == list(range(20_000))


def test_a_box_alone_is_nothing_that_nbval_checks():
    def cell(markup):
        output = nbformat.v4.new_output("execute_result", {"text/html": markup})
        return nbformat.v4.new_code_cell("show()", outputs=[output])

    assert not guard.is_checked(cell(evidence.box("name", DATA, FRAME)))
    assert guard.is_checked(cell("<table></table>" + evidence.box("name", DATA, FRAME)))


# --- what a figure shows


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    axis.set(title="panel", xlabel="across", ylabel="down")
    yield axis
    plt.close(figure)


def rows(axis) -> list[list]:
    table = drawn.table(axis.figure)
    assert (table[["panel", "x_axis", "y_axis"]] == ["panel", "across", "down"]).all(axis=None)
    return table[["series", "x", "y", "value"]].values.tolist()


def test_marks_have_the_series_of_the_legend_and_the_words_of_an_axis(axis):
    axis.plot([1, 2], [0.1, 0.9], "o", color="C1", label="one")
    axis.plot([3], [1.1], "o", color="C1")  # looks as the first does
    axis.axvline(10)
    axis.set_yticks([0, 1], ["low", "high"])
    axis.legend()
    assert rows(axis) == [["one", 1, "low", ""], ["one", 2, "high", ""], ["one", 3, "high", ""]]


def test_points_bars_and_cells_have_their_values(axis):
    axis.scatter([1], [2], label="points")
    axis.barh([4], [3], left=[1], label="bar")
    axis.pcolormesh([[5.0, 6.0]])
    assert rows(axis) == [
        ["bar", 1, 4, 3], ["points", 1, 2, ""], ["", 0.5, 0.5, 5], ["", 1.5, 0.5, 6],
    ]  # fmt: skip


def test_pictures_are_told_apart_by_their_pixels(axis):
    images = np.zeros((1, 3, 4, 4, 3), np.uint8)
    images[0, 1] = 200
    drawing.tile(axis, images)
    axis.set_yticks([2], ["row"])
    found = rows(axis)
    assert [line[:3] for line in found] == [["picture", c, "row"] for c in range(3)]
    assert found[0][3] == found[2][3] != found[1][3]


def test_pictures_come_back_as_they_were_and_in_the_same_bytes(axis):
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 5, 3), np.uint8)
    drawing.tile(axis, images)
    table, pictures = drawn.table(axis.figure), drawn.pictures(axis.figure)
    markup = evidence.box("name", table, pictures=pictures)
    found = pictures_of(BeautifulSoup(markup, "html.parser"))
    assert list(found) == list(table.value)
    assert np.array_equal(list(found.values()), images.reshape(4, 4, 5, 3))
    assert evidence.box("name", table, pictures=pictures) == markup


def test_large_pictures_are_not_carried(axis):
    drawing.tile(axis, np.random.default_rng(0).integers(0, 256, (1, 2, 300, 300, 3), np.uint8))
    box = BeautifulSoup(
        evidence.box("name", drawn.table(axis.figure), pictures=drawn.pictures(axis.figure)),
        "html.parser",
    )
    assert not pictures_of(box)
    assert facts(box)["Pictures"].startswith("2, not carried here for their size (0.5 MB)")


def test_a_summary_offers_the_rows_of_all_its_sources():
    told = reported.table("shape-bias")
    box = BeautifulSoup(evidence.behind("name", FRAME, FRAME, told).markup, "html.parser")
    data = file_of(box.a)
    assert len(data) == 2 + len(told)
    assert data.run.tolist()[:3] == [*FRAME.run, ""] and data.row.tolist()[2:] == list(told.row)


def test_an_empty_figure_is_an_error(axis):
    with pytest.raises(CGNError, match="empty"):
        drawn.table(axis.figure)
