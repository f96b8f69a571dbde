"""Data sets do not depend on how they were written, and what is there is left as it is."""

import csv
import json
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.datasets import write_dataset
from cgnlib.counterfactuals.folder import PROGRESS
from cgnlib.errors import CGNError


class Mechanisms(NamedTuple):
    mask: Tensor
    fg: Tensor
    bg: Tensor

    @property
    def x_gen(self):
        return self.mask * self.fg + (1 - self.mask) * self.bg


class Stub(nn.Module):
    """8 x 8 blocks of colour that tell the latent and the classes; exact in any batch.

    stop_after: raises KeyboardInterrupt instead of answering another call.
    """

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.stop_after = [], stop_after
        self.train()

    def forward(self, u, shape, texture, background, truncation):
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        assert not self.training and shape.dtype == torch.int64
        self.calls.append((u, torch.stack([shape, texture, background], 1), truncation))
        noise = u.view(-1, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3) / 2
        mask = (noise + shape.view(-1, 1, 1, 1) / 1000).clamp(0.0001, 0.9999)
        level = torch.stack([texture, background, shape], 1).view(-1, 3, 1, 1) / 1000
        return Mechanisms(mask, level * noise, -level.expand(-1, 3, 32, 32))


def write(folder, n=11, net=None, **options):
    settings = {"mode": "random", "truncation": 0.5, "seed": 3, "name": "ours", "weights": "abc"}
    settings |= {"latent": 16, "batch": 4}
    return write_dataset(net or Stub(), folder, n, **settings | options)


def content(folder):
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def written(tmp_path):
    write(tmp_path / "set")
    return tmp_path / "set"


def test_the_folder_is_laid_out_as_published(written):
    images = {f"ims/ours_{i:07}_x_gen.jpg" for i in range(11)}
    assert content(written).keys() == images | {"dataset.json", "labels.csv", "mean_masks.txt"}
    header, *rows = (written / "labels.csv").read_text().splitlines()
    assert header == ",im_name,shape_cls,texture_cls,bg_cls"
    assert [row.split(",")[:2] for row in rows] == [["", f"ours_{i:07}"] for i in range(11)]
    masks = (written / "mean_masks.txt").read_text()
    assert len(masks.split("\n")) == 11 and not masks.endswith("\n")
    with Image.open(written / "ims" / "ours_0000010_x_gen.jpg") as image:
        assert image.size == (32, 32) and image.mode == "RGB" and image.format == "JPEG"


def test_the_net_is_asked_for_what_the_labels_say(tmp_path):
    net = Stub()
    write(tmp_path / "set", net=net, truncation=0.3)
    asked = torch.cat([classes for _, classes, _ in net.calls])
    with (tmp_path / "set" / "labels.csv").open() as file:
        rows = [[int(c) for c in row[2:]] for row in list(csv.reader(file))[1:]]
    assert asked.tolist() == rows and len({tuple(row) for row in rows}) == 11
    assert [len(u) for u, _, _ in net.calls] == [4, 4, 3]
    assert {truncation for *_, truncation in net.calls} == {0.3}
    u = torch.cat([u for u, _, _ in net.calls])
    assert len(torch.unique(u, dim=0)) == 11 and u.abs().max() <= 0.6


def latents_and_classes(folder, **options):
    net = Stub()
    write(folder, net=net, **options)
    return [torch.cat(part) for part in zip(*[call[:2] for call in net.calls], strict=True)]


def test_an_image_is_a_function_of_seed_and_index(tmp_path):
    u, classes = latents_and_classes(tmp_path / "a")
    for i, change in enumerate(({"batch": 1}, {"n": 5}, {"batch": 100})):
        v, other = latents_and_classes(tmp_path / f"same{i}", **change)
        assert torch.equal(v, u[: len(v)]) and torch.equal(other, classes[: len(v)])
    v, other = latents_and_classes(tmp_path / "seed", seed=4)
    assert not (v == u).any() and not torch.equal(other, classes)


def test_modes_share_their_latents(tmp_path):
    u, _ = latents_and_classes(tmp_path / "a")
    for mode, fixed in (
        ("random_same", None),
        ("best_classes", None),
        ("fixed_classes", (1, 2, 3)),
    ):
        v, classes = latents_and_classes(tmp_path / mode, mode=mode, fixed=fixed)
        assert torch.equal(u, v)
        assert mode == "best_classes" or len(classes.unique(dim=1)) == 11
    assert classes.tolist() == [[1, 2, 3]] * 11


@pytest.mark.parametrize("batch", [1, 3, 11, 50])
def test_the_bytes_do_not_depend_on_the_batch(batch, written, tmp_path):
    write(tmp_path / "other", batch=batch)
    assert content(tmp_path / "other") == content(written)


