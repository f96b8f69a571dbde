"""What both worlds are tested with."""

import numpy as np
import pytest
import torch

from cgnlib.counterfactuals.datasets import read_dataset
from cgnlib.counterfactuals.folder import Writer


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """Images are read in this process."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def counterfactuals(tmp_path):
    """A data set of five images, each of its own grey."""
    spec = {"name": "train", "n": 5, "num_classes": 10}
    classes = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 0, 1], [2, 3, 4]])
    writer = Writer(tmp_path / "set", spec, classes)
    writer.begin()
    greys = {i: np.full((64, 64, 3), 40 * i + 20, np.uint8) for i in range(5)}
    writer.add(greys, dict.fromkeys(range(5), 0.5))
    writer.finish()
    return read_dataset(tmp_path / "set")


@pytest.fixture
def shown():
    """All images of a test, [N, 3, S, S]."""
    return lambda test: torch.cat(list(test.batches()))
