"""Trainings on the MNISTs: seeds, interruption, and plain loops as oracles."""

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from stopping import StopAt
from trainings import CGN, CLASSIFIER, CONV, GAN, of_every_kind, same, split, train

from cgnlib import chance
from cgnlib.data import digits, variants
from cgnlib.data.images import Images
from cgnlib.errors import Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import _scored_together, train_classifier
from cgnlib.training.loop import index_batches

undisturbed = cache(train)


@pytest.fixture(autouse=True)
def few(few_digits):
    """Every set here has 40 images."""


# --- seeds


def test_no_two_roles_share_a_generator(monkeypatch):
    """The data, the loop and each epoch's order draw from streams of their own."""
    seeds, original = [], chance.generator

    def noted(*path):
        rng = original(*path)
        seeds.append(rng.initial_seed())
        return rng

    monkeypatch.setattr(chance, "generator", noted)
    train(replace(GAN, steps=30))  # three epochs
    assert len(seeds) == 5 and len(set(seeds)) == 5


@of_every_kind
def test_same_seed_same_bits_whatever_the_global_state(recipe):
    first, history = undisturbed(recipe)
    torch.manual_seed(2)
    second, again = train(recipe)
    assert same(first, second) and history == again
    assert not same(first, train(recipe, seed=1)[0])


# --- interruption


@pytest.mark.parametrize(
    ("recipe", "stops"),
    [
        (CGN, (1, 13, 50, 60)),
        (CONV, (7, 20)),
        (GAN, (1, 49, 50, 60)),
        (CLASSIFIER, (1, 3, 5, 9)),
    ],
    ids=["cgn", "conv", "gan", "classifier"],
)
def test_a_stopped_loop_ends_as_an_undisturbed_one(recipe, stops, tmp_path):
    net, history = undisturbed(recipe)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(*stops))
    for stop in stops:
        with pytest.raises(Interrupted, match=f"step {stop}$"):
            train(recipe, checkpoint=checkpoint)
    resumed, same_history = train(recipe, checkpoint=checkpoint)
    assert same(net, resumed) and history == same_history
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.before.pt", "checkpoint.pt"]


# --- oracles: the loops written plainly


