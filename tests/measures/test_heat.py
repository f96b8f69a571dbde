"""Heat maps against autograd by hand, and their measures at known cases."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import nn

from cgnlib.chance import seeded
from cgnlib.measures.heat import (
    HeatMaps,
    average_precision,
    background_iou,
    foreground_iou,
    heat_inside,
    normalised,
    study_iou,
)
from cgnlib.nets.ensemble import SUBJECTS, Ensemble, Plain, small_resnet
from cgnlib.nets.mnist import CNN

MEASURES = [
    study_iou,
    foreground_iou,
    background_iou,
    heat_inside,
    average_precision,
]


@pytest.fixture
def ensemble():
    net = seeded(small_resnet, torch.Generator().manual_seed(1))
    return Ensemble(net, torch.Generator().manual_seed(2))


@pytest.fixture
def masks(rng):
    return torch.rand(8, 9, 11, generator=rng) > 0.7


@pytest.fixture
def heat(rng):
    return torch.rand(8, 9, 11, generator=rng)


def enlarged(small, size):
    """Bilinear enlargement with the weight of each source pixel written out."""
    n = small.shape[-1]
    weights = torch.zeros(size, n)
    for i in range(size):
        place = min(max((i + 0.5) * n / size - 0.5, 0), n - 1)
        left = min(int(place), n - 2)
        weights[i, left], weights[i, left + 1] = 1 - (place - left), place - left
    return weights @ small @ weights.T


def grad_cam(activation, gradient, size):
    return enlarged((gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu(), size)


def cnn_by_hand(net, x, target=None):
    """The study's definition: gradient at the convolution, activation behind the ReLU."""
    net.eval()
    conv = net.model[:9](x).detach().requires_grad_()  # layer by layer, without the fast stem
    behind = conv.relu()
    answers = net.cls(F.avg_pool2d(behind, 7).flatten(1))
    target = answers.argmax(1) if target is None else target
    score = sum(row[k] for row, k in zip(answers, target, strict=True))
    (gradient,) = torch.autograd.grad(score, conv)
    return grad_cam(behind.detach(), gradient, 32), target


def ensemble_by_hand(net, x, subject):
    net.eval()
    block = net.backbone[7][-1]
    before = net.backbone[:7](x).detach()
    conv = block.conv1(before).detach().requires_grad_()
    z = block.bn2(block.conv2(block.bn1(conv).relu())) + block.downsample(before)
    z = z.relu().mean((2, 3))
    heads = {name: getattr(net, f"m_{name}")[1](z) for name in ("shape", "texture", "bg")}
    heads["avg"] = sum(heads.values()) / 3
    heads["shape_texture"] = (heads["shape"] + heads["texture"]) / 2
    (gradient,) = torch.autograd.grad(heads[subject].amax(1).sum(), conv)
    return grad_cam(conv.detach(), gradient, x.shape[-1])


# --- heat maps


def test_cnn_maps_equal_autograd_by_hand(cnn, x):
    wanted, target = cnn_by_hand(cnn, x)
    assert len(target.unique()) > 1
    with HeatMaps(cnn, cnn.model[8]) as maps:
        found = maps(x)
        assert torch.equal(maps(x, target), found)
        other = maps(x, (target + 1) % 10)
    assert found.shape == (6, 32, 32) and found.dtype == torch.float32
    assert (found >= 0).all() and (found.amax((1, 2)) > 0).any()
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert torch.allclose(other, cnn_by_hand(cnn, x, (target + 1) % 10)[0], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(other, found, rtol=0.1)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_ensemble_maps_equal_autograd_by_hand(subject, ensemble, rng):
    x = torch.randn(3, 3, 64, 64, generator=rng)
    wanted = ensemble_by_hand(ensemble, x, subject)
    with HeatMaps(ensemble, ensemble.backbone[7][-1].conv1, subject) as maps:
        found = maps(x)
    assert found.shape == (3, 64, 64) and wanted.amax() > 0
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.amax()))


