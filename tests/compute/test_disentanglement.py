"""The kinds of run behind disentanglement: known answers, and end to end on tiny worlds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cgnlib import experiments as e
from cgnlib import worlds
from cgnlib.chance import generator, seeded
from cgnlib.compute import Job, compute, disentanglement
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals import mechanisms
from cgnlib.measures.disentanglement import FACTORS
from cgnlib.nets import mnist, weights
from cgnlib.nets.readers import CueReader

MINI = e.profile("mini")


def save(net, folder):
    folder.mkdir(exist_ok=True)
    weights.save(net, folder / WEIGHTS)
    return folder


# --- known answers, through the whole kind


class Toy:
    """A scene whose channels are its three classes: `mix` says which mechanism writes where."""

    def __init__(self, mix):
        self.mix = torch.tensor(mix)

    def part(self, mechanism, y, take, index):
        made = (y[:, None] * self.mix[mechanism]).float()[:, :, None, None]
        return made.expand(-1, -1, 4, 4) / 10

    def compose(self, parts, index):
        return sum(parts)


def channels(x):
    """The classes that the channels of a scene are, [N, 3]."""
    return (10 * x[:, :, 0, 0]).round().long()


def residue(x):
    """The same where two mechanisms have written their classes into one channel."""
    return channels(x) % 10


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Metrics of a toy source, read by something that sees its channels."""

    def measure(mix, read=channels):
        monkeypatch.setattr(mechanisms, "DigitRenderer", lambda *_: Toy(mix))
        monkeypatch.setattr(disentanglement, "of_digits", lambda net: read)
        run = replace(MINI.disentanglement("wildlife", None), evaluated=200)
        needs = {"reader": save(CueReader(), tmp_path / "reader")}
        found, history = compute(run, Job(tmp_path, needs))
        assert history is None
        return found

    return measure


def test_mechanisms_that_rule_their_own_factor_score_one(measured, tmp_path):
    found = measured([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert (found["disentanglement"], found["control"], found["leak"]) == (1, 1, 0)
    for a in FACTORS:
        assert found[f"read_{a}"] == 1
        for b in FACTORS:
            assert found[f"moved_{a}_{b}"] == (a == b) and found[f"noise_{a}_{b}"] == 0
    assert all(found[f"shape_read_{c}"] == 1 for c in range(10))
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["base"].shape == (disentanglement.SHOWN, 4, 4, 3)
        assert (stored["shape"][..., 0] != stored["base"][..., 0]).all()  # y is another class
        assert np.array_equal(stored["shape"][..., 1:], stored["base"][..., 1:])


def test_a_mechanism_that_writes_into_another_factor_leaks_there(measured):
    found = measured([[1, 0, 0], [1, 1, 0], [0, 0, 1]], residue)
    assert found["moved_texture_shape"] == 1 and found["moved_background_shape"] == 0
    assert found["leak"] == pytest.approx(1 / 6) and found["disentanglement"] < 0.9


def test_a_reader_that_guesses_finds_no_disentanglement(measured):
    """The same answer whatever it sees: nothing moves, and control is at chance."""
    found = measured(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]], lambda x: torch.zeros(len(x), 3, dtype=torch.long)
    )
    assert found["leak"] == 0 and found["control"] == pytest.approx(0.1, abs=0.05)


# --- end to end


@pytest.mark.parametrize("variant", e.VARIANTS)
def test_a_reader_is_trained_tested_and_kept(few_digits, tmp_path, variant):
    run = MINI.reader(variant)
    run = replace(run, recipe=replace(run.recipe, renderings=2))
    found, history = compute(run, Job(tmp_path))
    names = [f"{factor}_accuracy" for factor in run.factors]
    assert set(found) == {*names, "train_images", "test_images"}
    assert (found["train_images"], found["test_images"]) == (80, 40)
    assert all(0 <= found[name] <= 1 for name in names)
    assert len(history) == 1 and 0 <= history[0]["train_accuracy"] <= 1
    assert all(value.isfinite().all() for value in net_of(run, tmp_path).state_dict().values())


def test_a_reader_learns_cues_that_are_there(few_digits, tmp_path):
    """The foreground of DC-MNIST, which covers most of these images, and its ten colours."""
    run = MINI.reader("double_colored")
    run = replace(run, recipe=replace(run.recipe, renderings=40, epochs=2, batch=16))
    assert compute(run, Job(tmp_path)).metrics["texture_accuracy"] > 0.9


@pytest.mark.parametrize("variant", e.VARIANTS)
@pytest.mark.parametrize("of_cgn", [False, True])
def test_digits_are_intervened_on(few_digits, tmp_path, variant, of_cgn):
    cgn = MINI.cgn(variant, 0) if of_cgn else None
    run = replace(MINI.disentanglement(variant, cgn), evaluated=60)
    needs = {"reader": save(seeded(CueReader, generator(1)), tmp_path / "reader")}
    if of_cgn:
        net = seeded(lambda: mnist.CGN(cgn.recipe.latent, cgn.recipe.ngf), generator(2))
        needs["generator"] = save(net, tmp_path / "cgn")
    found, _ = compute(run, Job(tmp_path, needs))
    assert found == compute(run, Job(tmp_path, needs)).metrics  # its chance has an owner
    factors = FACTORS[:2] if variant == "colored" else FACTORS
    assert {name for name in found if name.startswith("read_")} == {f"read_{f}" for f in factors}
    assert len([n for n in found if n.startswith("moved_")]) == 3 * len(factors)
    assert found["disentanglement"] == pytest.approx(found["control"] - found["leak"])
    assert 0 < found["diversity_shape"] < 1 and "nearest_iou" not in found
    with np.load(tmp_path / "samples.npz") as stored:
        assert set(stored) == {"y", "other", "base", *FACTORS}
        assert stored["base"].shape == (8, 32, 32, 3) and (stored["y"] != stored["other"]).all()


@pytest.mark.parametrize("of_cgn", [False, True])
def test_the_menagerie_is_intervened_on(random_parts, tmp_path, monkeypatch, of_cgn):
    monkeypatch.setattr(disentanglement, "POOL", 100)
    cgn = MINI.mechanisms("none", 0) if of_cgn else None
    run = replace(MINI.menagerie_disentanglement(cgn), evaluated=10)
    start = worlds.find("menagerie").start
    needs = {"generator": save(start(), tmp_path / "cgn")} if of_cgn else {}
    found, _ = compute(run, Job(tmp_path, needs))
    assert {f"read_{f}" for f in FACTORS} < set(found)
    assert 0 <= found["nearest_iou"] <= 1
    if not of_cgn:
        assert found["nearest_iou"] > 0.6  # true shapes resemble true shapes
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["base"].shape == (8, 64, 64, 3)
