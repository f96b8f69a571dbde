"""Files of weights: they come back as they went; others are refused and change nothing."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cgnlib.chance import generator, seeded
from cgnlib.errors import CGNError
from cgnlib.nets import mnist, weights
from cgnlib.nets.readers import CueReader

FORMATS = {
    "safetensors": save_file,
    "zip": torch.save,
    "pickle": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
}
KEY = "cls.0.weight"


def net(seed=0, build=mnist.CNN):
    return seeded(build, generator(seed))


def snapshot(net):
    return {key: value.clone() for key, value in net.state_dict().items()}


def same(net, before):
    after = net.state_dict()
    return before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("form", FORMATS)
def test_files_are_told_by_their_content(form, prefix, tmp_path):
    state, path = snapshot(net(build=CueReader)), tmp_path / "weights.any"
    FORMATS[form]({prefix + key: value for key, value in state.items()}, path)
    into = net(1, CueReader).train()
    assert weights.load(into, path) is into and into.training
    assert same(into, state)


def test_what_is_saved_is_loaded_in_any_layout(tmp_path):
    ours = net(build=mnist.CGN).to(memory_format=torch.channels_last)
    path = tmp_path / "weights.safetensors"
    weights.save(ours, path)
    assert same(weights.load(net(1, mnist.CGN), path), snapshot(ours))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode  # others may read it, too


def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    weights.save(net(), path)

    def full(part, content):
        part.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        weights.save(net(1), path)
    assert same(weights.load(net(1), path), snapshot(net()))


def test_a_file_older_than_the_count_of_batches_loads_as_torch_loads_it(tmp_path):
    state, path = snapshot(net(build=CueReader)), tmp_path / "old.pth"
    counts = [key for key in state if key.endswith("num_batches_tracked")]
    whole = dict(state)
    for key in counts:
        del state[key]
    FORMATS["pickle"](state, path)
    assert len(counts) == 4 and same(weights.load(net(1, CueReader), path), whole)
    torch.save(state | {counts[0]: whole[counts[0]]}, path)
    with pytest.raises(CGNError, match="it lacks 3"):
        weights.load(net(1, CueReader), path)


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_a_checkpoint_of_a_training_loads_as_its_net(form, tmp_path):
    """As torch's own example of ImageNet saves it, and those who took it over."""
    state, path = snapshot(net()), tmp_path / "model_best.pth.tar"
    wrapped = {f"module.{key}": value for key, value in state.items()}
    optimiser = {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    saved = {"epoch": 34, "arch": "resnet50", "best_acc1": torch.tensor(56.8)}
    FORMATS[form](saved | {"state_dict": wrapped, "optimizer": optimiser}, path)
    assert same(weights.load(net(1), path), state)
    FORMATS[form](saved | {"state_dict": dict(list(wrapped.items())[1:])}, path)
    with pytest.raises(CGNError, match="it lacks 1"):
        weights.load(net(1), path)


def foreign(state):
    return net(build=CueReader).state_dict()


SPOILT = {
    "foreign": (foreign, "it lacks"),
    "partial": (lambda s: {k: v for k, v in s.items() if k != KEY}, f"it lacks 1 .*{KEY}"),
    "extra": (lambda s: s | {"more": torch.zeros(1)}, "it has 1 .*more"),
    "shape": (lambda s: s | {KEY: s[KEY][:-1]}, re.escape(f"{KEY} is [9, 64], not [10, 64]")),
    "type": (lambda s: s | {KEY: s[KEY].long()}, f"{KEY} is torch.int64, not torch.float32"),
    "half prefix": (
        lambda s: {("module." * (k == KEY)) + k: v for k, v in s.items()},
        "it lacks 1",
    ),
    "empty": (lambda s: {}, "it lacks 14"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_other_weights_are_refused_and_change_nothing(kind, tmp_path):
    path, (spoil, message) = tmp_path / "weights.file", SPOILT[kind]
    state = {key: value.contiguous() for key, value in spoil(snapshot(net())).items()}
    for write in FORMATS.values():
        write(state, path)
        refused(path, message)


@pytest.mark.parametrize("form", FORMATS)
def test_damaged_files_are_refused_and_change_nothing(form, tmp_path):
    path = tmp_path / "weights.file"
    FORMATS[form](snapshot(net()), path)
    whole = path.read_bytes()
    for content in (whole[:-1000], whole[:100], b"<html>quota exceeded</html>", b"", None):
        path.unlink() if content is None else path.write_bytes(content)
        refused(path, "cannot be read as weights")


def refused(path, message):
    into = net(1)
    before = snapshot(into)
    with pytest.raises(CGNError, match=message) as error:
        weights.load(into, path, mend="ask for another")
    text = str(error.value)
    assert text.startswith(str(path)) and text.endswith(": ask for another") and "\n" not in text
    assert same(into, before)


def test_code_in_a_file_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    path = tmp_path / "weights.pth"
    for form in ("zip", "pickle"):
        FORMATS[form]({"embeddings.weight": Harmful()}, path)
        with pytest.raises(CGNError, match="cannot be read"):
            weights.read(path)
        FORMATS[form]([torch.zeros(1)], path)
        with pytest.raises(CGNError, match="no named tensors"):
            weights.read(path)
