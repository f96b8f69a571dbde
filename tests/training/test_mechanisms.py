"""Training of the BigGAN-based CGN: losses, whom they move, plain loops, seeds, interruption."""

import math
import re
from dataclasses import fields, replace

import pytest
import torch
from stopping import StopAt
from torch.utils._python_dispatch import TorchDispatchMode
from trainings import same

from cgnlib import chance
from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments import profile
from cgnlib.experiments.recipes import (
    ABLATIONS,
    MENAGERIE_LOSSES,
    Losses,
    MechanismsRecipe,
    Patches,
)
from cgnlib.nets import biggan, perceptual
from cgnlib.nets.biggan import BIGGAN_MENAGERIE
from cgnlib.nets.imagenet import FROZEN, TRAINED, ImageNetCGN, Mechanisms
from cgnlib.nets.u2net import U2Net
from cgnlib.training import mechanisms
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.mechanisms import loss_terms, train_mechanisms
from cgnlib.training.patches import draw_windows, texture_grid

pytestmark = pytest.mark.slow

TINY = replace(
    BIGGAN_MENAGERIE,
    output_dim=32,
    z_dim=6,
    class_embed_dim=6,
    channel_width=4,
    layers=((False, 16, 16), (True, 16, 8), (True, 8, 4), (True, 4, 1)),
    attention_layer_position=2,
)
PATCHES = Patches(size=16, patch=5, best=12, grid=3)
RECIPE = MechanismsRecipe(
    MENAGERIE_LOSSES, batch=2, accumulate=1, steps=3, lr=(1e-3, 2e-3, 3e-3), patches=PATCHES
)
NAMES = tuple(field.name for field in fields(Losses))
WINDOWS = draw_windows(3, PATCHES, chance.generator(3))  # of three images


def only(*names, of=MENAGERIE_LOSSES):
    """These losses and no others."""
    return replace(of, **{name: None for name in NAMES if name not in names})


@pytest.fixture(scope="module")
def features():
    return perceptual.build("efficientnet-lite0", (0, 1))


@pytest.fixture
def start(random_biggan, random_u2net):
    """Makes a CGN whose three mechanisms differ."""

    def make(config=TINY):
        rng = torch.Generator().manual_seed(6)
        net = ImageNetCGN(config, random_u2net()).start_from(random_biggan(config))
        with torch.no_grad():
            for name, value in net.named_parameters():
                if name.startswith(TRAINED) and value.numel() > 1:
                    value.add_(torch.randn(value.shape, generator=rng) * value.std() / 5)
        return net

    return make


@pytest.fixture
def trained(start, features):
    """Trains a CGN; returns it and its history."""

    def run(seed=0, checkpoint=None, after=lambda step: None, net=None, together=1, **changes):
        net, recipe = net or start(), replace(RECIPE, **changes)
        checkpoint = checkpoint or Checkpoint()
        return net, train_mechanisms(net, features, recipe, seed, checkpoint, after, together)

    return run


def snapshot(net):
    return {key: value.clone() for key, value in net.state_dict().items()}


def moved(net, before):
    """The parts of a CGN of which a parameter, not a singular vector, has changed."""
    return {
        name.split(".")[0]
        for name, value in net.named_parameters()
        if not torch.equal(value, before[name])
    }


# --- the losses


@pytest.fixture
def made(rng):
    """Three images and their parts, leaves where a gradient may flow.

    The second mask is nearly empty, the third one full.
    """

    def image(channels=3):
        return torch.rand(3, channels, 32, 32, generator=rng)

    mask = torch.stack([part * k + b for part, k, b in zip(
        image(1), (1, 0.05, 0.05), (0, 0.001, 0.94), strict=True
    )]).clamp(1e-4, 0.9999)  # fmt: skip
    x_gt, premask, fg, bg = (image() * 2 - 1 for _ in range(4))
    for leaf in (mask, fg, bg, bg_mask := image(1)):
        leaf.requires_grad_()
    return Mechanisms(x_gt, mask, premask, fg, bg, bg_mask)


def plain_gram(x):
    flat = x.reshape(x.shape[0], -1)
    return flat @ flat.T / x.numel()


def plain_gram_distance(features, a, b, factors):
    """Image by image and layer by layer."""
    total = 0.0
    for one, other in zip(a, b, strict=True):
        layers = zip(features(one[None]), features(other[None]), factors, strict=True)
        for ours, theirs, factor in layers:
            total += factor * (plain_gram(ours[0]) - plain_gram(theirs[0])).abs().mean() / len(a)
    return total


