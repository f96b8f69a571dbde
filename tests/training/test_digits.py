"""Training loops: order of the data, seeds, checkpoints, and plain loops as oracles."""

import os
import re
import uuid
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from stopping import StopAt

from cgnlib import chance
from cgnlib.data import digits, variants
from cgnlib.data.images import Images
from cgnlib.data.variants import Variant
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual
from cgnlib.training import digits as train
from cgnlib.training import loop as loop_training
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint

TINY = {"batch": 4, "steps": 60, "lr": 2e-3, "lr_critic": 1e-3, "latent": 4, "ngf": 4}
TINY |= {"betas": (0.5, 0.999)}
CGN = TINY | {"ndf": 8, "discriminator": "linear", "init": "orthogonal", "gain": 0.2, "mask": 0.3}
CGN |= {"edge": 0.0, "perceptual": "efficientnet-lite0", "layers": (0,), "factors": (0.3,)}
CONV = CGN | {"discriminator": "conv", "ndf": 4, "init": "normal", "gain": 0.03, "edge": 0.1}
CONV |= {"steps": 20}
CLASSIFIER = {"batch": 16, "epochs": 3, "lr": 1.0, "gamma": 0.7}  # 40 images: 9 steps


def train_cgn(seed=0, checkpoint=None, settings=CGN, variant="double_colored"):
    data = Variant(variant, "mnist-5k", "train", chance.generator(seed, 0))
    return train.train_cgn(data, settings, seed, checkpoint or Checkpoint())


def train_conv(seed=0, checkpoint=None, settings=CONV):
    return train_cgn(seed, checkpoint, settings, "wildlife")


def train_gan(seed=0, checkpoint=None, settings=TINY | {"ndf": 8}):
    data = Variant("double_colored", "mnist-5k", "train", chance.generator(seed, 0))
    return train.train_gan(data, settings, seed, checkpoint or Checkpoint())


def train_classifier(seed=0, checkpoint=None, settings=CLASSIFIER):
    data = Variant("colored", "mnist-5k", "train", chance.generator(0, 0)).freeze()
    return train.train_classifier(data, settings, seed, checkpoint or Checkpoint())


LOOPS = [train_cgn, train_conv, train_gan, train_classifier]


@pytest.fixture(autouse=True)
def few(few_digits):
    """Every set here has 40 images."""


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --- order of the data


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (12, 4), (3, 5)])
def test_every_item_comes_once_an_epoch(n, batch):
    per_epoch = -(-n // batch)
    steps = list(loop_training.index_batches(n, batch, 0, 0, 3 * per_epoch))
    epochs = [torch.cat(steps[i * per_epoch : (i + 1) * per_epoch]) for i in range(3)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(n))
    assert not torch.equal(epochs[0], epochs[1])


def test_the_order_is_a_function_of_seed_and_epoch():
    whole = list(loop_training.index_batches(10, 4, 3, 0, 9))
    for first in range(9):
        torch.manual_seed(first)
        rest = list(loop_training.index_batches(10, 4, 3, first, 9))
        assert len(rest) == 9 - first and all(map(torch.equal, whole[first:], rest))
    assert not torch.equal(whole[0], next(loop_training.index_batches(10, 4, 4, 0, 1)))


def test_no_two_roles_share_a_generator(monkeypatch):
    """The data, the loop and each epoch's order draw from streams of their own."""
    seeds, original = [], chance.generator

    def noted(*path):
        rng = original(*path)
        seeds.append(rng.initial_seed())
        return rng

    monkeypatch.setattr(chance, "generator", noted)
    train_gan(settings=TINY | {"ndf": 8, "steps": 30})  # three epochs
    assert len(seeds) == 5 and len(set(seeds)) == 5


def test_seeds_and_places_give_generators_of_their_own():
    seeds = {chance.generator(s, role).initial_seed() for s in range(50) for role in range(50)}
    assert len(seeds) == 2500


# --- seeds


@pytest.mark.parametrize("loop", LOOPS)
def test_same_seed_same_bits_whatever_the_global_state(loop):
    torch.manual_seed(1)
    first, history = loop()
    torch.manual_seed(2)
    second, again = loop()
    assert same(first.state_dict(), second.state_dict()) and history == again
    other, _ = loop(seed=1)
    assert not same(first.state_dict(), other.state_dict())


# --- interruption


@pytest.mark.parametrize(
    ("loop", "stops"),
    [
        (train_cgn, (1, 13, 50, 60)),
        (train_conv, (7, 20)),
        (train_gan, (1, 49, 50, 60)),
        (train_classifier, (1, 3, 5, 9)),
    ],
)
def test_a_stopped_loop_ends_as_an_undisturbed_one(loop, stops, tmp_path):
    net, history = loop()
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(*stops))
    for stop in stops:
        with pytest.raises(Interrupted, match=f"step {stop}$"):
            loop(checkpoint=checkpoint)
    resumed, same_history = loop(checkpoint=checkpoint)
    assert same(net.state_dict(), resumed.state_dict())
    assert history == same_history
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.before.pt", "checkpoint.pt"]


