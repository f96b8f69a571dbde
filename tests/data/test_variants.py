"""Digits and variants: readers, splits, cues, colours, and the renderer against slow oracles."""

import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor

from cgnlib.data import digits as digits_data
from cgnlib.data import images as images_data
from cgnlib.data import images as loadset
from cgnlib.data import textures, variants
from cgnlib.data.digits import Digits
from cgnlib.data.images import Images, Union
from cgnlib.data.variants import Variant
from cgnlib.errors import CGNError, MissingError

NAMES = ("darkgreen", "darkblue", "#b03060", "orangered", "yellow")
NAMES += ("burlywood", "lime", "aqua", "fuchsia", "#6495ed")  # backgrounds of DC-MNIST by class


def chi_square(a, b=None):
    """Against a uniform distribution, or of the independence of two labels."""
    if b is None:
        counts, expected = torch.bincount(a, minlength=10).double(), len(a) / 10
    else:
        counts = torch.bincount(10 * a + b, minlength=100).view(10, 10).double()
        expected = counts.sum(0) * counts.sum(1, keepdim=True) / len(a)
    return ((counts - expected) ** 2 / expected).sum().item()


def same_generator(data):
    """A generator in the state that the variant's has now."""
    return torch.Generator().set_state(data.rng.get_state())


# --- resizing


@pytest.mark.parametrize("side", [14, 28, 64])
def test_both_nearest_rules_equal_their_libraries(side, rng):
    images = torch.randint(0, 256, (5, side, side), generator=rng).to(torch.uint8)
    pil = [
        np.asarray(Image.fromarray(i.numpy()).resize((32, 32), Image.Resampling.NEAREST))
        for i in images
    ]
    assert torch.equal(digits_data.resize_pil(images), torch.from_numpy(np.stack(pil)))
    plain = F.interpolate(images[:, None].float(), size=32, mode="nearest")[:, 0]
    assert torch.equal(digits_data.resize_torch(images).float(), plain)


def test_the_rules_differ_on_digits(rng):
    images = torch.randint(0, 256, (1, 28, 28), generator=rng).to(torch.uint8)
    assert not torch.equal(digits_data.resize_pil(images), digits_data.resize_torch(images))


def test_masks_are_thresholded_at_a_tenth_and_resized_by_the_variants_rule(rng):
    grey = torch.tensor([0, 25, 26, 255], dtype=torch.uint8).repeat(196).view(1, 28, 28)
    digits = Digits(grey, torch.zeros(1, dtype=torch.int64))
    for variant, resize in (
        ("colored", digits_data.resize_pil),
        ("double_colored", digits_data.resize_torch),
        ("wildlife", digits_data.resize_torch),
    ):
        mask = digits_data.digit_masks(digits, variant)
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
        read = digits_data.read_idx(tmp_path / name, MD5, (3, 28, 28))
        assert read.dtype == torch.uint8 and np.array_equal(read.numpy(), IMAGES)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_left_alone(name, tmp_path):
    file, content = DAMAGED[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(str(path))) as error:
        digits_data.read_idx(path, MD5, (3, 28, 28))
    assert "\n" not in str(error.value)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", ["mnist/MNIST/raw", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_official_files_are_found(folder, end, no_data, monkeypatch):
    labels = np.array([3, 1, 2])
    for name, content, shape in (
        ("train-images-idx3-ubyte", GOOD, (3, 28, 28)),
        ("train-labels-idx1-ubyte", idx(labels), (3,)),
    ):
        monkeypatch.setitem(digits_data.IDX_FILES, name, (hashlib.md5(content).hexdigest(), shape))
        (no_data / folder).mkdir(parents=True, exist_ok=True)
        stored = gzip.compress(content) if end else content
        (no_data / folder / (name + end)).write_bytes(stored)
    digits = digits_data.load_digits("mnist", "train", "colored")
    assert np.array_equal(digits.images.numpy(), IMAGES)
    assert digits.labels.tolist() == [3, 1, 2] and digits.labels.dtype == torch.int64


def test_missing_files_come_with_the_command_that_gets_them(no_data):
    expected = no_data / "mnist" / "t10k-images-idx3-ubyte.gz"
    with pytest.raises(MissingError, match=re.escape(str(expected))) as raised:
        digits_data.load_digits("mnist", "test", "colored")
    message = str(raised.value)
    assert "python data_prep/fetch.py mnist" in message and "CGN_DATA" in message
    assert "\n" not in message and not list(no_data.iterdir())


