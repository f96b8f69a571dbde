"""Data sets on disk: what is read is what was written, and damage is told."""

import numpy as np
import pytest
import torch
from PIL import Image

from cgnlib.counterfactuals import folder
from cgnlib.counterfactuals.datasets import read_dataset
from cgnlib.errors import CGNError

SPEC = {"name": "ours", "n": 4, "num_classes": 10, "seed": 0}
CLASSES = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]])
LEVELS = (0, 100, 200, 255)  # a grey for each image


def images(*indices):
    return {i: np.full((8, 8, 3), LEVELS[i], dtype=np.uint8) for i in indices}


def shares(*indices):
    return {i: 0.125 * i for i in indices}


@pytest.fixture
def finished(tmp_path):
    writer = folder.Writer(tmp_path / "set", SPEC, CLASSES)
    assert writer.begin() == {0, 1, 2, 3}
    writer.add(images(2, 3), shares(2, 3))  # in any order
    writer.add(images(0, 1), shares(0, 1))
    writer.finish()
    return tmp_path / "set"


def test_what_is_read_is_what_was_written(finished):
    found = read_dataset(finished)
    assert len(found) == 4 and found.missing == [] and found.spec == SPEC
    assert torch.equal(found.classes, CLASSES) and found.classes.dtype == torch.int64
    assert found.names == [f"ours_000000{i}" for i in range(4)]
    lines = (finished / "mean_masks.txt").read_text().split("\n")
    assert lines == ["0.000000", "0.125000", "0.250000", "0.375000"]
    for i, level in enumerate(LEVELS):
        assert (np.asarray(Image.open(found.path(i))) == level).all()


def test_what_systems_leave_there_is_no_matter(finished):
    for name in (".DS_Store", "ims/.DS_Store", "ims/._ours_0000001_x_gen.jpg", "Thumbs.db"):
        (finished / name).write_bytes(b"left")
    assert read_dataset(finished).missing == []
    assert folder.Writer(finished, SPEC, CLASSES).begin() == set()
    (finished / "ims" / "ours_0000009_x_gen.jpg").touch()
    with pytest.raises(CGNError, match=r"holds ours_0000009_x_gen\.jpg"):
        read_dataset(finished)


def test_images_come_in_order_and_in_batches(finished):
    batches = list(read_dataset(finished).images(3))
    assert [x.shape for x in batches] == [(3, 3, 8, 8), (1, 3, 8, 8)]
    levels = torch.cat(batches).mean((1, 2, 3))
    assert torch.allclose(levels, torch.tensor(LEVELS) / 127.5 - 1)


def test_missing_images_are_named(finished):
    read_dataset(finished).path(2).unlink()
    found = read_dataset(finished)
    assert found.missing == [2]
    with pytest.raises(CGNError, match=r"lacks 1 of 4 images, the first is ours_0000002_x_gen"):
        next(found.images(2))


def test_a_damaged_image_is_an_error(finished):
    found = read_dataset(finished)
    found.path(1).write_bytes(b"no image")
    with pytest.raises(CGNError, match=r"ours_0000001_x_gen\.jpg cannot be read"):
        list(found.images(4))


def test_a_set_without_an_end_has_no_masks(tmp_path):
    writer = folder.Writer(tmp_path / "set", SPEC, CLASSES)
    writer.begin()
    writer.add(images(1), shares(1))
    found = read_dataset(tmp_path / "set")
    assert found.missing == [0, 2, 3]
    assert not (tmp_path / "set" / "mean_masks.txt").exists()
    assert folder.Writer(tmp_path / "set", SPEC, CLASSES).begin() == {0, 2, 3}


def test_a_note_that_was_cut_off_spoils_no_other(tmp_path):
    spec, classes = SPEC | {"n": 20}, CLASSES.repeat(5, 1)
    writer = folder.Writer(tmp_path / "set", spec, classes)
    writer.begin()
    (tmp_path / "set" / folder.PROGRESS).write_text("0 0.500000\n1")  # of image 1, or of 10 to 19
    writer.add(images(2, 3), shares(2, 3))
    again = folder.Writer(tmp_path / "set", spec, classes)
    assert again.coverage == {0: "0.500000", 2: "0.250000", 3: "0.375000"}
    assert again.begin() == set(range(20)) - {2, 3}  # image 0 has a note, but is not there


