"""Categories of ImageNet classes: the counts of the sources, slow versions, ties, order."""

import json

import pytest
import torch

from cgnlib.data import categories, public
from cgnlib.data.categories import NINE, SIXTEEN
from cgnlib.errors import CGNError

IN9_COUNTS = (116, 52, 42, 36, 35, 27, 26, 20, 16)
SIXTEEN_COUNTS = (1, 4, 2, 49, 5, 7, 3, 6, 4, 3, 109, 2, 2, 1, 1, 8)


@pytest.fixture
def answers(rng):
    return (4 * torch.randn(200, 1000, generator=rng)).softmax(1)


def one_hot(*classes):
    return torch.eye(1000)[list(classes)]


def decided(probabilities):
    return categories.sixteen(probabilities).argmax(1)


def slow_sixteen(row):
    """The decision rule as the source words it, for one image."""
    best, winner = -1.0, None
    for category, classes in categories.members("sixteen").items():
        mean = sum(row[i].item() for i in classes) / len(classes)
        if mean > best:
            best, winner = mean, SIXTEEN.index(category)
    return winner


def slow_nine(i):
    found = [k for k, classes in enumerate(categories.members("in9").values()) if i in classes]
    return found[0] if found else -1


def test_the_lists_have_the_counts_of_their_sources():
    sixteen, nine = categories.members("sixteen"), categories.members("in9")
    assert tuple(sixteen) == SIXTEEN == tuple(sorted(SIXTEEN))
    assert tuple(len(c) for c in sixteen.values()) == SIXTEEN_COUNTS and len(sixteen) == 16
    assert tuple(nine) == NINE and tuple(len(c) for c in nine.values()) == IN9_COUNTS
    assert sum(IN9_COUNTS) == 370 and len(categories.imagenet_a()) == 200


@pytest.mark.parametrize(
    "name, category, there, not_there",
    [
        ("sixteen", "bird", (8, 20, 83, 145), (7, 9, 17, 84, 97, 134)),
        ("sixteen", "dog", (152, 268), (151, 192, 204, 242, 251, 258, 264, 269)),
        ("sixteen", "car", (436, 511, 817), (468, 751)),  # no taxi, no racing car
        ("sixteen", "bear", (294, 297), (293, 298)),
        ("in9", "dog", (151, 268), (172, 269)),
        ("in9", "fish", (0, 6, 389, 397), (7, 388, 398)),
        ("in9", "carnivore", (269, 280, 299, 387), (281, 285, 300)),  # no domestic cat
        ("in9", "musical instrument", (401, 889), (400, 890)),
    ],
)
def test_classes_at_the_edges_of_a_range(name, category, there, not_there):
    found = set(categories.members(name)[category])
    assert found >= set(there) and not found & set(not_there)


@pytest.mark.parametrize(
    "row, message",
    [
        ({"count": 3, "classes": "1-4"}, r"4 classes of a and says 3"),
        ({"count": 3, "classes": "1, 2, 1"}, r"a class twice"),
        ({"count": 2, "classes": "999, 1000"}, r"not classes of 0 to 999"),
        ({"count": 0, "classes": "9-8"}, r"not classes of 0 to 999"),
        ({"count": 1, "classes": "0-99999999999"}, r"not classes of 0 to 999"),  # more than memory
    ],
)
def test_a_damaged_list_is_refused(tmp_path, monkeypatch, row, message):
    (tmp_path / "damaged.json").write_text(json.dumps({"categories": {"a": row}}))
    monkeypatch.setattr(categories, "FOLDER", tmp_path)
    with pytest.raises(CGNError, match=message):
        categories.members("damaged")


def test_sixteen_equals_its_slow_form(answers):
    found = decided(answers)
    assert found.shape == (200,) and found.dtype == torch.int64
    assert found.tolist() == [slow_sixteen(row) for row in answers]
    assert len(found.unique()) > 5


def test_the_mean_decides_and_not_the_sum():
    p = torch.zeros(1, 1000)
    p[0, list(categories.members("sixteen")["dog"])] = 0.9 / 109
    p[0, 404] = 0.1
    assert SIXTEEN[decided(p)[0]] == "airplane"