def test_a_loop_saves_when_it_is_time(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train_classifier(checkpoint=Checkpoint(path, every=1e9))
    assert not path.exists()
    train_classifier(checkpoint=Checkpoint(path, every=0))
    assert Checkpoint(path).load({})["step"] == 9


def test_a_save_whose_folder_another_process_cleaned_up_says_who_has_the_run(tmp_path):
    """The other takes the run over after the save was allowed, and before its file is in place."""
    calls = []

    def guard():
        calls.append(1)
        if len(calls) == 2:
            Checkpoint(tmp_path / "checkpoint.pt").remove()
        if len(calls) > 2:
            raise CGNError("taken over")

    with pytest.raises(CGNError, match=r"^taken over$"):
        train_gan(checkpoint=Checkpoint(tmp_path / "checkpoint.pt", every=0, guard=guard))
    assert len(calls) == 3 and list(tmp_path.iterdir()) == []


@pytest.fixture
def stopped(tmp_path):
    """A checkpoint of a GAN's training."""
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        train_gan(checkpoint=Checkpoint(path, stop=StopAt(2)))
    return path


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_truncated_checkpoint_is_named_and_left_alone(stopped, keep):
    content = stopped.read_bytes()[:keep]
    stopped.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(stopped))) as error:
        train_gan(checkpoint=Checkpoint(stopped))
    assert "delete it" in str(error.value) and "\n" not in str(error.value)
    assert stopped.read_bytes() == content


@pytest.mark.parametrize(
    "resume",
    [train_cgn, train_classifier, lambda checkpoint: train_gan(0, checkpoint, TINY | {"ndf": 9})],
    ids=["cgn", "classifier", "size"],
)
def test_a_checkpoint_of_another_net_is_named_and_left_alone(stopped, resume):
    content = stopped.read_bytes()
    with pytest.raises(CGNError, match=re.escape(str(stopped))) as error:
        resume(checkpoint=Checkpoint(stopped))
    assert "\n" not in str(error.value) and stopped.read_bytes() == content


def test_a_failing_save_keeps_the_previous_checkpoint(stopped, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    content = stopped.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CGNError, match=re.escape(str(stopped)) + ".*No space left"):
        train_gan(checkpoint=Checkpoint(stopped, every=0))
    assert stopped.read_bytes() == content and list(stopped.parent.iterdir()) == [stopped]


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9])
def test_a_flipped_bit_is_noticed(stopped, where):
    content = bytearray(stopped.read_bytes())
    content[int(where * len(content))] ^= 4
    stopped.write_bytes(content)
    with pytest.raises(CGNError, match="from the beginning"):
        train_gan(checkpoint=Checkpoint(stopped))
    assert stopped.read_bytes() == content


def test_the_one_before_a_damaged_checkpoint_is_gone_on_from(tmp_path):
    net, history = train_gan()
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(20, 40))
    for _ in range(2):
        with pytest.raises(Interrupted):
            train_gan(checkpoint=checkpoint)
    assert [Checkpoint(p).load({})["step"] for p in (checkpoint.path, checkpoint.before)] == [
        40,
        20,
    ]
    checkpoint.path.write_bytes(b"damaged")
    with pytest.raises(CGNError, match=r"delete it to start this run from the one before"):
        train_gan(checkpoint=checkpoint)
    checkpoint.path.unlink()
    resumed, again = train_gan(checkpoint=checkpoint)
    assert same(net.state_dict(), resumed.state_dict()) and history == again


def test_the_seconds_of_all_attempts_are_counted(tmp_path):
    path = tmp_path / "checkpoint.pt"
    spent = []
    for _ in range(2):
        checkpoint = Checkpoint(path, stop=lambda: True)
        checkpoint.load({})
        checkpoint._started -= 100  # seconds ago
        with pytest.raises(Interrupted):
            checkpoint.after_step({"step": 1}, {})
        spent.append(Checkpoint(path))
        spent[-1].load({})
    assert [round(s.spent, -1) for s in spent] == [100, 200]


def test_a_full_disk_keeps_the_previous_checkpoint(stopped, tmp_path, monkeypatch):
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no device that is always full")
    content = stopped.read_bytes()
    name = uuid.UUID(int=0)
    monkeypatch.setattr(uuid, "uuid4", lambda: name)
    stopped.with_suffix(f".{name.hex}.part").symlink_to("/dev/full")
    with pytest.raises(CGNError, match=re.escape(str(stopped))) as error:
        train_gan(checkpoint=Checkpoint(stopped, every=0))
    assert "\n" not in str(error.value)
    assert stopped.read_bytes() == content and list(tmp_path.iterdir()) == [stopped]


# --- oracles: the loops written plainly


