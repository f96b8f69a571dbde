"""The kind of run behind the explanations, on a few digits."""

import numpy as np
import pytest
import torch

from cgnlib import experiments, runs
from cgnlib.chance import generator, seeded
from cgnlib.compute import digits as execute
from cgnlib.compute import explanation
from cgnlib.data import digits as mnists
from cgnlib.data.variants import Variant
from cgnlib.experiments import profile
from cgnlib.nets import mnist as nets


@pytest.fixture
def digits(monkeypatch):
    """200 random grey images, twenty a class: enough for each cue to occur often."""
    images = torch.randint(0, 256, (200, 28, 28), generator=generator(1)).to(torch.uint8)
    found = mnists.Digits(images, torch.arange(200) % 10)
    monkeypatch.setattr(mnists, "load_digits", lambda *_: found)


@pytest.fixture
def net():
    return seeded(nets.CNN, generator(3)).eval()


@pytest.fixture
def explained(digits, net, tmp_path):
    def make(variant):
        run = experiments.explanation(
            profile("mini"), experiments.classifier(profile("mini"), variant, "original", 1)
        )
        test = Variant(variant, "mnist-5k", "test", generator(9, "test"))
        metrics, history = explanation.explanation(run, tmp_path, net, test)
        assert history is None
        return metrics, test

    return make


@pytest.mark.parametrize("variant", experiments.VARIANTS)
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
        assert stored["embedding"].shape == (200, 2) and stored["digit"].tolist() == test.y.tolist()
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["x"].shape == (10, 32, 32, 3) and stored["x"].dtype == np.uint8
        assert stored["heat"].shape == stored["mask"].shape == (10, 32, 32)
        assert stored["heat"].min() == 0 and stored["heat"].max() == 1


def test_all_classifiers_of_a_variant_are_shown_on_the_same_images(explained, tmp_path):
    shown = []
    for _ in range(2):
        explained("colored")
        with np.load(tmp_path / "samples.npz") as stored:
            shown.append(stored["x"])
    assert np.array_equal(*shown)


def test_a_run_explains_the_classifier_it_needs(few_digits, monkeypatch, tmp_path):
    """Through the runs, and on the images that the classifier was tested on."""
    monkeypatch.setenv("CGN_RUNS", str(tmp_path))
    seen = []

    def remember(run, folder, net, test):
        seen.append((net, test))
        return {"study_iou": 0.5}, None

    monkeypatch.setattr(explanation, "explanation", remember)
    run = experiments.explanations(profile("mini"))[0]
    source = run.need("classifier")
    folder = runs.folder_of(source)
    folder.mkdir(parents=True)
    kept = seeded(nets.CNN, generator(5))
    execute._save(kept, folder)
    metrics, _ = execute.execute(run, tmp_path, {"classifier": folder}, None)
    (net, test), *_ = seen
    assert metrics == {"study_iou": 0.5}
    assert torch.equal(net.cls[0].weight, kept.cls[0].weight) and not net.training
    wanted = execute.split_of(source, "test", generator(execute.TEST_SEED, "test"))
    assert torch.equal(test.fg, wanted.fg)