def test_a_class_counts_for_its_category():
    found = decided(one_hot(404, 294, 766, 867, 145, 268))
    assert [SIXTEEN[i] for i in found] == ["airplane", "bear", "oven", "truck", "bird", "dog"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_of_equals_wins(dtype):
    uniform = torch.full((3, 1000), 1e-3, dtype=dtype)
    assert decided(uniform).tolist() == [0, 0, 0]
    means = categories.sixteen(uniform)
    assert (means == means[:, :1]).all()  # means over 1 class and over 109 are equal to the bit
    nothing = one_hot(0)  # a fish
    assert decided(nothing).item() == 0 and categories.sixteen(nothing).sum() == 0
    pair = (one_hot(499) + one_hot(766)) / 2
    assert SIXTEEN[decided(pair)[0]] == "knife"


def test_sixteen_knows_neither_batch_nor_order(answers, rng):
    found = decided(answers)
    parts = torch.cat([decided(part) for part in answers.split(7)])
    order = torch.randperm(200, generator=rng)
    assert torch.equal(parts, found) and torch.equal(decided(answers[order]), found[order])


def test_half_precision_answers_are_accepted(answers):
    found = decided(answers.half())
    assert (found == decided(answers)).float().mean() > 0.98


@pytest.mark.parametrize("p", [torch.full((2, 999), 1 / 999), torch.full((1000,), 1e-3)])
def test_sixteen_needs_a_thousand_classes(p):
    with pytest.raises(ValueError, match=r"\[B, 1000\]"):
        decided(p)


@pytest.mark.parametrize("change", [lambda p: p * 2, lambda p: -p, lambda p: p.log()])
def test_sixteen_needs_distributions(answers, change):
    with pytest.raises(ValueError, match="sum to 1"):
        decided(change(answers))
    answers[3, 5], answers[3, 6] = -0.1, answers[3, 5] + answers[3, 6] + 0.1  # it sums to 1
    with pytest.raises(ValueError, match="is negative"):
        decided(answers)
    answers[3, 5] = float("nan")
    with pytest.raises(ValueError, match="sum to 1"):
        decided(answers)


def test_nine_equals_its_slow_form(rng):
    every = torch.arange(1000)
    found = categories.nine(every)
    assert found.dtype == torch.int64 and found.tolist() == [slow_nine(i) for i in range(1000)]
    assert (found == -1).sum() == 630
    assert tuple((found == k).sum().item() for k in range(9)) == IN9_COUNTS
    order = torch.randperm(1000, generator=rng)
    assert torch.equal(categories.nine(order), found[order])
    assert torch.equal(torch.cat([categories.nine(part) for part in every.split(13)]), found)
    assert categories.nine(torch.tensor([], dtype=torch.int64)).shape == (0,)


def test_nine_maps_known_classes():
    found = categories.nine(torch.tensor([207, 9, 817, 281, 985]))
    assert found.tolist() == [0, 1, 2, -1, -1]


@pytest.mark.parametrize(
    "classes", [torch.tensor([1000]), torch.tensor([-1]), torch.tensor([1.0]), torch.zeros(2, 9)]
)
def test_nine_needs_imagenet_classes(classes):
    with pytest.raises(ValueError, match=r"outside 0 to 999|needs \[B\] integers"):
        categories.nine(classes)


def test_imagenet_a_is_in_order():
    found = categories.imagenet_a()
    assert torch.equal(found, found.unique()) and found[[0, -1]].tolist() == [6, 988]
    assert found[[38, 78, 159]].tolist() == [207, 404, 820]  # places in the published table


def test_wordnet_is_the_table_of_the_package():
    from pytorch_pretrained_biggan.utils import IMAGENET

    ids = categories.wordnet()
    assert len(ids) == 1000 and ids[0] == "n01440764" and ids[404] == "n02690373"
    assert {int(name[1:]): i for i, name in enumerate(ids)} == IMAGENET


@pytest.mark.parametrize("ids", [["n01440764"], ["n00000001 " * 1000]])
def test_a_damaged_list_of_ids_is_refused(ids, tmp_path, monkeypatch):
    (tmp_path / "wordnet.json").write_text(json.dumps({"ids": ids}))
    monkeypatch.setattr(categories, "FOLDER", tmp_path)
    with pytest.raises(CGNError, match=r"1,000 classes in order.*install the package"):
        categories.wordnet.__wrapped__()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"ids": 3}', b'{"categories": 0}']
)
def test_a_list_of_another_form_is_one_line(content, tmp_path, monkeypatch):
    monkeypatch.setattr(categories, "FOLDER", tmp_path)
    for name, read in (
        ("wordnet", categories.wordnet.__wrapped__),
        ("sixteen", lambda: categories.members.__wrapped__("sixteen")),
        ("cue_conflict", public.stimuli.__wrapped__),
    ):
        with pytest.raises(CGNError, match=rf"{name}\.json is damaged .*install the package again"):
            read()  # nothing is there
        (tmp_path / f"{name}.json").write_bytes(content)
        with pytest.raises(CGNError, match=rf"{name}\.json is damaged .*install the package again"):
            read()


def test_a_list_of_another_category_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(categories, "FOLDER", tmp_path)
    monkeypatch.setattr(categories, "members", categories.members.__wrapped__)
    (tmp_path / "imagenet_a.json").write_text('{"categories": {}}')
    with pytest.raises(CGNError, match=r"imagenet_a\.json is damaged .*install the package again"):
        categories.imagenet_a()
