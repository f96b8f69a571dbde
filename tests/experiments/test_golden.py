"""What a refactoring must not change: golden.json was written before the package had rooms."""

import hashlib
import json
import platform
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch
from tiny import use_an_eighth

from cgnlib import chance, experiments, runs
from cgnlib.experiments import PROFILES, Run, grid, with_needs
from cgnlib.runs import process

pytestmark = pytest.mark.slow

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
SMALL = {
    "steps": 3, "epochs": 1, "decay_every": 1, "size": 200, "evaluated": 40, "embedded": 200,
    "renderings": 1, "train": 40, "val": 40, "ndf": 16, "window": 1,
}  # fmt: skip
KINDS = [
    "evaluation-wildlife-g0-s0",
    "classifier-wildlife-gan-g0-s0",
    "explanation-colored-original-s0",
    "following-wildlife-original-and-cgn-g0-s0",
    "crossing-wildlife-original-and-decorrelated-s0",
    "disentanglement-double_colored-truth-s0",
    "disentanglement-wildlife-g0-s0",
    "disentanglement-menagerie-none-s0",
    "quality-menagerie-biggan-s0",
    "quality-menagerie-shape-s0",
    "robustness-menagerie-plain-s0",
    "robustness-menagerie-real-and-cgn-none-g0-s0",
    "head-maps-menagerie-real-s0",
]  # with what they need, at least one of each kind that computes without data of others


def sha256(lines):
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_run_keeps_its_id_its_digest_and_what_it_reads(profile):
    declared = with_needs(grid(profile))
    assert len(declared) == GOLDEN["number"][profile]
    assert sha256(f"{run.id} {run.digest()}" for run in declared) == GOLDEN["runs"][profile]
    read = ((run.id, role, what) for run in declared for role, what in run.reads().items())
    lines = (f"{run} {role} {what.kind} {what.name}" for run, role, what in read)
    assert sha256(lines) == GOLDEN["reads"][profile]


def test_every_place_of_chance_keeps_its_seed():
    for place, seed in GOLDEN["seeds"].items():
        path = [int(part) if part.isdecimal() else part for part in place.split("/")]
        assert chance.generator(*path).initial_seed() == seed, place


def small(part):
    """A run, or a recipe of it, cut to its smallest size; what it needs likewise."""
    changed = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            changed[field.name] = small(value)
        elif field.name == "batch":
            changed["batch"] = 8
        elif field.name in SMALL and value is not None:
            changed[field.name] = min(SMALL[field.name], value)
    return replace(part, **changed) if changed else part


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Small runs, on an eighth of the digits."""
    with pytest.MonkeyPatch.context() as patch:
        use_an_eighth(patch)
        patch.setenv("CGN_RUNS", str(tmp_path_factory.mktemp("runs")))
        wanted = with_needs(small(experiments.find("mini", name)) for name in KINDS)
        for run in wanted:
            process.compute_one(run)
        return {run.id: (run, runs.load(run).metrics) for run in wanted}


def test_every_kind_is_among_the_small_runs(computed):
    """But for those that need files of others."""

    def leaves(of):
        ours = (c for c in of.__subclasses__() if c.__module__.startswith("cgnlib."))
        return [k for c in ours for k in leaves(c)] or [of]

    kinds = {type(run) for run, _ in computed.values()}
    of_others = {"PublishedCGN", "PublishedMechanisms", "PretrainedPlain", "PublishedEnsemble"}
    of_others |= {"PackagedRobustness"}
    everything = {k.__name__ for k in leaves(Run)} | {"Following"}
    assert {k.__name__ for k in kinds} == everything - of_others


def test_small_runs_keep_their_numbers(computed):
    """To the bit where they were first made; near them on another processor, or with another C
    library, whose logarithms torch takes."""
    here = [torch.backends.cpu.get_cpu_capability(), torch.__version__]
    alike = GOLDEN["made on"] == [*here, " ".join(platform.libc_ver())]
    assert computed.keys() == GOLDEN["small"].keys()
    for name, (_, metrics) in computed.items():
        then = GOLDEN["small"][name]
        assert metrics.keys() == then.keys(), name
        moved = {k: (then[k], v) for k, v in metrics.items() if v != then[k]}
        if not alike:
            moved = {k: v for k, v in moved.items() if abs(v[0] - v[1]) > 0.1 * max(1, abs(v[0]))}
        assert not moved, (name, moved)
