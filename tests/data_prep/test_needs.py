"""What a profile needs: found by asking its runs, and told when it is missing or damaged."""

from dataclasses import replace

import pytest

import entries
import needs
from cgnlib import experiments
from cgnlib.data import digits, public, sources
from cgnlib.errors import CGNError, MissingError
from cgnlib.experiments import Input
from cgnlib.nets import shipped
from cgnlib.nets.readers import Reader
from cgnlib.runs import inputs
from ship import ship

PROFILES = tuple(experiments.PROFILES)


def every_run(profile):
    return experiments.with_needs(experiments.grid(profile))


def refused(profile):
    """The inputs of a profile that no run gets past: what is not there to be named in its spec."""
    found = set()
    for what in needs.of(every_run(profile)):
        try:
            inputs.checksum(what)
        except CGNError:
            found.add(what)
    return found


def reported(profile):
    return {what for what in needs.of(every_run(profile)) if needs.look([what])[0] != "there"}


@pytest.mark.parametrize("profile", PROFILES)
def test_what_runs_refuse_is_what_is_reported(profile, no_data):
    assert reported(profile) == refused(profile)
    assert bool(reported(profile)) == (profile != "mini")


def test_what_is_put_there_is_reported_no_more(no_data, monkeypatch):
    """One file or folder after another; runs and preparation agree at every step."""
    before = reported("paper")
    table = {name: dict(entry) for name, entry in sources.table().items()}
    monkeypatch.setattr(sources, "table", lambda: table)
    for name in ("vgg16", "u2net", "cgn-colored"):
        path = entries.place(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        assert Input("weights", name) in reported("paper") & refused("paper")
        table[name] |= {"sha256": sources.sha256(path), "size": path.stat().st_size}
        before -= {Input("weights", name)}
        assert reported("paper") == refused("paper") == before
    (no_data / "mnist").mkdir()
    for name in digits.IDX_FILES:
        assert Input("digits", "mnist") in reported("paper")
        (no_data / "mnist" / name).touch()
    before -= {Input("digits", "mnist")}
    assert reported("paper") == refused("paper") == before


def test_a_new_setting_of_a_run_is_a_new_need():
    run = next(run for run in every_run("paper") if isinstance(run, experiments.Robustness))
    assert "sketch" in {what.name for what in needs.of([run])}
    run = replace(run, recipe=replace(run.recipe, conditions=("in9/no_fg",)))
    names = {what.name for what in needs.of([run])}
    assert "in9/no_fg" in names and "sketch" not in names


def test_needs_count_the_runs_that_read_them():
    runs = every_run("paper")
    counts = needs.of(runs)
    trained = [run for run in runs if run.settings.get("perceptual") == "vgg16"]
    assert counts[Input("weights", "vgg16")] == len(trained) > 1
    assert counts[Input("weights", "resnet50")] == 1


def test_every_need_comes_from_a_source_a_package_or_this_repository():
    for what in needs.of(run for profile in PROFILES for run in every_run(profile)):
        own = what.kind in ("part", "package") or what.name in ("mnist-5k", "procedural")
        assert (needs.source_of(what) is None) == own, what


def test_downloads_of_a_profile():
    assert needs.downloads_of("mini") == []
    full = {"mnist", "dtd", "cue-conflict", *(f"cgn-{v}" for v in experiments.VARIANTS)}
    assert set(needs.downloads_of("full")) == full
    paper = set(needs.downloads_of("paper"))
    besides = {
        needs.source_of(what)
        for claim in experiments.profile("paper").extra
        for what in needs.of(experiments.with_needs(experiments.grid("paper", claim)))
    }
    assert paper | besides - {None} == set(sources.table())  # nothing in vain
    assert {name for name in sources.table() if name not in paper} == {
        "imagenet", "study-ensemble", "study-resnet50",
        *(f"study-cgn-{a}" for a in experiments.ABLATIONS if a != "none"),
    }  # fmt: skip


def test_every_source_gives_something():
    given = {name: needs.given_by(name) for name in sources.table()}
    assert all(needs.source_of(what) == name for name in given for what in given[name])
    parts = {name: len(found) for name, found in given.items() if len(found) != 1}
    assert parts == {"in9": 8, "in-mini": 2, "imagenet": 2}


# --- what is damaged


def test_a_file_of_another_size_is_damaged_at_a_glance(no_data):
    path = entries.place("vgg16")
    path.parent.mkdir()
    path.write_bytes(b"<html>")
    status, wrong = needs.look([Input("weights", "vgg16")])
    assert status == "damaged" and "has 6 bytes and not 553,433,881" in wrong


def test_another_content_is_found_when_everything_is_hashed(no_data):
    path = entries.place("cgn-colored")
    path.parent.mkdir()
    path.write_bytes(bytes(sources.table()["cgn-colored"]["size"]))
    what = Input("weights", "cgn-colored")
    needs.check(what)
    with pytest.raises(CGNError, match="has sha256"):
        needs.check(what, thorough=True)


def test_a_file_that_nobody_vouches_for_is_no_good(no_data):
    path = entries.place("cgn-imagenet")
    path.parent.mkdir()
    path.write_bytes(b"abc")
    with pytest.raises(CGNError, match="sha256sum") as error:
        needs.check(Input("weights", "cgn-imagenet"))
    assert not isinstance(error.value, MissingError)
    sources.beside(path).write_text(f"{sources.sha256(path)}  cgn.pth\n")
    needs.check(Input("weights", "cgn-imagenet"), thorough=True)


def test_a_missing_class_and_a_missing_image_are_found(no_data, monkeypatch):
    root, what = no_data / "in9" / "mixed_same" / "val", Input("public", "in9/mixed_same")
    layout = replace(public.LAYOUTS["in9/mixed_same"], images=9)
    monkeypatch.setitem(public.LAYOUTS, "in9/mixed_same", layout)
    for folder in public.IN9_FOLDERS:
        with pytest.raises(CGNError):
            needs.check(what)
        (root / folder).mkdir(parents=True)
    needs.check(what)
    for folder in public.IN9_FOLDERS:
        with pytest.raises(CGNError):
            needs.check(what, thorough=True)
        (root / folder / "1.JPEG").write_bytes(b"pixels")
    needs.check(what, thorough=True)
    manifest = sources.beside(no_data / "in9")
    image = root / public.IN9_FOLDERS[0] / "1.JPEG"
    manifest.write_text(f"{sources.sha256(image)}  {image.relative_to(no_data).as_posix()}\n")
    needs.check(what, thorough=True)
    image.write_bytes(b"other pixels")
    with pytest.raises(CGNError, match="not what was unpacked"):
        needs.check(what, thorough=True)


def test_damaged_digits_are_found_when_they_are_read(no_data):
    (no_data / "mnist").mkdir()
    for name in digits.IDX_FILES:
        (no_data / "mnist" / name).touch()
    needs.check(Input("digits", "mnist"))
    with pytest.raises(CGNError, match="idx3-ubyte is damaged"):
        needs.check(Input("digits", "mnist"), thorough=True)


def test_a_damaged_part_of_the_menagerie_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    ship("probe", Reader(), {})
    what = Input("part", "probe")
    needs.check(what, thorough=True)
    (tmp_path / "probe.safetensors").write_bytes(b"abc")
    with pytest.raises(CGNError, match="not that of its record"):
        needs.check(what, thorough=True)
    (tmp_path / "probe.safetensors").unlink()
    with pytest.raises(MissingError):
        needs.check(what)


@pytest.mark.parametrize(
    ("error", "status", "wrong"),
    [
        (PermissionError(13, "denied"), "damaged", "it cannot be read ([Errno 13] denied): mend"),
        (ImportError("No module named 'm'"), "missing", "No module named 'm': install the package"),
    ],
)
def test_what_the_machine_refuses_is_one_line(error, status, wrong, monkeypatch):
    def refuse(_):
        raise error

    monkeypatch.setitem(needs.KINDS, "package", needs.KINDS["package"]._replace(look=refuse))
    found = needs.look([Input("package", "efficientnet-lite0")])
    assert found[0] == status and found[1].startswith(wrong)


def test_the_real_data_is_whole(original):
    for name in ("mnist", "dtd", "weights", "cue_conflict"):
        original(name)
    assert needs.look(needs.of(every_run("full")), thorough=True) == ("there", "")
