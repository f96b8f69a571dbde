"""Method and data: tables of settings as they are declared, and every number of the text."""

import re

import pytest
import torch
from torch import nn

from cgnbook.chapters import method
from cgnlib import experiments, paths


def test_the_released_weights_stand_beside_the_factors_they_amount_to():
    table = method.loss_weights().set_index("Data")
    assert list(table.index) == ["C-MNIST", "DC-MNIST", "W-MNIST"]
    assert table.loc["C-MNIST", "w"] == "0.05, 0.1, 0.01"
    for w, factor in zip(table["w"], table["5000 w²"], strict=True):
        assert [5000 * float(x) ** 2 for x in w.split(", ")] == pytest.approx(
            [float(x) for x in factor.split(", ")]
        )


def test_the_settings_of_the_losses_differ_where_paper_and_code_do():
    table = method.imagenet_losses().set_index("Weight")
    assert list(table) == ["code", "paper", "menagerie"] and table.index[0] == "λ1"
    assert table.loc["λ2", "code"] == " / ".join(["80,000"] * 4)
    differ = table.index[table["code"] != table["paper"]]
    assert list(differ) == ["λ2"]


def test_parameters_are_counted():
    [row] = method.parameters({"Layer": nn.Linear(100, 20)}).to_dict("records")
    assert row == {"Network": "Layer", "Parameters": "2,020"}


def test_profiles_stand_side_by_side():
    table = method.profiles().set_index("Setting")
    assert list(table) == list(experiments.PROFILES)
    assert list(table.loc["Digits"]) == ["mnist-5k", "mnist", "mnist"]
    assert table.loc["Edge loss", "full"] == "off"
    assert "C-MNIST 0.15" in table.loc["Edge loss", "mini"]


def test_every_number_of_the_text_is_there():
    text = (paths.ROOT / "book/03_method.md").read_text()
    found = method.facts("mini", range(400), range(100), torch.arange(12))
    assert set(re.findall(r"{glue:text}`([\w-]+)", text)) == found.keys()
    assert (found["hidden"], found["seen"]) == (12, 88) and 0 < found["paper-dc"] < 100
