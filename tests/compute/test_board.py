"""The board: who computes each kind of run, and the nets that finished runs left."""

import pkgutil
from collections import Counter
from importlib import import_module
from typing import get_args

import pytest
import torch

from cgnlib import compute, worlds
from cgnlib import experiments as e
from cgnlib.chance import generator, seeded
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.errors import CGNError
from cgnlib.nets import mnist, weights
from cgnlib.nets.ensemble import Ensemble, Plain, small_resnet
from cgnlib.nets.readers import CueReader, Reader

MODULES = [import_module(m.name) for m in pkgutil.iter_modules(compute.__path__, "cgnlib.compute.")]
ASKED = [("paper", claim) for claim in e.PROFILES["paper"].extra]
ASKED += [(name, "all") for name in e.PROFILES]
RUNS = {type(run): run for asked in ASKED for run in e.with_needs(e.grid(*asked))}


def classes(of):
    return {c for sub in of.__subclasses__() for c in {sub} | classes(sub)}


KINDS = {c for c in classes(e.Run) if "kind" in vars(c) and c.__module__.startswith("cgnlib.")}


# --- who computes what


def test_every_kind_is_declared_and_computed_by_one_module():
    """One that is forgotten, in a grid or in a module, is named here."""
    assert RUNS.keys() == KINDS == set(get_args(e.AnyRun))
    assert Counter(kind for m in MODULES for kind in getattr(m, "KINDS", ())) == Counter(KINDS)


def test_the_board_sends_every_kind_to_its_module(monkeypatch, tmp_path):
    for module in MODULES:
        told = {k: lambda run, job, name=k.__name__: name for k in getattr(module, "KINDS", ())}
        monkeypatch.setattr(module, "KINDS", told, raising=False)
    job = Job(tmp_path)
    wrong = [k for k, run in RUNS.items() if compute.compute(run, job) != k.__name__]
    assert not wrong
    with pytest.raises(AssertionError, match="Run"):
        compute.compute(e.Run(variant="colored", profile="mini"), job)


def test_a_job_is_on_the_cpu_and_keeps_nothing_unless_told(tmp_path):
    one, other = Job(tmp_path), Job(tmp_path)
    assert one.device.type == "cpu" and one.checkpoint.path is None
    assert one.checkpoint is not other.checkpoint and Found({}).history is None


# --- nets

# What the runs of RUNS leave, by their sizes in the paper's profile; ImageNet's would be too large.
NETS = {
    e.CGN: lambda: mnist.CGN(32, 32),
    e.PublishedCGN: lambda: mnist.CGN(32, 32),
    e.GAN: lambda: mnist.GAN(32, 32),
    e.Classifier: mnist.CNN,
    e.Reader: CueReader,
    e.Mechanisms: lambda: worlds.find("menagerie").start(),
    e.PublishedMechanisms: lambda: worlds.find("menagerie").start(),
    e.Plain: lambda: Plain(small_resnet()),
    e.PretrainedPlain: lambda: Plain(small_resnet()),
    e.Ensemble: lambda: Ensemble(small_resnet(), generator(1)),
    e.PublishedEnsemble: lambda: Ensemble(small_resnet(), generator(1)),
}


@pytest.fixture
def left(random_parts, monkeypatch, tmp_path):
    """A run of a kind and the net in its folder, which is tmp_path."""
    monkeypatch.setitem(worlds.WORLDS, "imagenet", worlds.find("menagerie"))

    def leave(kind):
        net = seeded(NETS[kind], generator(2))
        weights.save(net, tmp_path / WEIGHTS)
        return RUNS[kind], net

    return leave


@pytest.mark.parametrize("kind", NETS)
def test_a_net_comes_back_whole_or_is_refused_with_what_mends_it(kind, left, tmp_path):
    run, net = left(kind)
    found = net_of(run, tmp_path)
    assert type(found) is type(net) and not found.training
    state, again = net.state_dict(), found.state_dict()
    assert state.keys() == again.keys() and all(torch.equal(state[k], again[k]) for k in state)

    path = tmp_path / WEIGHTS
    whole = path.read_bytes()
    mend = f": delete {tmp_path}, then python -m cgnlib run --profile {run.profile} {run.id}"
    weights.save(Reader((3,)), path)
    for content in (path.read_bytes(), whole[:-100], None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(CGNError) as error:
            net_of(run, tmp_path)
        said = str(error.value)
        assert said.startswith(str(path)) and said.endswith(mend) and "\n" not in said


def test_other_kinds_leave_no_net(tmp_path):
    for kind in KINDS - NETS.keys():
        with pytest.raises(TypeError, match=f"a {kind.__name__} leaves no net"):
            net_of(RUNS[kind], tmp_path)
