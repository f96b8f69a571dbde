"""Measures: exact values, slow versions, invariance to order."""

import pytest
import torch

from cgnlib import metrics


def slow_iou(a, b):
    both = sum(p and q for p, q in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    either = sum(p or q for p, q in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
    return both / either if either else 1.0


@pytest.fixture
def masks(rng):
    return torch.rand(2, 12, 1, 8, 8, generator=rng) > 0.6


def test_coverage_is_a_share_of_each_image():
    mask = torch.zeros(3, 1, 32, 32)
    mask[1, :, :8] = 1
    mask[2] = 0.5
    assert metrics.mask_coverage(mask).tolist() == [0, 0.25, 0.5]


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_coverage_refuses_what_is_no_mask(value):
    mask = torch.full((2, 1, 4, 4), 0.5)
    mask[1, 0, 2, 3] = value
    with pytest.raises(ValueError, match=r"0\.\.\.1"):
        metrics.mask_coverage(mask)


def test_pairwise_iou_equals_its_slow_form(masks):
    a, b = masks[0], masks[1, :7]
    found = metrics.pairwise_iou(a, b)
    slow = torch.tensor([[slow_iou(p, q) for q in b] for p in a])
    assert found.shape == (12, 7) and torch.allclose(found, slow)
    assert torch.allclose(found.T, metrics.pairwise_iou(b, a))


def test_iou_of_equal_disjoint_and_empty_masks():
    left = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    left[..., :2] = True
    empty = torch.zeros_like(left)
    assert metrics.pairwise_iou(left, left) == 1
    assert metrics.pairwise_iou(left, ~left) == 0
    assert metrics.pairwise_iou(empty, empty) == 1 and metrics.pairwise_iou(left, empty) == 0


def test_nearest_iou_equals_its_slow_form(masks, rng):
    ours, true = masks
    labels, true_labels = torch.arange(12) % 3, torch.arange(12) // 4
    slow = [
        max(slow_iou(m, t) for t, k in zip(true, true_labels, strict=True) if k == label)
        for m, label in zip(ours, labels, strict=True)
    ]
    found = metrics.nearest_iou(ours, labels, true, true_labels)
    assert torch.allclose(found, torch.tensor(slow))
    order = torch.randperm(12, generator=rng)
    assert torch.equal(
        metrics.nearest_iou(ours[order], labels[order], true, true_labels), found[order]
    )
    assert torch.equal(metrics.nearest_iou(ours, labels, true[order], true_labels[order]), found)


def test_a_true_mask_is_nearest_to_itself(masks):
    labels = torch.arange(12) % 4
    assert (metrics.nearest_iou(masks[0], labels, masks[0], labels) == 1).all()


def test_a_class_without_true_masks_is_an_error(masks):
    with pytest.raises(ValueError, match="class 2"):
        metrics.nearest_iou(masks[0], torch.arange(12) % 3, masks[1], torch.arange(12) % 2)