@torch.no_grad()
def plain_terms(made, weights, features):
    """The table of the losses, written out."""
    m, f, b = made.mask, made.fg, made.bg
    x_gen = m * f + (1 - m) * b
    grid = texture_grid(made.x_gt, m, WINDOWS, PATCHES)
    mean = m.mean((1, 2, 3))
    low, high = (0.1 - mean).clamp(min=0), (mean - 0.9).clamp(min=0)
    return {
        "l1": weights.l1 * (x_gen - made.x_gt).abs().mean(),
        "perc": plain_gram_distance(features, x_gen, made.x_gt, weights.perc),
        "binary": weights.binary * -(m * m.log2() + (1 - m) * (1 - m).log2()).mean(),
        "mask": weights.mask * (low + high).mean(),
        "text": plain_gram_distance(features, f, grid, weights.text),
        "bg": weights.bg * made.bg_mask.mean(),
    }


@pytest.mark.parametrize(
    ("weights", "layers"),
    [(MENAGERIE_LOSSES, (0, 1)), (Losses(), (0, 1, 2, 3))],
    ids=["menagerie", "code"],
)
def test_losses_equal_the_table_written_out(weights, layers, made):
    features = perceptual.build("efficientnet-lite0", layers)
    found = loss_terms(made, weights, features, PATCHES, WINDOWS)
    plain = plain_terms(made, weights, features)
    assert tuple(found) == NAMES
    assert all(value.shape == () and value > 0 for value in found.values())
    wanted = {name: pytest.approx(float(value), rel=1e-4) for name, value in plain.items()}
    assert {name: value.item() for name, value in found.items()} == wanted


def test_an_ablation_leaves_the_other_losses_as_they_are(made, features):
    whole = loss_terms(made, MENAGERIE_LOSSES, features, PATCHES, WINDOWS)
    for ablation, left_out in ABLATIONS.items():
        weights = MENAGERIE_LOSSES.without(ablation)
        found = loss_terms(made, weights, features, PATCHES, WINDOWS)
        assert found == {name: value for name, value in whole.items() if name not in left_out}


def test_each_layer_has_a_weight(made, features):
    with pytest.raises(ValueError, match="zip"):  # two layers, four weights
        loss_terms(made, Losses(), features, PATCHES, WINDOWS)


def test_a_loss_is_linear_in_its_weight(made, features):
    def doubled(weight):
        return tuple(2 * w for w in weight) if isinstance(weight, tuple) else 2 * weight

    twice = Losses(*(doubled(getattr(MENAGERIE_LOSSES, name)) for name in NAMES))
    once, found = (
        loss_terms(made, weights, features, PATCHES, WINDOWS)
        for weights in (MENAGERIE_LOSSES, twice)
    )
    wanted = {name: pytest.approx(2 * value.item(), rel=1e-5) for name, value in once.items()}
    assert {name: value.item() for name, value in found.items()} == wanted


def test_a_loss_that_is_left_out_costs_nothing(made):
    def features(x):
        raise AssertionError("no loss that is named reads features")

    cheap = ("l1", "binary", "mask", "bg")
    assert tuple(loss_terms(made, only(*cheap), features, PATCHES, WINDOWS)) == cheap
    assert loss_terms(made, only(), features, PATCHES, WINDOWS) == {}


def test_gradients_take_the_published_routes(made, features):
    leaves, taken = ("mask", "fg", "bg", "bg_mask"), {}
    for name in NAMES:
        loss = loss_terms(made, only(name), features, PATCHES, WINDOWS)[name]
        grads = torch.autograd.grad(loss, [getattr(made, f) for f in leaves], allow_unused=True)
        pairs = zip(leaves, grads, strict=True)
        taken[name] = {leaf: bool(grad.any()) for leaf, grad in pairs if grad is not None}
    composed = {"mask": True, "fg": True, "bg": True}
    assert taken == {
        "l1": composed, "perc": composed, "binary": {"mask": True}, "mask": {"mask": True},
        "text": {"fg": True}, "bg": {"bg_mask": True},
    }  # fmt: skip


def test_perfect_images_have_no_reconstruction_loss(made, features):
    m = made.mask.detach()
    perfect = made._replace(x_gt=made.x_gen.detach())
    clean = perfect._replace(bg_mask=torch.zeros_like(m))
    found = loss_terms(clean, only("l1", "perc", "bg"), features, PATCHES, WINDOWS)
    assert [value.item() for value in found.values()] == pytest.approx([0, 0, 0], abs=1e-4)


