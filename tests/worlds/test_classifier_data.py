"""What classifiers learn from and are tested on: the menagerie's splits, ImageNet's transforms."""

import pickle

import numpy as np
import pytest
import torch
from cgnlib.classifier_data import SPLITS, TEST_SEED, TRAIN_SEED, VALIDATION_SEED, WORLDS
from PIL import Image

from cgnlib import classifier_data, experiments
from cgnlib.counterfactuals.datasets import Writer
from cgnlib.data import menagerie, preprocessing, public, sources
from cgnlib.data.images import to_bytes
from cgnlib.data.menagerie import Menagerie
from cgnlib.errors import CGNError
from cgnlib.runs.inputs import checksums

CONDITIONS = ("cue_conflict", "original", "mixed_same", "mixed_rand")
SMALL = {"train": 12, "val": 9, "conditions": CONDITIONS}
WORLD, IMAGENET = WORLDS["menagerie"], WORLDS["imagenet"]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def chunks(monkeypatch):
    """More than one chunk an image set."""
    monkeypatch.setattr(classifier_data, "CHUNK", 4)


@pytest.fixture
def counterfactuals(tmp_path):
    """A data set of five images, each of its own grey."""
    spec = {"name": "train", "n": 5, "num_classes": 10}
    classes = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 0, 1], [2, 3, 4]])
    writer = Writer(tmp_path / "set", spec, classes)
    writer.begin()
    greys = {i: np.full((64, 64, 3), 40 * i + 20, np.uint8) for i in range(5)}
    writer.add(greys, dict.fromkeys(range(5), 0.5))
    return writer.finish()


# --- the menagerie


def shown(test):
    return torch.cat(list(test.batches()))


def test_worlds_are_those_of_the_profiles():
    assert set(WORLDS) == {p.world for p in experiments.PROFILES.values()}


def test_tests_are_the_splits_under_the_names_of_the_benchmarks(chunks):
    tests = WORLD.tests(SMALL)
    assert tuple(test.condition for test in tests) == CONDITIONS == tuple(SPLITS)
    for test in tests:
        data = Menagerie(SPLITS[test.condition], 9, TEST_SEED)
        assert len(test) == 9 == len(set(test.names)) and test.categories == menagerie.CLASSES
        assert torch.equal(test.category, data.y)
        assert torch.equal(test.texture, data.texture)
        assert torch.equal(test.background, data.background)
        x, again = shown(test), shown(test)
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(x, data.batch(torch.arange(9))[0]) and torch.equal(x, again)


