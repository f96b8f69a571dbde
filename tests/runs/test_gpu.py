"""Training on a GPU: recorded steps, bits that come again, and the CPU as the oracle."""

import pytest
import torch
from stopping import StopAt
from training.test_digits import CGN, CLASSIFIER, CONV, TINY, same

from cgnlib import chance, experiments, runs
from cgnlib.counterfactuals import digits
from cgnlib.data.images import Images, Union
from cgnlib.data.variants import Variant
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.training import digits as train
from cgnlib.training import loop as loop_training
from cgnlib.training import replay
from cgnlib.training.checkpoints import Checkpoint

NONE_HERE = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def needs_gpu(test):
    return pytest.mark.gpu(NONE_HERE(test))


GPU = torch.device("cuda")


def split(variant):
    return Variant(variant, "mnist-5k", "train", chance.generator(0, 0))


def train_cgn(checkpoint=None, seed=0):
    return train.train_cgn(split("double_colored").to(GPU), CGN, seed, checkpoint or Checkpoint())


def train_conv(checkpoint=None, seed=0):
    return train.train_cgn(split("wildlife").to(GPU), CONV, seed, checkpoint or Checkpoint())


def train_gan(checkpoint=None, seed=0):
    s = TINY | {"ndf": 8}
    return train.train_gan(split("double_colored").to(GPU), s, seed, checkpoint or Checkpoint())


def train_classifier(checkpoint=None, seed=0, device=GPU):
    data = split("colored").freeze()
    return train.train_classifier(data.to(device), CLASSIFIER, seed, checkpoint or Checkpoint())


LOOPS = [train_cgn, train_conv, train_gan, train_classifier]


@pytest.fixture(autouse=True)
def repeatable(few_digits, monkeypatch):
    """Every set has 40 images, and the GPU works as it does in a run."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def test_the_cpu_needs_no_other_generator_and_no_stream(monkeypatch):
    rng = chance.generator(0)
    assert chance.like(rng, torch.device("cpu")) is rng
    with monkeypatch.context() as patch:
        patch.delattr(torch.cuda, "Stream")
        with replay.stream(torch.device("cpu")):
            assert torch.ones(2).sum() == 2


@needs_gpu
@pytest.mark.parametrize("loop", LOOPS)
def test_a_recorded_step_is_the_step(loop, monkeypatch):
    replayed, rows = loop()
    monkeypatch.setattr(replay, "WARM", 10**6)
    plain, plain_rows = loop()
    assert same(replayed.state_dict(), plain.state_dict()) and rows == plain_rows


@needs_gpu
@pytest.mark.parametrize("loop", LOOPS)
def test_the_same_seed_gives_the_same_bits(loop):
    first, again, other = (loop(seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert same(first, again) and not same(first, other)


@needs_gpu
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("step", [2, 7])
def test_a_stopped_loop_goes_on(loop, step, tmp_path):
    whole, rows = loop()
    with pytest.raises(Interrupted):
        loop(Checkpoint(tmp_path / "c.pt", stop=StopAt(step)))
    resumed, resumed_rows = loop(Checkpoint(tmp_path / "c.pt"))
    assert same(whole.state_dict(), resumed.state_dict()) and rows == resumed_rows


@needs_gpu
def test_a_classifier_is_the_one_of_the_cpu(monkeypatch):
    """The CPU draws nothing else here; rates fall between recorded steps."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    (ours, rows), (theirs, their_rows) = (
        train_classifier(),
        train_classifier(device=loop_training.CPU),
    )
    for name, weights in theirs.state_dict().items():
        assert torch.allclose(ours.state_dict()[name].cpu().float(), weights.float(), atol=1e-3)
    for row, their_row in zip(rows, their_rows, strict=True):
        assert row == pytest.approx(their_row, rel=1e-2)


@needs_gpu
@pytest.mark.parametrize("variant", ["colored", "double_colored", "wildlife"])
def test_renderings_differ_only_in_what_is_drawn(variant):
    here, there = split(variant), split(variant).to(GPU)
    index = torch.arange(40)
    (x, y), (x_there, y_there) = here.batch(index), there.batch(index.to(GPU))
    assert torch.equal(y, y_there.cpu()) and x_there.is_cuda and x_there.dtype == x.dtype
    mask = here.mask.expand_as(x)
    for part in (mask, ~mask):
        assert x[part].mean() == pytest.approx(x_there.cpu()[part].mean().item(), abs=0.05)


@needs_gpu
def test_a_union_on_the_gpu_has_the_same_images():
    floats, made = split("double_colored").freeze(), split("colored").freeze()
    union, index = Union(floats, made), torch.tensor([3, 7, 50, 79])  # as a Union would sort them
    (x, y), (x_there, y_there) = union.batch(index), union.to(GPU).batch(index.to(GPU))
    assert torch.allclose(x, x_there.cpu(), atol=1e-6) and torch.equal(y, y_there.cpu())
    both = Union(made, made).to(GPU)
    assert isinstance(both, Images) and both.x.dtype == torch.uint8 and len(both) == 80


@needs_gpu
def test_images_of_a_cgn_are_those_of_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net = chance.seeded(lambda: nets.CGN(8, 4), chance.generator(1)).eval()
    sets = []
    for device in (loop_training.CPU, GPU):
        made = digits.sample_cgn(net.to(device), 400, 2, chance.generator(2))
        sets.append([(part.x, part.y) for part in made])
    for (x, y), (x_there, y_there) in zip(*sets, strict=True):
        assert not x_there.is_cuda and torch.equal(y, y_there)
        assert (x.int() - x_there.int()).abs().max() <= 1


def test_a_gpu_has_as_many_runs_as_its_memory_holds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    small = next(r for r in experiments.grid("full") if r.kind == "classifier")
    monkeypatch.setattr(runs, "_gpu_memory_mb", lambda: 9_000)
    assert runs._has_room(small, [small], 16) and not runs._has_room(small, [small] * 2, 16)


def test_a_checkpoint_of_another_device_is_not_gone_on_with(tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        train_classifier(Checkpoint(path, stop=StopAt(2)), device=loop_training.CPU)
    written = path.read_bytes()
    step = pytest.fail  # nothing is computed
    s, elsewhere = {"steps": 9, "batch": 16}, torch.device("cuda")
    with pytest.raises(
        CGNError, match="on a cpu in float32 and this is a cuda in float32"
    ) as error:
        loop_training.run_loop(step, 40, s, 0, Checkpoint(path), {}, 3, device=elsewhere)
    assert "\n" not in str(error.value) and path.read_bytes() == written


def test_a_step_that_is_not_replayed_is_called_each_time_and_its_checkpoint_names_the_gpu(tmp_path):
    path, seen = tmp_path / "c.pt", []

    def step(index):
        seen.append(len(index))
        return {"loss": torch.zeros(())}

    s, checkpoint = {"steps": 3, "batch": 16}, Checkpoint(path, stop=StopAt(2))
    with pytest.raises(Interrupted):
        loop_training.run_loop(step, 40, s, 0, checkpoint, {}, 3, device=torch.device("cuda"))
    assert seen == [16, 16]
    with pytest.raises(CGNError, match="on a cuda in float32 and this is a cpu in float32"):
        loop_training.run_loop(step, 40, s, 0, Checkpoint(path), {}, 3)
