"""Training in bfloat16: near float32, repeatable, and said of the runs that do it."""

from dataclasses import replace

import pytest
import torch
from stopping import StopAt
from trainings import CGN, CLASSIFIER, CONV, GAN, same, train

from cgnlib import chance, experiments, precision, processor
from cgnlib.counterfactuals import digits
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import mnist as nets
from cgnlib.runs import attempt, process, provenance
from cgnlib.training import digits as loops
from cgnlib.training.checkpoints import Checkpoint

CPU, GPU = torch.device("cpu"), torch.device("cuda")
KINDS = ("cgn", "conv", "gan", "classifier")
SHORT = (replace(CGN, steps=20), CONV, replace(GAN, steps=20), CLASSIFIER)
A_STEP = [replace(recipe, steps=1, batch=32) for recipe in (CGN, CONV, GAN)]
A_STEP.append(replace(CLASSIFIER, epochs=1, batch=40))


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


def test_the_profile_of_the_paper_trains_in_float32_unless_told(unset, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    seen = []
    monkeypatch.setattr(attempt, "attempt", lambda run, stop: seen.append(precision.of(CPU)))
    for profile in experiments.PROFILES:
        process.compute_one(experiments.find(profile, "gan-colored-s0"))
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    process.compute_one(experiments.find("paper", "gan-colored-s0"))
    assert seen == ["bfloat16", "bfloat16", "float32", "bfloat16"]
    monkeypatch.delenv("CGN_PRECISION")
    assert precision.of(CPU) == "bfloat16", "other runs of the process are left alone"


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


def first_step(recipe, told, monkeypatch):
    """The history of one step, and every gradient of it."""
    grads, update = [], loops._update

    def noted(optimiser, loss, **options):
        update(optimiser, loss, **options)
        of = (p.grad for group in optimiser.param_groups for p in group["params"])
        grads.append(torch.cat([grad.flatten().clone() for grad in of]))

    with monkeypatch.context() as patch:
        patch.setattr(loops, "_update", noted)
        patch.setenv("CGN_PRECISION", told)
        _, history = train(recipe)
    return history[0], grads


@pytest.mark.parametrize("recipe", A_STEP, ids=KINDS)
def test_a_step_is_near_that_of_float32(recipe, few_digits, monkeypatch):
    whole, grads = first_step(recipe, "float32", monkeypatch)
    mixed, near = first_step(recipe, "bfloat16", monkeypatch)
    for name, value in whole.items():
        assert mixed[name] == pytest.approx(value, rel=0.03, abs=2e-3), name
    assert mixed != whole  # it does something
    for ours, theirs in zip(near, grads, strict=True):
        assert torch.cosine_similarity(ours, theirs, 0) > 0.98
        assert ours.norm().item() == pytest.approx(theirs.norm().item(), rel=0.05)


@pytest.mark.parametrize("recipe", SHORT, ids=KINDS)
def test_the_same_seed_gives_the_same_bits_though_stopped(recipe, half, few_digits, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        train(recipe, checkpoint=Checkpoint(path, stop=StopAt(5)))
    (whole, history), (resumed, rows) = train(recipe), train(recipe, checkpoint=Checkpoint(path))
    assert same(whole, resumed) and history == rows


def test_a_mask_stays_exact(half, few_digits, monkeypatch):
    """In bfloat16 the upper bound of the mask would be 1, and its entropy no number."""
    assert torch.tensor(nets.MASK_MAX).bfloat16() == 1
    masks, mask = [], nets.CGN.mask

    def saturated(self, u, y):
        masks.append((mask(self, u, y) * 1e3).clamp(nets.MASK_MIN, nets.MASK_MAX))
        return masks[-1]

    monkeypatch.setattr(nets.CGN, "mask", saturated)
    _, history = train(replace(CGN, steps=1))
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
    """So do those that train or make images, and no others: a pretrained net is not computed."""
    monkeypatch.setattr(processor, "cpu", lambda: "Processor (CPU)")
    every = experiments.with_needs([*experiments.grid("mini"), *experiments.grid("paper")])
    assert {provenance.computed_on(run, CPU) for run in every} == {"Processor (CPU)"}
    monkeypatch.setenv("CGN_PRECISION", "bfloat16")
    said = {(type(run).__name__, provenance.computed_on(run, CPU)) for run in every}
    mixed = {kind for kind, told in said if told == "Processor (CPU, bfloat16)"}
    assert mixed == {"CGN", "GAN", "ImageSet", "Classifier", "Mechanisms", "Plain", "Ensemble"}
    others = {kind for kind, told in said if told == "Processor (CPU)"}
    assert not mixed & others and {"Evaluation", "PublishedCGN", "PretrainedPlain"} <= others


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
