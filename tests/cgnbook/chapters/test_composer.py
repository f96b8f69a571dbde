"""The composer's page carries what was computed, and nothing that a page must not."""

import json

import matplotlib.pyplot as plt
import pytest
import torch
from bs4 import BeautifulSoup

from cgnbook import boxes, drawing
from cgnbook.chapters import composer
from cgnbook.composing import Answers, Parts, World
from cgnlib import experiments
from sources import ROOT

CGN = experiments.find("mini", "cgn-wildlife-s0")


def world(name="wildlife", subjects=("original", "cgn"), samples=2, size=32, seed=0):
    rng = torch.Generator().manual_seed(seed)
    n = 10 * samples

    def draw(*shape, high=256):
        return torch.randint(high, shape, generator=rng, dtype=torch.uint8)

    parts = Parts(draw(n, 1, size, size), draw(n, 3, size, size), draw(n, 3, size, size), samples)
    answers = {s: Answers(draw(n, n, n, high=10), draw(n, n, n, high=101)) for s in subjects}
    return World(name, parts, answers, (CGN,))


def described(worlds):
    soup = BeautifulSoup(composer.page(worlds).markup, "html.parser")
    return json.loads(soup.find(id="composer-data").string)


def same(a, b):
    return all(
        torch.equal(x, y)
        for one, two in [(a.parts, b.parts), *zip(a.answers.values(), b.answers.values())]  # noqa: B905
        for x, y in zip(vars(one).values(), vars(two).values(), strict=True)
        if torch.is_tensor(x)
    )


def test_what_is_packed_is_unpacked():
    made = world()
    back = composer.unpack(composer.pack(made), 32, 2, ("original", "cgn"))
    assert same(made, back) and list(back.answers) == ["original", "cgn"]
    assert not same(made, world(seed=1))


def test_the_page_describes_its_worlds():
    heads = ("plain", "shape", "texture", "bg")
    digits, drawn = described([world(), world("menagerie", heads, 1, 64)])
    assert (digits["title"], digits["size"], digits["samples"]) == ("W-MNIST", 32, 2)
    assert digits["classes"]["texture"] == [str(i) for i in range(10)]
    assert [s["cue"] for s in drawn["subjects"]] == ["shape", "shape", "texture", "background"]
    assert all(len(names) == 10 for names in drawn["classes"].values())
    back = composer.unpack(drawn["data"], 64, 1, heads)
    assert same(back, world("menagerie", heads, 1, 64))


def test_the_page_is_hidden_until_its_script_runs_and_loads_only_files_of_the_book():
    soup = BeautifulSoup(composer.page([world()]).markup, "html.parser")
    assert soup.select_one(".composer").has_attr("hidden") and soup.noscript.get_text()
    loaded = [s["src"] for s in soup.select("script[src]")] + [s["href"] for s in soup("link")]
    assert {*composer.FILES} < {name.removeprefix("../") for name in loaded}
    assert all((ROOT / "book/_interactive" / name.removeprefix("../")).is_file() for name in loaded)


def test_no_other_page_loads_the_script():
    shared = {path.name for path in (ROOT / "book/_static").rglob("*.js")}
    assert shared <= {"search.js", "terms.js"}  # the theme has these on every page


def test_shares_have_a_row_for_each_subject():
    made = world()
    y = made.parts.y
    right = y[:, None, None].expand(20, 20, 20).byte()
    known = World("wildlife", made.parts, {"cgn": Answers(right, right)}, (CGN,))
    [row] = composer.shares([known]).to_dict("records")
    assert row == {
        "World": "W-MNIST", "Classifier": "Trained on counterfactuals", "Agree": "100.0",
        "Shape": "100.0", "Texture": "0.0", "Background": "0.0",
    }  # fmt: skip


def test_what_a_page_shows_is_named():
    assert composer.facts("mini", [world(), world(samples=1)])["images"] == 9000
    assert composer.sources([world()]).values.tolist() == [["W-MNIST", CGN.id, "0"]]


@pytest.fixture
def figure(monkeypatch):
    """The figure that is shown, open until the end of the test."""
    kept = []
    monkeypatch.setattr(boxes, "box", lambda name, data, *sources, pictures: name)
    monkeypatch.setattr(drawing, "show", kept.append)
    yield kept
    plt.close("all")


def test_the_still_has_an_answer_below_each_picture(figure):
    made = world()
    assert composer.still(made).markup == "composer"
    [axis] = figure[0].axes
    index = composer._drawn(2, 0)
    wanted = [label for a in made.answers.values() for label in a.label[index].tolist()]
    assert [int(text.get_text()) for text in axis.texts] == wanted
    bold = [text.get_fontweight() == "bold" for text in axis.texts]
    assert bold == [label == i % 10 for i, label in enumerate(wanted)] and 0 < sum(bold) < 20
    assert [sorted(i.tolist()) for i in index] == [list(range(0, 20, 2))] * 3
