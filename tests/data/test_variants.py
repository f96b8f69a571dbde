"""The variants: cues, colours, and the renderer against slow oracles."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageColor

from cgnlib.data import digits, textures, variants
from cgnlib.data.digits import Digits
from cgnlib.errors import CGNError

VARIANTS = ("colored", "double_colored", "wildlife")
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


def test_unknown_names_are_errors():
    for name, options in (
        ("grey", {}),
        ("colored", {"association": "both"}),
        ("wildlife", {"textures_of": "paint"}),
    ):
        with pytest.raises(CGNError, match="choose"):
            variants.load(name, "mnist-5k", "train", torch.Generator(), **options)


# --- cues


@pytest.mark.parametrize("name", VARIANTS)
def test_training_cues_follow_the_label(name, few_digits, rng):
    data = variants.load(name, "mnist-5k", "train", rng)
    assert torch.equal(data.fg, data.y)
    assert torch.equal(data.bg, torch.zeros_like(data.y) if name == "colored" else data.y)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("split", "association"), [("test", None), ("train", "random")])
def test_random_cues_are_uniform_and_independent(name, split, association, rng):
    data = variants.load(name, "mnist-5k", split, rng, association=association)
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
    half = Digits(images, torch.arange(2000) % 10)
    monkeypatch.setattr(digits, "_five_thousand", lambda split: half)


def test_double_colour_noise_is_small_independent_and_never_clipped(halves, rng):
    data = variants.load("double_colored", "mnist-5k", "test", rng)
    x = data.freeze().x
    assert -1.15 < x.min() < -1 and 1 < x.max() < 1.15
    assert (x[:, :, :16] == x[:, :1, :1]).all() and (x[:, :, 16:] == x[:, :1, 31:]).all()
    fg = (x[:, 0, 0] + 1) / 2 - torch.tensor(variants.OBJECT_COLORS)[data.fg] / 255
    bg = (x[:, 0, 31] + 1) / 2 - torch.tensor(variants.BACKGROUND_COLORS)[data.bg] / 255
    noise = torch.cat([fg, bg], 1).T
    assert torch.allclose(noise.std(1), torch.tensor(0.01), rtol=0.1)
    assert (torch.corrcoef(noise) - torch.eye(6)).abs().max() < 0.1


def test_single_colour_is_jittered_and_clipped_on_black(halves, rng):
    data = variants.load("colored", "mnist-5k", "train", rng)
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


def slow_colored(data, plain, index):
    for i in index:
        grey = plain.images[i].float()[..., None] / 255
        image = (grey * data._color[i] * 255).round().to(torch.uint8)
        yield (by_pil(image) - 0.5) / 0.5


def slow_double_colored(data, plain, index):
    rng = same_generator(data)
    noise = [0.01 * torch.randn(len(index), 3, generator=rng) for _ in range(2)]
    for row, i in enumerate(index):
        m = mask_of(plain.images[i])
        fg = torch.tensor(variants.OBJECT_COLORS[data.fg[i]]) / 255 + noise[0][row]
        bg = torch.tensor(variants.BACKGROUND_COLORS[data.bg[i]]) / 255 + noise[1][row]
        x = m * fg.view(3, 1, 1) + (1 - m) * bg.view(3, 1, 1)
        yield (x - 0.5) / 0.5


def slow_wildlife(data, plain, index):
    corners = torch.randint(0, 125, (2, 2, len(index)), generator=same_generator(data))
    all_textures = textures.procedural()
    for row, i in enumerate(index):
        crops = []
        for kind, cue in enumerate((data.fg[i], data.bg[i])):
            top, left = corners[kind, :, row].tolist()
            texture = Image.fromarray(all_textures[kind, cue].numpy())
            crop = np.array(texture.crop((left, top, left + 32, top + 32)))
            crops.append((torch.from_numpy(crop).permute(2, 0, 1).float() / 255 - 0.5) / 0.5)
        m = mask_of(plain.images[i])
        yield m * crops[0] + (1 - m) * crops[1]


@pytest.mark.parametrize("slow", [slow_colored, slow_double_colored, slow_wildlife])
def test_rendering_equals_one_image_at_a_time(slow, few_digits, rng):
    data = variants.load(slow.__name__[5:], "mnist-5k", "test", rng)
    index = torch.tensor([3, 17, 0, 39, 3])
    expected = torch.stack(list(slow(data, few_digits, index.tolist())))
    x, y = data.batch(index)
    assert x.shape == (5, 3, 32, 32) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, few_digits.labels[index])
    assert torch.allclose(x, expected, rtol=0, atol=1e-5)


def test_bare_digits_are_their_masks(few_digits, rng):
    data = variants.load("digits", "mnist-5k", "train", rng)
    x, _ = data.batch(torch.arange(40))
    assert torch.equal(x, data.mask.expand(-1, 3, -1, -1) * 2.0 - 1)


@pytest.mark.parametrize("name", VARIANTS)
def test_same_seed_same_bits(name, few_digits):
    def render(seed, access=1):
        data = variants.load(name, "mnist-5k", "test", torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + access)  # the global state has no say
        return [data.freeze().x for _ in range(access)][-1]

    assert torch.equal(render(0), render(0))
    assert not torch.equal(render(0), render(1))
    assert torch.equal(render(0), render(0, access=2)) == (name == "colored")


def test_a_frozen_set_keeps_order_and_values(few_digits, rng):
    data = variants.load("colored", "mnist-5k", "test", rng)
    index = torch.tensor([5, 1, 30])
    for ours, theirs in zip(data.freeze().batch(index), data.batch(index), strict=True):
        assert torch.equal(ours, theirs)
