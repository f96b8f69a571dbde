"""What the tool keeps of a film: the first latent of each class, and which masks are read."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import film as tool
from cgnlib import experiments
from cgnlib.errors import CGNError
from cgnlib.runs.results import Result

RUN = experiments.find("mini", "cgn-colored-s0")


class Rows(torch.nn.Module):
    """Names a mask by how many of its rows are full."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = (x[:, 0] > 0).all(-1).sum(-1)
        return torch.nn.functional.one_hot(rows.clamp(max=9), 10).float()


@dataclass
class Done:
    folder: Path
    metrics: dict[str, int]


@pytest.fixture
def result(tmp_path, rng) -> Result:
    masks = torch.zeros(2, 10, 4, 32, 32, dtype=torch.uint8)
    for y in range(10):
        masks[1, y, :, :y] = 255
    masks[1, 7, 2:] = 0  # half of them torn
    images = torch.randint(256, (2, 10, 4, 32, 32, 3), generator=rng, dtype=torch.uint8)
    np.savez(tmp_path / "film.npz", steps=[0, 50], masks=masks.numpy(), images=images.numpy())
    (tmp_path / "history.csv").write_text("step,adversarial\n50,0.123456\n")
    told = dict.fromkeys(tool.TOLD, "x")
    (tmp_path / "env.json").write_text(json.dumps(told))
    return Result(RUN, tmp_path)


def test_a_film_becomes_a_strip_and_what_is_known_of_it(result, monkeypatch):
    monkeypatch.setattr(tool, "net_of", lambda run, folder: Rows())
    monkeypatch.setattr(tool.runs, "load", lambda run: Done(result.folder, {"usable_digits": 9}))
    strip, about = tool.film_of(result)
    images = np.load(result.folder / "film.npz")["images"]
    for moment, y in ((0, 0), (1, 7)):
        cell = strip[32 * moment : 32 * (moment + 1), 32 * y : 32 * (y + 1)]
        assert np.array_equal(cell, images[moment, y, 0])
    assert about["read"] == [[1.0] + [0.0] * 9, [1.0] * 7 + [0.5] + [1.0] * 2]
    assert about["around"][1][:4] == [0.0, 0.092, 0.184, 0.276]  # 32 of 348 pixels a row
    assert (about["masks"], about["usable"]) == (4, 9)
    assert about["losses"] == {"step": [50.0], "adversarial": [0.1235]}
    assert (about["run"], about["spec"], about["steps"]) == (RUN.id, RUN.digest(), [0, 50])


@pytest.mark.parametrize(
    "change", [{"seed": 9}, {"settings": {}}, {"kind": "gan"}], ids=["seed", "settings", "kind"]
)
def test_a_training_that_is_not_as_declared_is_refused(tmp_path, change):
    folder = tmp_path / RUN.id
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(RUN.spec() | {"inputs": {}}))
    assert tool.training_of(folder).run == RUN
    (folder / "spec.json").write_text(json.dumps(RUN.spec() | change))
    with pytest.raises(CGNError, match="as it is declared"):
        tool.training_of(folder)
