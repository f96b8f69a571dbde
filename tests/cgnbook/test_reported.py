"""Reported numbers: complete, well formed, and consistent but for the known contradictions."""

import csv
import io
from collections import Counter
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import pytest

from cgnbook import reported
from cgnlib.errors import CGNError

RECORDS = Path(__file__).resolve().parents[2] / "book" / "records"
COLUMNS = ["claim", "table", "row", "column", "metric", "value"]
COLUMNS += ["unit", "spread", "n", "source", "where", "note"]
ORDER = ["claim", "table", "column", "row", "metric", "source", "where"]
CLAIM_OF = {
    "mnist-classification": "claim-3",
    "loss-ablation": "claim-2",
    "shape-bias": "claim-3",
    "backgrounds": "claim-3",
    "cf-count": "claim-3",
    "edge-loss": "claim-1",
    "gradcam-iou": "beyond",
    "ood": "beyond",
    "ensemble-epochs": "claim-3",
    "compute": "compute",
}
SOURCES = {"paper", "talk", "article", "cached", "recomputed", "geirhos2019", "qichenglao2021"}
UNITS = {"%", "fraction", "hours", "minutes", "digits", "score", "runs"}
MNISTS = ["colored", "double_colored", "wildlife"]
SETTINGS = ["original", "gan", "cgn", "original+gan", "original+cgn"]


