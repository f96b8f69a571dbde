"""Recipes: the published numbers of ImageNet, and names that fit together."""

from dataclasses import asdict

from cgnlib.counterfactuals.draws import BEST_CLASSES
from cgnlib.experiments.recipes import ABLATIONS, PRINTED_LOSSES, Losses, gram_factors
from cgnlib.worlds.imagenet import ImageNet


def test_the_losses_are_those_of_the_codes_configuration_and_of_the_paper():
    assert asdict(Losses()) == {
        "l1": 100, "perc": (80_000,) * 4, "binary": 300, "mask": 500,
        "text": (0, 125_000, 125_000, 0), "bg": 2000,
    }  # fmt: skip
    assert asdict(PRINTED_LOSSES) == asdict(Losses()) | {"perc": gram_factors(5, 5, 5, 5)}


def test_each_loss_is_left_out_by_one_ablation():
    off = sorted(name for names in ABLATIONS.values() for name in names)
    assert off == sorted(asdict(Losses()))
    for ablation, names in ABLATIONS.items():
        assert asdict(Losses().without(ablation)) == asdict(Losses()) | dict.fromkeys(names)


def test_lists_of_classes_are_sorted_ids_of_the_published_lengths_and_sums():
    lengths = {name: len(classes) for name, classes in BEST_CLASSES.items()}
    assert lengths == {"shape": 76, "texture": 75, "background": 38}
    sums = {name: sum(classes) for name, classes in BEST_CLASSES.items()}
    assert sums == {"shape": 46_880, "texture": 44_642, "background": 18_624}
    for classes in (*BEST_CLASSES.values(), ImageNet.sheet):
        assert list(classes) == sorted(set(classes))
        assert all(0 <= c < 1000 for c in classes)