def test_history_averages_over_the_images_seen():
    def step(index):
        return {"mean": index.float().mean()}  # a short batch must not count as a whole one

    settings = {"batch": 4, "steps": 7}
    history = loop_training.run_loop(step, 10, settings, 0, Checkpoint(), {}, window=3)
    assert [row["step"] for row in history] == [3, 6, 7]
    assert [row["mean"] for row in history[:2]] == pytest.approx([4.5, 4.5])


def test_classifier_training_equals_a_plain_loop():
    data = Variant("colored", "mnist-5k", "train", chance.generator(0, 0)).freeze()
    net = chance.seeded(nets.CNN, chance.generator(5, "classifier"))
    optimiser = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.9, eps=1e-6)
    history = []
    for epoch in range(3):
        for group in optimiser.param_groups:
            group["lr"] = 0.7**epoch
        hits = loss_sum = 0
        for index in loop_training.index_batches(40, 16, 5, 3 * epoch, 3 * epoch + 3):
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
    trained, rows = train_classifier(seed=5)
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
    data = Variant("double_colored", "mnist-5k", "train", chance.generator(0, 0))
    net = chance.seeded(lambda: nets.CGN(4, 4), rng)
    nets.init_weights(net, "orthogonal", 0.2, rng)
    critic = chance.seeded(lambda: nets.LinearDiscriminator(8, rng), rng)
    features = perceptual.efficientnet_lite0((0,))
    ones, zeros, critics = torch.ones(4), torch.zeros(4), []
    for index in loop_training.index_batches(40, 4, 0, 0, 4):
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
    check(train_cgn(settings=CGN | {"steps": 4}), net, critics)


def test_gan_training_equals_a_plain_loop(plain_steps):
    rng = chance.generator(0, "gan")
    data = Variant("double_colored", "mnist-5k", "train", chance.generator(0, 0))
    net = chance.seeded(lambda: nets.GAN(4, 4), rng)
    critic = chance.seeded(lambda: nets.LinearDiscriminator(8, rng), rng)
    bce, critics = F.binary_cross_entropy_with_logits, []
    ones, zeros = torch.ones(4), torch.zeros(4)
    for index in loop_training.index_batches(40, 4, 0, 0, 4):
        x, y = data.batch(index)
        y_gen = torch.randint(0, 10, (4,), generator=rng)
        x_gen = net(torch.randn(4, 4, generator=rng), y_gen)
        descend(net, 0.02, bce(critic(x_gen, y_gen), ones))
        both = torch.cat([x, x_gen.detach()]), torch.cat([y, y_gen])
        real, fake = critic(*both).chunk(2)
        critics.append(descend(critic, 0.01, (bce(real, ones) + bce(fake, zeros)) / 2))
    check(train_gan(settings=TINY | {"ndf": 8, "steps": 4}), net, critics)


def test_batches_are_scored_as_if_each_were_alone(rng):
    """Dropout apart, which has draws of its own for each image."""
    critic = nets.LinearDiscriminator(8, rng)
    for layer in critic.modules():
        if type(layer).__name__ == "_Dropout":
            layer.eval()
    batches = [(torch.randn(n, 3, 32, 32, generator=rng), torch.arange(n)) for n in (3, 5)]
    together = train._scored_together(critic, *batches)
    for ours, (x, y) in zip(together, batches, strict=True):
        assert torch.allclose(ours, critic(x, y), rtol=1e-5, atol=1e-6)


# --- direction


def test_a_classifier_learns_a_trivial_task():
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 10
    x = torch.randint(0, 20, (200, 32, 32, 3), generator=rng).to(torch.uint8)
    x[torch.arange(200), 3 * y] = 255  # a white line, somewhere else for each class
    settings = CLASSIFIER | {"epochs": 6}
    _, history = train.train_classifier(Images(x, y), settings, 0, Checkpoint())
    assert history[-1]["loss"] < history[0]["loss"] / 3
    assert history[-1]["train_accuracy"] > 0.9


def test_a_cgn_comes_nearer_to_what_it_sees(monkeypatch):
    blank = digits.Digits(torch.zeros(40, 28, 28, dtype=torch.uint8), torch.full((40,), 3))
    monkeypatch.setattr(digits, "load_digits", lambda *_: blank)  # all images are plain orange
    settings = CGN | {"steps": 150, "lr": 8e-3, "factors": (3.0,)}
    net, history = train_cgn(settings=settings)
    assert history[-1]["perceptual"] < history[0]["perceptual"] / 2
    rng = chance.generator(9)
    with torch.no_grad():
        x_gen = nets.compose(*net(net.draw_latent(40, rng), torch.arange(40) % 10, rng))
    orange = torch.tensor(variants.BACKGROUND_COLORS[3]) / 127.5 - 1
    assert (x_gen.mean((0, 2, 3)) - orange).norm() < 0.5 < orange.norm()


def test_a_critic_learns_to_tell_a_gans_images():
    _, history = train_gan(settings=TINY | {"ndf": 32, "steps": 100})
    assert history[-1]["discriminator"] < history[0]["discriminator"]
