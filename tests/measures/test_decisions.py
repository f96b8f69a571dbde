"""Decisions: what is read is what was written, and the numbers read off the table."""

import csv
import math
import time

import numpy as np
import pytest
import torch

from cgnlib.data.categories import SIXTEEN
from cgnlib.errors import CGNError
from cgnlib.measures import decisions
from cgnlib.measures.decisions import (
    bg_gap,
    build,
    cue_shares,
    join,
    read,
    shape_bias,
    top1,
    top5,
    write,
)

HEADER = "subj,session,trial,rt,object_response,category,condition,imagename\n"


def stimuli(n, rng):
    """Shapes, textures and names in the field's form; the numbers have one digit or two."""
    draws = torch.randint(16, (2, n), generator=rng).tolist()
    shapes, textures = ([SIXTEEN[i] for i in row] for row in draws)
    pairs = enumerate(zip(shapes, textures, strict=True), start=1)
    names = [f"{i:04}_s5n_dnn_0_{s}_00_{s}{1 + i % 10}-{t}{7 + i % 6}.png" for i, (s, t) in pairs]
    return shapes, textures, names


@pytest.fixture
def chosen(rng):
    """Makes the decisions of a chooser: a function of shape and texture."""

    def make(choose, n=400, **extra):
        shapes, textures, names = stimuli(n, rng)
        responses = [choose(s, t) for s, t in zip(shapes, textures, strict=True)]
        return build("net", "0", names, shapes, responses, **extra)

    return make


@pytest.fixture
def mixed(rng):
    """Decisions for shape, texture or anything."""
    shapes, textures, names = stimuli(600, rng)
    anything = [SIXTEEN[i] for i in torch.randint(16, (600,), generator=rng).tolist()]
    which = torch.randint(3, (600,), generator=rng).tolist()
    responses = [row[k] for k, *row in zip(which, shapes, textures, anything, strict=True)]
    ranks = torch.randint(1, 17, (600,), generator=rng).tolist()
    return build("net", "0", names, shapes, responses, rank=ranks)


def accurate(condition, n, right):
    """n decisions of which the first `right` are."""
    responses = ["dog"] * right + ["fish"] * (n - right)
    return build("net", condition, [f"{i}.png" for i in range(n)], ["dog"] * n, responses)


def same(a, b):
    return a.columns.keys() == b.columns.keys() and all(
        np.array_equal(a[name], b[name], equal_nan=name == "rt") for name in a.columns
    )


def slow_shape_bias(table):
    """The measure as the source words it, an image at a time."""
    n_shape = n_texture = n = 0
    for name, shape, response in zip(
        table["imagename"], table["category"], table["object_response"], strict=True
    ):
        texture = str(name).split("-")[-1].split(".")[0].rstrip("0123456789")
        if texture == shape:
            continue
        n += 1
        n_shape += bool(response == shape)
        n_texture += bool(response == texture)
    return n_shape / (n_shape + n_texture), n_shape, n_texture, n


def slow_wilson(k, n):
    """The interval by its definition: shares whose score test does not reject k of n."""
    grid = np.linspace(1e-6, 1 - 1e-6, 200_001)
    kept = grid[np.abs(k / n - grid) <= 1.959964 * np.sqrt(grid * (1 - grid) / n)]
    return kept[0], kept[-1]


def test_what_is_read_is_what_was_written(tmp_path, mixed):
    path = tmp_path / "decisions.csv"
    write(path, mixed)
    assert same(read(path), mixed) and [p.name for p in tmp_path.iterdir()] == ["decisions.csv"]
    assert path.read_text().startswith(HEADER.strip() + ",rank\nnet,1,1,NaN,")
    before = path.read_bytes()
    write(path, read(path))
    assert path.read_bytes() == before
    for name in ("session", "trial", "rank"):
        assert mixed[name].dtype == np.int64
    assert mixed["trial"].tolist() == list(range(1, 601)) and np.isnan(mixed["rt"]).all()


