"""A rehearsal's data: stand-ins go the way of real files, and real files are only read."""

import shutil
import tomllib

import pytest
import torch

import gather
import needs
from cgnlib import experiments, paths, rehearsal
from cgnlib.data import digits, public, sources
from cgnlib.errors import CGNError
from cgnlib.nets import mnist, weights


@pytest.fixture
def table(tmp_path, no_data, monkeypatch):
    """A copy of the table of sources, which stand-ins are declared in."""
    copied = shutil.copy(paths.sources(), tmp_path / "sources.toml")
    monkeypatch.setenv(rehearsal.VARIABLE, "1")
    monkeypatch.setattr(paths, "sources", lambda: tmp_path / "sources.toml")
    sources.table.cache_clear()
    yield copied
    sources.table.cache_clear()


@pytest.fixture
def beside(tmp_path):
    """Real files, so far none."""
    folder = tmp_path / "real"
    folder.mkdir()
    return folder


NAMES = ("mnist", "dtd", "cgn-wildlife", "in-mini", "cue-conflict", "in9", "imagenet-a", "sketch")


@pytest.mark.parametrize("name", NAMES)
def test_a_stand_in_is_fetched_checked_and_read(name, table):
    gather.make(name)
    for what in needs.given_by(name):
        needs.check(what, thorough=True)
    others = sources.table().keys() - {name}
    assert {other: sources.table()[other] for other in others} == {
        other: entry for other, entry in read(paths.ROOT / "data_prep" / "sources.toml").items()
        if other != name
    }  # fmt: skip


def read(path):

    return tomllib.loads(path.read_text())


def test_digits_of_a_rehearsal_are_few_of_each_class(table):
    gather.make("mnist")
    for variant in ("colored", "wildlife"):
        for split, n in digits.REHEARSED.items():
            found = digits.load_digits("mnist", split, variant)
            assert found.labels.bincount().tolist() == [n] * 10
            assert digits.digit_masks(found).float().mean((1, 2, 3)).min() > 0


def test_real_files_are_linked_and_stay_as_they_are(table, beside, no_data, monkeypatch):
    real = beside / "weights" / "cgn_wildlife_MNIST.pth"
    real.parent.mkdir()
    torch.save(mnist.CGN(32, 32).state_dict(), real)
    entry = {"sha256": sources.sha256(real), "size": real.stat().st_size}
    gather.declare("cgn-wildlife", entry)
    monkeypatch.setattr(needs, "downloads_of", lambda _: ["cgn-wildlife", "cgn-colored"])
    run = experiments.find("full", "cgn-wildlife-published-s0")
    monkeypatch.setattr(experiments, "grid", lambda _: [run])
    before = real.read_bytes(), real.stat().st_mtime_ns
    gather.gather("full", beside)
    assert (real.read_bytes(), real.stat().st_mtime_ns) == before
    assert sources.find("cgn-wildlife").resolve() == real
    assert not sources.find("cgn-colored").is_symlink()
    assert [p.name for p in beside.rglob("*")] == ["weights", real.name]


def test_a_broken_weight_file_of_the_users_stops_it(table, beside, capsys):
    real = beside / "weights" / "cgn_colored_MNIST.pth"
    real.parent.mkdir()
    real.write_bytes(b"PK broken")
    assert gather.main(["--profile", "full", "--beside", str(beside)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {real} has 9 bytes and not 2,661,744")
    assert said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(
    ("name", "folder", "wrong"),
    [
        ("cue-conflict", "cue_conflict/giraffe", "folders that do not belong to it: giraffe"),
        ("in9", "in9/mixed_same/val", "in9/original/val is missing: get it with"),
    ],
)
def test_a_broken_layout_of_the_users_stops_it(
    name, folder, wrong, table, beside, capsys, monkeypatch
):
    monkeypatch.setattr(needs, "downloads_of", lambda _: [name])
    (beside / folder).mkdir(parents=True)
    assert gather.main(["--profile", "full", "--beside", str(beside)]) == 1
    said = capsys.readouterr().err
    assert wrong in said and said.count("\n") == 1


@pytest.mark.parametrize("name", gather.FULL)
def test_a_file_of_the_published_width_has_to_fit(name, table, beside, monkeypatch):
    asked = []
    monkeypatch.setitem(gather.FULL, name, asked.append)
    gather._check_layout(name, [])
    (path,) = asked
    assert path.stat().st_size < 2e6 and len(weights.read(path)) > 600
    with pytest.raises(CGNError, match="does not hold the weights"):
        gather.FULL["biggan256" if name == "u2net" else "u2net"](path)


def test_it_is_for_rehearsals_alone(table, beside, monkeypatch, capsys):
    monkeypatch.delenv(rehearsal.VARIABLE)
    assert gather.main(["--profile", "full", "--beside", str(beside)]) == 1
    assert "make rehearsal" in capsys.readouterr().err


def test_some_of_a_benchmark_are_spread_over_it(table):
    gather.make("cue-conflict")
    whole = public.read("cue_conflict")
    few = whole.some(20)
    assert len(few) == 20 and few.images == whole.images[::64]
    assert few.labels.unique().tolist() == list(range(16))
    assert torch.equal(few.texture, whole.texture[::64])
    assert whole.some(None) is whole.some(5000) is whole