def test_classifier_training_equals_a_plain_loop():
    data = split("colored").freeze()
    net = chance.seeded(nets.CNN, chance.generator(5, "classifier"))
    optimiser = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.9, eps=1e-6)
    history = []
    for epoch in range(3):
        for group in optimiser.param_groups:
            group["lr"] = 0.7**epoch
        hits = loss_sum = 0
        for index in index_batches(40, 16, 5, 3 * epoch, 3 * epoch + 3):
            x, y = data.batch(index)
            scores = net(x)
            loss = F.nll_loss(scores, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            hits += (scores.argmax(1) == y).sum().item()
            loss_sum += loss.item() * len(y)
        row = {"step": 3 * epoch + 3, "loss": loss_sum / 40, "train_accuracy": hits / 40}
        history.append(row)
    trained, rows = train(CLASSIFIER, seed=5)
    for ours, theirs in zip(trained.parameters(), net.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    for ours, theirs in zip(rows, history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.fixture
def plain_steps(monkeypatch):
    """Adam becomes ten times its rate of plain descent: of gradients that are zero but for
    rounding, Adam makes noise.  What Adam was asked for is noted."""
    asked = []

    def sgd(parameters, lr, betas, **_):
        asked.append((lr, betas))
        return torch.optim.SGD(parameters, 10 * lr)

    monkeypatch.setattr(torch.optim, "Adam", sgd)
    yield
    assert asked == [(2e-3, (0.5, 0.999)), (1e-3, (0.5, 0.999))]


def descend(net, lr, loss):
    net.zero_grad()
    loss.backward()
    torch.optim.SGD(net.parameters(), lr).step()
    return loss.item()


def check(trained, net, critics_losses):
    trained, history = trained
    assert history[-1]["discriminator"] == pytest.approx(sum(critics_losses) / 4, rel=1e-5)
    for name, ours in trained.state_dict().items():
        assert torch.allclose(ours, net.state_dict()[name], rtol=1e-3, atol=1e-5), name


def test_cgn_training_equals_a_plain_loop(plain_steps):
    """Generator first, then the critic on the same images; L_adv + L_binary + L_perc."""
    rng = chance.generator(0, "cgn")
    data = split("double_colored")
    net = chance.seeded(lambda: nets.CGN(4, 4), rng)
    nets.init_weights(net, "orthogonal", 0.2, rng)
    critic = chance.seeded(lambda: nets.LinearDiscriminator(8, rng), rng)
    features = perceptual.efficientnet_lite0((0,))
    ones, zeros, critics = torch.ones(4), torch.zeros(4), []
    for index in index_batches(40, 4, 0, 0, 4):
        x, y = data.batch(index)
        y_gen = torch.randint(0, 10, (4,), generator=rng)
        m, f, b = net(torch.randn(4, 4, generator=rng), y_gen, rng)
        x_gen = m * f + (1 - m) * b
        entropy = -(m * m.log2() + (1 - m) * (1 - m).log2()).mean()
        gram = [losses.gram(features(image)[0]) for image in (x_gen, x)]
        loss = F.mse_loss(critic(x_gen, y_gen), ones)
        loss = loss + 0.3 * entropy + 0.3 * (gram[0] - gram[1].detach()).abs().mean()
        descend(net, 0.02, loss)
        both = torch.cat([x, x_gen.detach()]), torch.cat([y, y_gen])  # in one: so its dropout draws
        real, fake = critic(*both).chunk(2)
        loss = (F.mse_loss(real, ones) + F.mse_loss(fake, zeros)) / 2
        critics.append(descend(critic, 0.01, loss))
    check(train(replace(CGN, steps=4)), net, critics)


def test_gan_training_equals_a_plain_loop(plain_steps):
    rng = chance.generator(0, "gan")
    data = split("double_colored")
    net = chance.seeded(lambda: nets.GAN(4, 4), rng)
    critic = chance.seeded(lambda: nets.LinearDiscriminator(8, rng), rng)
    bce, critics = F.binary_cross_entropy_with_logits, []
    ones, zeros = torch.ones(4), torch.zeros(4)
    for index in index_batches(40, 4, 0, 0, 4):
        x, y = data.batch(index)
        y_gen = torch.randint(0, 10, (4,), generator=rng)
        x_gen = net(torch.randn(4, 4, generator=rng), y_gen)
        descend(net, 0.02, bce(critic(x_gen, y_gen), ones))
        both = torch.cat([x, x_gen.detach()]), torch.cat([y, y_gen])
        real, fake = critic(*both).chunk(2)
        critics.append(descend(critic, 0.01, (bce(real, ones) + bce(fake, zeros)) / 2))
    check(train(replace(GAN, steps=4)), net, critics)


def test_batches_are_scored_as_if_each_were_alone(rng):
    """Dropout apart, which has draws of its own for each image."""
    critic = nets.LinearDiscriminator(8, rng)
    for layer in critic.modules():
        if type(layer).__name__ == "_Dropout":
            layer.eval()
    batches = [(torch.randn(n, 3, 32, 32, generator=rng), torch.arange(n)) for n in (3, 5)]
    together = _scored_together(critic, *batches)
    for ours, (x, y) in zip(together, batches, strict=True):
        assert torch.allclose(ours, critic(x, y), rtol=1e-5, atol=1e-6)


# --- direction


def test_a_classifier_learns_a_trivial_task():
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 10
    x = torch.randint(0, 20, (200, 32, 32, 3), generator=rng).to(torch.uint8)
    x[torch.arange(200), 3 * y] = 255  # a white line, somewhere else for each class
    recipe = replace(CLASSIFIER, epochs=6)
    _, history = train_classifier(Images(x, y), recipe, 0, Checkpoint())
    assert history[-1]["loss"] < history[0]["loss"] / 3
    assert history[-1]["train_accuracy"] > 0.9


def test_a_cgn_comes_nearer_to_what_it_sees(monkeypatch):
    blank = digits.Digits(torch.zeros(40, 28, 28, dtype=torch.uint8), torch.full((40,), 3))
    monkeypatch.setattr(digits, "load_digits", lambda *_: blank)  # all images are plain orange
    net, history = train(replace(CGN, steps=150, lr=8e-3, factors=(3.0,)))
    assert history[-1]["perceptual"] < history[0]["perceptual"] / 2
    rng = chance.generator(9)
    with torch.no_grad():
        x_gen = nets.compose(*net(net.draw_latent(40, rng), torch.arange(40) % 10, rng))
    orange = torch.tensor(variants.BACKGROUND_COLORS[3]) / 127.5 - 1
    assert (x_gen.mean((0, 2, 3)) - orange).norm() < 0.5 < orange.norm()


def test_a_critic_learns_to_tell_a_gans_images():
    _, history = train(replace(GAN, ndf=32, steps=100))
    assert history[-1]["discriminator"] < history[0]["discriminator"]
