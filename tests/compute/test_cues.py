"""Which cue a classifier follows: shares whose value is known, and the kind on a few digits."""

import pytest
import torch

from cgnlib import experiments
from cgnlib.chance import generator, seeded
from cgnlib.compute import cues as cue_kinds
from cgnlib.data.variants import Variant
from cgnlib.experiments import profile
from cgnlib.measures import cues
from cgnlib.nets import mnist as nets

Y, FG, BG = (torch.tensor(c) for c in ([0, 1, 2, 3], [4, 5, 6, 3], [7, 8, 9, 1]))


@pytest.mark.parametrize("cue", ["shape", "foreground", "background"])
def test_a_classifier_of_one_cue_follows_it_alone(cue):
    predicted = {"shape": Y, "foreground": FG, "background": BG}[cue]
    shares = cues.follow(predicted, Y, FG, BG)
    assert shares == dict.fromkeys(("shape", "foreground", "background"), 0.0) | {cue: 1.0}


def test_following_is_undefined_where_cues_agree():
    with pytest.raises(ValueError, match="undefined"):
        cues.follow(Y, Y, Y, BG)


def test_held_out_images_are_shapes_with_recorded_cues():
    cgn = seeded(lambda: nets.CGN(8, 4), generator(1)).eval()
    first, fg, bg = cue_kinds.held_out(cgn, 130, generator(2))
    again, *_ = cue_kinds.held_out(cgn, 130, generator(2))
    other, *_ = cue_kinds.held_out(cgn, 130, generator(3))
    assert first.x.shape == (130, 32, 32, 3) and len(fg) == len(bg) == len(first.y) == 130
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    for cue in (fg, bg):  # a permutation within each batch
        assert torch.equal(cue[:100].sort().values, first.y[:100].sort().values)
        assert not torch.equal(cue, first.y)


def test_the_kind_measures_both_domains(few_digits):
    p = profile("mini")
    run = experiments.following(
        p, experiments.control(p, "wildlife", 0), experiments.cgn(p, "wildlife", 0)
    )
    net = seeded(nets.CNN, generator(4)).eval()
    cgn = seeded(lambda: nets.CGN(8, 4), generator(1)).eval()
    test = Variant("wildlife", "mnist-5k", "test", generator(5))
    found, history = cue_kinds.following(run, net, cgn, test)
    assert history is None and found.pop("followed_images") == 40
    assert all(0 <= value <= 1 for value in found.values()) and len(found) == 9
    assert found["domain_read"] > 0.7  # grey noise looks like nothing a random CGN makes


def test_crossed_images_take_each_part_from_where_they_say(few_digits):
    cgn = seeded(lambda: nets.CGN(8, 4), generator(1)).eval()
    test = Variant("wildlife", "mnist-5k", "test", generator(5))
    made = dict(cue_kinds.crossed(cgn, test, 40, generator(6)))
    again = dict(cue_kinds.crossed(cgn, test, 40, generator(6)))
    assert len(made) == 8 and all(x.shape == (40, 3, 32, 32) for x in made.values())
    assert all(torch.equal(made[parts], again[parts]) for parts in made)
    ink = test.mask.expand(-1, 3, -1, -1)
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


def test_crossing_finds_the_part_that_opens_the_gate(few_digits, monkeypatch):
    p = profile("mini")
    run = experiments.crossing(
        p, experiments.control(p, "wildlife", 0), experiments.cgn(p, "wildlife", 0)
    )
    cgn = seeded(lambda: nets.CGN(8, 4), generator(1)).eval()
    test = Variant("wildlife", "mnist-5k", "test", generator(5))
    test.mask[:, :, 0, 0] = False
    black = torch.full((40, 3, 32, 32), -1.0)
    monkeypatch.setattr(cgn, "background", lambda u, y, rng: black)
    monkeypatch.setattr(cue_kinds, "_texture", lambda test, of, classes, rng: -black)
    monkeypatch.setattr(cgn, "mask", lambda u, y: torch.zeros(40, 1, 32, 32))
    found, history = cue_kinds.crossing(run, Gated(test.y, test.bg), cgn, test)
    assert history is None and len(found) == 1 + 8 * 3
    differ = [
        len({int(c) for c in three}) == 3 for three in zip(test.y, test.fg, test.bg, strict=True)
    ]
    assert found["conflicting_images"] == sum(differ)
    for strokes in cue_kinds.DOMAINS:
        for fg in cue_kinds.DOMAINS:
            assert found[f"{strokes}_{fg}_real_follows_background"] == 1
            assert found[f"{strokes}_{fg}_cgn_follows_shape"] == 1
