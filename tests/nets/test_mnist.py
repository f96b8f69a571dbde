"""Networks: sizes and keys of the published code, and each fast path against its plain form."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cgnlib.data import sources, variants
from cgnlib.nets import mnist, weights

Y = torch.arange(10)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def n_parameters(net):
    return sum(p.numel() for p in net.parameters())


# --- sizes and keys


@pytest.mark.parametrize(
    ("net", "n"),
    [
        (mnist.CGN(), 659_992),
        (mnist.GAN(), 831_460),
        (mnist.LinearDiscriminator(512, generator()), 2_104_421),
        (mnist.ConvDiscriminator(32), 413_642),
        (mnist.CNN(), 67_760),
    ],
    ids=lambda v: type(v).__name__,
)
def test_parameter_counts(net, n):
    assert n_parameters(net) == n


def batch_norm(name, n):
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{k}": (n,) for k in names} | {f"{name}.num_batches_tracked": ()}


def shapes(net):
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def test_cgn_keys_are_the_published_ones():
    expected = {"label_emb.weight": (10, 10)}
    for name in ("f_shape", "f_text1", "f_text2"):
        expected |= {f"{name}.0.weight": (4096, 42), f"{name}.0.bias": (4096,)}
    expected |= {"f_shape.4.weight": (32, 64, 3, 3), "f_shape.9.weight": (1, 32, 3, 3)}
    expected |= batch_norm("f_shape.5", 32) | batch_norm("f_shape.10", 1)
    for name in ("f_text1", "f_text2"):
        expected |= {f"{name}.3.weight": (64, 64, 3, 3), f"{name}.7.weight": (32, 64, 3, 3)}
        expected |= {f"{name}.10.weight": (3, 32, 3, 3), f"{name}.10.bias": (3,)}
        expected |= batch_norm(f"{name}.4", 64) | batch_norm(f"{name}.8", 32)
        expected |= batch_norm(f"{name}.11", 3)
    assert shapes(mnist.CGN()) == expected


def test_gan_and_classifier_keys_are_the_published_ones():
    gan = {"label_emb.weight": (10, 10), "model.0.weight": (42, 256, 4, 4)}
    gan |= {"model.3.weight": (256, 128, 4, 4), "model.6.weight": (128, 64, 4, 4)}
    gan |= {"model.9.weight": (64, 3, 4, 4)}
    for name, n in (("model.1", 256), ("model.4", 128), ("model.7", 64)):
        gan |= batch_norm(name, n)
    assert shapes(mnist.GAN()) == gan
    cnn = batch_norm("model.0", 3) | {"cls.0.weight": (10, 64), "cls.0.bias": (10,)}
    for i, shape in ((1, (32, 3, 5, 5)), (4, (32, 32, 3, 3)), (6, (64, 32, 3, 3))):
        cnn |= {f"model.{i}.weight": shape, f"model.{i}.bias": shape[:1]}
    cnn |= {"model.8.weight": (64, 64, 3, 3), "model.8.bias": (64,)}
    assert shapes(mnist.CNN()) == cnn


# --- the shape and texture mechanisms


@pytest.mark.parametrize("size", [4, 5, 8])
def test_upconv_equals_upsampling_and_convolution(size, rng):
    layer = mnist.UpConv(3, 5).double()
    x = torch.randn(2, 3, size, size, generator=rng, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, padding=1)
    fast = layer(x)
    assert torch.allclose(fast, plain)
    upstream = torch.randn(plain.shape, generator=rng, dtype=torch.float64)
    wanted = torch.autograd.grad(plain, (x, layer.weight), upstream)
    found = torch.autograd.grad(fast, (x, layer.weight), upstream)
    assert all(map(torch.allclose, found, wanted))


def plain_cgn(net):
    """The published layers: upsampling apart from its convolution, everything NCHW."""
    plain = copy.deepcopy(net)
    for mechanism in (plain.f_shape, plain.f_text1, plain.f_text2):
        for i, layer in enumerate(mechanism):
            if isinstance(layer, mnist.UpConv):
                mechanism[i - 1] = nn.Upsample(scale_factor=2)
                mechanism[i] = nn.Conv2d(layer.in_channels, layer.out_channels, 3, 1, 1, bias=False)
                mechanism[i].weight = layer.weight
        mechanism[1] = nn.Unflatten(1, (64, 8, 8))
    return plain


def test_cgn_equals_the_published_layers(rng):
    net = mnist.CGN()
    plain = plain_cgn(net)
    u = net.draw_latent(10, rng)
    e = torch.cat([u, net.label_emb(Y)], 1)
    assert torch.allclose(net.f_shape(e), plain.f_shape(e), atol=1e-4)
    assert torch.allclose(net.f_text1(e), plain.f_text1(e), atol=1e-4)
    assert torch.equal(net.mask(u, Y), net.f_shape(e).clamp(1e-4, 0.9999))


def test_shapes_and_ranges_of_the_mechanisms(rng):
    net = mnist.CGN(latent=6, ngf=4)
    u = net.draw_latent(10, rng)
    assert u.shape == (10, 6)
    mask, fg, bg = net(u, Y, rng)
    assert mask.shape == (10, 1, 32, 32) and fg.shape == bg.shape == (10, 3, 32, 32)
    assert mask.min() == torch.tensor(1e-4) and mask.max() == torch.tensor(0.9999)
    assert fg.abs().max() < 1 and bg.abs().max() < 1
    assert not torch.equal(fg, bg)


def test_one_latent_and_one_generator_serve_all_mechanisms(rng):
    net = mnist.CGN(ngf=4).eval()
    u = net.draw_latent(10, rng)
    together = net(u, Y, generator(5))
    again = generator(5)
    apart = net.mask(u, Y), net.foreground(u, Y, again), net.background(u, Y, again)
    assert all(map(torch.equal, together, apart))


@pytest.mark.parametrize("part", ["mask", "foreground", "background"])
def test_each_mechanism_depends_on_latent_and_label(part, rng):
    net = mnist.CGN(ngf=4).eval()
    u = net.draw_latent(10, rng)

    def make(u, y):
        return getattr(net, part)(u, y, *(() if part == "mask" else (generator(1),)))

    assert torch.equal(make(u, Y), make(u, Y))
    assert not torch.equal(make(u, Y), make(u, Y.flip(0)))
    assert not torch.equal(make(u, Y), make(u.flip(0), Y))


def test_an_image_does_not_depend_on_its_batch(rng):
    net = mnist.CGN(ngf=4).eval()
    u = net.draw_latent(10, rng)
    alone = torch.cat([net.mask(u[i : i + 1], Y[i : i + 1]) for i in range(10)])
    assert torch.allclose(net.mask(u, Y), alone, atol=1e-5)


def test_compose_takes_the_texture_where_the_mask_is(rng):
    fg, bg = torch.rand(2, 4, 3, 32, 32, generator=rng) * 2 - 1
    mask = torch.rand(4, 1, 32, 32, generator=rng)
    assert torch.allclose(mnist.compose(mask, fg, bg), mask * fg + (1 - mask) * bg, atol=1e-6)
    assert torch.equal(mnist.compose(torch.ones_like(mask), fg, bg), fg)
    assert torch.equal(mnist.compose(torch.zeros_like(mask), fg, bg), bg)


# --- the texture shuffler


def offsets_of(shuffled, size):
    """Where each window was cut, read from images whose pixels are numbered."""
    corner = shuffled[:, 0, 0, 0].long()
    return torch.stack([corner // size, corner % size])


def numbered(n, size):
    return torch.arange(size * size).view(1, 1, size, size).repeat(n, 2, 1, 1).float()


def test_shuffling_equals_tiling_and_cropping(rng):
    x = numbered(50, 32)
    shuffled = mnist.shuffle_texture(x, rng)
    for i, (row, column) in enumerate(offsets_of(shuffled, 32).T.tolist()):
        tiled = x[i].repeat(1, 2, 2)
        assert torch.equal(shuffled[i], tiled[:, row : row + 32, column : column + 32])
    assert torch.equal(shuffled.flatten(2).sort().values, x.flatten(2))


def test_offsets_are_those_of_the_published_code(rng):
    """Drawn from 0...H inclusive, rows and columns apart, so that a shift by 0 comes twice."""
    rows, columns = offsets_of(mnist.shuffle_texture(numbered(20_000, 4), rng), 4)
    expected = torch.tensor([2, 1, 1, 1]) / 5
    for line in (rows, columns):
        assert torch.allclose(torch.bincount(line) / 20_000, expected, atol=0.015)
    together = torch.bincount(4 * rows + columns).view(4, 4) / 20_000
    assert torch.allclose(together, torch.outer(expected, expected), atol=0.015)


def test_shuffling_is_differentiable_to_the_right_pixels(rng):
    x = torch.randn(3, 2, 4, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: mnist.shuffle_texture(t, generator(2)), x)


def test_shuffling_is_active_in_evaluation(rng):
    net = mnist.CGN(ngf=4).eval()
    u = net.draw_latent(10, rng)
    assert not torch.equal(net.foreground(u, Y, rng), net.foreground(u, Y, rng))


# --- initialisation


@pytest.mark.parametrize(("scheme", "gain"), [("orthogonal", 0.2), ("normal", 0.03)])
def test_initialisation(scheme, gain):
    net = mnist.CGN()
    embedding = net.label_emb.weight.clone()
    mnist.init_weights(net, scheme, gain, generator())
    assert torch.equal(net.label_emb.weight, embedding)
    norms = torch.cat([m.weight for m in net.modules() if isinstance(m, nn.BatchNorm2d)])
    assert abs(norms.mean() - 1) < gain / 3 and abs(norms.std() / gain - 1) < 0.2
    assert not any(value.any() for key, value in net.named_parameters() if key.endswith("bias"))
    for layer in net.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        w = layer.weight.flatten(1)
        if scheme == "normal":
            assert abs(w.mean()) < gain / 3 and abs(w.std() / gain - 1) < 0.2
        else:
            w = w if len(w) <= w.shape[1] else w.T
            assert torch.allclose(w @ w.T, gain**2 * torch.eye(len(w)), atol=1e-5)


def test_initialisation_belongs_to_its_generator():
    def weights(seed):
        net = mnist.GAN(ngf=2)
        mnist.init_weights(net, "normal", 0.02, generator(seed))
        return net.model[0].weight

    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))


# --- GAN and discriminators


def test_gan_makes_images_of_a_class(rng):
    net = mnist.GAN(latent=5, ngf=4).eval()
    u = net.draw_latent(10, rng)
    x = net(u, Y)
    assert x.shape == (10, 3, 32, 32) and x.abs().max() < 1
    assert not torch.equal(x, net(u, Y.flip(0)))


@pytest.mark.parametrize(
    "critic",
    [mnist.LinearDiscriminator(16, generator()), mnist.ConvDiscriminator(4)],
    ids=["linear", "conv"],
)
def test_a_score_depends_on_image_and_label_alone(critic, rng):
    critic.eval()
    x = torch.rand(10, 3, 32, 32, generator=rng) * 2 - 1
    scores = critic(x, Y)
    assert scores.shape == (10,)
    alone = torch.cat([critic(x[i : i + 1], Y[i : i + 1]) for i in range(10)])
    assert torch.allclose(scores, alone, atol=1e-5)
    assert not torch.allclose(scores, critic(x, Y.flip(0)))
    assert not torch.allclose(scores, critic(x.flip(0), Y))


def test_dropout_draws_from_its_own_generator(rng):
    critic = mnist.LinearDiscriminator(64, rng)
    x = torch.rand(10, 3, 32, 32)
    state, before = rng.get_state(), torch.get_rng_state()
    first = critic(x, Y)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(critic(x, Y), first)
    rng.set_state(state)
    torch.manual_seed(9)
    assert torch.equal(critic(x, Y), first)


def test_dropout_keeps_three_fifths_and_the_mean(rng):
    dropout = mnist.LinearDiscriminator(4, rng).model[3]
    out = dropout(torch.ones(100_000))
    assert torch.allclose(out.unique(), torch.tensor([0, 1 / 0.6]))
    assert abs((out == 0).float().mean() - 0.4) < 0.01


# --- classifier


def plain_cnn(net):
    """The published layers in their published order, without the fused stem."""
    copied = copy.deepcopy(net)
    layers = list(copied.model)
    layers[2], layers[3] = layers[3], layers[2]  # ReLU, then the max-pool
    assert isinstance(layers[2], nn.ReLU) and isinstance(layers[3], nn.MaxPool2d)
    return nn.ModuleDict({"model": nn.Sequential(*layers), "cls": copied.cls})


@pytest.fixture
def cnn(rng):
    """A classifier whose input norm is far from its start."""
    net = mnist.CNN()
    with torch.no_grad():
        for value in (net.model[0].weight, net.model[0].bias, net.model[0].running_mean):
            value.add_(torch.rand(3, generator=rng))
        net.model[0].running_var.mul_(torch.tensor([0.2, 1.5, 0.7]))
    return net


@pytest.mark.parametrize("training", [True, False])
def test_fast_stem_equals_the_plain_layers(cnn, training, rng):
    plain = plain_cnn(cnn)
    x = torch.rand(6, 3, 32, 32, generator=rng) * 2 - 1
    x[:, 1] *= 0.3  # channels of different spread
    cnn.train(training)
    plain.train(training)
    for _ in range(2):
        found, wanted = cnn(x), plain["cls"](plain["model"](x))
        assert torch.allclose(found, wanted, atol=1e-5)
        for out in (found, wanted):
            F.nll_loss(out, torch.arange(6)).backward()
    grads = {k: p.grad for k, p in plain.named_parameters()}
    for name, parameter in cnn.named_parameters():
        assert torch.allclose(parameter.grad, grads[name], rtol=1e-3, atol=1e-5), name
    buffers = dict(plain.named_buffers())
    for name, buffer in cnn.named_buffers():
        assert torch.allclose(buffer, buffers[name], atol=1e-6), name
    assert cnn.model[0].num_batches_tracked == (2 if training else 0)


def test_the_classifier_gives_log_probabilities_of_each_image_alone(cnn, rng):
    cnn.eval()
    x = torch.rand(7, 3, 32, 32, generator=rng) * 2 - 1
    out = cnn(x)
    assert out.shape == (7, 10)
    assert torch.allclose(out.exp().sum(1), torch.ones(7), atol=1e-5)
    order = torch.tensor([6, 2, 0, 1, 5, 3, 4])
    assert torch.allclose(cnn(x[order]), out[order], atol=1e-5)
    assert torch.allclose(torch.cat([cnn(part) for part in x.split(3)]), out, atol=1e-5)


# --- the published CGNs


@pytest.fixture(scope="module")
def published():
    """(mask, fg, bg) of a published CGN for 40 latents of each class, by variant."""
    made = {}

    def make(variant):
        if variant not in made:
            rng = generator()
            net = weights.load(mnist.CGN(), sources.find(f"cgn-{variant}")).eval()
            with torch.inference_mode():
                y = Y.repeat_interleave(40)
                made[variant] = [
                    part.unflatten(0, (10, 40)) for part in net(net.draw_latent(400, rng), y, rng)
                ]
        return made[variant]

    return make


@pytest.mark.parametrize(
    ("variant", "low", "high"),
    [("colored", 0.07, 0.17), ("double_colored", 0.09, 0.24), ("wildlife", 0.11, 0.22)],
)
def test_published_masks_cover_what_they_did(variant, low, high, original, published):
    original(f"weights/cgn_{variant}_MNIST.pth")
    coverage = published(variant)[0].mean((1, 2, 3, 4))
    assert abs(coverage.min() - low) < 0.015 and abs(coverage.max() - high) < 0.015


def colours(texture):
    """Mean colour of each class, 0...255."""
    return (texture.mean((1, 3, 4)) + 1) * 127.5


def test_published_backgrounds_of_c_mnist_are_black(original, published):
    original("weights/cgn_colored_MNIST.pth")
    assert colours(published("colored")[2]).max() < 1.5


@pytest.mark.parametrize(
    ("variant", "part", "palette"),
    [
        ("colored", 1, variants.COLORS),
        ("double_colored", 1, variants.OBJECT_COLORS),
        ("double_colored", 2, variants.BACKGROUND_COLORS),
    ],
)
def test_published_colours_are_those_of_the_palette(variant, part, palette, original, published):
    """DC-MNIST's to a few units in most classes; C-MNIST's palette is inferred from this net."""
    original(f"weights/cgn_{variant}_MNIST.pth")
    palette = torch.tensor(palette).float()
    found = colours(published(variant)[part])
    assert torch.equal(torch.cdist(found, palette).argmin(1), Y)
    if variant == "double_colored":
        difference = (found - palette).abs()
        assert difference.median() < 6 and difference.max() < 40