def put_official(folder, leave_out=None):
    """Empty files under the official names."""
    folder.mkdir(parents=True)
    for name in digits_data.IDX_FILES.keys() - {leave_out}:
        (folder / f"{name}.gz").touch()


@pytest.mark.parametrize("name", digits_data.IDX_FILES)
def test_the_checksum_wants_all_four_files(name, no_data):
    put_official(no_data / "mnist", leave_out=name)
    with pytest.raises(MissingError, match=name):
        digits_data.checksum("mnist")


def test_a_damaged_official_file_is_not_replaced(no_data):
    path = no_data / "mnist" / "train-images-idx3-ubyte"
    path.parent.mkdir()
    path.write_bytes(GOOD)
    with pytest.raises(CGNError, match=re.escape(str(path))):
        digits_data.load_digits("mnist", "train")
    assert path.read_bytes() == GOOD


def test_the_official_files_load(original):
    original("mnist")
    train, test = (
        digits_data.load_digits("mnist", split, "colored") for split in ("train", "test")
    )
    assert train.images.shape == (60_000, 28, 28) and test.images.shape == (10_000, 28, 28)
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(train.labels).tolist() == published
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    last = digits_data.load_digits("mnist", "test", "wildlife")
    assert torch.equal(last.images, train.images[50_000:])


# --- splits


@pytest.mark.parametrize("variant", ["colored", "digits", "double_colored", "wildlife"])
def test_which_part_of_mnist_a_variant_reads(variant, monkeypatch):
    def numbered(prefix):
        first, n = {"train": (0, 60_000), "t10k": (60_000, 10_000)}[prefix]
        return Digits(torch.zeros(n, 1, 1, dtype=torch.uint8), first + torch.arange(n))

    monkeypatch.setattr(digits_data, "_official", numbered)
    train, test = (digits_data.load_digits("mnist", s, variant).labels for s in ("train", "test"))
    border = 60_000 if variant in ("colored", "digits") else 50_000
    assert torch.equal(train, torch.arange(border))
    assert torch.equal(test, border + torch.arange(10_000))


def test_the_five_thousand_are_disjoint_and_stratified():
    train, test = (digits_data.load_digits("mnist-5k", split) for split in ("train", "test"))
    assert torch.bincount(train.labels).tolist() == [400] * 10
    assert torch.bincount(test.labels).tolist() == [100] * 10
    images = torch.cat([train.images, test.images])
    assert images.shape == (5000, 28, 28) and images.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in images}) == 5000


def test_the_five_thousand_are_always_the_same():
    torch.manual_seed(7)
    again = digits_data._five_thousand.__wrapped__("train")
    assert torch.equal(again.images, digits_data.load_digits("mnist-5k", "train").images)
    # of the split as it is: another one would make every stored run stale
    assert digits_data.checksum("mnist-5k").startswith("48de0e27447e8d72")


def test_the_checksum_tells_sources_apart(no_data):
    put_official(no_data / "mnist" / "MNIST" / "raw")
    assert digits_data.checksum("mnist") != digits_data.checksum("mnist-5k")
    assert all(md5 in digits_data.checksum("mnist") for md5, _ in digits_data.IDX_FILES.values())


@pytest.mark.parametrize(
    "call",
    [
        lambda: digits_data.load_digits("mnist-6k", "train"),
        lambda: digits_data.load_digits("mnist-5k", "validation"),
        lambda: Variant("grey", "mnist-5k", "train", torch.Generator()),
        lambda: Variant("colored", "mnist-5k", "train", torch.Generator(), association="both"),
        lambda: Variant("wildlife", "mnist-5k", "train", torch.Generator(), source="paint"),
    ],
)
def test_unknown_names_are_errors(call):
    with pytest.raises(CGNError, match="choose"):
        call()


# --- cues


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_training_cues_follow_the_label(name, few_digits, rng):
    data = Variant(name, "mnist-5k", "train", rng)
    assert torch.equal(data.fg, data.y)
    assert torch.equal(data.bg, torch.zeros_like(data.y) if name == "colored" else data.y)


@pytest.mark.parametrize("name", variants.VARIANTS)
@pytest.mark.parametrize(("split", "association"), [("test", None), ("train", "random")])
def test_random_cues_are_uniform_and_independent(name, split, association, rng):
    data = Variant(name, "mnist-5k", split, rng, association=association)
    assert chi_square(data.fg) < 27.9 and chi_square(data.fg, data.y) < 126.1  # 99.9 %
    if name == "colored":
        assert not data.bg.any()
    else:
        assert chi_square(data.bg) < 27.9 and chi_square(data.bg, data.y) < 126.1
        assert chi_square(data.fg, data.bg) < 126.1


