"""Where heads look: overlaps whose value is known, and the kind of run end to end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cgnlib import chance
from cgnlib.chance import generator, seeded
from cgnlib.compute import Job, compute, heads
from cgnlib.compute.nets_of import WEIGHTS
from cgnlib.data.menagerie import SIZE, Menagerie
from cgnlib.experiments import grid
from cgnlib.nets import weights
from cgnlib.nets.ensemble import Ensemble, Plain, small_resnet

MEASURES = {"heat_inside", "average_precision", "foreground_iou"}
N = 6


@pytest.fixture
def masks():
    """Three quarters of an image that do not meet, and the shares that they cover."""
    found = torch.zeros(3, 8, 8, dtype=torch.bool)
    found[0, :4, :4] = found[1, 4:, :4] = found[2, :4, 4:] = True
    return found


@pytest.fixture
def plain():
    return Plain(seeded(small_resnet, generator(1))).eval()


@pytest.fixture
def ensemble():
    return Ensemble(seeded(small_resnet, generator(2)), generator(3)).eval()


# --- known answers


def test_heat_on_the_object_alone_has_every_measure_at_1(masks):
    found = heads.overlap(masks.float() * 5, masks)
    assert {m: found[m] for m in MEASURES} == dict.fromkeys(MEASURES, 1.0)
    assert found["constant_maps"] == 0


def test_heat_on_the_object_is_none_on_that_of_another_image(masks):
    found = heads.overlap(masks.float(), masks)
    assert (found["heat_inside_swapped"], found["foreground_iou_swapped"]) == (0, 0)
    assert found["average_precision_swapped"] < 0.3  # no better than the quarter that it covers


def test_heat_that_prefers_no_place_is_no_better_than_chance(masks):
    heat = torch.rand(3, 8, 8, generator=generator(4)) * 1e-3 + 1
    found = heads.overlap(heat, masks)
    for end in ("", "_swapped"):
        assert found["heat_inside" + end] == pytest.approx(0.25, abs=0.01)


def test_maps_without_heat_are_counted_and_left_out(masks):
    heat = masks.float()
    heat[2] = 0
    found = heads.overlap(heat, masks)
    assert found["constant_maps"] == pytest.approx(1 / 3)
    assert found["heat_inside"] == 1 and found["foreground_iou"] == pytest.approx(2 / 3)
    nowhere = heads.overlap(torch.zeros(3, 8, 8), masks)
    assert nowhere["constant_maps"] == 1 and "heat_inside" not in nowhere
    assert nowhere["foreground_iou"] == 0


# --- images, subjects, maps


def test_the_images_are_those_of_the_tests_with_their_masks():
    x, mask = heads.images("cue_conflict", N)
    data = Menagerie("conflict", N, chance.TEST)
    assert torch.equal(x, data.batch(data.index)[0])
    assert mask.shape == (N, SIZE, SIZE) and mask.dtype == torch.bool
    assert all(0.02 < share < 0.9 for share in mask.float().mean((1, 2)))
    fewer, _ = heads.images("cue_conflict", 2)
    assert torch.equal(fewer, x[:2])


def test_who_decides(plain, ensemble):
    assert heads.subjects(plain) == ("plain",)
    assert heads.subjects(ensemble) == ("shape", "texture", "bg", "avg")


@pytest.mark.parametrize("layer", heads.LAYERS)
def test_maps_do_not_depend_on_the_parts_they_are_made_in(layer, ensemble, monkeypatch):
    x, _ = heads.images("cue_conflict", N)
    whole = heads.heat_of(ensemble, layer, "shape", x)
    monkeypatch.setattr(heads, "CHUNK", 4)
    parts = heads.heat_of(ensemble, layer, "shape", x)
    assert whole.shape == (N, SIZE, SIZE) and (whole >= 0).all()
    assert torch.allclose(whole, parts, atol=1e-5)


def test_each_subject_has_maps_of_its_own(ensemble):
    x, _ = heads.images("cue_conflict", N)
    found = [heads.heat_of(ensemble, "fine", s, x) for s in heads.subjects(ensemble)]
    assert len({tuple(maps.flatten().tolist()) for maps in found}) == 4


# --- end to end


@pytest.mark.parametrize("train_on", ["plain", "real"])
def test_a_run_maps_every_subject_of_the_classifier_it_needs(
    train_on, plain, ensemble, tmp_path, monkeypatch
):
    run = next(run for run in grid("mini", "head-maps") if run.train_on == train_on)
    run = replace(run, evaluated=N)
    monkeypatch.setattr(heads, "SHOWN", 3)
    net = plain if train_on == "plain" else ensemble
    weights.save(net, tmp_path / WEIGHTS)
    found, history = compute(run, Job(tmp_path, {"classifier": tmp_path}))
    assert history is None and found.pop("explained_images") == N
    assert 0 < found.pop("mask_coverage_true") < 1
    named = {tuple(name.split("/")[:2]) for name in found}
    subjects = heads.subjects(net)
    assert named == {(layer, subject) for layer in heads.LAYERS for subject in subjects}
    assert all(0 <= value <= 1 for value in found.values())
    x, mask = heads.images(run.condition, N)
    direct = heads.overlap(heads.heat_of(net, "fine", subjects[0], x), mask)
    assert {k: found[f"fine/{subjects[0]}/{k}"] for k in direct} == pytest.approx(direct, abs=1e-5)
    with np.load(tmp_path / "samples.npz") as stored:
        assert set(stored) == {"x", "mask", *subjects}
        assert stored["x"].shape == (3, SIZE, SIZE, 3) and stored["x"].dtype == np.uint8
        assert all(stored[s].shape == (3, SIZE, SIZE) for s in subjects)
