"""The plain renditions that the fast paths are timed against: they compute the same."""

import csv
import runpy
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from stopping import endless

from cgnlib import paths, worlds
from cgnlib.data import categories
from cgnlib.data import digits as mnists
from cgnlib.data.images import load_set
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments.recipes import MENAGERIE_MECHANISMS, PUBLISHED, ClassifierRecipe
from cgnlib.nets import mnist as nets
from cgnlib.nets import perceptual
from cgnlib.training import losses
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_classifier
from cgnlib.training.mechanisms import loss_terms
from cgnlib.training.patches import draw_windows

sys.path.insert(0, str(paths.ROOT / "benchmarks"))
import bench
import plain_imagenet
import plain_mnist
import race
import rows

vgg16 = cache(torchvision.models.vgg16)  # its weights take seconds to draw


def latents(n, *sizes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, size, generator=rng) for size in sizes]


@pytest.mark.parametrize("training", [True, False])
def test_the_cgn_is_the_same(training):
    net, plain = nets.CGN().double(), plain_mnist.CGN().double()
    plain.load_state_dict(net.state_dict(), strict=True)
    net.train(training), plain.train(training)
    y, u = torch.arange(20) % 10, latents(20, 32)[0].double()
    x = net._input(u, y)
    ours = net.mask(u, y).expand(-1, 3, -1, -1), net.f_text1(x), net.f_text2(x)
    theirs = plain.made([u] * 3, [y] * 3, shuffled=False)
    assert all(map(partial(torch.allclose, atol=1e-12), ours, theirs))


def test_a_plain_texture_is_only_shifted():
    x = torch.rand(8, 3, 32, 32)
    shifted = plain_mnist.shuffle(x)
    assert shifted.shape == x.shape and not torch.equal(shifted, x)
    assert torch.equal(shifted.flatten(1).sort(1).values, x.flatten(1).sort(1).values)


def test_the_classifiers_steps_are_the_same():
    net, plain = nets.CNN(), plain_mnist.CNN()
    plain.load_state_dict(net.state_dict(), strict=True)
    x, y = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
    for part in (net, plain):
        F.nll_loss(part(x), y).backward()
    for (name, ours), theirs in zip(net.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5), name


@pytest.mark.parametrize("critic", ["linear", "conv"])
def test_the_discriminators_are_the_same(critic):
    fast, plain = {
        "linear": (nets.LinearDiscriminator(8, torch.Generator()), plain_mnist.LinearDiscriminator),
        "conv": (nets.ConvDiscriminator(8), plain_mnist.ConvDiscriminator),
    }[critic]
    plain = plain(8)
    plain.load_state_dict(fast.state_dict(), strict=True)
    x, y = torch.randn(6, 3, 32, 32), torch.arange(6)
    assert torch.allclose(fast.eval()(x, y), plain.eval()(x, y), atol=1e-5)


def test_the_gram_distance_is_the_same():
    recipe = PUBLISHED["wildlife"]
    fast = perceptual.vgg16(recipe.layers, pretrained=False)
    plain = plain_mnist.Perceptual(recipe.layers, recipe.factors)
    plain.features.load_state_dict(fast.stages.state_dict())
    x, target = torch.randn(2, 4, 3, 32, 32)
    expected = losses.gram_distance(fast(x), fast(target), recipe.factors)
    assert torch.allclose(plain(x, target), expected, rtol=1e-4)


def test_a_plain_rendering_shows_the_digit_in_its_textures():
    digits = mnists.load_digits("mnist-5k", "train")[torch.arange(30)]
    data, masks = plain_mnist.Wildlife(digits), mnists.digit_masks(digits)
    for i in range(0, 30, 10):
        (x, y), (again, _) = data[i], data[i]
        assert y == digits.labels[i] and x.shape == (3, 32, 32)
        assert not torch.equal(x, again)  # another crop at every access
        assert x.abs().max() <= 1 and masks[i].any()


def test_decisions_are_the_same():
    probabilities = rows.answers()[:40]
    named = [categories.SIXTEEN[i] for i in categories.sixteen(probabilities).argmax(1).tolist()]
    assert plain_mnist.sixteen(probabilities.double().numpy()) == named
    nine = categories.nine(probabilities.argmax(1)).tolist()
    assert plain_mnist.nine(probabilities.numpy()) == nine and len(set(nine)) > 1


def test_the_cgn_over_biggan_and_its_loss_are_the_same(shipped, monkeypatch):
    monkeypatch.setattr("cgnlib.nets.shipped.FOLDER", shipped)
    net = worlds.find("menagerie").start().eval()
    u, y = latents(2, net.config.z_dim)[0].clamp(-2, 2), torch.tensor([3, 7])
    made = net(u, y, y, y, 1.0)
    plain = plain_imagenet.made(net, u, y, 1.0)
    ours = made.x_gt, made.mask, made.fg, made.bg, made.bg_mask
    assert all(map(partial(torch.allclose, atol=2e-3), ours, plain))

    patches = replace(MENAGERIE_MECHANISMS.patches, best=1)  # nothing is left to chance
    recipe = replace(MENAGERIE_MECHANISMS, patches=patches)
    features = perceptual.build(recipe.perceptual, recipe.layers)
    drawn = draw_windows(len(u), patches, torch.Generator())
    terms = loss_terms(made, recipe.weights, features, patches, drawn)
    assert torch.allclose(plain_imagenet.loss(features, ours, recipe), sum(terms.values()))


