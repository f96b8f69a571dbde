"""Shared fixtures: one thread, small digits, optional data, no network."""

import os
from pathlib import Path

import pytest
import torch

from cgnlib import mnists

torch.set_num_threads(1)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def few_digits(monkeypatch):
    """Every source becomes 40 random grey images, four a class."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (40, 28, 28), generator=rng).to(torch.uint8)
    digits = mnists.Digits(images, torch.arange(40) % 10)
    monkeypatch.setattr(mnists, "load_digits", lambda *_: digits)
    return digits


@pytest.fixture
def original():
    """The path of a file or folder under CGN_DATA; skips the test where it is not there."""

    def find(name: str) -> Path:
        if not os.environ.get("CGN_DATA"):
            pytest.skip("CGN_DATA is not set")
        path = Path(os.environ["CGN_DATA"]) / name
        if not path.exists():
            pytest.skip(f"{name} is not under CGN_DATA")
        return path

    return find


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """An empty CGN_DATA and no network: what torchvision would download raises OSError."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CGN_DATA", str(folder))

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.MNIST", offline)
    monkeypatch.setattr("torchvision.datasets.DTD", offline)
    return folder
