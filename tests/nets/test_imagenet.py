"""The ImageNet CGN: published names, the fast passes against the library's, routes, files."""

import copy
import re
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import biggan, weights
from cgnlib.nets.biggan import BIGGAN_256, BIGGAN_MENAGERIE
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.u2net import U2Net
from cgnlib.training import losses

# All kinds of block: doubling and not, halving and not, attention in between.
TINY = replace(
    BIGGAN_MENAGERIE,
    output_dim=32,
    z_dim=6,
    class_embed_dim=6,
    channel_width=8,
    layers=((False, 16, 16), (True, 16, 8), (True, 8, 4), (False, 4, 2), (True, 2, 1)),
    attention_layer_position=2,
)
TRUNCATIONS = (0.02, 0.3, 0.5, 1.0)
MECHANISMS = ("f_shape", "f_text", "f_bg")
FROZEN = ("biggan_GT", "u2net")


def settle(net, rng):
    """Make a random generator one whose every part counts: statistics, attention, sigma near 1."""
    for name, value in net.named_buffers():
        if name.endswith("running_means"):
            value.copy_(torch.randn(value.shape, generator=rng) / 3)
        elif name.endswith("running_vars"):
            value.copy_(torch.rand(value.shape, generator=rng) + 0.5)
    for name, value in net.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(value, 0.7)
        elif name.endswith("bias"):
            value.data.copy_(torch.randn(value.shape, generator=rng) / 5)
    u, y = latents(net.config, 2, rng)
    net.train()
    with torch.no_grad():
        for _ in range(6):
            net(u, one_hot(y, net.config), 1.0)
    return net.eval()


def latents(config, n, rng):
    y = torch.randint(0, config.num_classes, (n,), generator=rng)
    return torch.randn(n, config.z_dim, generator=rng), y


def one_hot(y, config):
    return F.one_hot(y, config.num_classes).float()


@pytest.fixture(scope="module")
def settled():
    return settle(biggan.build(TINY), torch.Generator().manual_seed(5))


@pytest.fixture
def generator_net(settled):
    net = biggan.build(TINY)
    net.load_state_dict(settled.state_dict())
    return net.eval()


@pytest.fixture
def cgn(settled):
    rng = torch.Generator().manual_seed(6)
    net = ImageNetCGN(TINY, U2Net.small()).start_from(settled)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.startswith(MECHANISMS):  # three different nets
                value.add_(torch.randn(value.shape, generator=rng) * value.std(correction=0) / 5)
        net.u2net.outconv.weight.mul_(60)  # masks that spread over 0...1
    return net


def classes(n, rng, config=TINY):
    return [torch.randint(0, config.num_classes, (n,), generator=rng) for _ in range(3)]


def snapshot(net):
    return {key: value.clone() for key, value in net.state_dict().items()}


def same(net, before):
    after = net.state_dict()
    return before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)


# --- configurations and names


def test_the_configuration_is_the_librarys_own():
    from pytorch_pretrained_biggan.convert_tf_to_pytorch import BigGAN256

    theirs = BigGAN256.to_dict() | {"layers": tuple(BigGAN256.layers)}
    assert asdict(BIGGAN_256) == theirs


def test_published_sizes():
    with torch.device("meta"):
        net = ImageNetCGN(BIGGAN_256, U2Net.published())
    keys = list(net.state_dict())
    for name in ("biggan_GT", *MECHANISMS):
        part = getattr(net, name)
        assert sum(p.numel() for p in part.parameters()) == 55_880_833
        assert sum(key.startswith(f"{name}.") for key in keys) == 602
    assert sum(p.numel() for p in net.u2net.parameters()) == 44_009_869
    assert sum(key.startswith("u2net.") for key in keys) == 798
    assert len(keys) == 4 * 602 + 798
    shapes = {key: tuple(value.shape) for key, value in net.f_text.state_dict().items()}
    for key, shape in {
        "embeddings.weight": (128, 1000),
        "generator.gen_z.weight_orig": (32768, 256),
        "generator.gen_z.weight_u": (32768,),
        "generator.gen_z.weight_v": (256,),
        "generator.layers.0.bn_0.running_means": (51, 2048),
        "generator.layers.3.conv_3.weight_orig": (1024, 512, 1, 1),
        "generator.layers.8.gamma": (1,),
        "generator.layers.8.snconv1x1_o_conv.weight_orig": (512, 256, 1, 1),
        "generator.layers.12.bn_1.scale.weight_orig": (64, 256),
        "generator.bn.running_vars": (51, 128),
        "generator.conv_to_rgb.weight_orig": (128, 128, 3, 3),
    }.items():
        assert shapes[key] == shape


