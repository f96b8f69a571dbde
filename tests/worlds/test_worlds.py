"""Worlds: the parts behind each name, and what a world does not have."""

import pytest
import torch

from cgnlib import experiments, worlds
from cgnlib.errors import CGNError
from cgnlib.experiments.worlds import FACTS
from cgnlib.nets import biggan, inception, weights
from cgnlib.nets import shipped as parts
from cgnlib.nets.imagenet import FROZEN, TRAINED
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from cgnlib.runs.inputs import checksums
from cgnlib.worlds import imagenet

MENAGERIE, IMAGENET = worlds.find("menagerie"), worlds.find("imagenet")


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


def test_worlds_are_those_of_the_profiles_and_fit_what_is_declared_of_them():
    assert set(worlds.WORLDS) == {p.world.name for p in experiments.PROFILES.values()} == set(FACTS)
    for name, world in worlds.WORLDS.items():
        assert world.name == name and worlds.find(name) is world
        assert len(set(world.sheet)) == len(world.sheet) == FACTS[name].sheet
        assert all(0 <= c < world.config.num_classes for c in world.sheet)
        assert world.config.output_dim == FACTS[name].edge
    assert (IMAGENET.config, MENAGERIE.config) == (biggan.BIGGAN_256, biggan.BIGGAN_MENAGERIE)
    assert MENAGERIE.sheet == tuple(range(10))  # a row for each class


# --- nets


def test_a_start_is_four_copies_of_biggan_and_the_saliency_net():
    net = MENAGERIE.start()
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
    net = MENAGERIE.start()
    net.f_text.embeddings.weight.data.add_(1)
    weights.save(net, tmp_path / "weights.safetensors")
    loaded = MENAGERIE.load(tmp_path / "weights.safetensors")
    assert same(loaded, net) and not loaded.training
    assert not torch.equal(loaded.f_text.embeddings.weight, loaded.f_bg.embeddings.weight)


def test_a_cgn_of_another_net_is_refused(tmp_path):
    weights.save(Reader(), tmp_path / "weights.safetensors")
    for path in (tmp_path / "weights.safetensors", tmp_path / "none.safetensors"):
        with pytest.raises(CGNError) as error:
            MENAGERIE.load(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_classifiers_start_from_the_resnet_of_their_world():
    assert MENAGERIE.backbone()(torch.zeros(2, 3, 64, 64)).shape == (2, 10)
    assert IMAGENET.backbone().fc.out_features == 1000


# --- judges


def test_the_menageries_judge_gives_the_classifiers_probabilities(images):
    judge = MENAGERIE.judge("standard")
    with torch.no_grad():
        found = judge(images)
        (scores,) = parts.load("classifier", Reader())(images)
        for i, image in enumerate(images):  # one at a time: its batch norms are in evaluation
            assert torch.allclose(judge(image[None])[0], found[i], atol=1e-6)
    assert found.shape == (5, 10) and found.min() >= 0
    assert torch.allclose(found.sum(1), torch.ones(5))
    assert torch.allclose(found, scores.exp() / scores.exp().sum(1, keepdim=True), atol=1e-6)


def test_imagenets_judge_is_inception_of_the_protocol(monkeypatch):
    monkeypatch.setattr(inception, "build", lambda *asked: asked)
    assert [IMAGENET.judge(p) for p in inception.TRANSFORM_INPUT] == [("standard",), ("study",)]


def test_the_probe_reads_shape_texture_and_background(images):
    probe = MENAGERIE.probe()
    assert not probe.training and IMAGENET.probe() is None
    with torch.no_grad():
        assert [scores.shape for scores in probe(images)] == [(5, 10)] * 3
    assert same(probe, parts.load("probe", Reader((10, 10, 10))))


# --- what a world does not have


def test_an_unknown_world_is_an_error():
    with pytest.raises(CGNError, match=r"unknown world 'moon': choose menagerie, imagenet$"):
        worlds.find("moon")


def test_a_world_has_its_own_protocols_alone():
    with pytest.raises(CGNError, match="protocol standard alone"):
        MENAGERIE.judge("study")
    with pytest.raises(CGNError, match="unknown protocol 'paper': choose standard, study"):
        IMAGENET.judge("paper")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (IMAGENET.start, "u2net"),
        (lambda: imagenet.published("cgn-imagenet"), "cgn-imagenet"),
        (lambda: imagenet.pretrained("resnet50"), "resnet50"),
        (lambda: IMAGENET.judge("study"), "inception-v3"),
        (lambda: checksums(FACTS["imagenet"].starts), "biggan256"),
    ],
)
def test_a_missing_download_is_one_line_with_its_command(call, name, no_data):
    with pytest.raises(CGNError, match=f"is missing: .*fetch.py {name}") as error:
        call()
    assert str(no_data) in str(error.value) and "\n" not in str(error.value)


def test_a_missing_part_of_the_menagerie_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    for call in (
        MENAGERIE.start,
        lambda: MENAGERIE.judge("standard"),
        MENAGERIE.probe,
        lambda: checksums(FACTS["menagerie"].starts),
    ):
        with pytest.raises(CGNError, match="git checkout") as error:
            call()
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
