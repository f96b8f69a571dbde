"""MNIST's files, its splits, the 5,000 digits, and masks resized as each library does."""

import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from cgnlib.data import digits, sources
from cgnlib.data.digits import Digits
from cgnlib.errors import CGNError, MissingError

# --- resizing


@pytest.mark.parametrize("side", [14, 28, 64])
def test_both_nearest_rules_equal_their_libraries(side, rng):
    images = torch.randint(0, 256, (5, side, side), generator=rng).to(torch.uint8)
    pil = [
        np.asarray(Image.fromarray(i.numpy()).resize((32, 32), Image.Resampling.NEAREST))
        for i in images
    ]
    assert torch.equal(digits.resize_pil(images), torch.from_numpy(np.stack(pil)))
    plain = F.interpolate(images[:, None].float(), size=32, mode="nearest")[:, 0]
    assert torch.equal(digits.resize_torch(images).float(), plain)


def test_the_rules_differ_on_digits(rng):
    images = torch.randint(0, 256, (1, 28, 28), generator=rng).to(torch.uint8)
    assert not torch.equal(digits.resize_pil(images), digits.resize_torch(images))


def test_masks_are_thresholded_at_a_tenth_and_resized_by_the_variants_rule(rng):
    grey = torch.tensor([0, 25, 26, 255], dtype=torch.uint8).repeat(196).view(1, 28, 28)
    few = Digits(grey, torch.zeros(1, dtype=torch.int64))
    for variant, resize in (
        ("colored", digits.resize_pil),
        ("double_colored", digits.resize_torch),
        ("wildlife", digits.resize_torch),
    ):
        mask = digits.digit_masks(few, variant)
        assert mask.shape == (1, 1, 32, 32) and mask.dtype == torch.bool
        assert torch.equal(mask[0, 0], resize(grey)[0] >= 26)


# --- files