def test_chi_square_sees_a_dependence():
    y = torch.arange(1000) % 10
    assert chi_square(y, y) > 1000 and chi_square(y * 0) > 1000 and chi_square(y) == 0


# --- colours and noise


def test_double_colours_are_the_published_ones():
    assert tuple(map(ImageColor.getrgb, NAMES)) == variants.BACKGROUND_COLORS
    for i in range(10):
        assert variants.OBJECT_COLORS[i] == variants.BACKGROUND_COLORS[(i + 4) % 10]
    assert variants.OBJECT_COLORS[0] == ImageColor.getrgb("yellow")


@pytest.fixture
def halves(monkeypatch):
    """2,000 digits whose left half is ink and whose right half is empty."""
    images = torch.zeros(2000, 28, 28, dtype=torch.uint8)
    images[:, :, :14] = 255
    digits = Digits(images, torch.arange(2000) % 10)
    monkeypatch.setattr(digits_data, "load_digits", lambda *_: digits)


def test_double_colour_noise_is_small_independent_and_never_clipped(halves, rng):
    data = Variant("double_colored", "mnist-5k", "test", rng)
    x = data.freeze().x
    assert -1.15 < x.min() < -1 and 1 < x.max() < 1.15
    assert (x[:, :, :16] == x[:, :1, :1]).all() and (x[:, :, 16:] == x[:, :1, 31:]).all()
    fg = (x[:, 0, 0] + 1) / 2 - torch.tensor(variants.OBJECT_COLORS)[data.fg] / 255
    bg = (x[:, 0, 31] + 1) / 2 - torch.tensor(variants.BACKGROUND_COLORS)[data.bg] / 255
    noise = torch.cat([fg, bg], 1).T
    assert torch.allclose(noise.std(1), torch.tensor(0.01), rtol=0.1)
    assert (torch.corrcoef(noise) - torch.eye(6)).abs().max() < 0.1


def test_single_colour_is_jittered_and_clipped_on_black(halves, rng):
    data = Variant("colored", "mnist-5k", "train", rng)
    x, _ = data.batch(torch.arange(2000))
    assert (x[..., 16:] == -1).all() and x.min() == -1 and x.max() == 1
    assert (x[..., :16] == x[..., :1, :1]).all()
    teal = (x[data.y == 1][:, 1:, 0, 0] + 1) / 2  # green and blue, far from both ends
    assert abs(teal.mean() - 128 / 255) < 0.02 and abs(teal.std() - 0.02**0.5) < 0.015
    yellow, maroon = x[data.y == 2][:, 0, 0, 0], x[data.y == 9][:, 1, 0, 0]
    assert 0.4 < (yellow == 1).float().mean() < 0.6  # half of the jitter is clipped
    assert 0.4 < (maroon == -1).float().mean() < 0.6


# --- rendering against slow oracles


def by_pil(image):
    """An image of a digit at 32 pixels as the published code makes it: PIL, [3, 32, 32]."""
    large = Image.fromarray(image.numpy()).resize((32, 32), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(large)).permute(2, 0, 1).float() / 255


def mask_of(image):
    return (F.interpolate(image[None, None].float() / 255, size=32)[0] > 0.1).float()


def slow_colored(data, digits, index):
    for i in index:
        grey = digits.images[i].float()[..., None] / 255
        image = (grey * data._color[i] * 255).round().to(torch.uint8)
        yield (by_pil(image) - 0.5) / 0.5


def slow_double_colored(data, digits, index):
    rng = same_generator(data)
    noise = [0.01 * torch.randn(len(index), 3, generator=rng) for _ in range(2)]
    for row, i in enumerate(index):
        m = mask_of(digits.images[i])
        fg = torch.tensor(variants.OBJECT_COLORS[data.fg[i]]) / 255 + noise[0][row]
        bg = torch.tensor(variants.BACKGROUND_COLORS[data.bg[i]]) / 255 + noise[1][row]
        x = m * fg.view(3, 1, 1) + (1 - m) * bg.view(3, 1, 1)
        yield (x - 0.5) / 0.5