# --- who moves


@pytest.mark.parametrize(
    ("left", "mechanisms"),
    [
        (("l1",), set(TRAINED)),
        (("perc",), set(TRAINED)),
        (("binary", "mask"), {"f_shape"}),
        (("text",), {"f_text"}),
        (("bg",), {"f_bg"}),
        (("text", "bg"), {"f_text", "f_bg"}),
        (NAMES, set(TRAINED)),
    ],
    ids=lambda names: "-".join(sorted(names)),
)
def test_a_step_moves_the_mechanisms_that_a_loss_reaches(left, mechanisms, start, trained):
    net = start()
    before = snapshot(net)
    trained(net=net, steps=1, weights=only(*left))
    assert moved(net, before) == mechanisms


def test_frozen_parts_never_move(start, trained):
    net = start()
    before = snapshot(net)
    trained(net=net)
    for name, value in net.state_dict().items():
        if name.startswith(FROZEN):
            assert torch.equal(value, before[name]), name
    assert net.training and not net.biggan_GT.training and not net.u2net.training
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("place", range(3))
def test_each_mechanism_has_a_rate_of_its_own(place, start, trained):
    net = start()
    before = snapshot(net)
    lr = [0.0] * 3
    lr[place] = 1e-3
    trained(net=net, steps=1, lr=lr)
    assert moved(net, before) == {("f_shape", "f_text", "f_bg")[place]}


def test_a_first_step_of_adam_is_as_long_as_its_rate(start, trained):
    net = start()
    before = snapshot(net)
    trained(net=net, steps=1)
    for name, lr in zip(TRAINED, RECIPE.lr, strict=True):
        key = f"{name}.generator.layers.0.conv_1.weight_orig"
        step = (net.state_dict()[key] - before[key]).abs()
        assert step.median().item() == pytest.approx(lr, rel=0.01)


# --- the loop written plainly


@pytest.fixture
def plain_steps(monkeypatch):
    """Adam becomes plain descent, which shows how large gradients are.  Notes what it is asked."""
    asked = []

    def sgd(parameters, lr, **options):
        asked.append((lr, options))
        return torch.optim.SGD(parameters, lr)

    monkeypatch.setattr(torch.optim, "Adam", sgd)
    return asked