def test_awkward_words_and_our_columns_come_back(tmp_path):
    words = ['a "b", c', "wheeled vehicle", "na", "été"]
    extra = {"rank": [1, 2, 3, 1000], "texture": words, "background": words}
    table = build("net, v2", "mixed_same", words, words, words[::-1], **extra)
    write(tmp_path / "d.csv", table)
    assert same(read(tmp_path / "d.csv"), table)
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == [*decisions.COLUMNS, *decisions.EXTRA]


def test_a_table_is_replaced_whole_or_not_at_all(tmp_path, mixed, monkeypatch):
    path = tmp_path / "decisions.csv"
    write(path, mixed)
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write(path, mixed.where(condition="0").rows(np.arange(3)))
    assert path.read_bytes() == before


def test_a_published_file_is_read(tmp_path):
    path = tmp_path / "cue-conflict_subject-01_session_1.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + b'"subj","Session","trial","rt","object_response","category",'
        b'"condition","imagename","hand"\r\n'
        b'"subject-01",2,1,0.7964,"oven","cat","0","0001_cl_s01_0_cat_00_cat10-oven12.png","left"\r\n'
        b'"subject-01",2,2,NaN,"na","cat","0","0002_cl_s01_0_cat_00_cat4-dog3.png","left"\r\n'
        b'"subject-01",2,3,NA,"cat","cat","0","0003_cl_s01_0_cat_00_cat7-truck1.png",""\r\n'
        b'"subject-01",2,4,,"cat","cat","0","0004_cl_s01_0_cat_00_cat7-cat1.png",""'
    )
    found = read(path)
    assert tuple(found.columns) == decisions.COLUMNS and len(found) == 4
    assert found["session"].tolist() == [2] * 4 and found["rt"][0] == 0.7964
    assert np.isnan(found["rt"][1:]).all() and found["object_response"][1] == "na"
    assert decisions.textures(found).tolist() == ["oven", "dog", "truck", "cat"]
    assert shape_bias(found)[3:] == (1, 1, 3) and top1(found) == 0.5


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"lacks the columns subj, session, trial, rt, object_response"),
        (HEADER.replace(",condition", ""), r"lacks the columns condition: "),
        (HEADER + "a,1,1,NaN,dog,dog,0,x.png\na,1,2,NaN,dog\n", r"line 3 has 5 fields and not 8"),
        (HEADER + "a,1,1,NaN,dog,dog,0,x.png,1\n", r"line 2 has 9 fields and not 8"),
        (HEADER + "a,1,one,NaN,dog,dog,0,x.png\n", r"does not fit: .*'one'"),
        (HEADER + "a,1,1,soon,dog,dog,0,x.png\n", r"does not fit: .*'soon'"),
        (HEADER.strip() + ",rank\na,1,1,NaN,dog,dog,0,x.png,0\n", r"does not fit: a rank is below"),
    ],
)
def test_a_damaged_file_is_told_in_a_line(tmp_path, text, message):
    path = tmp_path / "decisions.csv"
    path.write_text(text)
    with pytest.raises(CGNError, match=message) as told:
        read(path)
    assert "\n" not in str(told.value) and str(path) in str(told.value)


