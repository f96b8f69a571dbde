"""Measures: exact values, slow versions, invariance to order."""

import math

import pytest
import torch

from cgnlib.measures import metrics


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


def test_paired_iou_equals_its_slow_form(masks, rng):
    a, b = masks
    b[3], b[5] = a[3], ~a[5]
    found = metrics.paired_iou(a, b)
    assert found.shape == (12,)
    slow = [slow_iou(p, q) for p, q in zip(a, b, strict=True)]
    assert found.tolist() == pytest.approx(slow) and found[3] == 1 and found[5] == 0
    assert torch.equal(metrics.paired_iou(b, a), found)
    order = torch.randperm(12, generator=rng)
    assert torch.equal(metrics.paired_iou(a[order], b[order]), found[order])
    assert torch.allclose(metrics.pairwise_iou(a, b).diagonal(), found)


def test_paired_iou_of_empty_masks():
    empty = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    one = empty.clone()
    one[1, 0, 2, 3] = True
    assert metrics.paired_iou(empty, empty).tolist() == [1, 1]
    assert metrics.paired_iou(empty, one).tolist() == [1, 0]
    assert metrics.paired_iou(one, one).tolist() == [1, 1]


def test_a_mask_that_grows_to_its_partner_overlaps_more():
    true = torch.ones(5, 1, 4, 4, dtype=torch.bool)
    part = torch.zeros_like(true)
    for i in range(5):
        part[i, :, :i] = True
    assert metrics.paired_iou(part, true).tolist() == [0, 0.25, 0.5, 0.75, 1]


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


def slow_score(p, splits):
    """exp of the mean divergence, a split and an image at a time."""
    size, scores = len(p) // splits, []
    for s in range(splits):
        part = p[s * size : (s + 1) * size].double().tolist()
        mean = [sum(column) / size for column in zip(*part, strict=True)]
        kl = [sum(a * math.log(a / m) for a, m in zip(r, mean, strict=True) if a) for r in part]
        scores.append(math.exp(sum(kl) / size))
    mean = sum(scores) / splits
    return mean, math.sqrt(sum((s - mean) ** 2 for s in scores) / splits)


@pytest.fixture
def answers(rng):
    p = (4 * torch.randn(60, 7, generator=rng)).softmax(1)
    p[3] = torch.eye(7)[2]  # a certain answer: zeros count as zero
    return p


@pytest.mark.parametrize("splits", [1, 2, 3, 60])
def test_inception_score_equals_its_slow_form(splits, answers):
    found = metrics.inception_score(answers, splits)
    assert found == pytest.approx(slow_score(answers, splits), rel=1e-9, abs=1e-7)
    assert 1 <= found[0] <= 7


@pytest.mark.parametrize("k", [2, 10, 1000])
def test_inception_score_at_its_ends(k):
    one_hot = torch.eye(k).repeat(2, 1)
    assert metrics.inception_score(one_hot, 2) == pytest.approx((k, 0))
    assert metrics.inception_score(torch.full((2 * k, k), 1 / k), 2) == pytest.approx((1, 0))
    same = torch.eye(k)[:1].expand(2 * k, k)  # sharp, but always the same answer
    assert metrics.inception_score(same, 2) == pytest.approx((1, 0))


def test_inception_score_is_computed_in_double_precision(answers):
    p = answers.double()
    assert metrics.inception_score(p.float(), 2) == pytest.approx(
        metrics.inception_score(p, 2), rel=1e-6
    )
    assert metrics.inception_score(p, 2) == metrics.inception_score(answers, 2)


def test_inception_score_sees_order_between_splits_and_not_within(answers, rng):
    score = metrics.inception_score(answers, 2)
    within = torch.cat([30 * s + torch.randperm(30, generator=rng) for s in range(2)])
    assert metrics.inception_score(answers[within], 2) == pytest.approx(score)
    assert metrics.inception_score(answers.roll(30, 0), 2) == pytest.approx(score)
    assert metrics.inception_score(answers.flip(1), 2) == pytest.approx(score)
    assert metrics.inception_score(answers.roll(7, 0), 2) != pytest.approx(score)


def test_small_splits_lower_the_score(answers):
    scores = [metrics.inception_score(answers, splits)[0] for splits in (1, 3, 12, 60)]
    assert scores == sorted(scores, reverse=True) and scores[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "splits", "message"),
    [
        (lambda p: p * 1.001, 2, "sum to 1"),
        (lambda p: p.log(), 2, "sum to 1"),
        (lambda p: p.fill_(float("nan")), 2, "not finite"),
        (lambda p: torch.cat([p + 0.5, -0.5 * torch.ones(60, 7)], 1), 2, "negative"),
        (lambda p: p, 7, "60 images do not make 7 splits"),
        (lambda p: p, 61, "60 images do not make 61 splits"),
        (lambda p: p, 0, "0 splits"),
        (lambda p: p[:0], 1, r"\(0, 7\)"),
        (lambda p: p[0], 1, r"\(7,\)"),
    ],
)
def test_what_is_no_list_of_answers_is_an_error(change, splits, message, answers):
    with pytest.raises(ValueError, match=message):
        metrics.inception_score(change(answers), splits)


def test_spread_is_that_of_the_population():
    assert metrics.mean_and_spread(torch.tensor([0.1, 0.3])) == pytest.approx((0.2, 0.1))
    assert metrics.mean_and_spread(torch.tensor([0.25])) == (0.25, 0)
    with pytest.raises(ValueError, match="needs a list"):
        metrics.mean_and_spread(torch.tensor([]))


def test_coverage_and_its_spread_over_images():
    mask = torch.zeros(4, 1, 10, 10)
    mask[1, :, :2], mask[2, :, :4], mask[3, :, :6] = 1, 1, 1
    wanted = (0.3, math.sqrt(0.05))
    assert metrics.mean_and_spread(metrics.mask_coverage(mask)) == pytest.approx(wanted)