def read(name):
    with (RECORDS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = read("reported.csv")


def select(**cells):
    return [r for r in ROWS if all(r[k] == v for k, v in cells.items())]


def number(**cells):
    (row,) = select(**cells)
    return float(row["value"])


@pytest.mark.parametrize("name", ["reported.csv", "inconsistencies.csv"])
def test_file_is_plain_csv(name):
    raw = (RECORDS / name).read_bytes()
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8"), newline="")))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    assert out.getvalue().encode() == raw
    assert len(raw) < 300_000
    assert {len(r) for r in rows} == {len(rows[0])}
    assert all(cell == cell.strip() for r in rows for cell in r)


def test_columns_and_closed_lists():
    assert list(ROWS[0]) == COLUMNS
    assert {(r["table"], r["claim"]) for r in ROWS} == set(CLAIM_OF.items())
    assert {r["source"] for r in ROWS} == SOURCES
    assert {r["unit"] for r in ROWS} == UNITS
    data = {*MNISTS, "imagenet", "in-mini", "cf-val", "cue-conflict", "in-9", "mixed-same"}
    data |= {"mixed-rand", "in-a", "in-stylized", "in-sketch", ""}
    assert {r["column"] for r in ROWS} == data
    rows_of = {t: {r["row"] for r in select(table=t)} for t in CLAIM_OF}
    assert rows_of["mnist-classification"] == set(SETTINGS)
    assert rows_of["loss-ablation"] == {"shape", "text", "bg", "rec", "none", "biggan"}


def test_required_cells_and_numbers():
    for r in ROWS:
        assert all(r[c] for c in COLUMNS if c not in {"column", "spread", "n", "note"}), r
        assert r["column"] or r["metric"].startswith("bg_gap") or r["table"] == "compute", r
        top = {"%": 100, "fraction": 1, "digits": 10}.get(r["unit"], float("inf"))
        assert 0 <= float(r["value"]) <= top, r
        assert not r["spread"] or float(r["spread"]) > 0, r
        assert not r["n"] or int(r["n"]) > 0, r


def test_rows_are_sorted_and_unique():
    keys = [tuple(r[c] for c in ORDER) for r in ROWS]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_one_number_per_source_except_known():
    single = [r for r in ROWS if not r["metric"].endswith("_run")]
    count = Counter(tuple(r[c] for c in ORDER[1:-1]) for r in single)
    twice = {cell for cell, k in count.items() if k > 1}
    assert twice == {
        ("shape-bias", "cue-conflict", "in+cgn-shape", "shape_bias", "talk"),  # 54.8 or 57.6
        ("backgrounds", "", "in-mini+cgn", "bg_gap", "recomputed"),  # from talk, from cached
    }


def test_mnist_classification_is_complete():
    cells = [
        (r["row"], r["column"], r["metric"], r["source"])
        for r in select(table="mnist-classification")
        if r["metric"] in {"train_accuracy", "test_accuracy"}
    ]
    metrics = ["train_accuracy", "test_accuracy"]
    expected = product(SETTINGS, MNISTS, metrics, ["paper", "talk", "article", "cached"])
    assert sorted(cells) == sorted(expected)


@pytest.mark.parametrize("metric", ["train_accuracy", "test_accuracy"])
@pytest.mark.parametrize("column", MNISTS)
def test_single_paper_row_stands_under_both_settings(column, metric):
    at = {"table": "mnist-classification", "column": column, "metric": metric, "source": "paper"}
    for kind in ("gan", "cgn"):
        (alone,), (joint,) = select(row=kind, **at), select(row=f"original+{kind}", **at)
        assert alone["value"] == joint["value"]
        assert "just one" in alone["note"] and "just one" in joint["note"]


@pytest.mark.parametrize("table", ["mnist-classification", "loss-ablation"])
def test_talk_and_article_agree_where_no_contradiction_is_known(table):
    def printed(source):
        rows = select(table=table, source=source)
        return {(r["row"], r["column"], r["metric"]): r["value"] for r in rows}

    assert printed("talk") == printed("article") != {}


@pytest.mark.parametrize("column", MNISTS)
def test_five_run_mean_follows_from_the_runs(column):
    at = {"table": "mnist-classification", "row": "cgn", "column": column}
    (row,) = select(metric="test_accuracy_mean", **at)
    runs = [float(r["value"]) for r in select(metric="test_accuracy_run", **at)]
    assert len(runs) == int(row["n"]) == 5
    assert float(row["value"]) == pytest.approx(mean(runs), abs=5.1e-4)
    assert float(row["spread"]) == pytest.approx(stdev(runs), abs=5.1e-4)


def test_gaps_follow_from_accuracies_except_in_the_talk():
    mismatch = []
    for gap in select(metric="bg_gap"):
        cell = {k: gap[k] for k in ("table", "row", "source")}
        if gap["source"] == "recomputed" and not gap["where"].endswith("4064/4050"):
            cell["source"] = gap["where"].split()[0]  # the source whose accuracies were subtracted
        same, rand = (number(column=c, **cell) for c in ("mixed-same", "mixed-rand"))
        if abs(same - rand - float(gap["value"])) > 0.11:
            mismatch.append((gap, same, rand))
    ((gap, same, rand),) = mismatch
    assert (gap["table"], gap["source"], gap["value"]) == ("backgrounds", "talk", "5.0")
    assert (same, rand) == (75.4, 66.7)
    assert "CONTRADICTION" in gap["note"] and "8.7" in gap["note"]


def test_talk_contradicts_itself_on_shape_bias():
    rows = select(table="shape-bias", row="in+cgn-shape", source="talk")
    assert {r["value"] for r in rows} == {"54.8", "57.6"}
    assert all("CONTRADICTION" in r["note"] for r in rows)


def test_article_rounds_cached_epoch_34_and_talk_does_not():
    article = select(row="in-mini+cgn", source="article") + [
        r for r in select(table="shape-bias", source="article") if r["row"] != "in+cgn-shape"
    ]
    for r in article:
        cell = {k: r[k] for k in ("table", "row", "column", "metric")}
        cached = number(source="cached", **cell)
        assert float(r["value"]) == pytest.approx(cached, abs=0.051), r
        assert r["value"] != select(source="talk", **cell)[0]["value"], r
    assert len({(r["table"], r["row"], r["column"], r["metric"]) for r in article}) == 9


def test_epoch_34_is_the_same_in_every_table():
    rows = [r for r in ROWS if r["where"].startswith("epochwise_metrics/epoch_34.pt")]
    for r in rows:
        if r["table"] == "ensemble-epochs" or r["metric"].startswith("bg_gap_"):
            continue
        head = r["row"].removeprefix("in-mini+cgn").lstrip("-")
        default = "shape+text" if r["table"] == "backgrounds" else "avg"
        at = {"row": f"epoch-34-{head or default}", "column": r["column"], "metric": r["metric"]}
        assert number(table="ensemble-epochs", **at) == float(r["value"]), r
    assert {r["table"] for r in rows} == {"ensemble-epochs", "shape-bias", "backgrounds"}


@pytest.mark.parametrize("column", ["in-9", "mixed-same", "mixed-rand"])
def test_in9_correction_is_the_ratio_of_denominators(column):
    at = {"table": "backgrounds", "row": "in-mini+cgn", "column": column}
    wrong, right = number(source="cached", **at), number(source="recomputed", **at)
    assert right == pytest.approx(wrong * 4064 / 4050, abs=0.011)


def test_cf_count_has_every_cell():
    cells = {(r["column"], r["row"]) for r in select(table="cf-count")}
    grid = product(MNISTS, ["1e4", "1e5", "1e6"], ["01", "05", "10", "20"])
    expected = {(d, f"size-{s}-ratio-{k}") for d, s, k in grid if (d, k) != ("colored", "20")}
    assert cells == expected and len(cells) == 33


@pytest.mark.parametrize("row, scale", [("without", 1), ("with-interim", 1), ("with-final", 0.2)])
def test_edge_loss_distribution_sums_to_its_runs(row, scale):
    at = {"table": "edge-loss", "row": row}
    hist = {
        int(r["metric"].split("_")[2]): float(r["value"]) * scale  # final: a percentage of 20 runs
        for r in select(**at)
        if r["metric"].endswith("_usable")
    }
    runs = number(metric="runs", **at)
    assert sum(hist.values()) == pytest.approx(runs)
    digits = sum(k * v for k, v in hist.items()) / runs
    assert number(metric="usable_digits", **at) == pytest.approx(digits, abs=0.0051)


@pytest.mark.parametrize("column, row", list(product(MNISTS, ["original", "cgn"])))
def test_overall_iou_is_near_the_mean_over_classes(column, row):
    at = {"table": "gradcam-iou", "column": column, "row": row, "source": "cached"}
    classes = [number(metric=f"iou_class_{k}", **at) for k in range(10)]
    overall = number(metric="iou", **at)
    assert overall == pytest.approx(mean(classes), abs=0.002)  # classes differ a little in size
    assert number(**at | {"metric": "iou", "source": "recomputed"}) == pytest.approx(
        overall, abs=0.009
    )


def test_inconsistencies_cover_every_entry():
    rows = read("inconsistencies.csv")
    columns = ["id", "topic", "paper", "official_code", "study", "this_book"]
    assert list(rows[0]) == [*columns, "note", "where", "checked"]
    ids = [r["id"] for r in rows]
    assert len(set(ids)) == len(ids)
    kinds = {"code": 25, "hard": 14, "article": 7, "book": 10}
    wanted = {f"{kind}-{k:02d}" for kind, n in kinds.items() for k in range(1, n + 1)}
    assert {i.rstrip("abcdefg") for i in ids} == wanted
    for r in rows:
        assert r["topic"] and r["where"], r
        assert any(r[c] for c in ("paper", "official_code", "study")), r


# --- in the words of the records


@pytest.fixture(scope="module")
def told():
    return reported.numbers()


def test_every_reported_number_has_the_words_of_the_records(told):
    assert len(told) == len(ROWS) and told.notna().all(axis=None)
    assert set(told.source) == {reported.SOURCES.get(name, name) for name in SOURCES}
    assert {reported.as_written(name) for name in told.source} == SOURCES
    assert not (told.unit == "%").any() and told[told.unit == "fraction"].value.between(-1, 1).all()


def test_numbers_are_found_as_those_of_a_run(told):
    """A number of each table, as paper, article or cached files have it"""

    def value(**fixed):
        rows = told
        for column, word in fixed.items():
            rows = rows[rows[column] == word]
        (found,) = rows.value
        return found

    w_mnist = {"variant": "wildlife", "metric": "test_accuracy", "source": "Study"}
    assert value(**w_mnist, train_on="original+cgn", generator="published") == 0.628
    heads = {"table": "shape-bias", "train_on": "real+cgn", "source": "Study", "variant": "in-mini"}
    written = number(row="in-mini+cgn-text", metric="shape_bias", source="article")
    assert value(**heads, metric="texture/shape_bias") == pytest.approx(written / 100)
    grounds = {"table": "backgrounds", "source": "Paper", "variant": "imagenet"}
    plain = number(table="backgrounds", row="in", metric="bg_gap", source="paper")
    assert value(**grounds, train_on="plain", metric="plain/bg_gap") == pytest.approx(plain / 100)
    both = number(table="backgrounds", row="in+cgn", column="mixed-rand", source="paper")
    metric = {"train_on": "real+cgn", "metric": "shape_texture/mixed_rand"}
    assert value(**grounds, **metric) == pytest.approx(both / 100)
    losses = {"table": "loss-ablation", "source": "Paper", "removed": "texture"}
    assert value(**losses, metric="mask_coverage") == number(
        table="loss-ablation", row="text", metric="mask_coverage", source="paper"
    )
    sizes = {"table": "cf-count", "variant": "wildlife", "size": 10_000, "per_shape": 10}
    assert value(**sizes, epochs=10) == pytest.approx(
        number(table="cf-count", row="size-1e4-ratio-10", column="wildlife") / 100
    )
    assert value(table="edge-loss", generator="edge", metric="usable_digits") == 9.65
    overlap = {"table": "gradcam-iou", "source": "Study, cached", "variant": "colored"}
    assert value(**overlap, train_on="cgn", metric="study_iou_7") == 0.5217


def test_a_row_that_no_pattern_fits_is_an_error(monkeypatch):
    monkeypatch.setitem(reported.PATTERNS, "ood", "(?P<metric>never)")
    with pytest.raises(CGNError, match=r"table ood: no pattern .* fits"):
        reported.numbers()