def test_training_equals_a_plain_loop(start, trained, features, plain_steps):
    """A class for each image, shared by the mechanisms; gradients of two passes are summed."""
    lr = (1e-6, 2e-6, 3e-6)
    net, rng, history = start().train(), chance.generator(4, "imagenet-cgn"), []
    for step in range(2):
        row = dict.fromkeys((*NAMES, "mask_mean"), 0.0)
        for _ in range(2):
            y = torch.randint(10, (3,), generator=rng)
            u = truncated_noise(3, 6, 0.5, rng)
            made = net(u, y, y, y, 0.5)
            drawn = draw_windows(3, PATCHES, rng)
            terms = loss_terms(made, MENAGERIE_LOSSES, features, PATCHES, drawn)
            sum(terms.values()).backward()
            for name, value in (terms | {"mask_mean": made.mask.mean()}).items():
                row[name] += value.item() / 2
        history.append({"step": step + 1} | row)
        with torch.no_grad():
            for name, rate in zip(TRAINED, lr, strict=True):
                for value in getattr(net, name).parameters():
                    value -= rate * value.grad
                    value.grad = None
    before = snapshot(start())
    ours, rows = trained(seed=4, batch=3, accumulate=2, steps=2, lr=lr, truncation=0.5)
    assert plain_steps == [(rate, {"fused": True}) for rate in lr]
    assert moved(ours, before) == set(TRAINED)
    plain = net.state_dict()
    for key, value in ours.state_dict().items():
        assert torch.allclose(value, plain[key], rtol=1e-4, atol=1e-6), key
    assert len(rows) == 2
    for ours, theirs in zip(rows, history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_accumulated_gradients_are_summed_and_not_averaged(
    start, trained, plain_steps, monkeypatch
):
    """Two passes of one image step twice as far as one pass of both; losses are means in both."""
    bank = torch.randn(2, 6, generator=torch.Generator().manual_seed(8))
    given = []

    def noise(n, *_):
        given.append(n)
        first = sum(given) - n
        return bank[first : first + n]

    monkeypatch.setattr(mechanisms, "truncated_noise", noise)
    one_class = replace(TINY, num_classes=1)
    patches = replace(PATCHES, best=1)  # nothing else is left to chance
    far = start(one_class).train()
    with torch.no_grad():
        for _ in range(30):  # power iterations: from here on they hardly move
            for name in TRAINED:
                biggan.generate(getattr(far, name), bank[:1], torch.zeros(1).long(), 1.0)
    settled = snapshot(far)
    steps, history = {}, {}
    for batch, accumulate in ((2, 1), (1, 2)):
        given.clear()
        net = start(one_class)
        net.load_state_dict(settled)
        _, (history[batch],) = trained(
            net=net, batch=batch, accumulate=accumulate, steps=1, patches=patches, lr=(1e-6,) * 3
        )
        assert given == [batch] * accumulate
        names = [n for n, p in net.named_parameters() if p.requires_grad and n.endswith("_orig")]
        after = net.state_dict()
        steps[batch] = torch.cat([(after[n] - settled[n]).flatten() for n in names])
    assert history[1] == pytest.approx(history[2], rel=1e-2)
    ratio = (steps[1] @ steps[2]) / (steps[2] @ steps[2])
    assert ratio.item() == pytest.approx(2, rel=0.02)
    assert (steps[1] - 2 * steps[2]).norm() < 0.1 * steps[1].norm()


@pytest.fixture
def settled(start):
    """A CGN whose power iterations hardly move any more."""
    net, rng = start().train(), chance.generator(1)
    with torch.no_grad():
        for _ in range(30):
            for name in TRAINED:
                u = truncated_noise(1, 6, 1.0, rng)
                biggan.generate(getattr(net, name), u, torch.zeros(1).long(), 1.0)
    return net


@pytest.mark.parametrize("together", [2, 5, 8])
def test_batches_in_one_pass_step_as_one_by_one(together, settled, start, trained, plain_steps):
    """Five batches of a step, the last pass the shorter one; the rates are plain descent's."""
    before, found = snapshot(settled), []
    for k in (1, together):
        net = start()
        net.load_state_dict(before)
        _, rows = trained(net=net, batch=1, accumulate=5, steps=2, lr=(1e-6,) * 3, together=k)
        names = [n for n, p in net.named_parameters() if p.requires_grad and n.endswith("_orig")]
        after = net.state_dict()
        found.append((torch.cat([(after[n] - before[n]).flatten() for n in names]), rows))
    (alone, rows), (at_once, same_rows) = found
    assert (alone - at_once).norm() < 0.02 * alone.norm()
    for ours, theirs in zip(same_rows, rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_pass_launches_no_more_for_more_images(trained):
    """So a step of k images a pass launches a k-th."""

    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    def launched(together):
        with Count() as count:
            trained(steps=1, batch=1, accumulate=8, together=together)
        return count.calls

    assert launched(8) < launched(1) / 4  # the draws, the start and Adam's step stay


# --- history, seeds, interruption


def test_history_has_a_row_for_each_window(trained):
    called = []
    _, every = trained(window=1, after=called.append)
    assert called == [1, 2, 3]
    called.clear()
    _, rows = trained(window=2, after=called.append)
    assert called == [2, 3] == [row["step"] for row in rows]
    assert all(list(row) == ["step", *NAMES, "mask_mean"] for row in rows)
    for name in rows[0]:
        if name != "step":
            pair = (every[0][name] + every[1][name]) / 2
            assert rows[0][name] == pytest.approx(pair, rel=1e-6), name
            assert rows[1][name] == every[2][name]
    assert all(0 < row["mask_mean"] < 1 for row in rows)


def test_an_ablation_has_no_column_of_what_it_leaves_out(trained):
    _, (row,) = trained(steps=1, weights=MENAGERIE_LOSSES.without("reconstruction"))
    assert set(row) == {"step", "binary", "mask", "text", "bg", "mask_mean"}


def test_same_seed_same_bits_whatever_the_global_state(trained):
    torch.manual_seed(1)
    first, history = trained(steps=2)
    torch.manual_seed(2)
    second, again = trained(steps=2)
    assert same(first, second) and history == again
    other, rows = trained(seed=1, steps=2)
    assert not same(first, other) and rows != history


def test_a_stopped_training_ends_as_an_undisturbed_one(trained, tmp_path):
    stops = (1, 2, 3)
    changes = {"window": 2, "batch": 1}
    net, history = trained(**changes)
    called = []
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(*stops))
    for stop in stops:
        with pytest.raises(Interrupted, match=f"step {stop}$"):
            trained(checkpoint=checkpoint, after=called.append, **changes)
    resumed, rows = trained(checkpoint=checkpoint, after=called.append, **changes)
    assert same(net, resumed) and rows == history
    assert called == [2, 3]  # each window once, over all resumptions


@pytest.mark.parametrize("together", [1, 2])
def test_a_training_stops_within_a_step_and_loses_nothing(together, trained, tmp_path):
    changes = {"batch": 1, "accumulate": 5, "steps": 2, "together": together}
    net, history = trained(**changes)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(3, 5, 9))
    for done in (3, 5, 9):
        with pytest.raises(Interrupted, match=f"step {done}$"):
            trained(checkpoint=checkpoint, **changes)
    resumed, rows = trained(checkpoint=checkpoint, **changes)
    assert same(net, resumed) and rows == history


