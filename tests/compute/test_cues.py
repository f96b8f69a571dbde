"""Which cue a classifier follows: shares whose value is known, and both kinds on a few digits."""

from dataclasses import replace

import pytest
import torch

from cgnlib import experiments as e
from cgnlib.chance import generator, seeded
from cgnlib.compute import Job, compute, cues, digits
from cgnlib.compute.nets_of import WEIGHTS
from cgnlib.data import variants
from cgnlib.measures.cues import follow
from cgnlib.nets import mnist, weights

MINI = e.profile("mini")
Y, FG, BG = (torch.tensor(c) for c in ([0, 1, 2, 3], [4, 5, 6, 3], [7, 8, 9, 1]))


@pytest.mark.parametrize("cue", ["shape", "foreground", "background"])
def test_a_classifier_of_one_cue_follows_it_alone(cue):
    predicted = {"shape": Y, "foreground": FG, "background": BG}[cue]
    shares = follow(predicted, Y, FG, BG)
    assert shares == dict.fromkeys(("shape", "foreground", "background"), 0.0) | {cue: 1.0}


def test_following_is_undefined_where_cues_agree():
    with pytest.raises(ValueError, match="undefined"):
        follow(Y, Y, Y, BG)


@pytest.fixture
def cgn():
    return seeded(lambda: mnist.CGN(8, 4), generator(1)).eval()


@pytest.fixture
def split(few_digits):
    return variants.load("wildlife", "mnist-5k", "test", generator(5))


def test_held_out_images_are_shapes_with_recorded_cues(cgn):
    first, fg, bg = cues.held_out(cgn, 130, generator(2))
    again, *_ = cues.held_out(cgn, 130, generator(2))
    other, *_ = cues.held_out(cgn, 130, generator(3))
    assert first.x.shape == (130, 32, 32, 3) and len(fg) == len(bg) == len(first.y) == 130
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    for cue in (fg, bg):  # a permutation within each batch
        assert torch.equal(cue[:100].sort().values, first.y[:100].sort().values)
        assert not torch.equal(cue, first.y)


def test_following_measures_both_domains(cgn, split):
    net = seeded(mnist.CNN, generator(4)).eval()
    found, history = cues.following(net, cgn, split, 100, 0)
    assert history is None and found.pop("followed_images") == 40
    assert all(0 <= value <= 1 for value in found.values()) and len(found) == 9
    assert found["domain_read"] > 0.7  # grey noise looks like nothing a random CGN makes
    same = variants.load("wildlife", "mnist-5k", "test", generator(5)).freeze()
    right = digits.predict(net, same) == split.y
    assert found["real_accuracy"] == pytest.approx(right.sum().item() / 40)


def test_crossed_images_take_each_part_from_where_they_say(cgn, split):
    made = dict(cues.crossed(cgn, split, 40, generator(6)))
    again = dict(cues.crossed(cgn, split, 40, generator(6)))
    assert len(made) == 8 and all(x.shape == (40, 3, 32, 32) for x in made.values())
    assert all(torch.equal(made[parts], again[parts]) for parts in made)
    ink = split.mask.expand(-1, 3, -1, -1)
    real, other_bg = made["real", "real", "real"], made["real", "real", "cgn"]
    assert torch.equal(real[ink], other_bg[ink]) and not torch.equal(real[~ink], other_bg[~ink])
    other_fg = made["real", "cgn", "real"]
    assert torch.equal(real[~ink], other_fg[~ink]) and not torch.equal(real[ink], other_fg[ink])


class Gated(torch.nn.Module):
    """Answers the background's class where the top left corner is not grey."""

    def __init__(self, y, bg):
        super().__init__()
        self.y, self.bg = y, bg

    def forward(self, x):
        answer = torch.where(x[:, 0, 0, 0] > 0, self.bg, self.y)
        return torch.nn.functional.one_hot(answer, 10).float()


def test_crossing_finds_the_part_that_opens_the_gate(cgn, split, monkeypatch):
    split.mask[:, :, 0, 0] = False
    black = torch.full((40, 3, 32, 32), -1.0)
    monkeypatch.setattr(cgn, "background", lambda u, y, rng: black)
    monkeypatch.setattr(cues, "_texture", lambda test, of, classes, rng: -black)
    monkeypatch.setattr(cgn, "mask", lambda u, y: torch.zeros(40, 1, 32, 32))
    found, history = cues.crossing(Gated(split.y, split.bg), cgn, split, 100, 0)
    assert history is None and len(found) == 1 + 8 * 3
    triples = zip(*(c.tolist() for c in (split.y, split.fg, split.bg)), strict=True)
    assert found["conflicting_images"] == sum(len(set(three)) == 3 for three in triples)
    for strokes in cues.DOMAINS:
        for fg in cues.DOMAINS:
            assert found[f"{strokes}_{fg}_real_follows_background"] == 1
            assert found[f"{strokes}_{fg}_cgn_follows_shape"] == 1


@pytest.mark.parametrize("kind", [e.Following, e.Crossing])
def test_a_run_measures_the_nets_it_needs_on_the_test_images(kind, few_digits, tmp_path):
    classifier, made = MINI.control("wildlife", 0), MINI.cgn("wildlife", 0)
    run = replace(MINI.following(classifier, made, kind), evaluated=30, seed=3)
    nets = {
        "classifier": seeded(mnist.CNN, generator(4)).eval(),
        "generator": seeded(lambda: mnist.CGN(32, 16), generator(1)).eval(),
    }
    for role, net in nets.items():
        (tmp_path / role).mkdir()
        weights.save(net, tmp_path / role / WEIGHTS)
    found = compute(run, Job(tmp_path, {role: tmp_path / role for role in nets}))
    pure = {e.Following: cues.following, e.Crossing: cues.crossing}[kind]
    assert found == pure(*nets.values(), digits.test_of(run), 30, 3)
