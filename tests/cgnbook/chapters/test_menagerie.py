"""The menagerie's page: rows of renderings, and the records of the shipped parts."""

import json

import torch

from cgnbook.chapters import menagerie
from cgnbook.names import NONE
from cgnlib.nets import shipped


def test_renderings_are_named_rows(figures):
    x = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 3, 64, 64)
    assert menagerie.renderings(iter([("up", x), ("down", x.flip(0))])).markup == "renderings"
    (axis,) = figures[0].axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["up", "down"]
    middles = axis.images[0].get_array()[32::66, 32::66, 0].tolist()
    assert middles == [[0, 128, 255], [255, 128, 0]]


def test_the_records_of_the_parts_are_facts_in_lines(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for name in shipped.NAMES:
        about = {"sha256": name + "0" * 40, "accuracy": 0.123456, "epochs": 3000}
        about |= {"iou": 0.5} if name == "u2net" else {}
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
    made = menagerie.pretrained().set_index("Fact")
    assert list(made.columns) == [menagerie.PARTS[name] for name in shipped.NAMES]
    assert list(made.index) == ["epochs", "accuracy", "mask IoU", "sha256, first 12 digits"]
    assert made["BigGAN"].tolist() == ["3,000", "0.1235", NONE, "biggan000000"]
    assert made["U2-Net"].tolist() == ["3,000", "0.1235", "0.5", "u2net0000000"]


def test_every_fact_of_the_shipped_parts_is_shown():
    facts = {fact for name in shipped.NAMES for fact in shipped.record(name)}
    assert facts <= set(menagerie.FACTS)