def test_a_file_that_is_missing_or_no_text_is_told(tmp_path):
    with pytest.raises(CGNError, match=r"none\.csv cannot be read"):
        read(tmp_path / "none.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(CGNError, match=r"image\.csv cannot be read"):
        read(tmp_path / "image.csv")


def test_a_file_without_rows_is_a_table_without_decisions(tmp_path):
    (tmp_path / "d.csv").write_text(HEADER)
    found = read(tmp_path / "d.csv")
    assert len(found) == 0
    with pytest.raises(ValueError, match="no decision to count"):
        top1(found)


def test_fifty_thousand_rows_are_quick(tmp_path, rng):
    n = 50_000
    shapes, _, names = stimuli(n, rng)
    table = build("net", "val", names, shapes, shapes, rank=[1] * n)
    start = time.process_time()
    write(tmp_path / "d.csv", table)
    assert len(read(tmp_path / "d.csv")) == n
    assert time.process_time() - start < 10  # about 0.4 s; a row at a time into numpy takes minutes


def test_tables_are_checked_as_they_are_made(mixed):
    with pytest.raises(ValueError, match="differ in length"):
        build("net", "0", ["a.png", "b.png"], ["dog"], ["dog", "cat"])
    with pytest.raises(ValueError, match="below 1"):
        build("net", "0", ["a.png"], ["dog"], ["dog"], rank=[0])
    with pytest.raises(ValueError, match="lacks imagename"):
        columns = {k: v for k, v in mixed.columns.items() if k != "imagename"}
        decisions.Table(columns)


def test_where_keeps_rows_of_a_subject_and_a_condition():
    tables = [accurate("a", 4, 1), accurate("b", 4, 3)]
    other = accurate("b", 4, 0)
    other.columns["subj"][:] = "two"
    table = join([*tables, other])
    assert len(table.where(subj="net")) == 8 and len(table.where(condition="b")) == 8
    assert same(table.where(subj="net", condition="b"), tables[1])
    assert same(table.where(subj="two"), other) and table.where() is table
    with pytest.raises(CGNError, match=r"no decision has the subj 'three': choose net, two"):
        table.where(subj="three")
    with pytest.raises(CGNError, match=r"no decision has the condition 'a': choose b"):
        table.where(subj="two", condition="a")


def test_joined_tables_have_the_same_columns(mixed):
    assert len(join([mixed, mixed])) == 1200
    for tables in ([], [mixed, accurate("0", 2, 1)]):
        with pytest.raises(ValueError, match="same columns"):
            join(tables)


def test_accuracies_count_right_decisions(mixed):
    assert top1(accurate("0", 8, 2)) == 0.25
    right = sum(map(str.__eq__, mixed["object_response"].tolist(), mixed["category"].tolist()))
    assert top1(mixed) == right / 600
    ranks = mixed["rank"].tolist()
    assert top5(mixed) == sum(r in (1, 2, 3, 4, 5) for r in ranks) / 600
    with pytest.raises(CGNError, match="no column 'rank'"):
        top5(accurate("0", 8, 2))


def test_bg_gap_is_a_difference_of_accuracies():
    same_, rand = accurate("mixed_same", 8, 6), accurate("mixed_rand", 8, 4)
    assert bg_gap(join([same_, rand, accurate("original", 3, 0)])) == 0.25
    assert bg_gap(join([accurate("mixed_same", 8, 1), rand])) == -0.375
    with pytest.raises(CGNError, match=r"condition 'mixed_rand': choose mixed_same"):
        bg_gap(same_)
    with pytest.raises(CGNError, match=r"condition 'mixed_same': choose mixed_rand"):
        bg_gap(rand)
    with pytest.raises(ValueError, match="7 images of mixed_same and 8 of mixed_rand"):
        bg_gap(join([accurate("mixed_same", 7, 6), rand]))


def test_shape_bias_equals_its_slow_form(mixed, rng):
    found = shape_bias(mixed)
    value, *counts = slow_shape_bias(mixed)
    assert found.value == value and list(found[3:]) == counts and found.n < 600
    assert 0 < found.low < value < found.high < 1
    assert found[1:3] == pytest.approx(slow_wilson(found.n_shape, sum(found[3:5])), abs=1e-4)
    order = torch.randperm(600, generator=rng).numpy()
    assert shape_bias(mixed.rows(order)) == found


def test_a_chooser_of_one_cue_is_at_the_end_of_the_scale(chosen):
    of_shape, of_texture = chosen(lambda s, t: s), chosen(lambda s, t: t)
    assert shape_bias(of_shape).value == 1 and shape_bias(of_texture).value == 0
    assert shape_bias(of_shape).n_texture == 0 and shape_bias(of_shape).high == 1
    assert shape_bias(of_texture).low == 0 and 0 < shape_bias(of_texture).high < 0.02
    assert cue_shares(of_shape) == {"shape": 1, "texture": 0, "neither": 0}
    assert cue_shares(of_texture) == {"shape": 0, "texture": 1, "neither": 0}


def test_more_decisions_for_shape_raise_the_bias_and_more_for_neither_do_not():
    names = [f"cat{i}-dog{i}.png" for i in range(10)]
    biases = [
        shape_bias(build("n", "0", names, ["cat"] * 10, ["cat"] * k + ["dog"] * (10 - k))).value
        for k in range(11)
    ]
    assert biases == pytest.approx([k / 10 for k in range(11)])
    half = build("n", "0", names, ["cat"] * 10, ["cat", "dog"] + ["oven"] * 8)
    assert shape_bias(half).value == 0.5 and shape_bias(half).n == 10


def test_same_category_images_are_dropped():
    names = ["cat1-cat2.png", "cat10-dog11.png", "cat3-oven3.png"]
    table = build("n", "0", names, ["cat"] * 3, ["cat", "dog", "cat"])
    assert shape_bias(table)[3:] == (1, 1, 2) and top1(table) == 2 / 3
    assert cue_shares(table) == {"shape": 0.5, "texture": 0.5, "neither": 0}


def test_an_undefined_bias_is_an_error(chosen):
    with pytest.raises(ValueError, match="undefined"):
        shape_bias(chosen(lambda s, t: "na"))
    with pytest.raises(ValueError, match="undefined"):
        cue_shares(build("n", "0", ["cat1-cat2.png"], ["cat"], ["cat"]))


def test_two_of_twenty_has_the_wilson_interval_of_the_literature():
    assert decisions.wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert decisions.wilson(2, 20) == pytest.approx((0.0279, 0.3010), abs=5e-5)
    low, high = decisions.wilson(7, 20)
    assert decisions.wilson(13, 20) == pytest.approx((1 - high, 1 - low))
    assert decisions.wilson(20, 20)[1] == 1 and not math.isnan(decisions.wilson(1, 1)[0])
    for k, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="no share"):
            decisions.wilson(k, n)


