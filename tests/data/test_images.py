"""Sets of images: bytes and floats, in memory or mapped, single or one behind the other."""

import numpy as np
import pytest
import torch

from cgnlib.data import images
from cgnlib.data.images import Images, Union


def test_bytes_and_floats_are_the_same_images(rng):
    stored = torch.arange(256, dtype=torch.uint8).repeat(36).view(3, 32, 32, 3)
    y = torch.tensor([4, 5, 6])
    index = torch.tensor([2, 0])
    x, labels = Images(stored, y).batch(index)
    assert x.shape == (2, 3, 32, 32) and labels.tolist() == [6, 4]
    assert x.amin() == -1 and x.amax() == 1
    assert torch.equal(x, Images(images.to_signed(stored), y).batch(index)[0])
    assert torch.equal(images.to_bytes(images.to_signed(stored)), stored)
    assert torch.allclose(x, (stored[index].permute(0, 3, 1, 2) / 255 - 0.5) / 0.5, atol=1e-6)


def test_a_stored_set_reads_the_same_however_often(tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", stored)
    np.save(tmp_path / "labels.npy", np.arange(50) % 10)
    data, index = images.load_set(tmp_path), torch.tensor([49, 3, 3, 0])
    whole = Images(torch.from_numpy(stored), torch.arange(50) % 10)
    for _ in range(3):  # its pages are let go of after each time
        for ours, theirs in zip(data.batch(index), whole.batch(index), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("index", [[6, 0, 3, 4, 1], [2, 0], [6, 3], [0, 1, 2, 3, 4, 5, 6]], ids=str)
def test_a_union_equals_the_concatenation(index, rng):
    stored = torch.randint(0, 256, (3, 32, 32, 3), generator=rng).to(torch.uint8)
    first = Images(stored, torch.arange(3))
    second = Images(torch.rand(4, 32, 32, 3, generator=rng) * 2 - 1, torch.arange(3, 7))
    union = Union(first, second)
    whole = Images(torch.cat([images.to_signed(first.x), second.x]), union.y)
    assert len(union) == 7 and union.y.tolist() == list(range(7))
    index = torch.tensor(index)
    in_order = torch.cat([index[index < 3], index[index >= 3]])
    for ours, theirs in zip(union.batch(index), whole.batch(in_order), strict=True):
        assert torch.equal(ours, theirs)
