"""Pictures: what is asked for comes, and chance depends on seed, step and image alone."""

import re
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from cgnlib.data.images import Images, to_signed
from cgnlib.data.pictures import Files, Stored, read_image
from cgnlib.errors import CGNError


class Crop:
    """Draws from torch's global generator, as transforms do; goes to other processes."""

    def __call__(self, image):
        x = v2.functional.pil_to_tensor(image)
        return v2.RandomHorizontalFlip()(v2.RandomCrop(6)(x))


class Whole:
    def __call__(self, image):
        return v2.functional.pil_to_tensor(image)


@pytest.fixture
def paths(tmp_path, rng):
    """Six images of random pixels; the third is grey, the fourth has a palette."""
    found = []
    for i in range(6):
        pixels = torch.randint(256, (12, 12, 3), generator=rng).to(torch.uint8).numpy()
        image = Image.fromarray(pixels).convert({2: "L", 3: "P"}.get(i, "RGB"))
        image.save(tmp_path / f"{i}.png")
        found.append(tmp_path / f"{i}.png")
    return found


@pytest.fixture
def files(paths):
    """Makes pictures of the six files."""

    def make(transform=None, **options):
        return Files(paths, torch.arange(6) * 10, transform or Crop(), **options)

    return make


def order(*batches, first=0):
    return list(enumerate(map(torch.tensor, batches), first))


def together(pictures, order):
    """All batches of an order, one behind the other."""
    return tuple(map(torch.cat, zip(*pictures.batches(order), strict=True)))


# --- what was asked for


def test_stored_images_come_as_asked(rng):
    x = torch.randint(256, (5, 8, 8, 3), generator=rng).to(torch.uint8)
    y = torch.arange(15).view(5, 3)
    pictures = Stored(Images(x, y))
    assert len(pictures) == 5
    batches = list(pictures.batches(order([3, 0], [4], [3, 3])))
    assert len(batches) == 3
    for (images, labels), index in zip(batches, ([3, 0], [4], [3, 3]), strict=True):
        assert images.shape == (len(index), 3, 8, 8) and images.dtype == torch.float32
        assert torch.equal(images, to_signed(x[index]).permute(0, 3, 1, 2))
        assert torch.equal(labels, y[index])


def test_files_come_as_asked_in_rgb(files, paths):
    pictures = files(Whole())
    assert len(pictures) == 6
    batches = list(pictures.batches(order([3, 0, 2], [5], first=7)))
    for (images, labels), index in zip(batches, ([3, 0, 2], [5]), strict=True):
        assert labels.tolist() == [10 * i for i in index]
        for image, i in zip(images, index, strict=True):
            with Image.open(paths[i]) as file:
                pixels = np.asarray(file.convert("RGB"))
            assert (image.permute(1, 2, 0).numpy() == pixels).all()


def test_labels_may_be_of_three_mechanisms(paths):
    labels = torch.arange(18).view(6, 3)
    ((_, found),) = Files(paths, labels, Whole()).batches(order([4, 1]))
    assert torch.equal(found, labels[[4, 1]])


def test_every_image_has_a_label(paths):
    with pytest.raises(ValueError, match="6 images do not go with 5 labels"):
        Files(paths, torch.arange(5), Whole())


# --- chance


def test_draws_depend_on_seed_step_and_image(files):
    asked = order(*[[0]] * 32)
    found, _ = together(files(), asked)
    kinds = {image.numpy().tobytes() for image in found}
    assert len(kinds) > 16  # of 32 draws from 7 x 7 x 2: steps differ
    assert torch.equal(found, together(files(), asked)[0])
    assert not torch.equal(found, together(files(seed=1), asked)[0])


def test_draws_depend_on_nothing_else(files):
    """Neither on the images beside one (so on no device's share) nor on an image's place among
    them, nor on where an order begins, nor on chance outside."""
    torch.manual_seed(1)
    found, _ = together(files(), order([0, 5], [2, 3], [0, 4]))
    torch.manual_seed(2)
    others, _ = together(files(), order([5, 1, 2], [0, 2]))
    assert torch.equal(found[[1, 2]], others[[0, 4]])
    rest, _ = together(files(), order([2, 3], [0, 4], first=1))
    assert torch.equal(found[2:], rest)


def test_workers_change_no_bit_and_leave_chance_alone(files):
    asked = order([0, 1, 2], [5, 4, 3], [2, 2], [1])
    torch.manual_seed(3)
    chance = torch.get_rng_state()
    alone = list(files().batches(asked))
    helped = list(files(workers=2).batches(asked))
    assert torch.equal(torch.get_rng_state(), chance)
    assert len(alone) == len(helped) == 4
    for (x, y), (same_x, same_y) in zip(alone, helped, strict=True):
        assert torch.equal(x, same_x) and torch.equal(y, same_y)


# --- damage


@pytest.mark.parametrize("content", ["none", "empty", "text", "half"])
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_damaged_image_is_named(content, kind, tmp_path, rng):
    path = tmp_path / f"image.{kind}"
    pixels = torch.randint(256, (40, 40, 3), generator=rng).to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    path.unlink()
    if content != "none":
        half = whole[: len(whole) // 2]
        path.write_bytes({"empty": b"", "text": b"no image", "half": half}[content])
    with pytest.raises(CGNError, match=re.escape(str(path)) + " cannot be read") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def header(edge):
    return b"IHDR", struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)


CHUNKS = {
    "a text of megabytes": (header(4), (b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000)))),
    "a resolution that is cut off": (header(4), (b"pHYs", b"1")),
    "more pixels than a machine holds": (header(100_000),),
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_whatever_pillow_stumbles_over_is_named(chunks, tmp_path):
    content = b"\x89PNG\r\n\x1a\n"
    for name, of in (*chunks, (b"IDAT", zlib.compress(bytes(52))), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(name + of))
        content += struct.pack(">I", len(of)) + name + of + check
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(CGNError, match=re.escape(f"{path} cannot be read (")):
        read_image(path)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_an_image_of_more_than_8_bits_is_refused_and_not_clipped(dtype, tmp_path):
    path = tmp_path / "image.tiff"
    Image.fromarray(np.full((4, 4), 40_000, dtype)).save(path)
    with pytest.raises(CGNError, match=r"cannot be read \(its channel, .*more than 8 bits\)"):
        read_image(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
def test_an_image_of_8_bits_is_rgb_whatever_it_was(mode, tmp_path):
    path = tmp_path / "image.tiff"
    Image.new("RGB", (4, 4), "white").convert(mode).save(path)
    assert read_image(path).getcolors() == [(16, (255, 255, 255))]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_with_a_damaged_image_names_it(workers, files, paths):
    paths[4].write_bytes(paths[4].read_bytes()[:200])
    batches = files(workers=workers).batches(order([0], [1, 4]))
    assert next(batches)[1].tolist() == [0]
    with pytest.raises(CGNError, match="^" + re.escape(f"{paths[4]} cannot be read")) as error:
        list(batches)
    assert "\n" not in str(error.value)
