"""ImageNet settings: the published numbers, and names that fit together."""

import pytest

from cgnlib import imagenet
from cgnlib.counterfactuals.draws import BEST_CLASSES
from cgnlib.errors import CGNError
from cgnlib.imagenet import ABLATIONS, IMAGENET_WEIGHTS, SHEET_CLASSES


def test_the_codes_weights_are_those_of_its_configuration():
    code = IMAGENET_WEIGHTS["code"]
    assert (code["l1"], code["binary"], code["mask"], code["bg"]) == (100, 300, 500, 2000)
    assert code["perc"] == (80_000,) * 4
    assert code["text"] == (0, 125_000, 125_000, 0)


def test_the_papers_weights_differ_in_the_reconstruction_alone():
    code, paper = IMAGENET_WEIGHTS["code"], IMAGENET_WEIGHTS["paper"]
    assert list(code) == list(paper)
    assert {name for name in code if code[name] != paper[name]} == {"perc"}
    assert paper["perc"] == imagenet.gram_factors(5, 5, 5, 5)


@pytest.mark.parametrize("setting", IMAGENET_WEIGHTS)
@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_leaves_the_other_losses_as_they_are(setting, ablation):
    weights, left = IMAGENET_WEIGHTS[setting], imagenet.loss_weights(setting, ablation)
    assert set(ABLATIONS[ablation]) <= set(weights)
    assert set(weights) - set(left) == set(ABLATIONS[ablation])
    assert all(left[name] == weights[name] for name in left)


def test_each_loss_is_left_out_by_one_ablation():
    off = sorted(name for names in ABLATIONS.values() for name in names)
    assert off == sorted(IMAGENET_WEIGHTS["code"])


@pytest.mark.parametrize("names", [("codes", "none"), ("code", "bg")])
def test_unknown_names_are_errors(names):
    with pytest.raises(CGNError, match="choose"):
        imagenet.loss_weights(*names)


def test_lists_of_classes_are_sorted_ids_of_the_published_lengths():
    lengths = {name: len(classes) for name, classes in BEST_CLASSES.items()}
    assert lengths == {"shape": 76, "texture": 75, "background": 38}
    for classes in (*BEST_CLASSES.values(), SHEET_CLASSES):
        assert list(classes) == sorted(set(classes))
        assert all(0 <= c < 1000 for c in classes)


def test_lists_of_classes_have_the_published_sums():
    sums = {name: sum(classes) for name, classes in BEST_CLASSES.items()}
    assert sums == {"shape": 46_880, "texture": 44_642, "background": 18_624}
