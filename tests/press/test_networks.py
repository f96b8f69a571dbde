"""Shipped networks as scripts: the very files, with their record."""

import base64
import json
from types import SimpleNamespace

import pytest

import networks
from cgnlib.errors import CGNError
from cgnlib.nets import shipped


def opened(script: str) -> tuple[str, dict]:
    """The name and the value that a script sets."""
    head, _, value = script.partition(" = ")
    return json.loads(head.partition("[")[2].rstrip("]")), json.loads(value.rstrip(";\n"))


@pytest.mark.parametrize("name", networks.NAMES)
def test_a_script_carries_the_shipped_file(name):
    told, value = opened(networks.script(name))
    assert told == name and value["record"] == shipped.record(name)
    assert base64.b64decode(value["safetensors"]) == shipped.check(name).read_bytes()


def test_only_pages_get_scripts(tmp_path):
    for kind, wanted in (("latex", 0), ("html", len(networks.NAMES))):
        app = SimpleNamespace(builder=SimpleNamespace(format=kind), outdir=str(tmp_path / kind))
        networks.write(app)
        assert len(list((tmp_path / kind).rglob("*.js"))) == wanted


def test_a_damaged_file_stops_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "menagerie")
    with pytest.raises(CGNError, match="git checkout"):
        networks.script(networks.NAMES[0])
