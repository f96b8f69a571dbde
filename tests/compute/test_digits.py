"""What CGNs, GANs, sets and classifiers of the MNISTs leave, on an eighth of the digits."""

import csv
import shutil
from dataclasses import replace

import pytest
import torch
from tiny import TINY, VARIANT, cgn, gan, use_an_eighth

from cgnlib import chance, runs
from cgnlib import experiments as e
from cgnlib.compute import digits
from cgnlib.compute.nets_of import net_of
from cgnlib.data import sources, variants
from cgnlib.data.images import Images, load_set
from cgnlib.errors import CGNError
from cgnlib.nets import mnist, weights
from cgnlib.runs.process import compute_one

SETTINGS = {
    "original": (TINY.classifier(VARIANT, "original", 0), 500),
    "cgn": (TINY.classifier(VARIANT, "cgn", 0, cgn()), 200),
    "original+cgn": (TINY.classifier(VARIANT, "original+cgn", 0, cgn()), 700),
    "gan": (TINY.classifier(VARIANT, "gan", 0, gan()), 200),
    "decorrelated": (TINY.oracle(VARIANT), 1000),
    "control": (replace(TINY.control(VARIANT, 0), renderings=1), 1000),
    "a share": (TINY.mixed(cgn(), 0, 0.9), 200),
}  # what a classifier learns from, and how many images these are


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """CGN_RUNS with the runs of all settings, computed once."""
    with pytest.MonkeyPatch.context() as patch:
        use_an_eighth(patch)
        root = tmp_path_factory.mktemp("runs")
        patch.setenv("CGN_RUNS", str(root))
        for run in e.with_needs(run for run, _ in SETTINGS.values()):
            compute_one(run)
    return root


@pytest.fixture(autouse=True)
def eighth(monkeypatch, finished):
    monkeypatch.setenv("CGN_RUNS", str(finished))
    use_an_eighth(monkeypatch)


COMMON = {"spec.json", "env.json", "artefacts.json", "metrics.json", "attempt-001.log"}
FILES = {
    e.CGN: COMMON | {"weights.safetensors", "history.csv", "film.npz"},
    e.GAN: COMMON | {"weights.safetensors", "history.csv"},
    e.ImageSet: COMMON | {"images.npy", "labels.npy"},
    e.Classifier: COMMON | {"weights.safetensors", "history.csv", "decisions.csv"},
}


def files(run):
    return {path.name for path in runs.folder_of(run).iterdir()}


def test_each_kind_leaves_its_files_its_spec_and_its_environment():
    for run in e.with_needs(run for run, _ in SETTINGS.values()):
        result = runs.load(run)
        assert files(run) == FILES[type(run)], run.id
        assert {k: v for k, v in result.spec.items() if k != "inputs"} == run.spec()
        assert result.spec["inputs"].keys() == run.reads().keys()
        assert result.env["threads"] == 1 and result.env["torch"] == torch.__version__
        assert result.env["seconds"] >= 0 and result.env["device"]


def test_decisions_hold_what_the_accuracy_says():
    test = variants.load(VARIANT, "mnist-5k", "test", chance.generator(chance.DIGITS_TEST, "test"))
    for run, n in SETTINGS.values():
        result = runs.load(run)
        with (result.folder / "decisions.csv").open(newline="") as file:
            rows = [{k: int(v) for k, v in row.items()} for row in csv.DictReader(file)]
        assert [row["item"] for row in rows] == list(range(125))
        for column, values in (("label", test.y), ("fg", test.fg), ("bg", test.bg)):
            assert [row[column] for row in rows] == values.tolist()
        hits = sum(row["label"] == row["prediction"] for row in rows)
        assert result.metrics["test_accuracy"] == hits / 125
        assert result.metrics["test_images"] == 125
        assert result.metrics["train_images"] == n, run.id


def test_a_stored_set_is_read_back():
    result = runs.load(TINY.image_set(cgn(), 0))
    images = load_set(result.folder)
    assert images.x.shape == (200, 32, 32, 3) and images.x.dtype == torch.uint8
    assert images.y.shape == (200,) and images.y.dtype == torch.int64
    assert result.metrics == {"images": 200}


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("weights.safetensors", None),
        ("weights.safetensors", 100),
        ("images.npy", None),
        ("images.npy", 1000),
        ("labels.npy", 100),
    ],
)
def test_a_damaged_artefact_of_a_need_is_named(name, keep, finished, tmp_path, monkeypatch):
    """keep: how many bytes are left of the file; it is gone where none are."""
    shutil.copytree(finished, tmp_path / "runs")
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    images = TINY.image_set(cgn(), 0)
    need, user = (cgn(), images) if name.startswith("weights") else (images, SETTINGS["cgn"][0])
    shutil.rmtree(runs.folder_of(user))
    damaged = runs.folder_of(need) / name
    content = damaged.read_bytes()
    damaged.unlink()
    if keep is not None:
        damaged.write_bytes(content[:keep])
    with pytest.raises(CGNError, match=name) as error:
        compute_one(user)
    message = str(error.value)
    assert "\n" not in message and "cannot be written" not in message
    assert not runs.is_done(user)


# --- published checkpoints

PUBLISHED = e.profile("full").published_cgn("colored")


def test_a_missing_published_checkpoint_comes_with_its_command(no_data, tmp_path, monkeypatch):
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    with pytest.raises(CGNError, match=r"cgn_colored_MNIST\.pth is missing") as error:
        compute_one(PUBLISHED)
    assert "python data_prep/fetch.py cgn-colored" in str(error.value)
    assert "\n" not in str(error.value) and not (runs.folder_of(PUBLISHED) / "spec.json").exists()


def test_a_published_checkpoint_becomes_a_run(original, tmp_path, monkeypatch):
    original("weights/cgn_colored_MNIST.pth")
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    compute_one(PUBLISHED)
    assert files(PUBLISHED) == COMMON | {"weights.safetensors"}
    net = net_of(PUBLISHED, runs.folder_of(PUBLISHED))
    path = sources.find("cgn-colored")
    published = weights.load(mnist.CGN(32, 32), path, "").state_dict()
    assert all(torch.equal(v, published[k]) for k, v in net.state_dict().items())


# --- a share of originals


def images(n, level):
    return Images(torch.full((n, 32, 32, 3), level, dtype=torch.uint8), torch.arange(n) % 10)


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.1, 4), (0.5, 20), (1.0, 40)])
def test_originals_take_the_place_of_generated_images(share, n, rng):
    first, second = digits.mix(images(60, 1), images(40, 2), share, rng)
    assert (len(first), len(second)) == (n, 40 - n)
    assert (first.x == 1).all() and (second.x == 2).all()


def test_originals_are_drawn_at_random_without_repeats():
    """The digits of a source may come in the order of their classes."""
    original = Images(images(60, 1).x, torch.arange(60))
    drawn = [digits.mix(original, images(40, 2), 0.5, chance.generator(s))[0].y for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert len(drawn[0].unique()) == 20 and drawn[0].max() > 30


def test_too_few_originals_are_an_error(rng):
    with pytest.raises(ValueError, match="36 of 40 images cannot be originals: there are 30"):
        digits.mix(images(30, 1), images(40, 2), 0.9, rng)