@pytest.mark.parametrize(
    "name, texture",
    [
        ("0001_s5n_dnn_0_airplane_00_airplane1-bicycle2.png", "bicycle"),
        ("0001_s5n_subject-01_0_cat_00_cat10-oven12.png", "oven"),
        ("airplane10-airplane1.png", "airplane"),
        ("x-ray3-dog10.JPEG", "dog"),
    ],
)
def test_the_texture_is_behind_the_last_dash(name, texture):
    assert decisions.textures(build("n", "0", [name], ["cat"], ["cat"])).tolist() == [texture]


@pytest.mark.parametrize(
    "name", ["cat1.png", "0001_subject-01_oven.png", "cat1-.png", "cat-12.png"]
)
def test_a_name_without_a_texture_needs_the_column(name):
    with pytest.raises(CGNError, match="tells no texture"):
        shape_bias(build("n", "0", [name], ["cat"], ["cat"]))
    told = build("n", "0", [name], ["cat"], ["dog"], texture=["dog"])
    assert shape_bias(told).value == 0


def test_cue_shares_with_backgrounds_equal_their_slow_form(rng):
    draws = torch.randint(6, (4, 500), generator=rng).tolist()
    shapes, textures, grounds, responses = ([SIXTEEN[i] for i in row] for row in draws)
    names = [f"{i}.png" for i in range(500)]
    table = build("n", "0", names, shapes, responses, texture=textures, background=grounds)
    counts = dict.fromkeys(("shape", "texture", "background", "neither"), 0)
    for s, t, b, r in zip(shapes, textures, grounds, responses, strict=True):
        if len({s, t, b}) == 3:
            counts[{s: "shape", t: "texture", b: "background"}.get(r, "neither")] += 1
    n = sum(counts.values())
    found = cue_shares(table)
    assert found == pytest.approx({k: v / n for k, v in counts.items()}) and 0 < n < 500
    assert sum(found.values()) == pytest.approx(1) and min(found.values()) > 0
