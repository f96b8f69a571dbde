"""Readers: shapes, sizes, and that they can learn."""

import pytest
import torch
import torch.nn.functional as F

from cgnlib.chance import generator
from cgnlib.nets.readers import CueReader, Reader


@pytest.fixture
def images(rng):
    return torch.rand(4, 3, 64, 64, generator=rng) * 2 - 1


@pytest.fixture
def reader():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Reader((10, 7))


def test_a_reader_answers_each_question(reader, images):
    found = reader(images)
    assert [scores.shape for scores in found] == [(4, 10), (4, 7)]
    features = reader.features(images)
    assert features.shape == (4, 96) and features.min() >= 0
    for head, scores in zip(reader.heads, found, strict=True):
        assert torch.allclose(F.linear(features, head.weight, head.bias), scores, atol=1e-5)


def test_readers_are_small():
    assert 100_000 < sum(p.numel() for p in Reader().parameters()) < 300_000
    assert len(Reader().heads) == 1 and Reader().heads[0].out_features == 10


def test_in_evaluation_an_image_is_read_alone(reader, images):
    reader(images)  # batch norms that have seen something
    reader.eval()
    with torch.no_grad():
        found = torch.cat(reader(images), 1)
        alone = torch.cat([torch.cat(reader(image[None]), 1) for image in images])
        turned = torch.cat(reader(images.flip(0)), 1).flip(0)
        other = torch.cat(reader(images.contiguous(memory_format=torch.channels_last)), 1)
    for same in (alone, turned, other):
        assert torch.allclose(found, same, atol=1e-5)


def test_features_equal_a_plain_stack(reader, images):
    reader.eval()
    x = images
    strides = (2, 2, 1, 2, 1, 2)
    with torch.no_grad():
        for (conv, norm, _), stride in zip(reader.body, strides, strict=True):
            x = F.conv2d(x, conv.weight, stride=stride, padding=1)
            mean, var = (v.view(-1, 1, 1) for v in (norm.running_mean, norm.running_var))
            x = (x - mean) / (var + norm.eps).sqrt()
            x = (x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)).clamp(min=0)
        assert x.shape == (4, 96, 4, 4)
        assert torch.allclose(reader.features(images), x.mean((2, 3)), atol=1e-5)


def test_a_reader_learns_a_trivial_task(reader, rng):
    y = torch.arange(20) % 2
    x = torch.rand(20, 3, 64, 64, generator=rng) / 10
    x[y == 1, 0] += 0.5  # red or not
    optimiser = torch.optim.Adam(reader.parameters(), 1e-2)
    history = []
    for _ in range(8):
        loss = F.cross_entropy(reader(x)[0], y)
        history.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert history[-1] < history[0] / 4


def test_a_reader_answers_three_questions_image_by_image():
    net, x = CueReader().eval(), torch.randn(4, 3, 32, 32, generator=generator(0))
    with torch.no_grad():
        whole, parts = net(x), torch.cat([net(one) for one in x.split(1)])
    assert whole.shape == (4, 10, 3) and torch.allclose(whole, parts, atol=1e-5)
