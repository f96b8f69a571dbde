"""Stand-ins have the formats and layouts of the published files, as far as their sizes tell."""

import pytest
import torch

import stand_ins
from cgnlib.data import sources
from cgnlib.experiments import VARIANTS
from cgnlib.nets import mnist, weights

STATED = [name for name in stand_ins.PUBLISHED if sources.table()[name]["sha256"]]


def on_no_device(name):
    published = stand_ins.PUBLISHED[name]
    with torch.device("meta"):
        return published, stand_ins.state_of(published, published.full())


@pytest.mark.parametrize("name", STATED)
def test_tensors_and_format_leave_the_size_of_the_published_file(name):
    """Each tensor costs a pickle one to two hundred bytes, and a zip, which pads, over three."""
    published, state = on_no_device(name)
    tensors = sum(value.numel() * value.element_size() for value in state.values())
    of_each = (sources.table()[name]["size"] - tensors) / len(state)
    low, high = (100, 200) if published.pickle else (300, 350)
    assert low < of_each < high


@pytest.mark.parametrize(
    ("name", "tensors"), [("resnet50", 267), ("u2net", 686), ("biggan256", 602), ("vgg16", 32)]
)
def test_a_file_has_as_many_tensors_as_the_published_one(name, tensors):
    assert len(on_no_device(name)[1]) == tensors


@pytest.mark.parametrize("name", [f"cgn-{variant}" for variant in VARIANTS])
def test_a_published_checkpoint_has_the_same_tensors(name, original):
    entry = sources.table()[name]
    published, state = on_no_device(name)
    found = weights.read(original(entry["file"]))
    assert {k: (v.shape, v.dtype) for k, v in found.items()} == {
        k: (v.shape, v.dtype) for k, v in state.items()
    }
    with original(entry["file"]).open("rb") as file:
        assert (file.read(2) == b"PK") is not published.pickle


@pytest.mark.parametrize(("pickle", "first"), [(True, b"\x80"), (False, b"P")])
def test_a_small_file_of_whole_shapes_loads_whole(pickle, first, tmp_path):
    def net():
        return mnist.CGN(4, 4)

    published = stand_ins.Published(net, net, pickle, counts=False)
    with torch.device("meta"):
        on_no_device = net()
    state = stand_ins.state_of(published, on_no_device)
    stand_ins.save(published, state, tmp_path / "x.pth")
    assert (tmp_path / "x.pth").read_bytes()[:1] == first
    assert (tmp_path / "x.pth").stat().st_size < 40_000
    loaded = weights.load(net(), tmp_path / "x.pth").state_dict()
    assert loaded.keys() - state.keys() and not any(value.any() for value in loaded.values())
