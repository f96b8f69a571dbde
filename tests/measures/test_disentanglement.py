"""Disentanglement on toys whose answer is known."""

import pytest
import torch

from cgnlib.chance import generator
from cgnlib.counterfactuals import interventions
from cgnlib.measures import disentanglement as d

EVERY = (0, 1, 2)


class Toy:
    """A scene of one pixel whose channels are its three classes; `mix` says who writes where."""

    def __init__(self, mix):
        self.mix = torch.tensor(mix)

    def part(self, mechanism, y, take, index):
        return (y[:, None] * self.mix[mechanism]).float()[:, :, None, None] + 0.25 * take

    def compose(self, parts, index):
        return sum(parts)


def measured(mix):
    y, other = interventions.draw_classes(300, generator(1))
    scenes = interventions.intervene(Toy(mix), y, other, torch.arange(300))
    before, *after = (x[:, :, 0, 0].long() for x in (scenes.base, *scenes.by_class))
    return d.named(after, y, other), d.moved(before, after), scenes


def test_perfect_mechanisms_score_one():
    named, moved, _ = measured([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert torch.equal(moved, torch.eye(3, dtype=torch.float64)) and (named == 1).all()
    assert d.disentanglement(named, moved, EVERY) == 1


def test_mechanisms_that_do_nothing_control_nothing_and_leak_nothing():
    named, moved, _ = measured([[0] * 3] * 3)
    assert (moved == 0).all() and d.control(named, EVERY) < 0.2 and d.leak(moved, EVERY) == 0


def test_one_mechanism_for_everything_scores_low():
    named, moved, _ = measured([[1, 1, 1], [0, 1, 0], [0, 0, 1]])
    assert d.leak(moved, EVERY) == pytest.approx(2 / 6)
    assert d.disentanglement(named, moved, EVERY) < 0.5


def test_a_factor_that_cannot_be_read_is_left_out():
    named = moved = torch.eye(3, dtype=torch.float64)
    moved = moved.clone()
    moved[:, 2] = float("nan")
    assert d.disentanglement(named, moved, (0, 1)) == 1


def test_other_classes_are_other():
    y, other = interventions.draw_classes(500, generator(2))
    assert (y != other).all() and set(other.flatten().tolist()) == set(range(10))


def test_the_spread_is_that_of_the_noise():
    """0.25 apart: of masks in 0...1, and half of that for colours in -1...1."""
    _, _, scenes = measured([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert torch.allclose(scenes.spread.mean(0), torch.tensor([0.25, 0.125, 0.125]))
