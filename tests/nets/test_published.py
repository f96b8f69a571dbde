"""Weights as their publishers wrote them: ResNet-50 and U2-Net, older than torch's batch counts.

ResNet-50 has 267 tensors in torchvision's file and 320 here, U2-Net 686 and 798; the others count
the batches that a batch norm has seen.  Both hold parameters and the versions of their modules;
U2-Net's were saved on a GPU.
"""

from collections import OrderedDict
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from cgnlib.errors import CGNError
from cgnlib.nets import weights
from cgnlib.nets.u2net import U2Net

NETS = {"resnet50": (partial(resnet50, weights=None), 267), "u2net": (U2Net.published, 686)}
COUNT = "num_batches_tracked"


@pytest.fixture(params=NETS)
def kind(request):
    return request.param


@pytest.fixture
def state(kind):
    """The tensors of a published file, each of a value of its own."""
    with torch.device("meta"):
        net = NETS[kind][0]()
    parameters, kept = dict(net.named_parameters()), OrderedDict()
    for i, (key, value) in enumerate(net.state_dict().items()):
        if not key.endswith(COUNT):
            tensor = torch.full(value.shape, i / 1000)
            kept[key] = nn.Parameter(tensor) if key in parameters else tensor
    kept._metadata = OrderedDict((name, {"version": 1}) for name, _ in net.named_modules())
    return kept


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file: a pickle as before torch 1.6, or a zip."""

    def save(state, form):
        monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        path = tmp_path / f"{form}.pth"
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
        return path

    return save


@pytest.mark.parametrize("form", ["pickle", "zip"])
def test_a_published_file_loads_whole(form, kind, state, write):
    build, tensors = NETS[kind]
    assert len(state) == tensors
    loaded = weights.load(build(), write(state, form)).state_dict()
    counts = loaded.keys() - state.keys()
    assert counts and all(key.endswith(COUNT) and loaded[key] == 0 for key in counts)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_any_other_tensor_that_is_missing_is_refused(kind, state, write):
    build, _ = NETS[kind]
    first, *_, last = state
    statistics = next(key for key in state if key.endswith("running_var"))
    for key in (first, statistics, last):
        rest = OrderedDict((name, value) for name, value in state.items() if name != key)
        with pytest.raises(CGNError, match=rf"it lacks 1 .*{key}"):
            weights.load(build(), write(rest, "pickle"))
