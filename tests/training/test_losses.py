"""Losses: known values, slow versions, invariance and sign."""

import math

import pytest
import torch
import torch.nn.functional as F

from cgnlib.data.digits import digit_masks, load_digits
from cgnlib.training import losses


def test_least_squares_at_known_scores():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])
    assert losses.generator_mse(fake) == 1  # (1 + 1) / 2
    assert losses.discriminator_mse(real, fake) == 2  # half of (0 + 4) / 2 + (0 + 4) / 2
    assert losses.discriminator_mse(torch.ones(3), torch.zeros(3)) == 0
    assert losses.generator_mse(torch.ones(3)) == 0


def test_cross_entropy_equals_torchs(rng):
    real, fake = torch.randn(2, 9, generator=rng) * 5
    bce = F.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(9), torch.zeros(9)
    assert torch.isclose(losses.generator_bce(fake), bce(fake, ones))
    wanted = (bce(real, ones) + bce(fake, zeros)) / 2
    assert torch.isclose(losses.discriminator_bce(real, fake), wanted)
    assert torch.isclose(losses.generator_bce(torch.zeros(3)), torch.tensor(math.log(2)))


@pytest.mark.parametrize("name", ["mse", "bce"])
def test_a_fooled_critic_is_good_for_the_generator_only(name):
    generator = getattr(losses, f"generator_{name}")
    discriminator = getattr(losses, f"discriminator_{name}")
    bad, good, real = torch.zeros(4), torch.ones(4), torch.ones(4)
    assert generator(good) < generator(bad)
    assert discriminator(real, good) > discriminator(real, bad)


def test_mask_entropy_is_in_bits():
    assert losses.mask_entropy(torch.full((2, 1, 4, 4), 0.5)) == 1
    for end in (1e-4, 0.9999):
        assert 0 < losses.mask_entropy(torch.full((2, 1, 4, 4), end)) < 0.0016
    p = torch.tensor([0.1, 0.3, 0.8]).view(3, 1, 1, 1)
    slow = sum(-q * math.log2(q) - (1 - q) * math.log2(1 - q) for q in (0.1, 0.3, 0.8)) / 3
    assert torch.isclose(losses.mask_entropy(p), torch.tensor(slow))
    assert torch.isclose(losses.mask_entropy(p), losses.mask_entropy(1 - p))


def slow_edge_mass(mask):
    """As the study: the mask repeated to three channels, rows and columns 6 to 24."""
    total = centre = 0.0
    for image in mask.repeat(1, 3, 1, 1).tolist():
        for channel in image:
            for i, row in enumerate(channel):
                for j, m in enumerate(row):
                    total += m
                    centre += m if 6 <= i <= 24 and 6 <= j <= 24 else 0
    return (total - 2 * centre) / (32 * 32 * len(mask))


def test_edge_mass_equals_its_slow_form(rng):
    mask = torch.rand(3, 1, 32, 32, generator=rng)
    assert torch.isclose(losses.edge_mass(mask), torch.tensor(slow_edge_mass(mask)), atol=1e-5)


def test_edge_mass_rewards_the_centre_and_punishes_the_border():
    centre, border = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    centre[..., 10:20, 10:20] = 1
    border[..., :3, :] = 1
    assert losses.edge_mass(centre) < 0 < losses.edge_mass(border)


def test_the_border_is_where_no_digit_reaches(rng):
    mask = torch.rand(2, 1, 32, 32, generator=rng)
    around = torch.ones(32, 32, dtype=torch.bool)
    around[3:29, 3:29] = False
    assert torch.isclose(losses.border_coverage(mask), mask[..., around].mean())
    true = digit_masks(load_digits("mnist-5k", "train", "wildlife"), "wildlife")
    assert losses.border_coverage(true.float()) < 0.01 < losses.border_coverage(~true)


def slow_gram(features):
    b, c, h, w = features.shape
    out = torch.zeros(b, c, c)
    for n in range(b):
        for i in range(c):
            for j in range(c):
                out[n, i, j] = (features[n, i] * features[n, j]).sum() / (c * h * w)
    return out


@pytest.fixture
def features(rng):
    return torch.randn(4, 3, 5, 6, 7, generator=rng)  # four batches of three maps


def test_gram_equals_its_slow_form(features):
    assert losses.gram(features[0]).shape == (3, 5, 5)
    assert torch.allclose(losses.gram(features[0]), slow_gram(features[0]), atol=1e-6)


def test_gram_distance_equals_its_slow_form(features):
    a, b, c, d = features
    found = losses.gram_distance([a, b], [c, d], [2.0, 0.5])
    slow = 2.0 * (slow_gram(a) - slow_gram(c)).abs().mean()
    slow += 0.5 * (slow_gram(b) - slow_gram(d)).abs().mean()
    assert torch.isclose(found, slow)
    assert torch.isclose(found, losses.gram_distance([c, d], [a, b], [2.0, 0.5]))


def test_gram_distance_sees_texture_and_not_place(features):
    a, b, *_ = features
    assert losses.gram_distance([a], [a], [1.0]) == 0
    shifted = a.roll((2, 3), (2, 3))
    assert losses.gram_distance([a], [shifted], [1.0]) < 1e-7
    assert losses.gram_distance([a], [b], [1.0]) > 0.01


def test_gram_distance_wants_one_factor_for_each_layer(features):
    a, b, *_ = features
    with pytest.raises(ValueError):
        losses.gram_distance([a, b], [a, b], [1.0])


def test_mask_bounds_at_known_masks():
    mask = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).view(5, 1, 1, 1).expand(-1, 1, 6, 7)
    each = torch.stack([losses.mask_bounds(m[None]) for m in mask])
    assert torch.allclose(each, torch.tensor([0.1, 0, 0, 0, 0.1]), atol=1e-6)
    assert torch.isclose(losses.mask_bounds(mask), each.mean())
    assert losses.mask_bounds(mask[2:3], low=0.7) == pytest.approx(0.2)


def test_mask_bounds_look_at_one_image_at_a_time(rng):
    mask = torch.rand(4, 1, 8, 8, generator=rng)
    mask[0], mask[1] = 0, 1  # together they cover half of the batch
    slow = sum(max(0.0, 0.1 - m) + max(0.0, m - 0.9) for m in mask.mean((1, 2, 3)).tolist()) / 4
    assert slow > 0 and torch.isclose(losses.mask_bounds(mask), torch.tensor(slow))


def test_mask_bounds_push_back_inside():
    for value, sign in ((0.02, -1), (0.5, 0), (0.98, 1)):
        mask = torch.full((2, 1, 4, 4), value, requires_grad=True)
        losses.mask_bounds(mask).backward()
        assert (mask.grad.sign() == sign).all()


def test_every_loss_has_a_gradient(features):
    mask = torch.full((2, 1, 32, 32), 0.3, requires_grad=True)
    score = torch.zeros(2, requires_grad=True)
    maps = features[0].clone().requires_grad_()
    for loss in (losses.mask_entropy, losses.edge_mass, losses.border_coverage):
        loss(mask).backward()
    losses.generator_mse(score).add(losses.generator_bce(score)).backward()
    losses.gram_distance([maps], [features[1]], [1.0]).backward()
    assert all(t.grad.abs().sum() > 0 for t in (mask, score, maps))