@pytest.mark.parametrize("row", [r for r in rows.ROWS if "256" not in r.name], ids=lambda r: r.name)
def test_both_sides_of_a_row_do_a_unit_of_work(row, monkeypatch):
    monkeypatch.setattr(perceptual, "build", perceptual.build)  # one side puts another there
    monkeypatch.setattr(torchvision.models, "vgg16", vgg16)
    monkeypatch.setattr(rows, "WORKERS", 0)
    ended = []

    def clock():
        ended.append(1)
        raise race.Ended

    for side in (row.plain, row.fast):
        with suppress(race.Ended):
            side(clock)
    assert len(ended) == 2


def test_a_race_gives_a_rate_and_a_memory_for_each_side():
    found = race.run(race.Row("equal", endless, endless, (10, 20), 1), seconds=0.1)
    assert min(found.rates) > 0 and min(found.memory) > 0
    assert found.ratio == found.rates[1] / found.rates[0]


def test_times_of_three_sizes_grow():
    seconds = bench.scaling(race.Row("equal", endless, endless, (1, 1), 1), units=50)
    assert 0 < seconds[0] < seconds[1] < seconds[2]


@pytest.mark.long
def test_a_million_images_are_trained_on_without_a_copy():
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    found = bench.million(steps=24)
    assert found["on_disk"] > 2.8  # GiB
    assert found["private"] < 2  # of which libraries and the batch's maps are nearly all
    assert found["mapped"] < 1  # pages of the file stay no longer than a batch


def test_a_stored_set_is_trained_on_without_a_copy(tmp_path):
    """As the million, on a tenth and in this process: what it takes in ten steps."""
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    bench.blank_set(tmp_path, bench.MILLION // 10)
    private, mapped = [bench._status("RssAnon")], []

    def clock():
        private.append(bench._status("RssAnon"))
        mapped.append(bench._status("RssFile"))
        return len(mapped) == 10

    recipe = ClassifierRecipe(epochs=1, batch=200)
    with pytest.raises(Interrupted):
        train_classifier(load_set(tmp_path), recipe, 0, Checkpoint(stop=clock))
    size = (tmp_path / "images.npy").stat().st_size / 2**30
    assert max(private) - private[0] < size > 0.28  # GiB
    assert mapped[-1] - mapped[0] < 1000 * 2**-18  # of 1,800 pages at least, a page an image


def test_an_unknown_row_is_one_line_that_names_the_rows(monkeypatch):
    program = paths.ROOT / "benchmarks" / "bench.py"
    monkeypatch.setattr(sys, "argv", [str(program), "--only", "nothing of that name"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(program), run_name="__main__")
    (line,) = ended.value.code.splitlines()  # Python prints it, and exits with 1
    assert line.startswith("error: no row has") and rows.ROWS[0].name in line


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_what_is_no_time_is_refused(seconds, capsys):
    with pytest.raises(SystemExit):
        bench.main(["--seconds", seconds])
    assert "name some seconds" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_told_before_anything_is_timed(monkeypatch, tmp_path):
    (tmp_path / "records").write_text("a file, where a folder should be")
    monkeypatch.setattr(paths, "records", lambda: tmp_path / "records")
    monkeypatch.setattr(bench, "measured", lambda *args, **kwargs: pytest.fail("timed"))
    with pytest.raises(CGNError, match="cannot be written"):
        bench.main([])


def test_ctrl_c_leaves_the_table_as_it_was(monkeypatch, tmp_path):
    def stopped(*args, **kwargs):
        yield "row", "ratio", 1.0, "ratio", ""
        raise KeyboardInterrupt

    (tmp_path / "benchmarks.csv").write_text("as it was")
    monkeypatch.setattr(paths, "records", lambda: tmp_path)
    monkeypatch.setattr(bench, "measured", stopped)
    with pytest.raises(CGNError, match="nothing was written"):
        bench.main([])
    assert [f.name for f in tmp_path.iterdir()] == ["benchmarks.csv"]
    assert (tmp_path / "benchmarks.csv").read_text() == "as it was"


@pytest.mark.parametrize("busy", [(0.0, 0.0), (50.0, 0.0), (0.0, 50.0)])
def test_beside_other_work_no_record_is_written(busy, monkeypatch, tmp_path, capsys):
    taken = iter(busy)
    monkeypatch.setattr(race.psutil, "cpu_percent", lambda seconds: next(taken))
    monkeypatch.setattr(paths, "records", lambda: tmp_path)
    timed = [("row", "ratio", 1.0, "ratio", "")]
    monkeypatch.setattr(bench, "measured", lambda *args, **kwargs: iter(timed))
    bench.main([])
    warned = capsys.readouterr().err
    assert [f.name for f in tmp_path.iterdir()] == (["benchmarks.csv"] if not any(busy) else [])
    assert not warned if not any(busy) else "other work takes 50% of the cores" in warned


def test_the_tracked_benchmarks_name_every_row_and_the_machine():
    with (paths.ROOT / "book" / "records" / "benchmarks.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == bench.COLUMNS
    assert all(row["device"] and row["commit"] and float(row["value"]) > 0 for row in table)
    assert {row["benchmark"] for row in table} >= {row.name for row in rows.ROWS}
