"""The frames of a CGN's training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stopping import StopAt
from trainings import CGN, split

from cgnlib.errors import Interrupted
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_cgn
from cgnlib.training.film import FRAMES, LATENTS, Film

RECIPE = replace(CGN, steps=120)  # windows of 50: at 0, 50, 100 and the end


def filmed(path, checkpoint=None):
    film = Film(RECIPE.steps)
    net, _ = train_cgn(split("double_colored"), RECIPE, 0, checkpoint or Checkpoint(), film)
    film.save(path)
    with np.load(path) as stored:
        return net, dict(stored)


def test_a_stopped_training_leaves_the_film_of_an_undisturbed_one(few_digits, tmp_path):
    net, film = filmed(tmp_path / "film.npz")
    assert film["steps"].tolist() == [0, 50, 100, 120]
    assert film["masks"].shape == (4, 10, LATENTS, 32, 32)
    assert film["images"].shape == (4, 10, LATENTS, 32, 32, 3)
    assert len(np.unique(film["masks"], axis=0)) == 4  # it learned in between
    last = Film(0)
    last.look(net, 0)
    assert torch.equal(last.masks[0], torch.from_numpy(film["masks"][-1]).flatten(0, 1))
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(1, 70, 100))
    for _ in range(3):
        with pytest.raises(Interrupted):
            filmed(tmp_path / "never.npz", checkpoint)
    _, again = filmed(tmp_path / "again.npz", checkpoint)
    assert all(np.array_equal(film[name], again[name]) for name in film)


def test_a_long_training_has_all_its_frames_evenly_spread():
    film = Film(56_250)
    for step in range(0, 56_251, 50):
        if film.due(step):
            film.at.append(step)
    assert len(film.at) == FRAMES and film.at[0] == 0 and film.at[-1] == 56_250
    assert max(np.diff(film.at)) - min(np.diff(film.at)) <= 50