def test_training_in_bfloat16_is_near_and_repeatable(start, trained, monkeypatch):
    """The masks, and what the net makes afterwards, are exact all the same."""
    _, whole = trained(steps=1)
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    (net, history), (again, _) = trained(steps=2), trained(steps=2)
    assert same(net, again)
    for name, value in whole[0].items():
        assert history[0][name] == pytest.approx(value, rel=0.05, abs=0.02), name
    assert history[0] != whole[0]
    rng = torch.Generator().manual_seed(1)
    u, y = truncated_noise(4, 6, 1.0, rng), torch.tensor([0, 3, 7, 9])
    monkeypatch.delenv("CGN_PRECISION")
    with torch.no_grad():
        made, fresh = net.eval()(u, y, y, y, 1.0), start()
        fresh.load_state_dict(net.state_dict())
        assert all(map(torch.equal, made, fresh.eval()(u, y, y, y, 1.0)))


def test_a_checkpoint_of_another_net_is_named_and_left_alone(start, trained, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        trained(checkpoint=Checkpoint(path, stop=StopAt(1)))
    content = path.read_bytes()
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        trained(checkpoint=Checkpoint(path), net=start(replace(TINY, num_classes=7)))
    assert "\n" not in str(error.value) and path.read_bytes() == content


# --- direction


def test_training_lowers_what_it_is_trained_on(trained, start):
    """Textures and backgrounds that are too bright come back to BigGAN's own."""
    net = start()
    with torch.no_grad():
        for name in ("f_text", "f_bg"):
            getattr(net, name).generator.conv_to_rgb.bias.add_(0.8)
    lr = (0, 0.02, 0.02)
    _, history = trained(net=net, steps=12, batch=4, weights=only("l1"), lr=lr)
    assert history[-1]["l1"] < history[0]["l1"] / 2


@pytest.mark.parametrize(
    ("config", "u2net"),
    [
        (replace(biggan.BIGGAN_256, channel_width=16), U2Net.small),
        pytest.param(biggan.BIGGAN_256, U2Net.published, marks=pytest.mark.long),
    ],
    ids=["an eighth as wide", "as wide"],
)
def test_a_training_step_of_the_papers_size(config, u2net):
    """Published settings, 256 pixels, random weights: six finite losses, every weight moves."""
    recipe = replace(profile("paper").world.mechanisms, accumulate=1, steps=1)
    rng = torch.Generator().manual_seed(0)
    start = chance.seeded(lambda: biggan.build(config), rng).train()
    start.generator.layers[8].gamma.data.fill_(0.1)  # at 0 nothing reaches the attention's weights
    u = truncated_noise(1, 128, 1.0, rng)
    with torch.no_grad():  # random spectral vectors need some power iterations first
        for _ in range(3):
            biggan.generate(start, u, torch.tensor([0]), 1.0)
    net = ImageNetCGN(config, chance.seeded(u2net, rng)).start_from(start)
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    features = chance.seeded(lambda: perceptual.vgg16(recipe.layers, pretrained=False), rng)
    (row,) = train_mechanisms(net, features, recipe, 0, Checkpoint())
    assert set(row) == {"step", *NAMES, "mask_mean"}
    assert all(math.isfinite(value) for value in row.values()), row
    after = dict(net.named_parameters())
    assert [name for name, parameter in after.items() if not parameter.isfinite().all()] == []
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {name for name in after if name.startswith(("f_shape.", "f_text.", "f_bg."))}
