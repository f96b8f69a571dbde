"""ImageNet as a world: photographs are prepared as published, each benchmark has its own rule."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from cgnlib import experiments
from cgnlib.data import categories, preprocessing, public, sources
from cgnlib.errors import CGNError
from cgnlib.experiments import recipes
from cgnlib.nets.perceptual import LITE0
from cgnlib.runs.inputs import checksums
from cgnlib.worlds import imagenet

WORLD, PAPER = imagenet.ImageNet(), experiments.profile("paper")


@pytest.fixture
def put(no_data, rng, monkeypatch):
    """Puts images of random pixels under CGN_DATA; parts of benchmarks are benchmarks."""
    whole = public.read
    monkeypatch.setattr(public, "read", lambda name: whole(name, check=False))

    def write(*files, size=224):
        for file in files:
            (no_data / file).parent.mkdir(parents=True, exist_ok=True)
            pixels = torch.randint(256, (size, size, 3), generator=rng).to(torch.uint8)
            Image.fromarray(pixels.numpy()).save(no_data / file)

    return write


def ids(*classes):
    return [categories.wordnet()[i] for i in classes]


def test_real_images_are_cropped_flipped_and_normalised(put):
    a, b = ids(3, 700)
    put(f"in-mini/train/{a}/x.png", f"in-mini/train/{b}/y.png", size=300)
    real = WORLD.real(recipes.EnsembleRecipe(), 0)
    asked = [(step, torch.tensor([1, 0])) for step in range(3)]
    batches = list(real.batches(asked))
    assert len(real) == 2
    for x, y in batches:
        assert x.shape == (2, 3, 224, 224) and x.dtype == torch.float32
        assert y.tolist() == [700, 3]
    assert not torch.equal(batches[0][0], batches[1][0])
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in preprocessing.NORMALISE["imagenet"])
    x = batches[0][0] * std + mean
    assert x.min() >= -1e-5 and x.max() <= 1 + 1e-5
    assert x.mean().item() == pytest.approx(0.5, abs=0.02)


def test_counterfactuals_are_prepared_as_real_images_are(put, counterfactuals, shown):
    pictures = WORLD.counterfactual(counterfactuals, 0)
    x, y = next(pictures.batches([(0, torch.tensor([4, 0]))]))
    assert x.shape == (2, 3, 224, 224) and torch.equal(y, counterfactuals.classes[[4, 0]])
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in preprocessing.NORMALISE["imagenet"])
    assert (x * std + mean).mean((1, 2, 3)).tolist() == pytest.approx(
        [180 / 255, 20 / 255], abs=0.01
    )
    test = WORLD.counterfactual_test(counterfactuals)
    x = shown(test) * std + mean
    assert x.mean((1, 2, 3)).tolist() == pytest.approx(
        [(40 * i + 20) / 255 for i in range(5)], abs=0.01
    )
    assert test.categories[:2] == ("n01440764", "n01443537")


def test_each_benchmark_is_decided_by_its_own_rule(put, shown):
    a, b = ids(6, 404)  # both in ImageNet-A and ImageNet
    put(f"in-mini/val/{a}/1.JPEG", f"in-mini/val/{b}/2.JPEG", size=300)
    put(f"imagenet-a/{a}/1.jpg", f"sketch/{b}/2.JPEG", size=300)
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    put(*(f"in9/mixed_rand/val/{f}/1.JPEG" for f in ("01_bird", "08_fish")))
    names = ("cue_conflict", "in9/mixed_rand", "imagenet-a", "sketch")
    recipe = recipes.TestsRecipe(names, data="in-mini", preprocessing="paper")
    tests = {t.condition: t for t in (WORLD.validation(recipe), *WORLD.tests(recipe))}
    assert tuple(tests) == ("real", "cue_conflict", "mixed_rand", "imagenet-a", "sketch")
    for test in tests.values():
        assert shown(test).shape == (len(test), 3, 224, 224)
    p = torch.full((3, 1000), 1e-4)
    p[0, 404], p[1, 6], p[2, 999] = 0.9, 0.9, 0.9  # airliner, stingray, toilet tissue
    p = p / p.sum(1, keepdim=True)
    best = {name: test.decide(p).argmax(1).tolist() for name, test in tests.items()}
    assert best["real"] == best["sketch"] == [404, 6, 999]
    assert best["imagenet-a"][:2] == [404, 6] and best["imagenet-a"][2] != 999
    assert set((tests["imagenet-a"].decide(p) > 0).sum(1).tolist()) == {200}
    cues = tests["cue_conflict"]
    assert cues.categories[best["cue_conflict"][0]] == "airplane"
    assert cues.named(cues.category) == ["airplane"] and cues.named(cues.texture) == ["bicycle"]
    nine = tests["mixed_rand"].decide(p)
    assert nine[1].tolist() == [0] * 8 + [1] and not nine[[0, 2]].any()
    assert tests["mixed_rand"].named(tests["mixed_rand"].category) == ["bird", "fish"]
    assert pickle.loads(pickle.dumps(cues)).names == cues.names


def test_inputs_are_what_a_run_reads(put, monkeypatch):
    (a,) = ids(6)
    put(f"in-mini/train/{a}/1.JPEG", f"in-mini/val/{a}/1.JPEG")
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    learns = replace(PAPER.ensemble("real", 0), conditions=("cue_conflict",))
    tests = recipes.TestsRecipe(("cue_conflict",), data="in-mini")
    tested = replace(PAPER.robustness(learns, 0), recipe=tests)
    found = checksums(learns.reads())
    assert set(found) == {"train", "val", "cue_conflict"}
    assert checksums(tested.reads()) == {k: found[k] for k in ("val", "cue_conflict")}
    put(f"in-mini/val/{a}/2.JPEG")
    again = checksums(learns.reads())
    assert {name for name in found if found[name] != again[name]} == {"val"}
    packaged = checksums(PAPER.packaged_robustness("paper").reads())
    assert set(packaged) == {LITE0, "cue_conflict"}
    start = PAPER.plain(0).reads()
    with pytest.raises(CGNError, match="resnet50"):
        checksums(start)
    monkeypatch.setattr(sources, "find", lambda name: Path(__file__))
    assert checksums(start) == {"resnet50": sources.sha256(Path(__file__))}


def test_the_packaged_classifier_knows_a_thousand_classes():
    with torch.no_grad():
        ((subject, logits),) = imagenet.packaged(LITE0)(torch.zeros(1, 3, 224, 224)).items()
    assert subject == LITE0 and logits.shape == (1, 1000)
    with pytest.raises(CGNError, match="resnet152"):
        imagenet.packaged("resnet152")


def test_the_packaged_classifier_has_constants_of_its_own(put, shown):
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    recipe = recipes.TestsRecipe(("cue_conflict",), preprocessing="authors")
    ours, usual = (shown(*WORLD.tests(recipe, normalise)) for normalise in (LITE0, None))
    assert torch.allclose(ours * 128 + 127, (ours * 128 + 127).round(), atol=1e-3)
    assert not torch.allclose(ours, usual, atol=0.1)
