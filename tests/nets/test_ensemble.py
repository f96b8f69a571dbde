"""Classifiers of claim 3: published names, who decides what, batch norms, new heads."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from cgnlib.chance import seeded
from cgnlib.nets.ensemble import HEADS, SUBJECTS, Ensemble, Plain, small_resnet


@pytest.fixture
def small():
    """Makes a small ensemble; the backbone is the same for every seed of the heads."""

    def make(seed=0):
        net = seeded(small_resnet, torch.Generator().manual_seed(1))
        return Ensemble(net, torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def images(rng):
    return torch.randn(3, 3, 64, 64, generator=rng)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- names and sizes


@pytest.fixture(scope="module")
def big():
    """An empty ResNet-50: names and shapes without weights."""
    with torch.device("meta"):
        return resnet50(weights=None)


def test_names_and_shapes_are_the_published_ones(big):
    """method 5.8: children of the ResNet up to the pooling, and three heads of 2048 x 1000."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    wanted = {}
    for key, value in big.state_dict().items():
        part, _, rest = key.partition(".")
        if part != "fc":
            wanted[f"backbone.{places[part]}.{rest}"] = value.shape
    for head in ("shape", "texture", "bg"):
        wanted[f"m_{head}.1.weight"], wanted[f"m_{head}.1.bias"] = (1000, 2048), (1000,)
    found = Ensemble(big, torch.Generator()).state_dict()
    assert {key: value.shape for key, value in found.items()} == wanted
    assert len(found) == 324


def test_the_small_resnet_has_ten_classes_and_a_block_a_stage(images):
    net = small_resnet()
    assert net(images).shape == (3, 10)
    assert [len(getattr(net, f"layer{i}")) for i in range(1, 5)] == [1, 1, 1, 1]
    assert sum(p.numel() for p in net.parameters()) < 6e6


# --- who decides


def test_subjects_are_heads_and_means(small, images):
    net = small().eval()
    with torch.no_grad():
        found = net(images)
        z = net.backbone(images).flatten(1)
        heads = [getattr(net, f"m_{head}")[1](z) for head in HEADS]
    assert tuple(found) == SUBJECTS == ("shape", "texture", "bg", "avg", "shape_texture")
    assert all(logits.shape == (3, 10) for logits in found.values())
    for head, logits in zip(HEADS, heads, strict=True):
        assert torch.equal(found[head], logits)
    assert torch.allclose(found["avg"], torch.stack(heads).mean(0), atol=1e-6)
    assert torch.allclose(found["shape_texture"], torch.stack(heads[:2]).mean(0), atol=1e-6)


def test_the_background_has_no_say_in_shape_texture(small, images):
    net = small().eval()
    with torch.no_grad():
        before = net(images)
        net.m_bg[1].bias += 1
        after = net(images)
    changed = {name for name in SUBJECTS if not torch.equal(before[name], after[name])}
    assert changed == {"bg", "avg"}


def test_a_backbone_keeps_what_it_knows(small, images):
    """What a ResNet computes ahead of its last layer."""
    net = seeded(small_resnet, torch.Generator().manual_seed(1)).eval()
    net.fc = nn.Identity()
    with torch.no_grad():
        assert torch.equal(small().eval().backbone(images).flatten(1), net(images))


def test_a_plain_net_answers_under_one_name(images):
    net = small_resnet().eval()
    with torch.no_grad():
        for plain in (Plain(net), Plain(net, "lite")):
            ((name, logits),) = plain(images).items()
            assert name == plain.subject and torch.equal(logits, net(images))
    assert Plain(net).subject == "plain"


# --- batch norms


def norms(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_batch_norms_keep_statistics_and_learn_their_affine(small, images):
    net = small().train()
    assert net.training and net.backbone.training and len(norms(net)) == 12
    before = {key: value.clone() for key, value in net.named_buffers()}
    sum(logits.square().sum() for logits in net(3 * images + 1).values()).backward()
    assert before and all(torch.equal(value, before[key]) for key, value in net.named_buffers())
    for layer in norms(net):
        assert layer.weight.grad.abs().sum() > 0 and layer.bias.grad.abs().sum() > 0
    assert all(p.grad is not None for p in net.parameters())


def test_training_mode_computes_as_evaluation_mode(small, images):
    """So an image's answer does not depend on those beside it, in training either."""
    net = small()
    with torch.no_grad():
        trained, alone, tested = net.train()(images), net(images[:1]), net.eval()(images)
    assert not any(layer.training for layer in norms(net.train())) and net.training
    for name in SUBJECTS:
        assert torch.equal(trained[name], tested[name])
        assert torch.allclose(alone[name], trained[name][:1], atol=1e-5)


# --- heads


def test_heads_come_from_the_generator_alone(small):
    torch.manual_seed(1)
    first = small().state_dict()
    torch.manual_seed(2)
    net, rng = resnet18(num_classes=10), torch.Generator().manual_seed(0)
    chance = torch.get_rng_state()
    Ensemble(net, rng)
    assert torch.equal(torch.get_rng_state(), chance)
    assert same(first, small().state_dict())
    other = small(seed=1).state_dict()
    changed = {key for key in first if not torch.equal(first[key], other[key])}
    assert changed == {f"m_{head}.1.{part}" for head in HEADS for part in ("weight", "bias")}


def test_heads_are_drawn_within_the_usual_bounds(small):
    net, bound = small(), 512**-0.5
    weights = [getattr(net, f"m_{head}")[1].weight for head in HEADS]
    assert len({w.sum().item() for w in weights}) == 3
    for w in weights:
        assert w.abs().max() <= bound and w.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
        assert w.abs().max() > 0.99 * bound
        assert abs(w.mean().item()) < bound / 20