def slow_wildlife(data, digits, index):
    corners = torch.randint(0, 125, (2, 2, len(index)), generator=same_generator(data))
    all_textures = textures.procedural()
    for row, i in enumerate(index):
        crops = []
        for kind, cue in enumerate((data.fg[i], data.bg[i])):
            top, left = corners[kind, :, row].tolist()
            texture = Image.fromarray(all_textures[kind, cue].numpy())
            crop = np.array(texture.crop((left, top, left + 32, top + 32)))
            crops.append((torch.from_numpy(crop).permute(2, 0, 1).float() / 255 - 0.5) / 0.5)
        m = mask_of(digits.images[i])
        yield m * crops[0] + (1 - m) * crops[1]


@pytest.mark.parametrize("slow", [slow_colored, slow_double_colored, slow_wildlife])
def test_rendering_equals_one_image_at_a_time(slow, few_digits, rng):
    data = Variant(slow.__name__[5:], "mnist-5k", "test", rng)
    index = torch.tensor([3, 17, 0, 39, 3])
    expected = torch.stack(list(slow(data, few_digits, index.tolist())))
    x, y = data.batch(index)
    assert x.shape == (5, 3, 32, 32) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, few_digits.labels[index])
    assert torch.allclose(x, expected, rtol=0, atol=1e-5)


def test_bare_digits_are_their_masks(few_digits, rng):
    data = Variant("digits", "mnist-5k", "train", rng)
    x, _ = data.batch(torch.arange(40))
    assert torch.equal(x, data.mask.expand(-1, 3, -1, -1) * 2.0 - 1)


@pytest.mark.parametrize("name", variants.VARIANTS)
def test_same_seed_same_bits(name, few_digits):
    def render(seed, access=1):
        data = Variant(name, "mnist-5k", "test", torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + access)  # the global state has no say
        return [data.freeze().x for _ in range(access)][-1]

    assert torch.equal(render(0), render(0))
    assert not torch.equal(render(0), render(1))
    assert torch.equal(render(0), render(0, access=2)) == (name == "colored")


def test_a_frozen_set_keeps_order_and_values(few_digits, rng):
    data = Variant("colored", "mnist-5k", "test", rng)
    index = torch.tensor([5, 1, 30])
    for ours, theirs in zip(data.freeze().batch(index), data.batch(index), strict=True):
        assert torch.equal(ours, theirs)


# --- sets of images


def test_bytes_and_floats_are_the_same_images(rng):
    stored = torch.arange(256, dtype=torch.uint8).repeat(36).view(3, 32, 32, 3)
    y = torch.tensor([4, 5, 6])
    index = torch.tensor([2, 0])
    x, labels = Images(stored, y).batch(index)
    assert x.shape == (2, 3, 32, 32) and labels.tolist() == [6, 4]
    assert x.amin() == -1 and x.amax() == 1
    assert torch.equal(x, Images(images_data.to_signed(stored), y).batch(index)[0])
    assert torch.equal(images_data.to_bytes(images_data.to_signed(stored)), stored)
    assert torch.allclose(x, (stored[index].permute(0, 3, 1, 2) / 255 - 0.5) / 0.5, atol=1e-6)


def test_a_stored_set_reads_the_same_however_often(tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", stored)
    np.save(tmp_path / "labels.npy", np.arange(50) % 10)
    data, index = loadset.load_set(tmp_path), torch.tensor([49, 3, 3, 0])
    whole = Images(torch.from_numpy(stored), torch.arange(50) % 10)
    for _ in range(3):  # its pages are let go of after each time
        for ours, theirs in zip(data.batch(index), whole.batch(index), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("index", [[6, 0, 3, 4, 1], [2, 0], [6, 3], [0, 1, 2, 3, 4, 5, 6]], ids=str)
def test_a_union_equals_the_concatenation(index, rng):
    stored = torch.randint(0, 256, (3, 32, 32, 3), generator=rng).to(torch.uint8)
    first = Images(stored, torch.arange(3))
    second = Images(torch.rand(4, 32, 32, 3, generator=rng) * 2 - 1, torch.arange(3, 7))
    union = Union(first, second)
    whole = Images(torch.cat([images_data.to_signed(first.x), second.x]), union.y)
    assert len(union) == 7 and union.y.tolist() == list(range(7))
    index = torch.tensor(index)
    in_order = torch.cat([index[index < 3], index[index >= 3]])
    for ours, theirs in zip(union.batch(index), whole.batch(in_order), strict=True):
        assert torch.equal(ours, theirs)