def tiny(inplace):
    """Two classes that weigh the mean brightness behind a ReLU by 1 and by -1."""
    conv, linear = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1)
        linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
    return nn.Sequential(
        conv, nn.ReLU(inplace=inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear
    )


def test_a_map_is_hot_where_the_evidence_is():
    """Class 0 sees the bright half; nothing speaks for class 1: its map is zero."""
    x = torch.full((1, 1, 4, 4), -1.0)
    x[..., :2] = 2
    net = tiny(inplace=True)
    with HeatMaps(net, net[0]) as maps:
        found = maps(x)
        assert (maps(x, torch.tensor([1])) == 0).all()
    # eight pixels of sixteen pass a gradient of 1/16 each: their mean is 1/32
    assert torch.equal(found, x[:, 0].relu() / 32)


def test_only_a_relu_in_place_changes_the_activation(rng):
    """Negative weight times negative activation is heat, unless the ReLU has cut it off."""
    x = torch.randn(1, 1, 4, 4, generator=rng)
    for inplace, wanted in ((True, torch.zeros(1, 4, 4)), (False, (-x[:, 0]).relu())):
        net = tiny(inplace)
        with HeatMaps(net, net[0]) as maps:
            found = maps(x, torch.tensor([1]))
        assert torch.allclose(found, wanted * (x > 0).float().mean() / 16)


def test_maps_are_the_same_where_tensors_are_copied_to_the_cpu(cnn, x, monkeypatch):
    """As on a GPU: an activation copied before the ReLU in place would be another one."""
    with HeatMaps(cnn, cnn.model[8]) as maps:
        wanted = maps(x)
        monkeypatch.setattr(torch.Tensor, "cpu", torch.Tensor.clone)
        assert torch.equal(maps(x), wanted)


def test_maps_do_not_depend_on_the_batch(cnn, x):
    with HeatMaps(cnn, cnn.model[8]) as maps:
        together, alone = maps(x), torch.cat([maps(one) for one in x.split(1)])
        turned = maps(x.flip(0))
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-7)
    assert torch.allclose(together.flip(0), turned, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["cnn", "ensemble"])
def test_the_net_is_as_before(kind, cnn, ensemble, x, untouched):
    net, layer, subject = (
        (cnn, cnn.model[8], None)
        if kind == "cnn"
        else (ensemble, ensemble.backbone[7][-1].conv1, "avg")
    )
    net.train()  # the ensemble's batch norms stay in evaluation mode: modes differ by layer
    first, second, *_ = net.parameters()
    first.grad = torch.ones_like(first)
    second.requires_grad_(False)
    chance = torch.get_rng_state(), np.random.get_state()[1].tolist()
    with untouched(net), HeatMaps(net, layer, subject) as maps:
        assert not any(m.training for m in net.modules()) and layer._forward_hooks
        maps(x)
    assert not second.requires_grad and first.requires_grad
    assert torch.equal(torch.get_rng_state(), chance[0]) and torch.is_grad_enabled()
    assert np.random.get_state()[1].tolist() == chance[1]
    assert not x.requires_grad and x.grad is None
    for error in (IndexError, KeyError):  # the library's own block swallows an IndexError
        with untouched(net), pytest.raises(error), HeatMaps(net, layer, subject) as maps:
            maps(x)
            raise error


def test_maps_of_a_frozen_net_and_without_gradients_around(cnn, x):
    with HeatMaps(cnn, cnn.model[8]) as maps:
        wanted = maps(x)
        with torch.no_grad():
            assert torch.equal(maps(x), wanted)
        with torch.inference_mode():
            assert torch.equal(maps(x + 0), wanted)
        cnn.requires_grad_(False)
        assert torch.equal(maps(x), wanted)


def test_errors_of_heat_maps(cnn, ensemble, x):
    with pytest.raises(ValueError, match="not a layer of this CNN"):
        HeatMaps(cnn, CNN().model[8])
    with pytest.raises(RuntimeError, match="inside the with block"):
        HeatMaps(cnn, cnn.model[8])(x)
    with HeatMaps(cnn, cnn.model[8]) as maps:
        maps(x)
    with pytest.raises(RuntimeError, match="inside the with block"):
        maps(x)
    for subject in (None, "plain"):
        conv = ensemble.backbone[7][-1].conv1
        with (
            pytest.raises(ValueError, match="'shape', 'texture', 'bg'"),
            HeatMaps(ensemble, conv, subject) as maps,
        ):
            maps(x)
    with HeatMaps(Plain(cnn), cnn.model[8], "plain") as maps, HeatMaps(cnn, cnn.model[8]) as own:
        assert torch.equal(maps(x), own(x))


# --- measures


