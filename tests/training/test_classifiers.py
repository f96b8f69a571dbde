"""Training of the classifiers over ResNets: a plain loop, orders, epochs, interruption, devices."""

import pickle
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from stopping import StopAt
from torch import nn
from torch.multiprocessing import ProcessRaisedException
from trainings import same

from cgnlib import chance, processor
from cgnlib.data.images import Images
from cgnlib.data.pictures import Stored
from cgnlib.errors import CGNError, ElsewhereError, Interrupted
from cgnlib.experiments.recipes import EnsembleRecipe
from cgnlib.nets.ensemble import HEADS, Ensemble, Plain, small_resnet
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.classifiers import best_epoch, counterfactual_order, train_ensemble
from cgnlib.training.loop import index_batches

TINY = EnsembleRecipe(batch=4, epochs=3, lr=0.01, weight_decay=0.01, decay_every=2)
COUNTERFACTUAL = ("loss_counterfactual", "train_counterfactual_top1")


@pytest.fixture(autouse=True)
def one_cpu(monkeypatch):
    """Unless a test says otherwise."""
    monkeypatch.delenv("CGN_DEVICES", raising=False)
    monkeypatch.setattr(processor, "gpus", lambda: 0)


def images(n, mechanisms=1, seed=0, size=32):
    """Random images, in memory."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(256, (n, size, size, 3), generator=rng).to(torch.uint8)
    y = torch.randint(10, (n, mechanisms), generator=rng)
    return Stored(Images(x, y.squeeze(1) if mechanisms == 1 else y))


class Noted(Stored):
    """Images in memory that note what they are asked for."""

    def __init__(self, n, mechanisms=1):
        super().__init__(images(n, mechanisms).images)
        self.asked = []

    def batches(self, order):
        order = list(order)
        self.asked += [(step, index.tolist()) for step, index in order]
        return super().batches(order)


class Exam:
    """Returns what it has seen of a net so far, which is its state."""

    def __init__(self):
        self.total, self.epochs = 0.0, []

    def __call__(self, net, epoch):
        assert not net.training and not torch.is_grad_enabled()
        self.epochs.append(epoch)
        x, _ = images(2).images.batch(torch.arange(2))
        scores = next(iter(net(x).values()))
        assert not torch.equal(scores, scores.bfloat16().float())  # an exam is in float32
        self.total += float(next(net.parameters()).sum())
        return {"exam": self.total}

    def state_dict(self):
        return {"total": self.total}

    def load_state_dict(self, state):
        self.total = state["total"]


class InAPreparedProcess(Exam):
    def __call__(self, net, epoch):
        assert torch.backends.cudnn.deterministic and torch.get_num_threads() == 1
        return super().__call__(net, epoch)


def narrow():
    """A ResNet's first two stages."""
    net = small_resnet()
    net.layer3 = net.layer4 = nn.Identity()
    net.fc = nn.Linear(128, 10)
    return net


def ensemble():
    return Ensemble(chance.seeded(narrow, chance.generator(1)), chance.generator(2))


def plain():
    return Plain(chance.seeded(narrow, chance.generator(1)))


def trained(net=None, n=10, cf=7, seed=0, checkpoint=None, exam=None, **changes):
    """A trained net and its history."""
    net, counterfactual = net or ensemble(), images(cf, 3, seed=1) if cf else None
    recipe, checkpoint = replace(TINY, **changes), checkpoint or Checkpoint()
    return net, train_ensemble(net, images(n), counterfactual, recipe, seed, checkpoint, exam)


def close(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], rtol=1e-4, atol=1e-5) for k in a)


# --- the loop written plainly