@pytest.mark.parametrize(("stop_after", "batch"), [(0, 4), (1, 4), (2, 4), (7, 1), (1, 3)])
def test_an_interrupted_set_ends_as_any_other(stop_after, batch, written, tmp_path):
    folder = tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        write(folder, net=Stub(stop_after), batch=batch)
    unfinished = datasets.read_dataset(folder)
    assert unfinished.missing == list(range(stop_after * batch, 11))
    assert not (folder / "mean_masks.txt").exists()
    net = Stub()
    write(folder, net=net)
    assert len(net.calls) < 3 or stop_after * batch < 4  # what is there is not made again
    assert content(folder) == content(written)


def test_a_kill_in_the_middle_of_writing_is_mended(written, tmp_path):
    folder = tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        write(folder, net=Stub(2))
    image = folder / "ims" / "ours_0000008_x_gen.jpg"
    image.write_bytes(b"an image whose mask was not noted yet")
    image.with_name("ours_0000009_x_gen.jpg.part").write_bytes(b"half of")
    (folder / "labels.csv.part").write_text(",im_na")
    notes = folder / PROGRESS
    notes.write_text(notes.read_text().rstrip()[:-2])  # the note of image 7 is cut off
    write(folder)
    assert content(folder) == content(written)


def test_gaps_are_filled_and_a_finished_set_is_left_alone(written):
    before = content(written)
    net = Stub(stop_after=0)
    times = {p: p.stat().st_mtime_ns for p in written.rglob("*")}
    assert not write(written, net=net).missing
    assert {p: p.stat().st_mtime_ns for p in written.rglob("*")} == times
    for i in (2, 9):
        (written / "ims" / f"ours_{i:07}_x_gen.jpg").unlink()
    assert datasets.read_dataset(written).missing == [2, 9]
    net = Stub()
    others = {p: p.stat().st_mtime_ns for p in written.rglob("*.jpg")}
    write(written, net=net)
    assert {p: p.stat().st_mtime_ns for p in others} == others
    assert [len(u) for u, _, _ in net.calls] == [4, 3]  # the blocks of 2 and of 9
    assert content(written) == before


OTHERS = {
    "mode": {"mode": "random_same"},
    "truncation": {"truncation": 0.4},
    "seed": {"seed": 4},
    "n": {"n": 12},
    "weights": {"weights": "def"},
    "stretch": {"stretch": "plain"},
    "name": {"name": "theirs"},
}


@pytest.mark.parametrize("key", OTHERS)
def test_another_data_set_is_left_as_it_is(key, written):
    (written / "ims" / "ours_0000004_x_gen.jpg").unlink()
    before = content(written)
    with pytest.raises(CGNError, match=rf"another data set \(other {key}\)"):
        write(written, **OTHERS[key])
    assert content(written) == before


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("notes.txt", "mine", "holds notes.txt"),
        ("ims/ours_0000011_x_gen.jpg", "one too many", "holds ours_0000011_x_gen.jpg"),
        ("ims/ours_0000001.png", "", "holds ours_0000001.png"),
        ("labels.csv", ",im_name", "labels of another"),
        ("mean_masks.txt", "0.5\n0.5", "a mean mask for each of 11"),
        ("dataset.json", "{", "holds no data set of ours"),
        ("dataset.json", "[]", "does not say"),
    ],
)
def test_foreign_and_damaged_files_are_left_as_they_are(file, text, message, written):
    (written / file).write_text(text)
    (written / "ims" / "ours_0000004_x_gen.jpg").unlink()  # so that there is something to write
    before = content(written)
    with pytest.raises(CGNError, match=message):
        write(written)
    assert content(written) == before


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CGNError, match=r"holds thesis\.tex and is no data set"):
        write(tmp_path)
    with pytest.raises(CGNError, match="is no folder"):
        write(tmp_path / "thesis.tex")
    assert content(tmp_path) == {"thesis.tex": b"mine"}