def test_normalised_maps_fill_the_range(heat):
    heat[2], heat[5] = 0, 0.3
    scaled, constant = normalised(heat * 7)
    assert constant.tolist() == [i in (2, 5) for i in range(8)]
    assert (scaled[constant] == 0).all()
    assert (scaled[~constant].amin((1, 2)) == 0).all()
    assert (scaled[~constant].amax((1, 2)) == 1).all()
    again, _ = normalised(scaled)
    assert torch.equal(again, scaled)
    by_hand = (heat[0] - heat[0].min()) / (heat[0].max() - heat[0].min())
    assert torch.allclose(scaled[0], by_hand)
    heat[1, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        normalised(heat)


def test_a_map_equal_to_the_mask_has_every_measure_at_1(masks):
    for measure in MEASURES:
        assert measure(masks.float(), masks).tolist() == [1] * 8
        assert measure(masks.float() / 50, masks.unsqueeze(1)).tolist() == [1] * 8


def test_the_inverse_of_the_mask_has_every_measure_at_its_floor(masks):
    inverse = (~masks).float()
    for measure in MEASURES[:4]:
        assert measure(inverse, masks).tolist() == [0] * 8
    # the mask's pixels come last, all at once: precision is their share
    found = average_precision(inverse, masks)
    assert torch.allclose(found, masks.float().mean((1, 2)))


def test_no_ranking_is_below_the_floor_of_average_precision(rng):
    mask = torch.arange(20).view(1, 4, 5) < 6
    worst = sum((k + 1) / (14 + k + 1) for k in range(6)) / 6
    assert average_precision(torch.arange(20.0).view(1, 4, 5), mask).item() == (
        pytest.approx(worst)
    )
    ranks = torch.stack([torch.randperm(20, generator=rng) for _ in range(200)]).view(200, 4, 5)
    found = average_precision(ranks.float(), mask.expand(200, 4, 5))
    assert (found >= worst - 1e-6).all() and found.max() < 1


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_constant_maps(level, masks):
    """Empty predictions for the IoUs; chance, the mask's share, for the measures of heat."""
    flat, share = torch.full((8, 9, 11), level), masks.float().mean((1, 2))
    for threshold in (0.0, 0.5):
        assert (foreground_iou(flat, masks, threshold) == 0).all()
        assert torch.allclose(background_iou(flat, masks, threshold), 1 - share)
        assert torch.allclose(study_iou(flat, masks, threshold), (1 - share) / 2)
    assert torch.allclose(heat_inside(flat, masks), share)
    assert torch.allclose(average_precision(flat, masks), share)


def slow_study_iou(heat, mask, threshold):
    """Confusion matrix of one image, a pixel at a time; a class of no union scores 0."""
    values, truth = heat.flatten().tolist(), mask.flatten().tolist()
    low, high = min(values), max(values)
    hot = [high > low and (v - low) / (high - low) >= threshold for v in values]
    scores = []
    for side in (True, False):
        both = sum(h is side and t is side for h, t in zip(hot, truth, strict=True))
        either = sum(h is side or t is side for h, t in zip(hot, truth, strict=True))
        scores.append(both / either if either else 0)
    return sum(scores) / 2, scores[0], scores[1]


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_study_iou_equals_its_slow_form(threshold, heat, masks):
    masks[0], masks[1], masks[2], heat[2], heat[3] = False, True, False, 0, 0.2
    heat[4:] = (heat[4:] * 3).floor()  # half of the range is met, and is hot at 0.5
    found = [measure(heat, masks, threshold) for measure in MEASURES[:3]]
    slow = [slow_study_iou(h, m, threshold) for h, m in zip(heat, masks, strict=True)]
    assert torch.allclose(torch.stack(found, 1), torch.tensor(slow))
    assert found[0][2] == 0.5  # neither has a foreground: only the background scores


def test_measures_of_one_image_do_not_depend_on_the_others(heat, masks):
    for measure in MEASURES:
        found = measure(heat, masks)
        assert found.shape == (8,) and ((found >= 0) & (found <= 1)).all()
        alone = [measure(*one) for one in zip(heat.split(1), masks.split(1), strict=True)]
        assert torch.equal(torch.cat(alone), found)
        assert torch.allclose(measure(heat * 9, masks), found)
        assert torch.allclose(measure(heat.flip(2), masks.flip(2)), found)


def test_average_precision_equals_that_of_scikit_learn(heat, masks):
    few = (heat * 4).floor()  # many ties
    for maps in (heat, few, few / 3, masks.float() + few):
        found = average_precision(maps, masks)
        slow = [
            average_precision_score(mask.flatten().numpy(), one.flatten().numpy())
            for one, mask in zip(maps, masks, strict=True)
        ]
        assert found.tolist() == pytest.approx(slow, abs=1e-6)
    assert torch.equal(average_precision(heat.exp(), masks), average_precision(heat, masks))


def test_heat_inside_is_a_share_of_the_heat():
    mask = torch.zeros(3, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    heat = torch.ones(3, 4, 4)
    heat[1, :2], heat[2, 2:] = 3, 4
    assert heat_inside(heat, mask).tolist() == pytest.approx([0.5, 0.75, 0.2])


def test_what_a_mask_covers_more_has_more_heat_inside(heat, rng):
    order = torch.rand(9, 11, generator=rng)
    shares = [heat_inside(heat, (order < t).expand(8, 9, 11)) for t in (0.1, 0.4, 0.8, 2)]
    assert all((a < b).all() for a, b in pairwise(shares))
    assert torch.allclose(shares[-1], torch.ones(8))


def test_errors_of_measures(heat, masks):
    for measure in MEASURES:
        for wrong in (masks.float(), masks[:3], masks[:, :, :4]):
            with pytest.raises(ValueError, match="masks are bool"):
                measure(heat, wrong)
        with pytest.raises(ValueError, match="finite"):
            measure(heat.masked_fill(masks, float("inf")), masks)
    with pytest.raises(ValueError, match="negative"):
        heat_inside(heat - 0.5, masks)
    masks[4] = False
    with pytest.raises(ValueError, match="empty"):
        average_precision(heat, masks)
    assert heat_inside(heat, masks)[4] == 0
