"""The kinds of run behind disentanglement: known answers, and end to end on tiny worlds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cgnlib import experiments, worlds
from cgnlib.chance import generator, seeded
from cgnlib.compute import digits, disentanglement
from cgnlib.compute import disentanglement as kinds
from cgnlib.experiments import VARIANTS
from cgnlib.nets import mnist as nets
from cgnlib.nets import weights
from cgnlib.nets.readers import CueReader
from cgnlib.training.checkpoints import Checkpoint

MINI = experiments.profile("mini")
FACTORS = ("shape", "texture", "background")


def factors_of(variant):
    return FACTORS[:2] if variant == "colored" else FACTORS


def tiny(run, **settings):
    return replace(run, settings=tuple(sorted((dict(run.settings) | settings).items())))


def save(net, folder):
    folder.mkdir(exist_ok=True)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
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
        monkeypatch.setattr(kinds, "_source", lambda run, needs: Toy(mix))
        monkeypatch.setattr(disentanglement, "of_digits", lambda net: read)
        run = tiny(experiments.disentanglement(MINI, "wildlife", None), evaluated=200)
        found, history = kinds.disentanglement(
            run, tmp_path, {"reader": save(CueReader(), tmp_path / "reader")}, None
        )
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
        assert stored["base"].shape == (kinds.SHOWN, 4, 4, 3)
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


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_reader_is_trained_tested_and_kept(few_digits, tmp_path, variant):
    run = tiny(experiments.reader(MINI, variant), renderings=2)
    found, history = digits.execute(run, tmp_path, {}, Checkpoint())
    names = [f"{factor}_accuracy" for factor in factors_of(variant)]
    assert set(found) == {*names, "train_images", "test_images"}
    assert (found["train_images"], found["test_images"]) == (80, 40)
    assert all(0 <= found[name] <= 1 for name in names)
    assert len(history) == 1 and 0 <= history[0]["train_accuracy"] <= 1
    again = weights.load(CueReader(), tmp_path / "weights.safetensors")
    assert sum(value.isfinite().all() for value in again.state_dict().values()) > 10


def test_a_reader_learns_cues_that_are_there(few_digits, tmp_path):
    """The foreground of DC-MNIST, which covers most of these images, and its ten colours."""
    run = tiny(experiments.reader(MINI, "double_colored"), renderings=40, epochs=2, batch=16)
    found, _ = digits.execute(run, tmp_path, {}, Checkpoint())
    assert found["texture_accuracy"] > 0.9


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("of_cgn", [False, True])
def test_digits_are_intervened_on(few_digits, tmp_path, variant, of_cgn):
    source = experiments.cgn(MINI, variant, 0) if of_cgn else None
    run = tiny(experiments.disentanglement(MINI, variant, source), evaluated=60)
    needs = {"reader": save(seeded(CueReader, generator(1)), tmp_path / "reader")}
    if of_cgn:
        cgn = seeded(lambda: nets.CGN(source["latent"], source["ngf"]), generator(2))
        needs["generator"] = save(cgn, tmp_path / "cgn")
    found, _ = digits.execute(run, tmp_path, needs, None)
    again, _ = digits.execute(run, tmp_path, needs, None)
    assert found == again  # its chance has an owner
    factors = factors_of(variant)
    assert {name for name in found if name.startswith("read_")} == {f"read_{f}" for f in factors}
    assert len([n for n in found if n.startswith("moved_")]) == 3 * len(factors)
    assert found["disentanglement"] == pytest.approx(found["control"] - found["leak"])
    assert 0 < found["diversity_shape"] < 1 and "nearest_iou" not in found
    with np.load(tmp_path / "samples.npz") as stored:
        assert set(stored) == {"y", "other", "base", *FACTORS}
        assert stored["base"].shape == (8, 32, 32, 3) and (stored["y"] != stored["other"]).all()


@pytest.mark.parametrize("of_cgn", [False, True])
def test_the_menagerie_is_intervened_on(random_parts, tmp_path, monkeypatch, of_cgn):
    monkeypatch.setattr(kinds, "POOL", 100)
    source = experiments.mechanisms(MINI, "none", 0) if of_cgn else None
    run = tiny(experiments.disentanglement(MINI, "menagerie", source), evaluated=10)
    needs = {"generator": save(worlds.start("menagerie"), tmp_path / "cgn")} if of_cgn else {}
    found, _ = digits.execute(run, tmp_path, needs, None)
    assert {f"read_{f}" for f in FACTORS} < set(found)
    assert 0 <= found["nearest_iou"] <= 1
    if not of_cgn:
        assert found["nearest_iou"] > 0.6  # true shapes resemble true shapes
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["base"].shape == (8, 64, 64, 3)


def test_the_parts_that_the_menagerie_is_judged_by_are_inputs():
    run = experiments.disentanglement(MINI, "menagerie", None)
    assert {input.kind for input in kinds.reads(run).values()} == {"part"}
    assert set(digits.reads(run)) == {"biggan", "u2net", "classifier", "probe"}
    on_digits = digits.reads(experiments.disentanglement(MINI, "wildlife", None))
    assert set(on_digits) == {"digits", "textures"}
