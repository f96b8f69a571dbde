"""The renderers in a CGN's place: what they compose is what they render, part by part."""

import pytest
import torch

from cgnlib.counterfactuals import mechanisms
from cgnlib.counterfactuals.mechanisms import DigitRenderer, Renderer
from cgnlib.data import menagerie
from cgnlib.data.menagerie import Menagerie
from cgnlib.experiments import VARIANTS


def test_the_renderer_composes_what_the_menagerie_renders():
    data, index = Menagerie("decorrelated", 6, 3), torch.arange(6)
    classes = torch.stack([data.y, data.texture, data.background], 1)
    source = Renderer(3)
    parts = [source.part(m, classes[:, m], 0, index) for m in range(3)]
    assert torch.equal(source.compose(parts, index), data.batch(index)[0])
    assert not torch.equal(source.part(0, data.y, 1, index), parts[0])
    assert mechanisms.OTHER > 10**6 and menagerie.SIZE == 64


@pytest.mark.parametrize("variant", VARIANTS)
def test_digits_keep_their_noise_when_a_class_changes(few_digits, variant):
    source, index = DigitRenderer(variant, "mnist-5k", "procedural", 0), torch.arange(8)
    y = torch.arange(8)
    first = [source.part(m, y, 0, index) for m in range(3)]
    for m in range(3):
        assert torch.equal(source.part(m, y, 0, index), first[m])
    x = source.compose(first, index)
    assert x.shape == (8, 3, 32, 32) and x.isfinite().all() and x.abs().max() < 1.2
