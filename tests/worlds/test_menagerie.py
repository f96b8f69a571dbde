"""The menagerie as a world: what classifiers learn from and are tested on is what it renders."""

import pickle

import pytest
import torch

from cgnlib import chance
from cgnlib.data.images import to_bytes
from cgnlib.data.menagerie import CLASSES, Menagerie
from cgnlib.experiments import recipes
from cgnlib.worlds import menagerie

CONDITIONS = ("cue_conflict", "original", "mixed_same", "mixed_rand")
TRAINING = recipes.EnsembleRecipe("agree", train=12, val=9)
TESTS = recipes.TestsRecipe(CONDITIONS, val=9)
WORLD, SPLITS = menagerie.Menagerie(), menagerie.SPLITS


@pytest.fixture
def chunks(monkeypatch):
    """More than one chunk an image set."""
    monkeypatch.setattr(menagerie, "CHUNK", 4)


def test_tests_are_the_splits_under_the_names_of_the_benchmarks(chunks, shown):
    tests = WORLD.tests(TESTS)
    assert tuple(test.condition for test in tests) == CONDITIONS == tuple(SPLITS)
    for test in tests:
        data = Menagerie(SPLITS[test.condition], 9, chance.TEST)
        assert len(test) == 9 == len(set(test.names)) and test.categories == CLASSES
        assert torch.equal(test.category, data.y)
        assert torch.equal(test.texture, data.texture)
        assert torch.equal(test.background, data.background)
        x, again = shown(test), shown(test)
        assert torch.equal(x, data.batch(torch.arange(9))[0]) and torch.equal(x, again)


def test_the_images_of_a_test_are_rendered_once(chunks, monkeypatch):
    test, drawn = WORLD.validation(TRAINING), []
    render = Menagerie.batch
    monkeypatch.setattr(Menagerie, "batch", lambda *of: drawn.append(of) or render(*of))
    for _ in range(3):
        assert [len(x) for x in test.batches()] == [4, 4, 1]
    assert len(drawn) == 3


def test_objects_are_the_same_before_other_backgrounds(shown):
    """The background gap compares the same objects, masks and all."""
    original, same, rand = WORLD.tests(TESTS)[1:]
    assert torch.equal(original.category, same.category)
    assert torch.equal(original.category, rand.category)
    assert torch.equal(original.texture, rand.texture)
    masks = [Menagerie(SPLITS[t.condition], 9, chance.TEST).masked(torch.arange(9))[1]
             for t in (original, same, rand)]  # fmt: skip
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[0], masks[2])
    images = list(map(shown, (original, same, rand)))
    inside = (masks[0] == 1).expand_as(images[0])
    assert inside.float().mean() > 0.05
    for other in images[1:]:
        assert torch.equal(images[0][inside], other[inside])
        assert not torch.equal(images[0], other)
    assert torch.equal(same.background, same.category)
    assert not torch.equal(rand.background, rand.category)


def test_training_validation_and_test_images_are_apart(shown):
    assert len({chance.TRAIN, chance.TEST, chance.VALIDATION}) == 3
    validation = WORLD.validation(TESTS)
    (original,) = WORLD.tests(recipes.TestsRecipe(("original",), val=9))
    assert validation.condition == "real"
    x, _ = next(WORLD.real(TRAINING, 0).batches([(0, torch.arange(12))]))
    sets = [to_bytes(part[:9]) for part in (x, shown(validation), shown(original))]
    for i in range(3):
        for j in range(i):
            assert not (sets[i][:, None] == sets[j][None]).flatten(2).all(2).any()
    assert not set(validation.names) & set(original.names)


def test_real_images_are_those_whose_cues_agree(chunks):
    real = WORLD.real(TRAINING, 0)
    data = Menagerie("agree", 12, chance.TRAIN)
    x, y = next(real.batches([(0, torch.arange(12))]))
    assert len(real) == 12 and torch.equal(y, data.y)
    assert (x - data.batch(torch.arange(12))[0]).abs().max() <= 1 / 255 + 1e-6


def test_counterfactuals_keep_their_three_labels(chunks, counterfactuals, shown):
    pictures = WORLD.counterfactual(counterfactuals, 0)
    x, y = next(pictures.batches([(0, torch.tensor([4, 0]))]))
    assert torch.equal(y, counterfactuals.classes[[4, 0]])
    assert x.mean((1, 2, 3)).tolist() == pytest.approx([180 / 127.5 - 1, 20 / 127.5 - 1], abs=0.02)
    test = WORLD.counterfactual_test(counterfactuals)
    assert test.names == counterfactuals.names and test.categories == CLASSES
    assert torch.equal(shown(test), torch.cat(list(counterfactuals.images(5))))
    assert torch.equal(test.right("bg"), counterfactuals.classes[:, 2])


def test_tests_go_to_other_processes(counterfactuals, shown):
    """Where a training uses several devices, each process gets them."""
    tests = [*WORLD.tests(TESTS), WORLD.validation(TESTS)]
    tests.append(WORLD.counterfactual_test(counterfactuals))
    for test, copy in zip(tests, pickle.loads(pickle.dumps(tests)), strict=True):
        assert torch.equal(shown(test), shown(copy))
