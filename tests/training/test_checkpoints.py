"""Checkpoints: when they are saved, what damages them, who may go on from them."""

import os
import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from stopping import StopAt
from trainings import CGN, CLASSIFIER, GAN, same, train

from cgnlib.errors import CGNError, Interrupted
from cgnlib.training.checkpoints import Checkpoint


@pytest.fixture(autouse=True)
def few(few_digits):
    """Every set here has 40 images."""


def test_a_loop_saves_when_it_is_time(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(CLASSIFIER, checkpoint=Checkpoint(path, every=1e9))
    assert not path.exists()
    train(CLASSIFIER, checkpoint=Checkpoint(path, every=0))
    assert Checkpoint(path).load({})["step"] == 9


def test_a_state_that_takes_long_to_write_is_written_less_often(tmp_path, monkeypatch):
    """Steps of ten seconds, and three to write: a twentieth of the time is one save in six."""
    clock, saved = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def save(checkpoint, state):
        saved.append(state["loop"]["step"])
        clock[0] += 3

    monkeypatch.setattr(Checkpoint, "_save", save)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", every=5.0, _started=0.0, _saved=0.0)
    for step in range(1, 21):
        clock[0] += 10
        checkpoint.after_step({"step": step}, {})
    assert saved == [1, 8, 15]


def test_a_save_whose_folder_another_process_cleaned_up_says_who_has_the_run(tmp_path):
    """The other takes the run over after the save was allowed, and before its file is in place."""
    calls = []

    def guard():
        calls.append(1)
        if len(calls) == 2:
            Checkpoint(tmp_path / "checkpoint.pt").remove()
        if len(calls) > 2:
            raise CGNError("taken over")

    with pytest.raises(CGNError, match=r"^taken over$"):
        train(GAN, checkpoint=Checkpoint(tmp_path / "checkpoint.pt", every=0, guard=guard))
    assert len(calls) == 3 and list(tmp_path.iterdir()) == []


@pytest.fixture
def stopped(tmp_path):
    """A checkpoint of a GAN's training."""
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted):
        train(GAN, checkpoint=Checkpoint(path, stop=StopAt(2)))
    return path


def refusal(path, content, recipe=GAN):
    """What a training that should go on from this content says instead."""
    path.write_bytes(content)
    try:
        train(recipe, checkpoint=Checkpoint(path))
    except CGNError as error:
        return str(error) if path.read_bytes() == content else "it was changed"
    return "it was gone on from"


def test_a_damaged_checkpoint_or_that_of_another_net_is_named_and_left_alone(stopped):
    whole = stopped.read_bytes()
    said = {f"cut at {n}": refusal(stopped, whole[:n]) for n in (0, 100, len(whole) - 200)}
    for at in (0, len(whole) // 10, len(whole) // 2, len(whole) * 9 // 10):
        flipped = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        said[f"a bit flipped at {at}"] = refusal(stopped, flipped)
    for recipe in (CGN, CLASSIFIER, replace(GAN, ndf=9)):
        said[f"of another net: {recipe}"] = refusal(stopped, whole, recipe)
    right = re.compile(
        re.escape(f"checkpoint {stopped} cannot be resumed")
        + r" \(.+\): delete it to start this run from the beginning"
    )
    assert not {of: line for of, line in said.items() if not right.fullmatch(line)}


def test_a_failing_save_keeps_the_previous_checkpoint(stopped, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    content = stopped.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CGNError, match=re.escape(str(stopped)) + ".*No space left"):
        train(GAN, checkpoint=Checkpoint(stopped, every=0))
    assert stopped.read_bytes() == content and list(stopped.parent.iterdir()) == [stopped]


def test_the_one_before_a_damaged_checkpoint_is_gone_on_from(tmp_path):
    net, history = train(GAN)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(20, 40))
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(GAN, checkpoint=checkpoint)
    kept = checkpoint.path, checkpoint.before
    assert [Checkpoint(path).load({})["step"] for path in kept] == [40, 20]
    checkpoint.path.write_bytes(b"damaged")
    with pytest.raises(CGNError, match=r"delete it to start this run from the one before"):
        train(GAN, checkpoint=checkpoint)
    checkpoint.path.unlink()
    resumed, again = train(GAN, checkpoint=checkpoint)
    assert same(net, resumed) and history == again


def test_the_seconds_of_all_attempts_are_counted(tmp_path):
    path = tmp_path / "checkpoint.pt"
    spent = []
    for _ in range(2):
        checkpoint = Checkpoint(path, stop=lambda: True)
        checkpoint.load({})
        checkpoint._started -= 100  # seconds ago
        with pytest.raises(Interrupted):
            checkpoint.after_step({"step": 1}, {})
        spent.append(Checkpoint(path))
        spent[-1].load({})
    assert [round(s.spent, -1) for s in spent] == [100, 200]


def test_a_full_disk_keeps_the_previous_checkpoint(stopped, tmp_path, monkeypatch):
    if not Path("/dev/full").is_char_device():
        pytest.skip("there is no device that is always full")
    content = stopped.read_bytes()
    name = uuid.UUID(int=0)
    monkeypatch.setattr(uuid, "uuid4", lambda: name)
    stopped.with_suffix(f".{name.hex}.part").symlink_to("/dev/full")
    with pytest.raises(CGNError, match=re.escape(str(stopped))) as error:
        train(GAN, checkpoint=Checkpoint(stopped, every=0))
    assert "\n" not in str(error.value)
    assert stopped.read_bytes() == content and list(tmp_path.iterdir()) == [stopped]
