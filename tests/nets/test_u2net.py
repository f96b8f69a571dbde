"""U2-Net: the published layout, the small one, and the folded copy against the net."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cgnlib.nets.u2net import U2Net


@pytest.fixture(scope="module")
def net():
    """A small net in evaluation whose batch norms are far from their start."""
    rng = torch.Generator().manual_seed(3)
    net = U2Net.small().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for value in (layer.weight.data, layer.bias.data, layer.running_mean):
                value.add_(torch.randn(len(value), generator=rng) / 4)
            layer.running_var.mul_(torch.rand(len(layer.running_var), generator=rng) + 0.2)
    return net


def images(n, size, rng, dtype=torch.float32):
    return torch.rand(n, 3, size, size, generator=rng, dtype=dtype) * 2 - 1


# --- layout


def unit(name, c_in, c_out):
    shapes = {f"{name}.conv_s1.weight": (c_out, c_in, 3, 3), f"{name}.conv_s1.bias": (c_out,)}
    for key in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{name}.bn_s1.{key}"] = (c_out,)
    return shapes | {f"{name}.bn_s1.num_batches_tracked": ()}


def stage(name, depth, c_in, mid, c_out):
    shapes = unit(f"{name}.rebnconvin", c_in, c_out) | unit(f"{name}.rebnconv1", c_out, mid)
    for i in range(2, depth + 1):
        shapes |= unit(f"{name}.rebnconv{i}", mid, mid)
    for i in range(depth - 1, 1, -1):
        shapes |= unit(f"{name}.rebnconv{i}d", 2 * mid, mid)
    return shapes | unit(f"{name}.rebnconv1d", 2 * mid, c_out)


def test_keys_and_shapes_are_the_published_ones():
    expected = {}
    for name, *sizes in (
        ("stage1", 7, 3, 32, 64),
        ("stage2", 6, 64, 32, 128),
        ("stage3", 5, 128, 64, 256),
        ("stage4", 4, 256, 128, 512),
        ("stage5", 4, 512, 256, 512),
        ("stage6", 4, 512, 256, 512),
        ("stage5d", 4, 1024, 256, 512),
        ("stage4d", 4, 1024, 128, 256),
        ("stage3d", 5, 512, 64, 128),
        ("stage2d", 6, 256, 32, 64),
        ("stage1d", 7, 128, 16, 64),
    ):
        expected |= stage(name, *sizes)
    for i, c in enumerate((64, 64, 128, 256, 512, 512), 1):
        expected |= {f"side{i}.weight": (1, c, 3, 3), f"side{i}.bias": (1,)}
    expected |= {"outconv.weight": (1, 6, 1, 1), "outconv.bias": (1,)}
    with torch.device("meta"):
        net = U2Net.published()
    assert {k: tuple(v.shape) for k, v in net.state_dict().items()} == expected
    assert len(expected) == 798
    assert sum(p.numel() for p in net.parameters()) == 44_009_869


def test_dilations_and_the_bottom_of_each_stage():
    net = U2Net.small()
    flat = ("rebnconv1", "rebnconv2", "rebnconv3", "rebnconv4", "rebnconv3d", "rebnconv2d")
    for name in ("stage5", "stage6", "stage5d"):
        units = [getattr(getattr(net, name), key) for key in (*flat, "rebnconv1d", "rebnconvin")]
        assert [u.conv_s1.dilation[0] for u in units] == [1, 2, 4, 8, 4, 2, 1, 1]
    for name, depth in (("stage1", 7), ("stage2d", 6), ("stage3", 5), ("stage4d", 4)):
        dilated = {
            key
            for key, layer in getattr(net, name).named_modules()
            if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1)
        }
        assert dilated == {f"rebnconv{depth}.conv_s1"}


# --- values


def plain_unit(layer, x):
    norm = layer.bn_s1
    x = F.conv2d(
        x,
        layer.conv_s1.weight,
        layer.conv_s1.bias,
        padding=layer.conv_s1.dilation,
        dilation=layer.conv_s1.dilation,
    )
    x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return x.clamp(min=0)


def test_a_pooled_stage_equals_its_description(net, rng):
    """RSU-4, written out; odd sizes, so that pooling rounds up."""
    s, pool = net.stage4, nn.MaxPool2d(2, 2, ceil_mode=True)
    x = torch.randn(2, 16, 13, 9, generator=rng)

    def up(t, like):
        return F.interpolate(t, size=like.shape[2:], mode="bilinear", align_corners=True)

    with torch.no_grad():
        top = plain_unit(s.rebnconvin, x)
        h1 = plain_unit(s.rebnconv1, top)
        h2 = plain_unit(s.rebnconv2, pool(h1))
        h3 = plain_unit(s.rebnconv3, pool(h2))
        h4 = plain_unit(s.rebnconv4, h3)
        d3 = plain_unit(s.rebnconv3d, torch.cat([h4, h3], 1))
        d2 = plain_unit(s.rebnconv2d, torch.cat([up(d3, h2), h2], 1))
        d1 = plain_unit(s.rebnconv1d, torch.cat([up(d2, h1), h1], 1))
        assert torch.allclose(s(x), d1 + top, atol=1e-5)


@pytest.mark.parametrize("size", [64, 256, (61, 37)])
def test_a_saliency_for_each_pixel(size, net, rng):
    height, width = (size, size) if isinstance(size, int) else size
    x = torch.rand(2, 3, height, width, generator=rng) * 2 - 1
    with torch.no_grad():
        saliency, logits = net(x), net.logits(x)
    assert saliency.shape == (2, 1, height, width) and logits.shape == (2, 7, height, width)
    assert saliency.min() >= 0 and saliency.max() <= 1 and saliency.std() > 0
    assert torch.allclose(saliency, logits[:, :1].sigmoid(), atol=1e-6)  # not stretched to 0...1
    fused = (logits[:, 1:] * net.outconv.weight).sum(1, keepdim=True) + net.outconv.bias
    assert torch.allclose(logits[:, :1], fused, atol=1e-5)


def test_images_are_read_one_by_one(net, rng):
    x = images(3, 64, rng)
    with torch.inference_mode():
        alone = torch.cat([net(part) for part in x.split(1)])
        assert torch.allclose(net(x), alone, atol=1e-5)
        assert not torch.allclose(net(x), net(x.flip(0)), atol=1e-3)


def test_the_small_net_learns(rng):
    net = U2Net.small()
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    x = images(4, 64, rng) * 0.2
    mask = torch.zeros(4, 1, 64, 64)
    mask[:, :, 16:48, 16:48] = 1
    x = x + mask
    losses = []
    for _ in range(8):
        logits = net.logits(x)
        loss = F.binary_cross_entropy_with_logits(logits, mask.expand_as(logits))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None for p in net.parameters())


# --- the folded copy


def test_fold_equals_the_net_to_the_gradient(net, rng):
    """In double precision: rounded to floats, a unit near its kink may be on for one alone."""
    net = deepcopy(net).double()
    folded = net.fold()
    x = images(2, 64, rng).double().requires_grad_()
    wanted, found = net(x), folded(x)
    assert torch.allclose(found, wanted, atol=1e-10)
    upstream = torch.randn(wanted.shape, generator=rng, dtype=torch.double)
    of_net, of_fold = (torch.autograd.grad(y, x, upstream)[0] for y in (wanted, found))
    assert of_net.abs().max() > 0
    assert torch.allclose(of_fold, of_net, atol=1e-8 * of_net.abs().max())


def test_fold_is_frozen_and_apart(net, rng):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    folded = net.fold()
    assert not any(p.requires_grad for p in folded.parameters())
    assert all(p.requires_grad for p in net.parameters())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    x = images(1, 64, rng)
    out = folded(x)
    assert torch.equal(folded.train()(x), out)  # nothing in it depends on the mode
    assert torch.allclose(folded.fold()(x), out, atol=1e-6)
    for p in folded.parameters():
        p.data.zero_()
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_fold_made_in_inference_mode_still_carries_gradients(net, rng):
    with torch.inference_mode():
        folded = net.fold()
    x = images(1, 64, rng).requires_grad_()
    folded(x).sum().backward()
    assert x.grad.abs().max() > 0


def test_a_mask_is_exact_in_a_mixed_pass(random_u2net):
    """In bfloat16 a sigmoid reaches 1 at a third less, and what lies there has no gradient."""
    net = random_u2net().fold()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mask = net(torch.rand(2, 3, 32, 32))
    assert mask.dtype == torch.float32
    assert not torch.equal(mask, mask.bfloat16().float())