def test_objects_are_the_same_before_other_backgrounds():
    """The background gap compares the same objects, masks and all."""
    original, same, rand = WORLD.tests(SMALL)[1:]
    assert torch.equal(original.category, same.category)
    assert torch.equal(original.category, rand.category)
    assert torch.equal(original.texture, rand.texture)
    masks = [Menagerie(SPLITS[t.condition], 9, TEST_SEED).masked(torch.arange(9))[1]
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


def test_training_validation_and_test_images_are_apart():
    assert len({TRAIN_SEED, TEST_SEED, VALIDATION_SEED}) == 3
    (validation,) = WORLD.validation(SMALL)
    (original,) = WORLD.tests(SMALL | {"conditions": ("original",)})
    assert validation.condition == "real"
    x, _ = next(WORLD.real(SMALL, 0).batches([(0, torch.arange(12))]))
    sets = [to_bytes(part[:9]) for part in (x, shown(validation), shown(original))]
    for i in range(3):
        for j in range(i):
            assert not (sets[i][:, None] == sets[j][None]).flatten(2).all(2).any()
    assert not set(validation.names) & set(original.names)


def test_real_images_are_those_whose_cues_agree(chunks):
    real = WORLD.real(SMALL, 0)
    data = Menagerie("agree", 12, TRAIN_SEED)
    x, y = next(real.batches([(0, torch.arange(12))]))
    assert len(real) == 12 and torch.equal(y, data.y)
    assert (x - data.batch(torch.arange(12))[0]).abs().max() <= 1 / 255 + 1e-6


def test_counterfactuals_keep_their_three_labels(chunks, counterfactuals):
    pictures = WORLD.counterfactual(counterfactuals, 0)
    x, y = next(pictures.batches([(0, torch.tensor([4, 0]))]))
    assert torch.equal(y, counterfactuals.classes[[4, 0]])
    assert x.mean((1, 2, 3)).tolist() == pytest.approx([180 / 127.5 - 1, 20 / 127.5 - 1], abs=0.02)
    test = WORLD.counterfactual_test(counterfactuals)
    assert test.names == counterfactuals.names and test.categories == menagerie.CLASSES
    assert torch.equal(shown(test), torch.cat(list(counterfactuals.images(5))))
    assert torch.equal(test.right("bg"), counterfactuals.classes[:, 2])


def test_tests_go_to_other_processes(counterfactuals):
    """Where a training uses several devices, each process gets them."""
    tests = [*WORLD.tests(SMALL), *WORLD.validation(SMALL)]
    tests.append(WORLD.counterfactual_test(counterfactuals))
    for test, copy in zip(tests, pickle.loads(pickle.dumps(tests)), strict=True):
        assert torch.equal(shown(test), shown(copy))


def test_the_menagerie_needs_no_file():
    assert WORLD.reads(SMALL) == {}
    assert WORLD.backbone()(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


# --- ImageNet


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
    return [classifier_data.categories.wordnet()[i] for i in classes]


def test_real_images_are_cropped_flipped_and_normalised(put):
    a, b = ids(3, 700)
    put(f"in-mini/train/{a}/x.png", f"in-mini/train/{b}/y.png", size=300)
    real = IMAGENET.real({"data": "in-mini"}, 0)
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


def test_counterfactuals_are_prepared_as_real_images_are(put, counterfactuals):
    pictures = IMAGENET.counterfactual(counterfactuals, 0)
    x, y = next(pictures.batches([(0, torch.tensor([4, 0]))]))
    assert x.shape == (2, 3, 224, 224) and torch.equal(y, counterfactuals.classes[[4, 0]])
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in preprocessing.NORMALISE["imagenet"])
    assert (x * std + mean).mean((1, 2, 3)).tolist() == pytest.approx(
        [180 / 255, 20 / 255], abs=0.01
    )
    test = IMAGENET.counterfactual_test(counterfactuals)
    x = shown(test) * std + mean
    assert x.mean((1, 2, 3)).tolist() == pytest.approx(
        [(40 * i + 20) / 255 for i in range(5)], abs=0.01
    )
    assert test.categories[:2] == ("n01440764", "n01443537")


def test_each_benchmark_is_decided_by_its_own_rule(put):
    a, b = ids(6, 404)  # both in ImageNet-A and ImageNet
    put(f"in-mini/val/{a}/1.JPEG", f"in-mini/val/{b}/2.JPEG", size=300)
    put(f"imagenet-a/{a}/1.jpg", f"sketch/{b}/2.JPEG", size=300)
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    put(*(f"in9/mixed_rand/val/{f}/1.JPEG" for f in ("01_bird", "08_fish")))
    names = ("cue_conflict", "in9/mixed_rand", "imagenet-a", "sketch")
    s = {"data": "in-mini", "preprocessing": "paper", "conditions": names}
    tests = {t.condition: t for t in IMAGENET.validation(s) + IMAGENET.tests(s)}
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


def test_inputs_are_what_a_run_reads(put, no_data, monkeypatch):
    (a,) = ids(6)
    put(f"in-mini/train/{a}/1.JPEG", f"in-mini/val/{a}/1.JPEG")
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    s = {"data": "in-mini", "conditions": ("cue_conflict",)}
    assert set(checksums(IMAGENET.reads(s))) == {"val", "cue_conflict"}  # a test trains on nothing
    s["epochs"] = 1
    found = checksums(IMAGENET.reads(s))
    assert set(found) == {"train", "val", "cue_conflict"}
    put(f"in-mini/val/{a}/2.JPEG")
    again = checksums(IMAGENET.reads(s))
    assert {name for name in found if found[name] != again[name]} == {"val"}
    packaged = IMAGENET.reads({"classifier": "efficientnet-lite0", "conditions": ("cue_conflict",)})
    assert set(packaged) == {"efficientnet-lite0", "cue_conflict"}
    with pytest.raises(CGNError, match="resnet50"):
        checksums(IMAGENET.reads({"source": "pretrained"}))
    monkeypatch.setattr(sources, "checksum", lambda name: f"sum of {name}")
    assert checksums(IMAGENET.reads({"source": "pretrained"})) == {"resnet50": "sum of resnet50"}


def test_the_packaged_classifier_knows_a_thousand_classes():
    net = IMAGENET.packaged("efficientnet-lite0")
    with torch.no_grad():
        ((subject, logits),) = net(torch.zeros(1, 3, 224, 224)).items()
    assert subject == "efficientnet-lite0" and logits.shape == (1, 1000)
    with pytest.raises(CGNError, match="resnet152"):
        IMAGENET.packaged("resnet152")


def test_the_packaged_classifier_has_constants_of_its_own(put):
    put("cue_conflict/airplane/airplane1-bicycle2.png")
    s = {"classifier": "efficientnet-lite0", "conditions": ("cue_conflict",)}
    ours, usual = (
        shown(*IMAGENET.tests(x | {"preprocessing": "authors"}))
        for x in (s, {"conditions": s["conditions"]})
    )
    assert torch.allclose(ours * 128 + 127, (ours * 128 + 127).round(), atol=1e-3)
    assert not torch.allclose(ours, usual, atol=0.1)
