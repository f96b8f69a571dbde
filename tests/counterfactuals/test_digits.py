"""Counterfactuals: which labels and latents meet, how sets are sized and stored."""

import pytest
import torch

from cgnlib.counterfactuals import digits
from cgnlib.data.images import to_signed
from cgnlib.nets import mnist


class Noted(mnist.CGN):
    """A tiny CGN of fixed textures (white on black) that notes the latents and labels it gets."""

    def __init__(self):
        super().__init__(latent=4, ngf=4)
        self.calls = []

    def mask(self, u, y):
        self.calls.append(("mask", u, y))
        return super().mask(u, y)

    def foreground(self, u, y, rng):
        self.calls.append(("fg", u, y))
        return torch.ones(len(y), 3, 32, 32)

    def background(self, u, y, rng):
        self.calls.append(("bg", u, y))
        return -torch.ones(len(y), 3, 32, 32)


@pytest.fixture
def net():
    return Noted().eval()


def independent(a, b):
    """Whether a chi-square test at 99.9 % takes two labels for independent."""
    counts = torch.bincount(10 * a + b, minlength=100).view(10, 10).double()
    expected = counts.sum(0) * counts.sum(1, keepdim=True) / len(a)
    return ((counts - expected) ** 2 / expected).sum() < 126.1


def test_texture_labels_are_two_independent_permutations(net, rng):
    y = torch.arange(2000) % 10
    mask, _, _, y_fg, y_bg = next(digits.interventions(net, y, rng))
    assert mask.shape == (2000, 1, 32, 32)
    for permuted in (y_fg, y_bg):
        assert torch.equal(permuted.sort().values, y.sort().values)
        assert independent(permuted, y)
    assert independent(y_fg, y_bg) and not independent(y, y)


def test_each_mechanism_gets_its_own_latent_and_label(net, rng):
    y = torch.arange(10)
    made = list(digits.interventions(net, y, rng, n=3))
    assert [name for name, *_ in net.calls] == ["mask"] + 3 * ["fg", "bg"]
    latents = [u for _, u, _ in net.calls]
    assert len({tuple(u.flatten().tolist()) for u in latents}) == 7
    labels = [y] + [label for *_, y_fg, y_bg in made for label in (y_fg, y_bg)]
    assert all(map(torch.equal, (asked for *_, asked in net.calls), labels))


def test_one_mask_serves_all_counterfactuals_of_a_shape(net, rng):
    y = torch.arange(10)
    masks = [mask for mask, *_ in digits.interventions(net, y, rng, n=4)]
    assert all(torch.equal(mask, masks[0]) for mask in masks)
    batches = list(digits.sample_cgn(net, 400, 2, rng))
    for one, other in (batches[:2], batches[2:]):  # white on black: the image is its mask
        assert torch.equal(one.x, other.x) and torch.equal(one.y, other.y)
    assert not torch.equal(batches[0].x, batches[2].x)


def test_the_label_is_the_shapes(net, rng):
    batches = list(digits.sample_cgn(net, 300, 1, rng))
    asked = [y for name, _, y in net.calls if name == "mask"]
    assert all(torch.equal(batch.y, y) for batch, y in zip(batches, asked, strict=True))


@pytest.mark.parametrize(
    ("size", "per_shape", "images"),
    [
        (50_000, 1, 50_000),
        (100_000, 10, 100_000),
        (1_000_000, 20, 1_000_000),
        (24_000, 1, 24_000),
        (1050, 3, 900),
        (1000, 20, 0),
        (250, 1, 200),
    ],
)
def test_sizes_are_those_of_the_published_code(size, per_shape, images):
    iterations = int(int(size / 100) / per_shape)
    assert digits.set_size(size, per_shape) == images == iterations * per_shape * 100


@pytest.mark.parametrize(("size", "per_shape"), [(700, 3), (250, 1), (100, 2)])
def test_as_many_images_are_made_as_announced(size, per_shape, net, rng):
    gan = mnist.GAN(latent=4, ngf=2)
    for sample, source in ((digits.sample_cgn, net), (digits.sample_gan, gan)):
        made = sum(map(len, sample(source, size, per_shape, rng)))
        assert made == digits.set_size(size, per_shape)


@pytest.mark.parametrize("kind", ["cgn", "gan"])
def test_sampling_is_seeded_in_evaluation_mode_and_stored_as_bytes(kind):
    net = {"cgn": mnist.CGN, "gan": mnist.GAN}[kind](latent=4, ngf=4).train()
    sample = {"cgn": digits.sample_cgn, "gan": digits.sample_gan}[kind]
    before = {k: v.clone() for k, v in net.state_dict().items()}

    def make(seed):
        torch.manual_seed(seed + 1)
        return list(sample(net, 200, 2, torch.Generator().manual_seed(seed)))

    first, again, other = make(0), make(0), make(1)
    assert all(map(torch.equal, (b.x for b in first), (b.x for b in again)))
    assert not torch.equal(first[0].x, other[0].x)
    assert not torch.equal(first[0].x, first[1].x)
    assert torch.equal(first[0].y, first[1].y)
    assert first[0].x.shape == (100, 32, 32, 3) and first[0].x.dtype == torch.uint8
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_stored_images_come_back_to_half_a_step(rng):
    x = torch.rand(5, 3, 32, 32, generator=rng) * 2 - 1
    stored = digits.to_stored(x)
    assert stored.shape == (5, 32, 32, 3) and stored.dtype == torch.uint8
    assert (to_signed(stored).permute(0, 3, 1, 2) - x).abs().max() <= 1 / 255 + 1e-6
    beyond = digits.to_stored(x * 3)  # DC-MNIST leaves -1...1
    assert beyond[(x * 3 > 1).permute(0, 2, 3, 1)].min() == 255
    assert beyond[(x * 3 < -1).permute(0, 2, 3, 1)].max() == 0