def test_the_menagerie_is_small():
    net = biggan.build(BIGGAN_MENAGERIE)
    assert sum(p.numel() for p in net.parameters()) <= 2_600_000
    assert BIGGAN_MENAGERIE.z_dim == BIGGAN_MENAGERIE.class_embed_dim
    u, y = latents(BIGGAN_MENAGERIE, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert biggan.generate(net, u, y, 1.0).shape == (2, 3, 64, 64)


def test_a_fresh_net_has_no_unset_memory():
    net = biggan.build(TINY)
    assert torch.equal(net.generator.bn.weight, torch.ones(8))
    assert torch.equal(net.generator.bn.bias, torch.zeros(8))


# --- the fast pass


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_generate_equals_the_library(settled, generator_net, training, layout, rng):
    """Images, gradients and singular vectors, over two passes and in double precision."""
    library = copy.deepcopy(generator_net).double().train(training)
    fast = generator_net.double().train(training).to(memory_format=layout)
    for truncation in (1.0, 0.5):
        u, y = latents(TINY, 3, rng)
        u = u.double()
        wanted = library(u, one_hot(y, TINY).double(), truncation)
        found = biggan.generate(fast, u, y, truncation)
        assert wanted.std() > 0.1
        assert torch.allclose(found, wanted, atol=1e-10)
        upstream = torch.randn(wanted.shape, generator=rng, dtype=torch.float64)
        wanted.backward(upstream)
        found.backward(upstream)
    theirs = dict(library.named_parameters())
    for name, parameter in fast.named_parameters():
        scale = theirs[name].grad.abs().max()
        assert torch.allclose(parameter.grad, theirs[name].grad, rtol=0, atol=1e-9 * scale), name
    theirs = library.state_dict()
    for key, value in fast.state_dict().items():
        assert torch.allclose(value, theirs[key], atol=1e-12), key
    start = settled.generator.gen_z.weight_u.double()
    assert torch.equal(fast.generator.gen_z.weight_u, start) is not training


def test_only_training_moves_the_singular_vectors(generator_net, rng):
    before = snapshot(generator_net)
    u, y = latents(TINY, 2, rng)
    biggan.generate(generator_net, u, y, 1.0)
    assert same(generator_net, before)
    biggan.generate(generator_net.train(), u, y, 1.0)
    changed = {k for k, v in generator_net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(key.endswith(("weight_u", "weight_v")) for key in changed)
    copy.deepcopy(generator_net)  # the library's own pass would leave a graph behind


def test_two_passes_may_go_before_one_gradient(generator_net, rng):
    """Each keeps the singular vectors that it used, though the next pass moves them in place."""
    library = copy.deepcopy(generator_net).train()
    passes = [latents(TINY, 2, rng) for _ in range(2)]
    sum(library(u, one_hot(y, TINY), 1.0).square().sum() for u, y in passes).backward()
    generator_net.train()
    sum(biggan.generate(generator_net, u, y, 1.0).square().sum() for u, y in passes).backward()
    name = "generator.layers.1.conv_1.weight_orig"
    wanted = library.get_parameter(name).grad
    found = generator_net.get_parameter(name).grad
    assert torch.allclose(found, wanted, atol=1e-4 * wanted.abs().max())


def test_gradients_reach_the_latent_and_the_class_vector(generator_net, rng):
    u, y = latents(TINY, 2, rng)
    vectors = one_hot(y, TINY).requires_grad_()
    u.requires_grad_()
    ours = torch.autograd.grad(biggan.generate(generator_net, u, vectors, 1.0).sum(), (u, vectors))
    theirs = torch.autograd.grad(generator_net(u, vectors, 1.0).sum(), (u, vectors))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * b.abs().max())


def test_class_vectors_may_mix(generator_net, rng):
    u, y = latents(TINY, 3, rng)
    by_index = biggan.generate(generator_net, u, y, 1.0)
    by_vector = biggan.generate(generator_net, u, one_hot(y, TINY), 1.0)
    assert torch.allclose(by_index, by_vector, atol=1e-5)
    mixed = torch.full((3, TINY.num_classes), 1 / TINY.num_classes)
    assert torch.allclose(
        biggan.generate(generator_net, u, mixed, 1.0), generator_net(u, mixed, 1.0), atol=1e-5
    )


def test_every_stored_truncation_has_its_row():
    rows = [biggan.statistics_row(BIGGAN_256, k / 50) for k in range(1, 51)]
    assert rows == list(range(1, 51))


# --- the folded copy


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_fold_equals_the_library(generator_net, truncation, rng):
    u, y = latents(TINY, 4, rng)
    with torch.no_grad():
        wanted = generator_net(u, one_hot(y, TINY), truncation)
        folded = biggan.fold(generator_net, truncation)
        assert torch.allclose(folded(u, y), wanted, atol=1e-5)
        assert torch.allclose(folded(u, one_hot(y, TINY)), wanted, atol=1e-5)
        if truncation != 1:
            assert not torch.allclose(wanted, generator_net(u, one_hot(y, TINY), 1.0), atol=1e-2)


def test_fold_of_a_net_in_training_changes_nothing(generator_net, rng):
    before = snapshot(generator_net)
    generator_net.train()
    folded = biggan.fold(generator_net, 0.5)
    assert generator_net.training and all(m.training for m in generator_net.modules())
    assert same(generator_net, before)
    u, y = latents(TINY, 2, rng)
    assert torch.allclose(folded(u, y), biggan.fold(generator_net.eval(), 0.5)(u, y))
    assert not folded(u, y).requires_grad and not list(folded.parameters())


# --- one pass of the CGN


def test_a_pass_gives_the_mechanisms(cgn, rng):
    u, _ = latents(TINY, 3, rng)
    shape, texture, background = classes(3, rng)
    cgn.eval()
    with torch.no_grad():
        out = cgn(u, shape, texture, background, 0.5)

        def library(net, y):
            return net(u, one_hot(y, TINY), 0.5)

        assert torch.allclose(out.x_gt, library(cgn.biggan_GT, shape), atol=1e-4)
        assert torch.allclose(out.premask, library(cgn.f_shape, shape), atol=1e-4)
        assert torch.allclose(out.fg, library(cgn.f_text, texture), atol=1e-4)
        assert torch.allclose(out.bg, library(cgn.f_bg, background), atol=1e-4)
        mask = cgn.u2net(out.premask)
        assert torch.allclose(out.mask, mask.clamp(1e-4, 0.9999), atol=1e-4)
        assert torch.allclose(out.bg_mask, cgn.u2net(out.bg), atol=1e-4)
        assert mask.std() > 0.001  # not constant
        assert torch.allclose(out.x_gen, out.mask * out.fg + (1 - out.mask) * out.bg, atol=1e-6)
    for name, channels in (("x_gt", 3), ("mask", 1), ("fg", 3), ("bg_mask", 1), ("x_gen", 3)):
        assert getattr(out, name).shape == (3, channels, 32, 32)


@pytest.mark.parametrize("bias", [-40.0, 40.0])
def test_the_mask_is_clamped_and_the_backgrounds_is_not(cgn, bias, rng):
    nn.init.constant_(cgn.u2net.outconv.bias, bias)
    u, _ = latents(TINY, 1, rng)
    out = cgn(u, *classes(1, rng), 1.0)
    edge = 0.0 if bias < 0 else 1.0
    assert torch.equal(out.mask, torch.full_like(out.mask, abs(edge - 1e-4)))
    assert torch.allclose(out.bg_mask, torch.full_like(out.bg_mask, edge), atol=1e-6)


def routes(net, loss):
    net.zero_grad()
    loss.backward()
    return {
        name
        for name in ("biggan_GT", *MECHANISMS, "u2net")
        if any(p.grad is not None and p.grad.any() for p in getattr(net, name).parameters())
    }


def test_gradients_go_where_they_should(cgn, rng):
    """Reconstruction into all three, mask losses into f_shape, texture and background apart."""
    cgn.train()
    u, _ = latents(TINY, 2, rng)
    y = classes(2, rng)

    def route(loss):
        return routes(cgn, loss(cgn(u, *y, 1.0)))

    assert route(lambda out: F.l1_loss(out.x_gen, out.x_gt)) == set(MECHANISMS)
    assert route(lambda out: losses.mask_entropy(out.mask)) == {"f_shape"}
    assert route(lambda out: out.mask.mean()) == {"f_shape"}
    assert route(lambda out: out.fg.square().mean()) == {"f_text"}
    assert route(lambda out: out.bg_mask.mean()) == {"f_bg"}
    out = cgn(u, *y, 1.0)
    assert not out.x_gt.requires_grad and not out.premask.requires_grad


def test_training_steps_change_the_three_mechanisms_alone(cgn, rng):
    cgn.train()
    before = snapshot(cgn)
    trained = [p for p in cgn.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, 1e-3)
    u, _ = latents(TINY, 2, rng)
    for _ in range(2):
        out = cgn(u, *classes(2, rng), 1.0)
        optimiser.zero_grad()
        (F.l1_loss(out.x_gen, out.x_gt) + out.bg_mask.mean()).backward()
        optimiser.step()
    after = cgn.state_dict()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == set(MECHANISMS)
    assert not any("running" in key for key in before if not torch.equal(before[key], after[key]))


def test_a_pass_looks_at_no_value(generator_net):
    """On no device that would be an error; on a GPU the processor would wait for it."""
    folded, net = biggan.fold(generator_net, 1.0).to("meta"), generator_net.to("meta").train()
    u = torch.empty(2, TINY.z_dim, device="meta")
    y = torch.empty(2, dtype=torch.int64, device="meta")
    biggan.generate(net, u, y, 1.0).mean().backward()
    assert net.embeddings.weight.grad.is_meta and folded(u, y).shape == (2, 3, 32, 32)


def test_frozen_parts_stay_in_evaluation(cgn):
    for mode in (True, False, True):
        assert cgn.train(mode) is cgn and cgn.training is mode
        for name in FROZEN:
            assert not any(m.training for m in getattr(cgn, name).modules())
            assert not any(p.requires_grad for p in getattr(cgn, name).parameters())
        for name in MECHANISMS:
            assert all(m.training is mode for m in getattr(cgn, name).modules())
            assert all(p.requires_grad for p in getattr(cgn, name).parameters())


def test_frozen_copies_follow_their_nets(cgn, rng):
    """New weights, another truncation and a first use in inference mode."""
    u, y = latents(TINY, 2, rng)
    with torch.inference_mode():
        first = cgn.draw_real(u, y, 1.0)
        cgn(u, y, y, y, 1.0)
    assert torch.equal(cgn.draw_real(u, y, 1.0), first)
    assert not torch.allclose(cgn.draw_real(u, y, 0.3), first, atol=1e-2)
    cgn(u, y, y, y, 1.0).bg_mask.mean().backward()
    other = settle(biggan.build(TINY), rng)
    cgn.start_from(other)
    with torch.no_grad():
        assert torch.allclose(cgn.draw_real(u, y, 1.0), other(u, one_hot(y, TINY), 1.0), atol=1e-4)
    assert len(cgn.state_dict()) == 4 * len(other.state_dict()) + 798  # no copy in the state


def test_a_folded_cgn_makes_the_same_counterfactuals(cgn, rng):
    cgn.eval()
    u, _ = latents(TINY, 2, rng)
    y = classes(2, rng)
    folded = cgn.fold(0.5)
    with torch.inference_mode():
        wanted, found = cgn(u, *y, 0.5), folded(u, *y, 0.5)
    for name in ("mask", "premask", "fg", "bg", "x_gen"):
        assert torch.allclose(getattr(found, name), getattr(wanted, name), atol=1e-4), name
    with pytest.raises(CGNError, match="fold the net again"):
        folded(u, *y, 0.6)


# --- what is refused


@pytest.mark.parametrize("truncation", [0, -0.1, 1.02, float("nan"), 0.55, 0.001, 1e-7, 0.999])
def test_truncations_without_statistics_are_refused(generator_net, truncation, rng):
    u, y = latents(TINY, 1, rng)
    before = snapshot(generator_net)
    for make in (
        lambda: biggan.generate(generator_net.train(), u, y, truncation),
        lambda: biggan.fold(generator_net, truncation),
    ):
        with pytest.raises(CGNError, match="choose") as error:
            make()
        assert "\n" not in str(error.value) and str(truncation) in str(error.value)
    assert same(generator_net, before)


@pytest.mark.parametrize(
    ("u", "y", "message"),
    [
        (torch.zeros(2, 6), torch.tensor([0, 10]), "no class 10: choose from 0 to 9"),
        (torch.zeros(2, 6), torch.tensor([-1, 0]), "no class -1"),
        (torch.zeros(2, 6), torch.tensor([0]), "int64"),
        (torch.zeros(2, 6), torch.tensor([0, 1], dtype=torch.int32), "int64"),
        (torch.zeros(2, 6), torch.zeros(2, 9), "[2, 10]"),
        (torch.zeros(2, 6), torch.zeros(1, 10), "[2, 10]"),
        (torch.zeros(2, 5), torch.tensor([0, 1]), "[B, 6]"),
        (torch.zeros(6), torch.tensor([0]), "[B, 6]"),
    ],
)
def test_wrong_inputs_are_refused(cgn, u, y, message):
    good = torch.zeros(len(u), dtype=torch.int64)
    before = snapshot(cgn)
    with pytest.raises(CGNError, match=re.escape(message)) as error:
        cgn(u, y, good, good, 1.0)
    assert "\n" not in str(error.value)
    assert same(cgn, before)


# --- files


def test_files_come_back_as_they_went(cgn, tmp_path):
    path = tmp_path / "net.safetensors"
    weights.save(cgn.f_text, path)
    assert same(weights.load(biggan.build(TINY), path), snapshot(cgn.f_text))
    weights.save(cgn.u2net, path)
    assert same(weights.load(U2Net.small(), path), snapshot(cgn.u2net))
    weights.save(cgn, path)
    assert same(weights.load(ImageNetCGN(TINY, U2Net.small()), path), snapshot(cgn))


def test_a_damaged_cgn_file_leaves_a_given_saliency_net_alone(cgn, tmp_path):
    state, path = cgn.state_dict(), tmp_path / "cgn.pth"
    state.pop("f_bg.embeddings.weight")
    torch.save(state, path)
    u2net = U2Net.small()
    before = snapshot(u2net)
    with pytest.raises(CGNError):
        weights.load(ImageNetCGN(TINY, u2net), path)
    assert same(u2net, before)


# --- downloads without a published checksum


@pytest.fixture
def unstated(no_data):
    path = no_data / sources.table()["cgn-imagenet"]["file"]
    path.parent.mkdir()
    path.write_bytes(b"abc")
    return path


def test_a_file_without_a_checksum_is_refused_until_one_is_stated(unstated):
    beside = unstated.with_name("cgn.pth.sha256")
    for content in (None, "", "abc  cgn.pth", "<html>"):
        if content is not None:
            beside.write_text(content)
        with pytest.raises(CGNError, match="sha256sum") as error:
            sources.find("cgn-imagenet")
        assert "\n" not in str(error.value)
    beside.write_text(f"{sources.sha256(unstated)}  {unstated}\n")
    assert sources.find("cgn-imagenet") == unstated
    unstated.write_bytes(b"abd")
    with pytest.raises(CGNError, match="move it away"):
        sources.find("cgn-imagenet")


@pytest.mark.parametrize("name", ["biggan256", "u2net", "cgn-imagenet", "inception-v3"])
def test_what_the_paper_profile_needs_is_in_the_table(name, no_data):
    with pytest.raises(CGNError, match=f"fetch.py {name}"):
        sources.find(name)
