"""Worlds: the parts behind each name, and what a world does not have."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from cgnlib import imagenet, worlds
from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import biggan, inception
from cgnlib.nets import shipped as parts
from cgnlib.nets.imagenet import FROZEN, TRAINED
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from cgnlib.runs.inputs import checksums


@pytest.fixture(autouse=True)
def random(random_parts):
    """Random parts in place of the trained ones."""


@pytest.fixture
def images(rng):
    return torch.rand(5, 3, 64, 64, generator=rng) * 2 - 1


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- the table


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_a_world_fits_together(name):
    world = worlds.find(name)
    assert world.name == name
    assert len(set(world.sheet)) == len(world.sheet)
    assert all(0 <= c < world.config.num_classes for c in world.sheet)


def test_imagenet_is_the_published_one():
    world = worlds.find("imagenet")
    assert world.config == biggan.BIGGAN_256 and world.sheet == imagenet.SHEET_CLASSES


def test_the_menagerie_has_a_row_for_each_class():
    world = worlds.find("menagerie")
    assert world.config == biggan.BIGGAN_MENAGERIE and world.sheet == tuple(range(10))


# --- nets


def test_a_start_is_four_copies_of_biggan_and_the_saliency_net():
    net = worlds.start("menagerie")
    pretrained = parts.load("biggan", biggan.build(biggan.BIGGAN_MENAGERIE))
    for name in ("biggan_GT", *TRAINED):
        assert same(getattr(net, name), pretrained), name
    assert same(net.u2net, parts.load("u2net", U2Net.small()))
    net.f_shape.embeddings.weight.data.add_(1)  # copies, not one net four times
    for name in ("biggan_GT", "f_text", "f_bg"):
        assert same(getattr(net, name), pretrained), name
    assert not any(p.requires_grad for name in FROZEN for p in getattr(net, name).parameters())
    assert all(p.requires_grad for name in TRAINED for p in getattr(net, name).parameters())


def test_a_stored_cgn_is_loaded_in_evaluation_mode(tmp_path):
    net = worlds.start("menagerie")
    net.f_text.embeddings.weight.data.add_(1)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    loaded = worlds.load("menagerie", tmp_path / "weights.safetensors")
    assert same(loaded, net) and not loaded.training
    assert not torch.equal(loaded.f_text.embeddings.weight, loaded.f_bg.embeddings.weight)


def test_a_cgn_of_another_net_is_refused(tmp_path):
    save_file(Reader().state_dict(), tmp_path / "weights.safetensors")
    for path in (tmp_path / "weights.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(CGNError) as error:
            worlds.load("menagerie", path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


# --- judges


def test_the_menageries_judge_gives_the_classifiers_probabilities(images):
    judge = worlds.judge("menagerie", "standard")
    with torch.no_grad():
        found = judge(images)
        (scores,) = parts.load("classifier", Reader())(images)
        for i, image in enumerate(images):  # one at a time: its batch norms are in evaluation
            assert torch.allclose(judge(image[None])[0], found[i], atol=1e-6)
    assert found.shape == (5, 10) and found.min() >= 0
    assert torch.allclose(found.sum(1), torch.ones(5))
    assert torch.allclose(found, scores.exp() / scores.exp().sum(1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize("protocol", inception.TRANSFORM_INPUT)
def test_imagenets_judge_is_inception_of_the_protocol(protocol, monkeypatch):
    monkeypatch.setattr(inception, "build", lambda *asked: asked)
    assert worlds.judge("imagenet", protocol) == (protocol,)


def test_the_probe_reads_shape_texture_and_background(images):
    probe = worlds.probe()
    assert not probe.training
    with torch.no_grad():
        assert [scores.shape for scores in probe(images)] == [(5, 10)] * 3
    shipped = parts.load("probe", Reader((10, 10, 10)))
    assert same(probe, shipped)


# --- checksums


def test_checksums_are_those_of_the_shipped_files(random_parts):
    found = checksums(worlds.reads("menagerie", judged=True))
    assert found == {
        name: hashlib.sha256((random_parts / f"{name}.safetensors").read_bytes()).hexdigest()
        for name in ("biggan", "u2net", "classifier", "probe")
    }
    assert len(set(found.values())) == 4
    assert checksums(worlds.reads("menagerie")) == {
        name: found[name] for name in ("biggan", "u2net")
    }


def test_checksums_of_imagenet_are_those_of_the_published_files(tmp_path, monkeypatch):
    def find(name):
        (tmp_path / name).write_text(name)
        return tmp_path / name

    monkeypatch.setattr(sources, "find", find)
    assert checksums(worlds.reads("imagenet")) == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("biggan256", "u2net")
    }


# --- what a world does not have


@pytest.mark.parametrize(
    "call", [worlds.find, worlds.start, lambda name: worlds.load(name, "none")]
)
def test_an_unknown_world_is_an_error(call):
    with pytest.raises(CGNError, match=r"unknown world 'moon': choose menagerie, imagenet$"):
        call("moon")


def test_nobody_published_a_cgn_of_the_menagerie():
    with pytest.raises(CGNError, match=r"menagerie: it is for the world imagenet$"):
        worlds.published("menagerie")


def test_the_menagerie_has_the_standard_protocol_alone():
    with pytest.raises(CGNError, match="protocol standard alone"):
        worlds.judge("menagerie", "study")


def test_imagenet_has_no_other_protocol_either():
    with pytest.raises(CGNError, match="unknown protocol 'paper': choose standard, study"):
        worlds.judge("imagenet", "paper")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: worlds.start("imagenet"), "u2net"),
        (lambda: worlds.published("imagenet"), "cgn-imagenet"),
        (lambda: worlds.judge("imagenet", "study"), "inception-v3"),
        (lambda: checksums(worlds.reads("imagenet")), "biggan256"),
    ],
)
def test_a_missing_download_is_one_line_with_its_command(call, name, no_data):
    with pytest.raises(CGNError, match=f"is missing: .*fetch.py {name}") as error:
        call()
    assert str(no_data) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_part_of_the_menagerie_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    for call in (
        lambda: worlds.start("menagerie"),
        lambda: worlds.judge("menagerie", "standard"),
        worlds.probe,
        lambda: checksums(worlds.reads("menagerie")),
    ):
        with pytest.raises(CGNError, match="git checkout") as error:
            call()
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
