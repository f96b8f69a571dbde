"""The kind of run behind the explanations, on a few digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cgnlib import experiments as e
from cgnlib.chance import generator, seeded
from cgnlib.compute import Job, compute
from cgnlib.compute import digits as on_digits
from cgnlib.compute.nets_of import WEIGHTS
from cgnlib.data import digits
from cgnlib.nets import mnist, weights

MINI = e.profile("mini")


@pytest.fixture(autouse=True)
def two_hundred(monkeypatch):
    """200 random grey images, twenty a class: enough for each cue to occur often."""
    images = torch.randint(0, 256, (200, 28, 28), generator=generator(1)).to(torch.uint8)
    found = digits.Digits(images, torch.arange(200) % 10)
    monkeypatch.setattr(digits, "_five_thousand", lambda split: found)


@pytest.fixture
def explained(tmp_path):
    """Metrics of a random classifier, and the images that it was tested on."""

    def make(variant, seed=3):
        weights.save(seeded(mnist.CNN, generator(seed)), tmp_path / WEIGHTS)
        classifier = MINI.classifier(variant, "original", 1)
        run = replace(MINI.explanation(classifier), embedded=150)
        metrics, history = compute(run, Job(tmp_path, {"classifier": tmp_path}))
        assert history is None
        return metrics, on_digits.test_of(classifier)

    return make


@pytest.mark.parametrize("variant", e.VARIANTS)
def test_an_explanation_has_every_measure(explained, tmp_path, variant):
    metrics, test = explained(variant)
    shares = {name: value for name, value in metrics.items() if name != "explained_images"}
    assert metrics["explained_images"] == len(test) == 200
    assert all(0 <= value <= 1 for value in shares.values())
    assert ("background_read" in metrics) == (variant != "colored")  # there it is black
    halves = metrics["foreground_iou"] + metrics["background_iou"]
    assert metrics["study_iou"] == pytest.approx(halves / 2, abs=1e-6)
    of_digit = [metrics[f"study_iou_{y}"] for y in range(10)]  # twenty images each
    assert np.mean(of_digit) == pytest.approx(metrics["study_iou"], abs=1e-6)
    outside = 1 - metrics["mask_coverage_true"]
    assert metrics["study_iou_empty"] == pytest.approx(outside / 2, abs=1e-6)
    with np.load(tmp_path / "embedding.npz") as stored:
        assert stored["embedding"].shape == (150, 2)
        for name, cue in (("digit", test.y), ("fg", test.fg), ("bg", test.bg)):
            assert stored[name].tolist() == cue[:150].tolist()
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["x"].shape == (10, 32, 32, 3) and stored["x"].dtype == np.uint8
        assert stored["heat"].shape == stored["mask"].shape == (10, 32, 32)
        assert stored["heat"].min() == 0 and stored["heat"].max() == 1


def test_classifiers_of_a_variant_are_explained_each_on_the_same_images(explained, tmp_path):
    shown, heat, found = [], [], []
    for seed in (3, 4):
        found.append(explained("colored", seed)[0])
        with np.load(tmp_path / "samples.npz") as stored:
            shown.append(stored["x"])
            heat.append(stored["heat"])
    assert np.array_equal(*shown) and not np.array_equal(*heat) and found[0] != found[1]