def change(folder, file, old, new):
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("labels.csv", "im_name", "image", "does not list the 4 images"),
        ("labels.csv", ",ours_0000001,4,5,6\n", "", "does not list the 4 images"),
        ("labels.csv", "ours_0000001", "ours_0000002", "does not list the 4 images"),
        ("labels.csv", "4,5,6", "4,5,10", "classes outside 0 to 9"),
        ("labels.csv", "4,5,6", "4,5,-6", "classes outside 0 to 9"),
        ("labels.csv", "4,5,6", "4,5", "cannot be read"),
        ("labels.csv", "4,5,6", "4,5,cat", "cannot be read"),
        ("mean_masks.txt", "0.125000", "0.125", "a mean mask for each of 4"),
        ("mean_masks.txt", "0.125000\n", "", "a mean mask for each of 4"),
        ("dataset.json", '"n": 4', '"n": 3', "holds ours_0000003_x_gen.jpg"),
        ("labels.csv", "4,5,6", "4,5,6,7", "cannot be read"),
        ("labels.csv", "4,5,6", f"4,5,{9**30}", "cannot be read"),
        ("labels.csv", "4,5,6", f"4,5,{' ' * 200_000}6", "cannot be read"),
        ("dataset.json", '"n": 4', '"m": 4', "does not say what"),
        ("dataset.json", '"n": 4', '"n": "4"', "does not say what"),
        ("dataset.json", '"n": 4', '"n": 0', "does not say what"),
        ("dataset.json", '"n": 4', f'"n": {10**11}', "does not say what"),
        ("dataset.json", '"name": "ours"', '"name": 1', "does not say what"),
        ("dataset.json", '"num_classes": 10', '"num_classes": null', "does not say what"),
        ("dataset.json", "{", "[" * 100_000, "holds no data set"),
        ("dataset.json", '"n": 4', '"n": ', "holds no data set"),
    ],
)
def test_damage_is_told(file, old, new, message, finished):
    change(finished, file, old, new)
    with pytest.raises(CGNError, match=message):
        read_dataset(finished)


@pytest.mark.parametrize("file", ["labels.csv", "mean_masks.txt", "dataset.json", "ims"])
def test_another_kind_of_thing_in_a_files_place_is_told(file, finished):
    path = finished / file
    path.rename(finished.parent / "aside")
    path.touch() if file == "ims" else path.mkdir()
    with pytest.raises(CGNError, match=file if file != "dataset.json" else "holds no data set"):
        read_dataset(finished)


def test_a_folder_of_something_else_is_no_data_set(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CGNError, match="holds no data set"):
            read_dataset(path)


def test_empty_labels_are_told(finished):
    (finished / "labels.csv").write_text("")
    with pytest.raises(CGNError, match="cannot be read"):
        read_dataset(finished)


def test_images_pass_through_jpeg_as_through_a_data_set(finished):
    stored = np.stack(list(images(0, 1, 2, 3).values()))
    found = folder.through_jpeg(stored)
    assert torch.equal(found, torch.cat(list(read_dataset(finished).images(4))))
    assert found.shape == (4, 3, 8, 8)
    assert torch.allclose(found.mean((1, 2, 3)), torch.tensor(LEVELS) / 127.5 - 1)  # grey is kept


def test_jpeg_loses_noise_in_each_image_alone(rng):
    noise = torch.randint(0, 256, (3, 16, 16, 3), generator=rng).to(torch.uint8).numpy()
    found = folder.through_jpeg(noise)
    kept = ((found + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert 2 < np.abs(kept - noise).mean() < 64
    for i in range(3):
        assert torch.equal(folder.through_jpeg(noise[i : i + 1])[0], found[i])
