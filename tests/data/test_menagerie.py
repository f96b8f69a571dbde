import math

import pytest
import torch

from cgnlib.counterfactuals.draws import truncated_noise
from cgnlib.data import menagerie
from cgnlib.data.menagerie import Menagerie, draws, patterns, silhouettes
from cgnlib.errors import CGNError
from cgnlib.measures import metrics
from cgnlib.nets import biggan, shipped
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net

N = 400


@pytest.fixture(scope="module")
def agree():
    data = Menagerie("agree", N)
    return data, *data.masked(torch.arange(N))


def splitmix(x):
    """The published finaliser in Python's whole numbers."""
    mask = (1 << 64) - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def test_draws_are_splitmix_counters():
    seed, stream, item = 3, 12, 41
    start = splitmix((splitmix((item + (seed << 32)) % 2**64) + stream) % 2**64)
    expected = [
        (splitmix((start + k * 0x9E3779B97F4A7C15) % 2**64) >> 40) / 2**24 for k in range(1, 7)
    ]
    assert draws.uniform(seed, torch.tensor([7, item]), stream, 2, 3)[1].flatten().tolist() == (
        pytest.approx(expected, abs=0)
    )


def test_draws_are_uniform_and_streams_are_independent():
    index = torch.arange(20_000)
    a, b = (draws.uniform(0, index, stream, 1)[:, 0] for stream in (1, 2))
    for values in (a, b):
        assert values.min() >= 0 and values.max() < 1
        assert values.mean() == pytest.approx(0.5, abs=0.01)
        assert values.var() == pytest.approx(1 / 12, abs=0.002)
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 0.03
    neighbours = torch.corrcoef(torch.stack([a[:-1], a[1:]]))[0, 1]
    assert abs(neighbours) < 0.03
    assert set(draws.integers(0, index, 5, 10).tolist()) == set(range(10))


def test_an_item_is_the_same_in_any_batch_and_order(agree):
    data, x, mask = agree
    some = torch.tensor([311, 5, 17])
    alone = [data.masked(i[None]) for i in some]
    together = data.masked(some)
    for got in (together, tuple(map(torch.cat, zip(*alone, strict=True)))):
        assert torch.equal(got[0], x[some]) and torch.equal(got[1], mask[some])


def test_seeds_and_items_differ(agree):
    _, x, _ = agree
    other = Menagerie("agree", N, seed=1).batch(torch.arange(20))[0]
    assert (x[:20] - other).abs().mean((1, 2, 3)).min() > 0.02
    assert (x[:10, None] - x[None, 10:20]).abs().mean((2, 3, 4)).min() > 0.02


def test_shapes_and_ranges(agree):
    data, x, mask = agree
    assert x.shape == (N, 3, 64, 64) and mask.shape == (N, 1, 64, 64)
    assert x.min() >= -1 and x.max() <= 1 and x.isfinite().all()
    assert mask.min() == 0 and mask.max() == 1
    assert torch.equal(data.batch(torch.arange(3))[0], x[:3])


def test_objects_are_neither_specks_nor_everything(agree):
    data, _, mask = agree
    coverage = mask.mean((1, 2, 3))
    for c in range(10):
        assert 0.08 < coverage[data.y == c].mean() < 0.4, menagerie.CLASSES[c]
    edges = torch.cat([mask[..., 0, :], mask[..., -1, :], mask[..., 0], mask[..., -1]], -1)
    assert edges.mean() < 0.01  # hardly an object is cut off


def test_outside_its_mask_an_image_is_its_background(agree):
    data, x, mask = agree
    index = torch.arange(N)
    bare = data.backdrops(index)
    outside = (mask == 0).expand_as(x)
    assert torch.equal(x[outside], bare[outside])
    inside = (mask == 1).expand_as(x)
    assert (x[inside] - bare[inside]).abs().mean() > 0.3