def idx(array, magic=None):
    header = struct.pack(f">{1 + array.ndim}I", magic or 0x800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


IMAGES = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 251
GOOD = idx(IMAGES)
MD5 = hashlib.md5(GOOD).hexdigest()
DAMAGED = {
    "truncated": ("a", GOOD[:-1]),
    "headless": ("a", GOOD[:10]),
    "empty": ("a", b""),
    "magic": ("a", idx(IMAGES, magic=0x0D03)),
    "shape": ("a", idx(IMAGES.reshape(3, 14, 56))),
    "longer": ("a", GOOD + b"\0"),
    "checksum": ("a", GOOD[:-1] + bytes([GOOD[-1] ^ 1])),
    "not gzip": ("a.gz", GOOD),
    "truncated gzip": ("a.gz", gzip.compress(GOOD)[:-9]),
    "damaged gzip": ("a.gz", gzip.compress(GOOD)[:30] + bytes(40)),
    "checksum in gzip": ("a.gz", gzip.compress(GOOD[:-1] + b"\0")),
}


def test_plain_and_gzip_files_read_the_same(tmp_path):
    (tmp_path / "a").write_bytes(GOOD)
    (tmp_path / "a.gz").write_bytes(gzip.compress(GOOD))
    for name in ("a", "a.gz"):
        read = digits.read_idx(tmp_path / name, MD5, (3, 28, 28))
        assert read.dtype == torch.uint8 and np.array_equal(read.numpy(), IMAGES)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_left_alone(name, tmp_path):
    file, content = DAMAGED[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        digits.read_idx(path, MD5, (3, 28, 28))
    assert "\n" not in str(error.value)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


NAMED = {  # by whom
    "official": "{0}.gz",
    "gunzip": "{0}",
    "7-Zip": "{1}",
    "packed again": "{1}.gz",
    "Kaggle": "{0}/{0}",
    "7-Zip, to a folder": "{1}/{1}",
}


@pytest.mark.parametrize("folder", ["mnist/MNIST/raw", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("by", NAMED)
def test_official_files_are_found(folder, by, no_data, monkeypatch):
    labels = np.array([3, 1, 2])
    for name, content, shape in (
        ("train-images-idx3-ubyte", GOOD, (3, 28, 28)),
        ("train-labels-idx1-ubyte", idx(labels), (3,)),
    ):
        monkeypatch.setitem(digits.IDX_FILES, name, shape)
        (part,) = (p for p in sources.table()["mnist"]["files"] if p["name"] == f"{name}.gz")
        monkeypatch.setitem(part, "content", hashlib.md5(content).hexdigest())
        path = no_data / folder / NAMED[by].format(name, name.replace("-idx", ".idx"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    found = digits.load_digits("mnist", "train", "colored")
    assert np.array_equal(found.images.numpy(), IMAGES)
    assert found.labels.tolist() == [3, 1, 2] and found.labels.dtype == torch.int64


def test_missing_files_come_with_the_command_that_gets_them(no_data):
    expected = no_data / "mnist" / "t10k-images-idx3-ubyte.gz"
    with pytest.raises(MissingError, match=re.escape(str(expected))) as raised:
        digits.load_digits("mnist", "test", "colored")
    message = str(raised.value)
    assert "python data_prep/fetch.py mnist" in message and "CGN_DATA" in message
    assert "\n" not in message and not list(no_data.iterdir())


def test_a_folder_that_one_may_not_read_is_one_line(closed):
    with closed("mnist") as folder, pytest.raises(CGNError) as error:
        digits.checksum("mnist")
    assert str(folder / "train-images-idx3-ubyte") in str(error.value)
    assert "\n" not in str(error.value)


def put_official(folder, leave_out=None):
    """Empty files under the official names."""
    folder.mkdir(parents=True)
    for name in digits.IDX_FILES.keys() - {leave_out}:
        (folder / f"{name}.gz").touch()


@pytest.mark.parametrize("name", digits.IDX_FILES)
def test_the_checksum_wants_all_four_files(name, no_data):
    put_official(no_data / "mnist", leave_out=name)
    with pytest.raises(MissingError, match=name):
        digits.checksum("mnist")


def test_a_damaged_official_file_is_not_replaced(no_data):
    path = no_data / "mnist" / "train-images-idx3-ubyte"
    path.parent.mkdir()
    path.write_bytes(GOOD)
    with pytest.raises(CGNError, match=re.escape(str(path))):
        digits.load_digits("mnist", "train")
    assert path.read_bytes() == GOOD


def test_the_official_files_load(original):
    original("mnist")
    train, test = (digits.load_digits("mnist", split, "colored") for split in ("train", "test"))
    assert train.images.shape == (60_000, 28, 28) and test.images.shape == (10_000, 28, 28)
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(train.labels).tolist() == published
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    last = digits.load_digits("mnist", "test", "wildlife")
    assert torch.equal(last.images, train.images[50_000:])


# --- splits


@pytest.mark.parametrize("variant", ["colored", "digits", "double_colored", "wildlife"])
def test_which_part_of_mnist_a_variant_reads(variant, monkeypatch):
    def numbered(prefix):
        first, n = {"train": (0, 60_000), "t10k": (60_000, 10_000)}[prefix]
        return Digits(torch.zeros(n, 1, 1, dtype=torch.uint8), first + torch.arange(n))

    monkeypatch.setattr(digits, "_official", numbered)
    train, test = (digits.load_digits("mnist", s, variant).labels for s in ("train", "test"))
    border = 60_000 if variant in ("colored", "digits") else 50_000
    assert torch.equal(train, torch.arange(border))
    assert torch.equal(test, border + torch.arange(10_000))


def test_the_five_thousand_are_disjoint_and_stratified():
    train, test = (digits.load_digits("mnist-5k", split) for split in ("train", "test"))
    assert torch.bincount(train.labels).tolist() == [400] * 10
    assert torch.bincount(test.labels).tolist() == [100] * 10
    images = torch.cat([train.images, test.images])
    assert images.shape == (5000, 28, 28) and images.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in images}) == 5000


def test_the_five_thousand_are_always_the_same():
    torch.manual_seed(7)
    again = digits._five_thousand.__wrapped__("train")
    assert torch.equal(again.images, digits.load_digits("mnist-5k", "train").images)
    # of the split as it is: another one would make every stored run stale
    assert digits.checksum("mnist-5k").startswith("48de0e27447e8d72")


def test_the_checksum_tells_sources_apart(no_data):
    put_official(no_data / "mnist" / "MNIST" / "raw")
    assert digits.checksum("mnist") != digits.checksum("mnist-5k")
    assert digits.checksum("mnist").startswith("6bbc9ace898e44ae57da46a324031adb a25bea")


def test_unknown_names_are_errors():
    for source, split in (("mnist-6k", "train"), ("mnist-5k", "validation")):
        with pytest.raises(CGNError, match="choose"):
            digits.load_digits(source, split)