def test_an_empty_folder_and_one_without_a_whole_declaration_are_taken(written, tmp_path):
    for name in ("empty", "begun"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun" / "dataset.json.part").write_text("{")
    for name in ("empty", "begun"):
        write(tmp_path / name)
        assert content(tmp_path / name) == content(written)


def test_the_declaration_comes_first_and_says_everything(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", net=Stub(0), mode="best_classes")
    spec = json.loads((tmp_path / "set" / "dataset.json").read_text())
    lists = {name: list(classes) for name, classes in draws.BEST_CLASSES.items()}
    assert spec.pop("lists") == lists
    assert spec == {
        "name": "ours", "n": 11, "mode": "best_classes", "truncation": 0.5, "seed": 3,
        "weights": "abc", "num_classes": 1000, "latent": 16, "fixed": None, "stretch": "minmax",
        "quality": 75,
    }  # fmt: skip


@pytest.mark.parametrize("stretch", datasets.STRETCHES)
def test_images_are_stretched_as_asked(stretch, tmp_path):
    """An image of two flat halves, which JPEG keeps: -0.5 and 0.25."""

    class Halves(Stub):
        def forward(self, u, *_):
            x = torch.full((len(u), 3, 32, 32), -0.5)
            x[..., 16:] = 0.25
            return Mechanisms(torch.ones(len(u), 1, 32, 32), x, x)

    made = write(tmp_path / "set", 1, Halves(), stretch=stretch)
    pixels = np.asarray(Image.open(made.path(0))).astype(int)
    dark, light = {"minmax": (0, 255), "plain": (64, 159)}[stretch]
    assert np.abs(pixels[:, :16] - dark).max() <= 2 and np.abs(pixels[:, 16:] - light).max() <= 2


def test_a_flat_image_is_black_when_stretched():
    x = torch.full((2, 3, 4, 4), 0.3)
    assert (datasets._bytes(x, "minmax") == 0).all()
    assert (datasets._bytes(x, "plain") == 166).all()  # 1.3 * 127.5, rounded


@pytest.mark.parametrize("stretch", datasets.STRETCHES)
def test_images_are_read_back_as_from_a_data_set(stretch, tmp_path):
    """Without writing one: the same bytes, the same values."""
    net = Stub()
    written = write(tmp_path / "set", net=net, stretch=stretch)
    x = torch.cat([net(u, *classes.T, t).x_gen for u, classes, t in list(net.calls)])
    found = datasets.read_back(x, stretch)
    assert torch.equal(found, torch.cat(list(written.images(3))))
    assert found.shape == x.shape and found.dtype == torch.float32
    assert found.abs().max() <= 1
    assert torch.equal(datasets.read_back(x[4:5], stretch)[0], found[4])


def test_reading_back_loses_little_and_not_nothing():
    ramp = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32)
    found = datasets.read_back(ramp, "plain")
    assert 0 < (found - ramp).abs().max() < 0.05
    levels = (found + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-4)


def test_stretched_images_read_back_from_black_to_white(rng):
    x = torch.rand(2, 3, 1, 1, generator=rng).expand(2, 3, 32, 32).clone() * 0.1
    x[..., 16:] += 0.2
    assert datasets.read_back(x, "plain").std((1, 2, 3)).max() < 0.12
    found = datasets.read_back(x, "minmax")
    assert (found.amin((1, 2, 3)) < -0.95).all() and (found.amax((1, 2, 3)) > 0.95).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_not_read_back(value):
    x = torch.zeros(2, 3, 8, 8)
    x[1, 2, 3, 4] = value
    with pytest.raises(CGNError, match="not finite"):
        datasets.read_back(x, "minmax")


def test_stretching_looks_at_one_image_at_a_time(rng):
    x = torch.rand(3, 3, 8, 8, generator=rng) * torch.tensor([1, 0.1, 0.5]).view(3, 1, 1, 1)
    found = datasets._bytes(x, "minmax")
    assert found.shape == (3, 8, 8, 3)
    for image, stored in zip(x, found, strict=True):
        low, high = image.min(), image.max()
        slow = ((image - low) / (high - low) * 255).permute(1, 2, 0).numpy()
        assert np.abs(stored - slow).max() <= 0.501
        assert (stored.min(), stored.max()) == (0, 255)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "not 0"),
        ({"batch": 0}, "not 0"),
        ({"name": "a/b"}, "no name for images"),
        ({"name": ""}, "no name for images"),
        ({"stretch": "max"}, "choose minmax, plain"),
        ({"truncation": 0}, "truncation 0"),
        ({"truncation": 1.01}, "truncation 1.01"),
        ({"mode": "best"}, "choose random, random_same"),
        ({"mode": "fixed_classes", "fixed": (1, 2)}, "2 fixed classes"),
        ({"mode": "random", "lists": {}}, "draws from no lists"),
    ],
)
def test_settings_that_make_no_sense_are_errors(options, message, tmp_path):
    with pytest.raises(CGNError, match=message):
        write(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_values_that_are_not_finite_are_no_image(tmp_path):
    class Broken(Stub):
        def forward(self, *args):
            made = super().forward(*args)
            return made._replace(fg=made.fg * math.inf)

    with pytest.raises(CGNError, match="not finite"):
        write(tmp_path / "set", net=Broken())
    assert not list((tmp_path / "set" / "ims").iterdir())


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CGNError, match="cannot be written"):
        write(tmp_path / "file" / "set")
