"""Shipped weights: what is there is loaded, and nothing else is."""

import hashlib
import json
import shutil

import pytest
import torch

from cgnlib.chance import generator
from cgnlib.counterfactuals.digits import interventions
from cgnlib.data import digits
from cgnlib.errors import CGNError
from cgnlib.experiments import VARIANTS
from cgnlib.measures import metrics
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CGN
from cgnlib.nets.readers import Reader
from ship import ship

SHIPPED = shipped.FOLDER


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of the test's own that is not there yet."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "menagerie")
    return tmp_path / "menagerie"


def reader(seed=0, heads=(10,)):
    """A reader of random weights whose batch norms have counted."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Reader(heads)
        net.train()(torch.rand(2, 3, 64, 64))
    return net


def snapshot(net):
    return {key: value.clone() for key, value in net.state_dict().items()}


def test_what_is_shipped_is_loaded_in_half_precision(folder):
    net = reader()
    net.heads[0].bias.data[0] = 1 / 3  # no number of half precision
    ship("classifier", net, {"epochs": 3})
    empty = reader(1).train()
    loaded = shipped.load("classifier", empty)
    assert loaded is empty and not any(module.training for module in loaded.modules())
    for name, value in net.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        assert torch.equal(found, value.half().float() if value.is_floating_point() else value)
    assert loaded.heads[0].bias[0] != net.heads[0].bias[0]
    assert loaded.state_dict()["body.0.1.num_batches_tracked"] == 1
    halves = 2 * sum(v.numel() for v in net.state_dict().values())
    assert (folder / "classifier.safetensors").stat().st_size < halves + 10_000


def test_a_record_says_what_it_was_told_and_what_the_file_is(folder):
    ship("probe", reader(), {"epochs": 3, "accuracy": 0.5})
    assert {p.name for p in folder.iterdir()} == {"probe.safetensors", "probe.json"}
    content = (folder / "probe.safetensors").read_bytes()
    assert shipped.record("probe") == {
        "epochs": 3,
        "accuracy": 0.5,
        "torch": torch.__version__,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_the_same_weights_make_the_same_file(folder):
    files = []
    for about in ({"seconds": 1}, {"seconds": 2}):
        ship("u2net", reader(), about)
        files.append((folder / "u2net.safetensors").read_bytes())
        assert shipped.record("u2net")["seconds"] == about["seconds"]
    assert files[0] == files[1]


def test_a_later_part_takes_the_place_of_an_earlier_one():
    for seed in (0, 1):
        ship("classifier", reader(seed), {})
    found = shipped.load("classifier", reader(2))
    assert torch.equal(found.heads[0].weight, reader(1).heads[0].weight.half().float())


def tamper(folder):
    path = folder / "classifier.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swap(folder):
    """Another part's file, whole and sound, under this one's name."""
    ship("probe", reader(1), {})
    shutil.copy(folder / "probe.safetensors", folder / "classifier.safetensors")


def replace_by_text(folder):
    """No weights at all, though the record knows the file."""
    path = folder / "classifier.safetensors"
    path.write_text("weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    (folder / "classifier.json").write_text(json.dumps({"sha256": sha256}))


BROKEN = {
    "missing": (lambda f: (f / "classifier.safetensors").unlink(), "safetensors is missing"),
    "truncated": (lambda f: (f / "classifier.safetensors").write_bytes(b""), "not that of"),
    "tampered": (tamper, "not that of its record"),
    "swapped": (swap, "not that of its record"),
    "no weights": (replace_by_text, "cannot be read as weights"),
    "another layout": (lambda f: ship("classifier", reader(0, (7,)), {}), "this Reader"),
    "one head more": (lambda f: ship("classifier", reader(0, (10, 10)), {}), "this Reader"),
    "no record": (lambda f: (f / "classifier.json").unlink(), "classifier.json cannot be read"),
    "half a record": (lambda f: (f / "classifier.json").write_text("{"), "json cannot be read"),
    "another record": (lambda f: (f / "classifier.json").write_text("{}"), "no sha256"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_the_shipped_part_is_refused_in_one_line(case, folder):
    ship("classifier", reader(), {})
    damage, message = BROKEN[case]
    damage(folder)
    with pytest.raises(CGNError, match=message) as error:
        shipped.load("classifier", reader(1))
    text = str(error.value)
    assert str(folder / "classifier.") in text and "git checkout" in text and "\n" not in text


@pytest.mark.parametrize("case", ["missing", "truncated", "tampered", "swapped", "no weights"])
def test_a_refused_file_leaves_the_net_as_it_was(case, folder):
    ship("classifier", reader(), {})
    BROKEN[case][0](folder)
    net = reader(1)
    before = snapshot(net)
    with pytest.raises(CGNError):
        shipped.load("classifier", net)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_a_part_that_cannot_be_shipped_leaves_the_earlier_one():
    ship("classifier", reader(), {})
    broken = reader(1)
    broken.heads[0].bias.data[0] = 1e6
    with pytest.raises(CGNError, match="too large for half precision"):
        ship("classifier", broken, {})
    found = shipped.load("classifier", reader(2))
    assert torch.equal(found.heads[0].weight, reader().heads[0].weight.half().float())


@pytest.mark.parametrize("variant", VARIANTS)
def test_shipped_cgns_make_digits(variant, monkeypatch):
    """Masks as like real digits as those are told to be that the oracle reads; labels rule them."""
    monkeypatch.setattr(shipped, "FOLDER", SHIPPED)
    net, about = shipped.load(shipped.CGN + variant, CGN()), shipped.record(shipped.CGN + variant)
    assert about["usable_digits"] == 10 and about["settings"]["digits"] == "mnist"
    y = torch.arange(10).repeat(20)
    with torch.inference_mode():
        mask, *_ = next(interventions(net, y, generator(0, "shipped")))
    assert 0.1 < mask.mean() < 0.25 and ((mask < 0.1) | (mask > 0.9)).float().mean() > 0.9
    plain = digits.load_digits("mnist-5k", "train", variant)
    true = digits.digit_masks(plain, variant)
    right, wrong = (
        metrics.nearest_iou(mask > 0.5, labels, true, plain.labels).mean()
        for labels in (y, (y + 1) % 10)
    )
    assert right > 0.55 and right > wrong + 0.1
