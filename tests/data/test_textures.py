"""Textures: the drawn ones, and the preparation of DTD's against PIL and torchvision."""

import hashlib
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Pad

from cgnlib.data import textures
from cgnlib.errors import CGNError, MissingError

# DTD's numbers and names by class, as published
OBJECTS = (1, 91, 8, 43, 92, 28, 97, 4, 125, 33)
BACKGROUNDS = (66, 67, 73, 180, 131, 157, 158, 104, 188, 189)
FILES = {
    "object": [f"{i}_striped_{number:04}.jpg" for i, number in enumerate(OBJECTS)],
    "background": [f"{i}_veined_{number:04}.jpg" for i, number in enumerate(BACKGROUNDS)],
}


def prepared(path):
    """PIL's nearest resize to 150 pixels, torchvision's reflecting pad of 3."""
    small = Image.open(path).convert("RGB").resize((150, 150), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(Pad(3, padding_mode="reflect")(small)))


@pytest.fixture
def dtd(no_data):
    """Twenty small images of noise under DTD's names."""
    draw = np.random.default_rng(0)
    for kind, names in FILES.items():
        folder = no_data / "dtd" / kind
        folder.mkdir(parents=True)
        for name in names:
            Image.fromarray(draw.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / name)
    return no_data / "dtd"


def check_against_slow(folder):
    loaded = textures.load("dtd")
    assert loaded.shape == (2, 10, 156, 156, 3) and loaded.dtype == torch.uint8
    for kind, names in enumerate(FILES.values()):
        for label, name in enumerate(names):
            path = folder / list(FILES)[kind] / name
            assert torch.equal(loaded[kind, label], prepared(path)), name


def test_dtd_is_prepared_as_published(dtd):
    check_against_slow(dtd)


def test_the_published_textures_load(original):
    folder = original("dtd")
    assert {kind: sorted(p.name for p in (folder / kind).iterdir()) for kind in FILES} == FILES
    check_against_slow(folder)


def test_a_grey_texture_becomes_rgb(dtd):
    Image.new("L", (30, 30), 77).save(dtd / "object" / FILES["object"][3])
    assert (textures.load("dtd")[0, 3] == 77).all()


def test_the_whole_data_set_as_torchvision_keeps_it_is_used(dtd):
    expected = textures.load("dtd")
    whole = dtd.parent / "torchvision" / "dtd" / "dtd" / "images" / "striped"
    whole.mkdir(parents=True)
    (dtd / "object" / FILES["object"][2]).rename(whole / "striped_0008.jpg")
    assert torch.equal(textures.load("dtd"), expected)


def test_a_missing_texture_comes_with_the_command_that_gets_it(dtd):
    path = dtd / "background" / FILES["background"][7]
    path.unlink()
    with pytest.raises(MissingError, match=re.escape(str(path))) as error:
        textures.load("dtd")
    assert "python data_prep/fetch.py dtd" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, 800])
def test_a_damaged_texture_is_named_and_left_alone(dtd, keep):
    path = dtd / "object" / FILES["object"][9]
    content = path.read_bytes()[:keep]
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        textures.load("dtd")
    assert "\n" not in str(error.value) and path.read_bytes() == content


def test_an_unknown_source_is_an_error():
    with pytest.raises(CGNError, match="choose dtd or procedural"):
        textures.load("paint")


def test_drawn_textures_are_always_the_same():
    np.random.seed(3)
    first = textures.load("procedural")
    torch.manual_seed(3)
    assert torch.equal(first, textures.procedural.__wrapped__())  # not the one kept
    assert first.shape == (2, 10, 156, 156, 3) and first.dtype == torch.uint8


def test_drawn_textures_reflect_at_the_border():
    image = textures.procedural()[1, 4]
    for d in (1, 2, 3):
        assert torch.equal(image[3 - d], image[3 + d])
        assert torch.equal(image[:, 152 - d], image[:, 152 + d])


def test_drawn_textures_tell_the_classes_apart():
    drawn = textures.procedural().float()
    crops = torch.stack([drawn[:, :, i : i + 32, i : i + 32] for i in range(0, 125, 31)])
    assert crops.std((3, 4)).amin() > 5  # no crop is flat
    means = drawn.mean((2, 3)).flatten(0, 1)
    assert torch.pdist(means).min() > 8


def test_the_checksum_is_of_the_content():
    drawn = textures.procedural()
    assert textures.checksum(drawn) == hashlib.sha256(drawn.numpy().tobytes()).hexdigest()
    other = drawn.clone()
    other[1, 9, 0, 0, 0] ^= 1
    assert textures.checksum(other) != textures.checksum(drawn)
    assert textures.checksum(drawn.transpose(2, 3).contiguous().transpose(2, 3)) == (
        textures.checksum(drawn)
    )
