"""Training on a GPU: recorded steps, bits that come again, and the CPU as the oracle."""

from functools import cache, partial

import pytest
import torch
from stopping import StopAt
from trainings import CLASSIFIER, of_every_kind, same, split, train

from cgnlib import chance, experiments
from cgnlib.counterfactuals import digits
from cgnlib.data.images import Images, Union
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.runs import pool
from cgnlib.training import replay
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.loop import CPU, Loop

NONE_HERE = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def needs_gpu(test):
    return pytest.mark.gpu(NONE_HERE(test))


GPU = torch.device("cuda")


train_there = partial(train, device=GPU)
undisturbed = cache(train_there)


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
@of_every_kind
def test_a_recorded_step_is_the_step(recipe, monkeypatch):
    replayed, rows = undisturbed(recipe)
    monkeypatch.setattr(replay, "WARM", 10**6)
    plain, plain_rows = train_there(recipe)
    assert same(replayed, plain) and rows == plain_rows


@needs_gpu
@of_every_kind
def test_the_same_seed_gives_the_same_bits(recipe):
    first, again, other = undisturbed(recipe), train_there(recipe), train_there(recipe, seed=1)
    assert same(first[0], again[0]) and not same(first[0], other[0])


@needs_gpu
@of_every_kind
@pytest.mark.parametrize("step", [2, 7])
def test_a_stopped_loop_goes_on(recipe, step, tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        train_there(recipe, checkpoint=Checkpoint(path, stop=StopAt(step)))
    resumed, rows = train_there(recipe, checkpoint=Checkpoint(path))
    assert same(undisturbed(recipe)[0], resumed) and rows == undisturbed(recipe)[1]


@needs_gpu
def test_a_classifier_is_the_one_of_the_cpu(monkeypatch):
    """The CPU draws nothing else here; rates fall between recorded steps."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    (ours, rows), (theirs, their_rows) = train_there(CLASSIFIER), train(CLASSIFIER)
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
    for device in (CPU, GPU):
        made = digits.sample_cgn(net.to(device), 400, 2, chance.generator(2))
        sets.append([(part.x, part.y) for part in made])
    for (x, y), (x_there, y_there) in zip(*sets, strict=True):
        assert not x_there.is_cuda and torch.equal(y, y_there)
        assert (x.int() - x_there.int()).abs().max() <= 1


def test_a_gpu_has_as_many_runs_as_its_memory_holds(monkeypatch):
    monkeypatch.setattr(pool.processor, "on_gpu", lambda: True)
    grid = experiments.grid("full")
    small = next(run for run in grid if isinstance(run, experiments.Classifier))
    monkeypatch.setattr(pool, "_gpu_memory_mb", lambda: 9_000)
    assert pool._has_room(small, [small], 16) and not pool._has_room(small, [small] * 2, 16)


def test_a_checkpoint_of_another_device_is_not_gone_on_with(tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Interrupted):
        train(CLASSIFIER, checkpoint=Checkpoint(path, stop=StopAt(2)))
    written = path.read_bytes()
    loop = Loop(pytest.fail, 40, 9, 16, 0, {}, 3, device=GPU)  # nothing is computed
    with pytest.raises(CGNError, match="a cpu in float32 and this is a cuda in float32") as error:
        loop.run(Checkpoint(path))
    assert "\n" not in str(error.value) and path.read_bytes() == written


def test_a_step_that_is_not_replayed_is_called_each_time_and_its_checkpoint_names_the_gpu(tmp_path):
    path, seen = tmp_path / "c.pt", []

    def step(index):
        seen.append(len(index))
        return {"loss": torch.zeros(())}

    with pytest.raises(Interrupted):
        Loop(step, 40, 3, 16, 0, {}, 3, device=GPU).run(Checkpoint(path, stop=StopAt(2)))
    assert seen == [16, 16]
    with pytest.raises(CGNError, match="on a cuda in float32 and this is a cpu in float32"):
        Loop(step, 40, 3, 16, 0, {}, 3).run(Checkpoint(path))
