"""Nets and images that are measured, and whether a measure leaves a net as it was."""

from contextlib import contextmanager

import pytest
import torch

from cgnlib.chance import seeded
from cgnlib.nets.mnist import CNN


@pytest.fixture
def cnn(rng):
    """A random CNN whose answers differ between images, with the memory layout of the book's."""
    net = seeded(CNN, rng).to(memory_format=torch.channels_last)
    with torch.no_grad():
        net.cls[0].weight.mul_(20)
    return net


@pytest.fixture
def x(rng):
    """Noise images around a mean of their own each, [6, 3, 32, 32]."""
    return torch.randn(6, 3, 32, 32, generator=rng) + torch.randn(6, 3, 1, 1, generator=rng)


@pytest.fixture
def untouched():
    """Watches a net: a block has to leave its weights, gradients, modes and hooks alone."""

    @contextmanager
    def watch(net):
        before = _marks(net)
        yield
        after = _marks(net)
        moved = [
            key
            for key, value in after[0].items()
            if not (value is before[0][key] is None or torch.equal(value, before[0][key]))
        ]
        assert not moved and after[1:] == before[1:]

    return watch


def _marks(net):
    values = {**net.state_dict(), **{f"grad {k}": p.grad for k, p in net.named_parameters()}}
    modes = [layer.training for layer in net.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    return {k: v if v is None else v.clone() for k, v in values.items()}, modes, hooks