def test_splits_draw_the_cues_as_they_say():
    index = torch.arange(5000)
    for split in ("agree", "mixed_same"):
        shape, texture, background = menagerie.factors(split, 0, index)
        assert torch.equal(shape, texture) and torch.equal(shape, background)
    shape, texture, background = menagerie.factors("conflict", 0, index)
    assert (shape != texture).all() and (shape != background).all()
    assert (texture != background).all()
    pairs = torch.bincount(shape * 10 + texture, minlength=100).view(10, 10)
    off = pairs[~torch.eye(10, dtype=bool)].float()
    assert off.min() > 25 and off.max() < 90  # 5000 / 90 is 56
    shape, texture, background = menagerie.factors("mixed_rand", 0, index)
    assert torch.equal(shape, texture)
    assert (shape == background).float().mean() == pytest.approx(0.1, abs=0.02)
    shape, texture, background = menagerie.factors("decorrelated", 0, index)
    for a, b in ((shape, texture), (shape, background), (texture, background)):
        assert (a == b).float().mean() == pytest.approx(0.1, abs=0.02)


def test_mixed_backgrounds_come_from_another_image():
    index = torch.arange(50)
    own, same = (Menagerie(split, 50).masked(index) for split in ("agree", "mixed_same"))
    assert torch.equal(own[1], same[1])
    inside = (own[1] == 1).expand_as(own[0])
    outside = (own[1] == 0).expand_as(own[0])
    assert torch.equal(own[0][inside], same[0][inside])
    assert (own[0][outside] - same[0][outside]).abs().mean() > 0.02


def test_unknown_split():
    with pytest.raises(CGNError, match="unknown split 'odd': choose agree"):
        menagerie.factors("odd", 0, torch.arange(3))


def test_each_class_has_its_own_family_of_everything():
    assert len(set(menagerie.CLASSES)) == 10
    assert len(set(menagerie.TEXTURES)) == len(set(menagerie.BACKGROUNDS)) == 10
    assert len(set(patterns.TEXTURE_COLOURS)) == 10


def test_distances_against_known_ones():
    x, y = torch.tensor([[[2.0, 0.0, 0.5]]]), torch.tensor([[[0.0, 0.0, 0.5]]])
    circle = silhouettes.ellipse(x, y, 1.0, 1.0)
    assert circle[0, 0, 0] == pytest.approx(1) and circle[0, 0, 1] <= 0
    box = silhouettes.box(x, y, 1.0, 0.5, 0.0)
    assert box.flatten().tolist() == pytest.approx([1.0, -0.5, 0.0])
    square = silhouettes.polygon(x, y, [(-1, -1), (1, -1), (1, 1), (-1, 1)])
    assert square.flatten().tolist() == pytest.approx([1.0, -1.0, -0.5])
    ring = silhouettes.ring(x, y, 1.5, 0.25)
    assert ring[0, 0, 0] == pytest.approx(0.25)


def test_star_has_five_tips():
    turn = torch.arange(360) * (2 * math.pi / 360)
    x, y = 0.8 * turn.sin()[None, None], -0.8 * turn.cos()[None, None]
    inside = silhouettes.star(x, y, torch.zeros(1, 4, 1, 1))[0, 0] < 0
    starts = (inside & ~inside.roll(1)).sum()
    assert starts == 5


# --- the parts that are shipped


def test_the_shipped_parts_are_as_good_as_the_book_says():
    """On images of a seed that no part was trained on; the marks are those of the design."""
    index = torch.arange(100)
    data = Menagerie("agree", 100, seed=5)
    x, mask = data.masked(index)
    mixed = Menagerie("decorrelated", 100, seed=5)
    with torch.inference_mode():
        saliency = shipped.load("u2net", U2Net.small())
        assert metrics.paired_iou(saliency(x) > 0.5, mask > 0.5).mean() > 0.9
        assert saliency(mixed.backdrops(index)).mean() < 0.02
        classifier = shipped.load("classifier", Reader())
        assert (classifier(x)[0].argmax(1) == data.y).float().mean() > 0.95
        said = shipped.load("probe", Reader((10, 10, 10)))(mixed.batch(index)[0])
        for scores, true in zip(said, (mixed.y, mixed.texture, mixed.background), strict=True):
            assert (scores.argmax(1) == true).float().mean() > 0.95
        net = shipped.load("biggan", biggan.build(biggan.BIGGAN_MENAGERIE))
        rng = torch.Generator().manual_seed(3)
        made = biggan.fold(net, 0.5)(truncated_noise(100, 64, 0.5, rng), data.y)
        assert (classifier(made)[0].argmax(1) == data.y).float().mean() > 0.8


def test_the_shipped_parts_are_small():
    assert sum(shipped.record(name)["bytes"] for name in shipped.NAMES) < 10 * 2**20
