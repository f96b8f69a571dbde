"""The films of trainings as the page carries them, and the record that they are drawn from."""

import re
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from PIL import Image

from cgnbook import film
from cgnlib import experiments, paths
from sources import ROOT

KEPT = paths.records() / "film"


@pytest.fixture(scope="module")
def page() -> BeautifulSoup:
    return BeautifulSoup(film.show().markup, "html.parser")


@pytest.mark.parametrize("training", film.trainings(), ids=lambda training: training["run"])
def test_a_film_is_of_a_declared_training_from_its_first_step_to_its_last(training):
    run = experiments.find(training["profile"], training["run"])
    assert (training["spec"], training["seed"]) == (run.digest(), run.seed)
    steps = training["steps"]
    assert steps == sorted(set(steps)) and (steps[0], steps[-1]) == (0, run.recipe.steps)
    assert training["losses"]["step"][-1] == run.recipe.steps
    assert [len(moment) for moment in training["read"]] == [10] * len(steps)
    with Image.open(KEPT / f"{run.id}.webp") as strip:
        assert strip.size == (10 * 32, len(steps) * 32)


def test_the_record_is_small_and_has_no_file_besides():
    of = {f"{training['run']}.webp" for training in film.trainings()} | {"film.json"}
    assert {path.name for path in KEPT.iterdir()} == of
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < 400_000


def test_a_training_loses_most_digits_and_another_hardly_any():
    found = film.facts()
    kept = [training["usable"] for training in film.trainings()]
    assert kept == [found[f"film-{film.remedy(training)}"] for training in film.trainings()]
    assert found["film-n"] == len(kept) > 2 and min(kept) <= 5 < 8 <= max(kept)


def test_the_cgn_of_claim_1_differs_in_the_weight_of_the_edge_loss_alone():
    found, run = film.facts(), experiments.find("mini", "cgn-colored-edge-s0")
    other = experiments.find("mini", "cgn-colored-s0")
    assert replace(other.recipe, edge=run.recipe.edge) == run.recipe and other.seed == run.seed
    assert (found["film-edge-weight"], found["film-other-weight"]) == (0.1, 0.15)
    assert found["film-other"] < found["film-edge"]


@pytest.mark.parametrize("training", film.trainings(), ids=lambda training: training["run"])
def test_the_few_masks_of_a_film_end_near_what_many_masks_say(training):
    assert abs(sum(film.readable(training)[-1]) - training["usable"]) <= 2


def test_the_page_has_a_strip_and_its_usable_digits_for_each_training(page):
    sections = page.select(".film-training")
    for section, training in zip(sections, film.trainings(), strict=True):
        moments = [[share >= 0.5 for share in moment] for moment in training["read"]]
        flags = section["data-read"].split()
        assert [[flag == "1" for flag in moment] for moment in flags] == moments
        assert section["data-steps"].split() == [str(step) for step in training["steps"]]
        assert f"{sum(moments[-1])} of 10 read" in section.p.text
        assert f"evaluation, {training['usable']} are usable in the end" in section.p.text
        assert section.img["alt"] and section.svg["aria-label"]
        assert {path["data-loss"] for path in section.select("[data-loss]")} == {*film.LOSSES}
    assert len({section["aria-label"] for section in sections}) == len(sections)
    files = [s["src"] for s in page("script")] + [s["href"] for s in page("link")]
    assert all((ROOT / "book/_interactive" / f.removeprefix("../")).is_file() for f in files)


def test_losses_are_drawn_where_their_axis_has_them():
    steps = [0.0, 50.0, 100.0]
    losses = {name: [film.MOST, film.LEAST, 0.0] for name in film.LOSSES} | {"step": steps}
    plot = BeautifulSoup(film._plot({"losses": losses, "steps": [0, 100]}), "html.parser")
    points = re.findall(r"([\d.]+) ([\d.]+)", plot.select_one("[data-loss]")["d"])
    (left, top), (middle, low), (right, lower) = (map(float, point) for point in points)
    assert (left, middle, right) == (film.LEFT, (film.LEFT + film.WIDE) / 2, film.WIDE)
    assert top < low == lower == film.HIGH - film.UNDER


def test_the_box_has_every_number():
    of = film.table(film.trainings())
    first = film.trainings()[0]
    mine = of[of.run == first["run"]].set_index(["what", "step"]).value
    assert mine["masks read as 3", first["steps"][-1]] == first["read"][-1][3]
    assert mine["adversarial"].tolist() == first["losses"]["adversarial"]


def test_the_fate_of_masks_is_counted_over_all_trainings(monkeypatch):
    """Inverted: at the first moment and at the end, at the end alone, at the first alone, never."""

    def training(edge, *moments):
        around = [[0.6 if y in of else 0.01 for y in range(10)] for of in ((), *moments)]
        return {"edge": edge, "border": 0.0, "steps": [0, 200, 4500], "around": around}

    kept = [training(0.0, {1, 2}, {1, 3}), training(0.0, {4}, set()), training(0.1, set(), {5})]
    monkeypatch.setattr(film, "kept", lambda: kept)
    assert film.fate("plain") == {"n": 2, "inverted": 2, "early": 1, "turned": 2}
    assert film.fate("edge", "border") == {"n": 1, "inverted": 1, "early": 0, "turned": 0}
