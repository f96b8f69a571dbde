"""Training in bfloat16: near float32, repeatable, and said of the runs that do it."""

import pytest
import torch
from stopping import StopAt
from training.test_digits import CGN, CLASSIFIER, CONV, LOOPS, TINY, same

from cgnlib import chance, experiments, precision, processor
from cgnlib.compute import digits as execute
from cgnlib.counterfactuals import digits
from cgnlib.data import variants
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.training import digits as train
from cgnlib.training.checkpoints import Checkpoint

CPU, GPU = torch.device("cpu"), torch.device("cuda")
EVERY = experiments.with_needs(experiments.grid("mini"))
ONE = [
    (train.train_cgn, CGN | {"steps": 1, "batch": 32}),
    (train.train_cgn, CONV | {"steps": 1, "batch": 32}),
    (train.train_gan, TINY | {"ndf": 8, "steps": 1, "batch": 32}),
    (train.train_classifier, CLASSIFIER | {"batch": 40, "epochs": 1}),
]


@pytest.fixture
def half(monkeypatch):
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")


@pytest.fixture
def unset(monkeypatch):
    """Nothing is said, and the processor is asked anew."""
    monkeypatch.delenv("CGN_PRECISION")
    precision._native.cache_clear()
    yield
    precision._native.cache_clear()


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx2": True, "avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_processor_that_multiplies_bfloat16_trains_in_it(able, expected, unset, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert precision.of(CPU) == expected
    assert precision.of(GPU) == "float32"


def test_a_torch_that_does_not_tell_trains_in_float32(unset, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert precision.of(CPU) == "float32"


@pytest.mark.parametrize("told", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken_on_a_processor(told, monkeypatch):
    monkeypatch.setenv("CGN_PRECISION", told)
    assert precision.of(CPU) == told and precision.of(GPU) == "float32"


def test_another_precision_is_refused_in_a_line(monkeypatch):
    monkeypatch.setenv("CGN_PRECISION", "half")
    with pytest.raises(CGNError, match=r"CGN_PRECISION is 'half': set it to float32 or bfloat16"):
        precision.of(CPU)


def test_a_call_is_mixed_and_what_it_returns_is_not(half):
    x, layer, seen = torch.randn(4, 8), torch.nn.Linear(8, 8), []

    def call(x):
        seen.append(layer(x))
        return [seen[-1], x]

    for part in precision.mixed(call, CPU)(x):
        assert part.dtype == torch.float32
    assert seen[0].dtype == torch.bfloat16
    out = precision.mixed(layer, CPU)(x)
    assert out.dtype == torch.float32 and torch.allclose(out, layer(x), atol=0.05)
    out.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_in_float32_a_call_stays_itself():
    assert precision.mixed(len, CPU) is len


def first_step(loop, settings, told, monkeypatch):
    """The history of one step, and every gradient of it."""
    grads, update = [], train._update

    def noted(optimiser, loss, **options):
        update(optimiser, loss, **options)
        of = (p.grad for group in optimiser.param_groups for p in group["params"])
        grads.append(torch.cat([grad.flatten().clone() for grad in of]))

    monkeypatch.setattr(train, "_update", noted)
    monkeypatch.setenv("CGN_PRECISION", told)
    variant = "wildlife" if settings.get("discriminator") == "conv" else "double_colored"
    data = variants.Variant(variant, "mnist-5k", "train", chance.generator(0, 0))
    data = data.freeze() if loop is train.train_classifier else data
    _, history = loop(data, settings, 0, Checkpoint())
    monkeypatch.setattr(train, "_update", update)
    return history[0], grads


@pytest.mark.parametrize(("loop", "settings"), ONE)
def test_a_step_is_near_that_of_float32(loop, settings, few_digits, monkeypatch):
    whole, grads = first_step(loop, settings, "float32", monkeypatch)
    mixed, near = first_step(loop, settings, "bfloat16", monkeypatch)
    for name, value in whole.items():
        assert mixed[name] == pytest.approx(value, rel=0.03, abs=2e-3), name
    assert mixed != whole  # it does something
    for ours, theirs in zip(near, grads, strict=True):
        assert torch.cosine_similarity(ours, theirs, 0) > 0.98
        assert ours.norm().item() == pytest.approx(theirs.norm().item(), rel=0.05)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_same_seed_gives_the_same_bits(loop, half, few_digits):
    (first, history), (second, again) = loop(), loop()
    assert same(first.state_dict(), second.state_dict()) and history == again


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stopped_training_goes_on_to_the_same_bits(loop, half, few_digits, tmp_path):
    whole, _ = loop()
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        loop(checkpoint=Checkpoint(path, stop=StopAt(5)))
    resumed, _ = loop(checkpoint=Checkpoint(path))
    assert same(whole.state_dict(), resumed.state_dict())


def test_a_checkpoint_goes_on_in_its_own_precision(few_digits, tmp_path, monkeypatch):
    path = tmp_path / "run" / "checkpoint.pt"
    path.parent.mkdir()
    with pytest.raises(Interrupted):
        LOOPS[-1](checkpoint=Checkpoint(path, stop=StopAt(5)))
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    with pytest.raises(CGNError, match=r"cpu in float32 and this is a cpu in bfloat16.*CGN_PREC"):
        LOOPS[-1](checkpoint=Checkpoint(path))
    assert path.exists()


def test_a_mask_stays_exact(half, few_digits, monkeypatch):
    """In bfloat16 the upper bound of the mask would be 1, and its entropy no number."""
    assert torch.tensor(nets.MASK_MAX).bfloat16() == 1
    masks, mask = [], nets.CGN.mask

    def saturated(self, u, y):
        masks.append((mask(self, u, y) * 1e3).clamp(nets.MASK_MIN, nets.MASK_MAX))
        return masks[-1]

    monkeypatch.setattr(nets.CGN, "mask", saturated)
    data = variants.Variant("double_colored", "mnist-5k", "train", chance.generator(0, 0))
    _, history = train.train_cgn(data, CGN | {"steps": 1}, 0, Checkpoint())
    assert masks[0].dtype == torch.float32 and masks[0].max() < 1
    assert all(torch.isfinite(torch.tensor(value)) for value in history[0].values())


def test_log_probabilities_are_exact_to_float32(half):
    """Rounded to bfloat16, a certain answer would have no gradient."""
    net = nets.CNN()
    with torch.no_grad():
        net.cls[0].bias.copy_(torch.tensor([9.0] + [0.0] * 9))
        out = precision.mixed(net, CPU)(torch.randn(4, 3, 32, 32))
    assert torch.allclose(out.exp().sum(1), torch.ones(4), atol=1e-5)


def test_a_run_says_when_it_trained_in_bfloat16(monkeypatch):
    monkeypatch.setattr(processor, "cpu", lambda: "Processor (CPU)")
    runs = {run.kind: run for run in experiments.grid("mini", "claim-1-mnist")}
    runs |= {r.kind: r for run in runs.values() for r in experiments.with_needs([run])}
    trained, measured = runs["cgn"], runs["evaluation"]
    assert execute.device_name(trained) == "Processor (CPU)"
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    assert execute.device_name(trained) == "Processor (CPU, bfloat16)"
    assert execute.device_name(measured) == "Processor (CPU)"
    for kind in ("plain", "ensemble"):
        (run, *_) = (r for r in EVERY if r.kind == kind)
        assert execute.device_name(run) == "Processor (CPU, bfloat16)"
    given = experiments.plain(experiments.profile("paper"), 0)
    assert execute.device_name(given) == "Processor (CPU)"  # pretrained: nothing is computed


@pytest.mark.parametrize("per_shape", [1, 3])
@pytest.mark.parametrize(
    ("build", "sample"),
    [(nets.CGN, digits.sample_cgn), (nets.GAN, digits.sample_gan)],
)
def test_a_stored_set_is_near_that_of_float32(build, sample, per_shape, monkeypatch):
    """Of nets that were not trained; those of `mini` differ in rare values by up to 17 levels."""

    def made(told):
        monkeypatch.setenv("CGN_PRECISION", told)
        net = chance.seeded(lambda: build(8, 8), chance.generator(0))
        batches = sample(net, 300, per_shape, chance.generator(1))
        return [(batch.x.int(), batch.y) for batch in batches]

    for (x, y), (near, again) in zip(made("float32"), made("bfloat16"), strict=True):
        levels = (x - near).abs()
        assert torch.equal(y, again) and 0 < levels.float().mean() < 0.5 and levels.max() <= 4
