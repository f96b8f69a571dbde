"""Noise and classes as published."""

import math

import pytest
import torch

from cgnlib.counterfactuals import draws
from cgnlib.counterfactuals.draws import draw_classes, interpolation, truncated_noise
from cgnlib.errors import CGNError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# noise


def cdf(z):
    """Of a normal distribution cut off at -2 and 2."""

    def phi(z):
        return (1 + math.erf(z / math.sqrt(2))) / 2

    return (phi(z) - phi(-2)) / (phi(2) - phi(-2))


@pytest.mark.parametrize("truncation", [0.3, 0.5, 1.0])
def test_noise_is_a_truncated_normal(truncation):
    u = truncated_noise(2000, 50, truncation, seeded())
    assert u.shape == (2000, 50) and u.dtype == torch.float32
    assert u.abs().max() <= 2 * truncation and u.abs().max() > 1.99 * truncation
    z = (u / truncation).double().flatten().sort().values
    # the largest gap between the empirical and the true distribution (Kolmogorov-Smirnov, 99.9 %)
    places = torch.linspace(0, len(z) - 1, 500).long()
    gaps = [abs((int(i) + 0.5) / len(z) - cdf(z[i].item())) for i in places]
    assert max(gaps) < 1.95 / math.sqrt(len(z))


def test_noise_is_the_inverse_of_the_distribution_function():
    uniform = torch.rand(4, 5, generator=seeded(), dtype=torch.float64)
    u = truncated_noise(4, 5, 0.5, seeded()).double()
    for p, value in zip(uniform.flatten().tolist(), u.flatten().tolist(), strict=True):
        assert cdf(value / 0.5) == pytest.approx(p, abs=1e-6)


def test_noise_scales_with_truncation_and_is_seeded():
    one = truncated_noise(3, 8, 1.0, seeded())
    assert torch.allclose(truncated_noise(3, 8, 0.25, seeded()), one / 4)
    assert not torch.equal(truncated_noise(3, 8, 1.0, seeded(1)), one)


@pytest.mark.parametrize("truncation", [0, -0.5, 1.01, math.nan])
def test_a_truncation_outside_its_range_is_an_error(truncation):
    with pytest.raises(CGNError, match="truncation"):
        truncated_noise(1, 4, truncation, seeded())


# classes


@pytest.mark.parametrize("mode", ["random", "random_same", "best_classes"])
def test_classes_are_triples_of_the_mode(mode):
    found = draw_classes(mode, 5000, 1000, seeded())
    assert found.shape == (5000, 3) and found.dtype == torch.int64
    same = (found[:, 0] == found[:, 1]).float().mean()
    if mode == "random_same":
        assert (found == found[:, :1]).all()
    else:
        assert same < 0.02
    for column, known in zip(found.T, draws.BEST_CLASSES.values(), strict=True):
        wanted = set(known) if mode == "best_classes" else set(range(1000))
        seen = set(column.tolist())
        assert seen <= wanted and len(seen) > 0.98 * len(wanted)
    assert torch.equal(draw_classes(mode, 5000, 1000, seeded()), found)


def test_fixed_classes_and_lists_of_ones_own():
    fixed = draw_classes("fixed_classes", 3, 10, seeded(), fixed=(7, 0, 9))
    assert fixed.tolist() == [[7, 0, 9]] * 3 and fixed.dtype == torch.int64
    lists = {"shape": (1, 2), "texture": (3,), "background": (4, 5)}
    found = draw_classes("best_classes", 50, 6, seeded(), lists=lists)
    for column, known in zip(found.T, lists.values(), strict=True):
        assert set(column.tolist()) == set(known)


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("best", {}, "choose random, random_same"),
        ("fixed_classes", {}, "three fixed classes"),
        ("random", {"fixed": (1, 2, 3)}, "three fixed classes"),
        ("fixed_classes", {"fixed": (1, 2)}, "2 fixed classes"),
        ("fixed_classes", {"fixed": (1, 2, 10)}, "no class 10: use 0 to 9"),
        ("fixed_classes", {"fixed": (-1, 2, 3)}, "no class -1"),
        ("best_classes", {}, "no class"),  # the published lists, for ten classes
        ("best_classes", {"lists": {"shape": (1,), "texture": (1,)}}, "list of .* background"),
        ("random", {"lists": {}}, "draws from no lists"),
    ],
)
def test_classes_that_make_no_sense_are_errors(mode, options, message):
    with pytest.raises(CGNError, match=message):
        draw_classes(mode, 2, 10, seeded(), **options)


@pytest.mark.parametrize("vary", ["shape", "text", "bg", "all"])
def test_interpolation_is_linear_between_one_hot_vectors(vary):
    start, target, points = (3, 5, 0), 7, 8
    found = interpolation(10, start, target, 6, vary)
    assert [v.shape for v in found] == [(points, 10)] * 3
    moving = {"shape": [0], "text": [1], "bg": [2], "all": [0, 1, 2]}[vary]
    for i, vectors in enumerate(found):
        end = target if i in moving else start[i]
        for step, vector in enumerate(vectors):
            slow = [0.0] * 10
            slow[start[i]] += 1 - step / (points - 1)
            slow[end] += step / (points - 1)
            assert vector.tolist() == pytest.approx(slow)
        assert torch.equal(vectors[0], torch.eye(10)[start[i]])  # both ends exactly
        assert torch.equal(vectors[-1], torch.eye(10)[end])


@pytest.mark.parametrize(
    ("start", "target", "midpoints", "vary", "message"),
    [
        ((1, 2, 3), 4, 6, "texture", "choose shape, text, bg, all"),
        ((1, 2, 3), -1, 6, "all", "no class -1"),
        ((1, 2, 10), 4, 6, "shape", "no class 10"),
        ((1, 2), 4, 6, "shape", "three start classes"),
        ((1, 2, 3), 4, -1, "shape", "midpoints"),
    ],
)
def test_impossible_interpolations_are_errors(start, target, midpoints, vary, message):
    with pytest.raises(CGNError, match=message):
        interpolation(10, start, target, midpoints, vary)
