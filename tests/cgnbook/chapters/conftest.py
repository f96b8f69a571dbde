"""Runs made by hand."""

import numpy as np
import pytest

from cgnlib import experiments, runs


@pytest.fixture
def sampled(tmp_path):
    """Makes a run of claim 2 with grey samples: of 10 classes, each part has its own level."""

    def make(ablation, shift=0):
        (run,) = [r for r in experiments.grid("mini", "claim-2") if r.ablation == ablation]
        folder = tmp_path / run.id
        folder.mkdir()
        names = ("mask", "premask", "fg", "bg", "x_gen", "x_gt")
        arrays = {
            name: np.full((10, 64, 64, 3), 10 * i + shift, np.uint8)
            + np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
            for i, name in enumerate(names)
        }
        arrays["counterfactual"] = np.zeros((24, 64, 64, 3), np.uint8)
        arrays["counterfactual"] += np.arange(24, dtype=np.uint8).reshape(24, 1, 1, 1)
        arrays["classes"] = np.arange(72).reshape(24, 3) % 10
        np.savez_compressed(folder / "samples.npz", **arrays)
        return runs.Result(run, folder)

    def levels(axis):
        """The grey in the middle of each tile."""
        return axis.images[0].get_array()[32::66, 32::66, 0].tolist()

    make.levels = levels
    return make
