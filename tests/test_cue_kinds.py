"""Which cue a classifier follows: shares whose value is known, and the kind on a few digits."""

import pytest
import torch

from cgnlib import cue_kinds, experiments
from cgnlib.experiments import profile
from cgnlib.mnists import Variant
from cgnlib.nets import mnist as nets
from cgnlib.train import generator, seeded

Y, FG, BG = (torch.tensor(c) for c in ([0, 1, 2, 3], [4, 5, 6, 3], [7, 8, 9, 1]))


@pytest.mark.parametrize("cue", ["shape", "foreground", "background"])
def test_a_classifier_of_one_cue_follows_it_alone(cue):
    predicted = {"shape": Y, "foreground": FG, "background": BG}[cue]
    found = cue_kinds.follow(predicted, Y, FG, BG)
    shares = {name: value for name, value in found.items() if name != "accuracy"}
    assert shares == dict.fromkeys(shares, 0.0) | {f"follows_{cue}": 1.0}
    assert found["accuracy"] == {"shape": 1.0, "foreground": 0.25, "background": 0.0}[cue]


def test_following_is_undefined_where_cues_agree():
    with pytest.raises(ValueError, match="undefined"):
        cue_kinds.follow(Y, Y, Y, BG)


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