def plain_loop(net, n, cf, seed, recipe):
    """method 5.8, with SGD by hand; the losses of all steps, and the shares of right answers."""
    real, counterfactual = images(n).images, images(cf, 3, seed=1).images if cf else None
    velocity = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    per_epoch, rows = -(-n // recipe.batch), []
    net.train()
    for step, index in enumerate(
        index_batches(n, recipe.batch, seed, 0, per_epoch * recipe.epochs)
    ):
        epoch, at = divmod(step, per_epoch)
        x, y = real.batch(index)
        scores = net(x)
        scores = scores["avg"] if cf else scores["plain"]
        loss = F.cross_entropy(scores, y)
        row = {"n": len(y), "loss_real": loss.item()}
        row["train_real_top1"] = (scores.argmax(1) == y).double().mean().item()
        if cf:
            size = round(recipe.ratio * recipe.batch)
            order = counterfactual_order(cf, per_epoch * size, seed, epoch)
            x, y = counterfactual.batch(order[at * size : (at + 1) * size])
            scores, hits = net(x), 0
            row["loss_counterfactual"] = 0
            for i, head in enumerate(("shape", "texture", "bg")):
                term = F.cross_entropy(scores[head], y[:, i])
                loss = loss + term
                row["loss_counterfactual"] += term.item()
                hits += (scores[head].argmax(1) == y[:, i]).double().mean().item() / 3
            row["train_counterfactual_top1"] = hits
        net.zero_grad()
        loss.backward()
        rate = recipe.lr * recipe.decay ** (epoch // recipe.decay_every)
        with torch.no_grad():
            for name, p in net.named_parameters():
                if p.grad is not None:
                    decayed = p.grad + recipe.weight_decay * p
                    velocity[name] = recipe.momentum * velocity[name] + decayed
                    p -= rate * velocity[name]
        rows.append(row)
    return [mean_row(rows[i : i + per_epoch]) for i in range(0, len(rows), per_epoch)]


def mean_row(rows):
    total = sum(row["n"] for row in rows)
    return {k: sum(row["n"] * row[k] for row in rows) / total for k in rows[0] if k != "n"}


@pytest.mark.parametrize(
    ("net", "n", "cf", "changes"),
    [
        (ensemble, 8, 7, {}),
        (ensemble, 8, 30, {"ratio": 2.0}),
        (ensemble, 10, 7, {"decay_every": 1}),
        (plain, 8, None, {"lr": 1e-3}),
    ],
    ids=["ensemble", "ratio", "short", "plain"],
)
def test_training_equals_a_plain_loop(net, n, cf, changes):
    """Also the history: means over the images of an epoch, though its last batch may be short."""
    theirs = net()
    wanted = plain_loop(theirs, n, cf, 3, replace(TINY, **changes))
    ours, history = trained(net(), n, cf, seed=3, **changes)
    assert close(ours, theirs)
    per_epoch = -(-n // 4)
    assert [row.pop("step") for row in history] == [per_epoch * i for i in (1, 2, 3)]
    for found, row in zip(history, wanted, strict=True):
        assert found.keys() == row.keys()
        names = row if n % 4 == 0 else row.keys() - set(COUNTERFACTUAL)
        for name in names:
            assert found[name] == pytest.approx(row[name], rel=1e-3), name


def test_a_control_sees_real_images_alone():
    """All heads move, and all as one: their mean is what learns."""
    start, (net, history) = ensemble(), trained(cf=None, weight_decay=0.0)
    assert all(row.keys() == {"step", "loss_real", "train_real_top1"} for row in history)
    steps = [getattr(net, f"m_{h}")[1].weight - getattr(start, f"m_{h}")[1].weight for h in HEADS]
    assert steps[0].abs().max() > 0
    assert all(torch.allclose(step, steps[0], atol=1e-6) for step in steps)


def test_an_ensemble_keeps_its_statistics_and_a_plain_net_does_not():
    for build, moves in ((ensemble, False), (plain, True)):
        start, (net, _) = build(), trained(build(), cf=7 if build is ensemble else None)
        before = dict(start.named_buffers())
        changed = any(not torch.equal(v, before[k]) for k, v in net.named_buffers())
        assert changed == moves and net.training


# --- which images


def test_counterfactuals_come_once_each_from_a_table_that_is_long_enough():
    found = counterfactual_order(20, 20, 0, 0)
    assert torch.equal(found.sort().values, torch.arange(20))
    assert len(counterfactual_order(20, 6, 0, 0).unique()) == 6


@pytest.mark.parametrize(("n", "size"), [(7, 12), (7, 14), (5, 23), (1, 4)])
def test_a_short_table_is_repeated(n, size):
    """Whole copies of the table: none comes more often than there are copies."""
    found = counterfactual_order(n, size, 3, 2)
    assert found.shape == (size,) and found.dtype == torch.int64
    counts = found.bincount(minlength=n)
    assert len(counts) == n and counts.max() <= -(-size // n)
    if size % n == 0:
        assert (counts == size // n).all()


def test_the_papers_epoch_has_more_counterfactuals_than_real_images():
    """34,745 images in 1,086 batches of 32: 34,752 of a table of 34,745, which is repeated."""
    steps = sum(1 for _ in index_batches(34_745, 32, 0, 0, 1086))
    assert steps == 1086 == -(-34_745 // 32)
    found = counterfactual_order(34_745, 32 * steps, 0, 0)
    assert len(found) == 34_752 and found.max() < 34_745
    assert found.bincount().max() == 2
    assert len(found.unique()) == pytest.approx(34_745 * 3 / 4, rel=0.01)


def test_the_order_of_counterfactuals_has_a_seed_and_an_epoch():
    chance = torch.get_rng_state()
    first = counterfactual_order(50, 40, 0, 0)
    assert torch.equal(first, counterfactual_order(50, 40, 0, 0))
    assert not torch.equal(first, counterfactual_order(50, 40, 1, 0))
    assert not torch.equal(first, counterfactual_order(50, 40, 0, 1))
    assert torch.equal(torch.get_rng_state(), chance)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_each_step_sees_as_many_counterfactuals_as_the_ratio_says(ratio):
    real, counterfactual = Noted(10), Noted(7, 3)
    recipe = replace(TINY, ratio=ratio, epochs=2)
    train_ensemble(ensemble(), real, counterfactual, recipe, 5, Checkpoint())
    size = int(4 * ratio)
    assert [step for step, _ in counterfactual.asked] == list(range(6))
    assert [len(index) for _, index in real.asked] == [4, 4, 2] * 2
    assert [len(index) for _, index in counterfactual.asked] == [size] * 6
    wanted = [index.tolist() for index in index_batches(10, 4, 5, 0, 6)]
    assert [index for _, index in real.asked] == wanted
    for epoch in range(2):
        steps = counterfactual.asked[3 * epoch : 3 * epoch + 3]
        wanted = counterfactual_order(7, 3 * size, 5, epoch).tolist()
        assert [i for _, index in steps for i in index] == wanted


# --- epochs


def test_the_reported_epoch_is_the_best_on_real_images():
    def rows(*values):
        return [{"top1": value} for value in values]

    assert best_epoch(rows(0.5), "top1") == 1
    assert best_epoch(rows(0.1, 0.6, 0.4), "top1") == 2
    assert best_epoch(rows(0.6, 0.2, 0.6, 0.5), "top1") == 3  # of equals the latest
    assert best_epoch(rows(0, 0), "top1") == 2
    with pytest.raises(ValueError, match="no epoch"):
        best_epoch([], "top1")


def test_no_other_test_chooses_the_epoch():
    history = [
        {"avg/real_top1": 0.7, "shape/shape_bias": 0.1, "shape_texture/bg_gap": 0.5},
        {"avg/real_top1": 0.69, "shape/shape_bias": 0.9, "shape_texture/bg_gap": 0.0},
    ]
    assert best_epoch(history, "avg/real_top1") == 1
    with pytest.raises(KeyError):
        best_epoch(history, "avg/real_top5")


def test_an_exam_is_taken_after_each_epoch():
    exam = Exam()
    net, history = trained(exam=exam)
    assert exam.epochs == [1, 2, 3] and net.training
    assert [row["exam"] for row in history][-1] == exam.total
    without, rows = trained()
    assert same(net, without)
    assert [{k: v for k, v in row.items() if k != "exam"} for row in history] == rows


# --- seeds, interruption


def test_same_seed_same_bits_whatever_the_global_state():
    torch.manual_seed(1)
    first, history = trained()
    torch.manual_seed(2)
    chance = torch.get_rng_state()
    second, again = trained()
    assert torch.equal(torch.get_rng_state(), chance)
    assert same(first, second) and history == again
    other, rows = trained(seed=1)
    assert not same(first, other) and rows != history


@pytest.mark.parametrize(("net", "cf"), [(ensemble, 7), (plain, None)])
def test_a_stopped_training_ends_as_an_undisturbed_one(net, cf, tmp_path):
    """Also the exam, whose state is kept: it is not taken again."""
    once, stops = Exam(), (1, 3, 5, 9)
    whole, history = trained(net(), cf=cf, exam=once)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(*stops))
    exams = []
    for stop in stops:
        exams.append(Exam())
        with pytest.raises(Interrupted, match=f"step {stop}$"):
            trained(net(), cf=cf, checkpoint=checkpoint, exam=exams[-1])
    exams.append(Exam())
    resumed, rows = trained(net(), cf=cf, checkpoint=checkpoint, exam=exams[-1])
    assert same(whole, resumed) and rows == history
    assert [exam.epochs for exam in exams] == [[], [1], [], [2, 3], []]
    assert exams[-1].total == once.total


# --- in bfloat16


@pytest.mark.parametrize(("net", "cf"), [(ensemble, 7), (plain, 0)], ids=["ensemble", "plain"])
def test_in_bfloat16_a_step_is_near_that_of_float32(net, cf, monkeypatch):
    one = {"epochs": 1, "batch": 10, "lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}

    def step(told):
        monkeypatch.setenv("CGN_PRECISION", told)
        before = net()
        after, history = trained(net(), 10, cf, **one)
        pairs = zip(before.parameters(), after.parameters(), strict=True)
        return torch.cat([(a - b).flatten() for a, b in pairs]).detach(), history[0]

    (whole, expected), (mixed, found) = step("float32"), step("bfloat16")
    for name in (name for name in expected if name.startswith("loss_")):
        assert found[name] == pytest.approx(expected[name], rel=0.03)
        assert found[name] != expected[name]
    assert torch.cosine_similarity(mixed, whole, 0) > 0.98


@pytest.mark.parametrize(("net", "cf"), [(ensemble, 7), (plain, 0)], ids=["ensemble", "plain"])
def test_in_bfloat16_a_stopped_training_ends_as_an_undisturbed_one(net, cf, tmp_path, monkeypatch):
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    whole, history = trained(net(), cf=cf)
    with pytest.raises(Interrupted):
        trained(net(), cf=cf, checkpoint=Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(4)))
    resumed, rows = trained(net(), cf=cf, checkpoint=Checkpoint(tmp_path / "checkpoint.pt"))
    assert same(whole, resumed) and history == rows
    assert all(p.dtype == torch.float32 for p in resumed.parameters())


def test_a_checkpoint_of_float32_does_not_go_on_in_bfloat16(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        trained(checkpoint=Checkpoint(path, stop=StopAt(4)))
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    with pytest.raises(ElsewhereError, match="cpu in float32 and this is a cpu in bfloat16"):
        trained(checkpoint=Checkpoint(path))


# --- devices


@pytest.mark.parametrize(
    "told", ["0", "-1", "two", "1.5", " ", "9999", pytest.param("9" * 5000, id="many digits")]
)
def test_a_wrong_number_of_devices_is_an_error(told, monkeypatch):
    monkeypatch.setenv("CGN_DEVICES", told)
    with pytest.raises(CGNError, match=r"CGN_DEVICES is .*set it to a number") as error:
        trained()
    assert repr(told) in str(error.value)


def test_devices_are_those_that_are_told_or_in_sight(monkeypatch):
    monkeypatch.setattr(processor, "cores", lambda: 3)
    for there, told, n in ((0, "", 1), (4, "", 4), (4, "2", 2), (0, "3", 3)):
        monkeypatch.setattr(processor, "gpus", lambda there=there: there)
        monkeypatch.setenv("CGN_DEVICES", told)
        assert processor.devices() == n
    monkeypatch.delenv("CGN_DEVICES")
    assert processor.devices() == 1


@pytest.mark.parametrize("per_node", [None, "8"])
def test_one_device_asks_nothing_of_the_job_that_it_is_in(per_node, monkeypatch):
    """`sbatch -n 8 --wrap "make book"`: Fabric would want srun, or one task."""
    told = {"JOB_ID": "4711", "JOB_NAME": "cgn", "NTASKS": "8", "NODELIST": "node1"}
    told |= dict.fromkeys(("PROCID", "LOCALID", "NODEID"), "0")
    told |= {"NTASKS_PER_NODE": per_node} if per_node else {}
    (undisturbed, history) = trained(epochs=1)
    for name, value in told.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    net, there = trained(epochs=1)
    assert there == history and same(net, undisturbed)


def test_what_goes_to_other_processes_can_be_pickled():
    pickle.dumps((Checkpoint(), images(2), ensemble()))


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 9], ids=["short", "shorter"])
def test_two_devices_learn_what_one_does(n, monkeypatch):
    """The last batch is two images, one a device; or one, and a device has none."""
    one, history = trained(n=n, exam=Exam())
    monkeypatch.setattr(processor, "cores", lambda: 2)
    monkeypatch.setenv("CGN_DEVICES", "2")
    try:
        two, rows = trained(n=n, exam=InAPreparedProcess())
    except ProcessRaisedException as error:
        if "process group" in str(error).lower() or "gloo" in str(error).lower():
            pytest.skip(f"no process group here: {str(error).splitlines()[-1]}")
        raise
    assert close(one, two)
    for ours, theirs in zip(history, rows, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


# --- direction


def test_each_head_learns_its_own_mechanism():
    """Shape, texture and background are always 1, 2 and 3: soon each head says its own."""
    y = torch.tensor([1, 2, 3]).expand(16, 3)
    counterfactual = Stored(Images(images(16).images.x, y))
    net, recipe = ensemble(), replace(TINY, batch=8, lr=3e-3)
    history = train_ensemble(net, images(16), counterfactual, recipe, 0, Checkpoint())
    assert history[-1]["loss_counterfactual"] < history[0]["loss_counterfactual"]
    with torch.no_grad():
        found = net.eval()(counterfactual.images.batch(torch.arange(16))[0])
    assert {head: set(found[head].argmax(1).tolist()) for head in HEADS} == {
        "shape": {1},
        "texture": {2},
        "bg": {3},
    }
