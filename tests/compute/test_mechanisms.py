"""ImageNet runs on the menagerie with random parts: what they leave, and what they measure."""

import hashlib
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from stopping import StopAt
from torch import nn

from cgnlib import chance, worlds
from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import Job, compute, mechanisms
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.data import sources
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments.worlds import FACTS
from cgnlib.measures import metrics
from cgnlib.nets import perceptual
from cgnlib.nets import shipped as parts
from cgnlib.nets.imagenet import FROZEN, TRAINED
from cgnlib.nets.readers import Reader
from cgnlib.runs.inputs import checksums
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.mechanisms import train_mechanisms
from cgnlib.worlds import imagenet
from cgnlib.worlds.menagerie import Menagerie
from ship import ship

MINI, PAPER = e.profile("mini"), e.profile("paper")


def changed(run, **settings):
    return replace(run, recipe=replace(run.recipe, **settings))


RUN = changed(MINI.mechanisms("none", 0), steps=3, batch=1, window=2, lr=(1e-3,) * 3)
QUALITY = changed(MINI.quality(RUN), evaluated=8)
BIGGAN = changed(MINI.quality(None), evaluated=8)


@pytest.fixture(autouse=True)
def random(random_parts):
    """Random parts in place of the trained ones."""


@pytest.fixture(scope="module")
def finished(shipped, tmp_path_factory):
    """A tiny training and the quality of its CGN: both folders, metrics and the history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "FOLDER", shipped)
        folder, judged = (tmp_path_factory.mktemp(name) for name in ("mechanisms", "quality"))
        made, history = compute(RUN, Job(folder))
        found, nothing = compute(QUALITY, Job(judged, {"generator": folder}))
        assert nothing is None
    return folder, made, history, judged, found


@pytest.fixture(scope="module")
def net(finished):
    """The trained CGN; no test changes it."""
    return net_of(RUN, finished[0])


def same_as_file(net, folder):
    stored, state = load_file(folder / WEIGHTS), net.state_dict()
    return stored.keys() == state.keys() and all(torch.equal(stored[k], state[k]) for k in state)


# --- training


def test_a_training_leaves_weights_and_a_sheet_for_each_window(finished):
    folder, made, history, *_ = finished
    assert {p.name for p in folder.iterdir()} == {WEIGHTS, "sheet_0001.png", "sheet_0002.png"}
    assert [row["step"] for row in history] == [2, 3]
    last = {f"loss_{name}": value for name, value in history[-1].items() if name != "step"}
    names = (*asdict(RUN.recipe.weights), "mask_mean")
    assert made == last and set(made) == {f"loss_{name}" for name in names}


def test_stored_weights_are_the_trained_ones_and_sheets_disturb_nothing(finished):
    """The same training without sheets ends with the same bits."""
    net = worlds.find("menagerie").start()
    features = perceptual.build(RUN.recipe.perceptual, RUN.recipe.layers)
    history = train_mechanisms(net, features, RUN.recipe, 0, Checkpoint())
    assert same_as_file(net, finished[0]) and history == finished[2]
    start, state = worlds.find("menagerie").start().state_dict(), net.state_dict()
    still = {name: all(torch.equal(state[key], start[key]) for key in state
                       if key.startswith(f"{name}.")) for name in (*FROZEN, *TRAINED)}  # fmt: skip
    assert still == dict.fromkeys(FROZEN, True) | dict.fromkeys(TRAINED, False)


def test_a_stopped_run_leaves_the_same_files(finished, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    job = Job(folder, checkpoint=Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(2)))
    with pytest.raises(Interrupted):
        compute(RUN, job)
    assert [p.name for p in folder.iterdir()] == ["sheet_0001.png"]
    assert compute(RUN, job) == finished[1:3]
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert files == {p.name: p.read_bytes() for p in finished[0].iterdir()}


def test_an_ablated_run_trains_without_its_losses(tmp_path):
    run = changed(MINI.mechanisms("reconstruction", 0), steps=1, batch=1)
    made, _ = compute(run, Job(tmp_path))
    assert set(made) == {f"loss_{name}" for name in ("binary", "mask", "text", "bg", "mask_mean")}


def test_the_published_cgn_is_stored_as_it_is(tmp_path, monkeypatch):
    net = worlds.find("menagerie").start()
    monkeypatch.setattr(imagenet, "published", lambda name: net)
    assert compute(PAPER.published_mechanisms(), Job(tmp_path)) == ({}, None)
    assert same_as_file(net, tmp_path)


# --- sheets


def test_panels_are_the_parts_of_one_pass(net):
    found = mechanisms.panels(net, "menagerie", 0.5)
    assert tuple(found) == ("mask", "premask", "fg", "bg", "x_gen", "x_gt")
    for name, images in found.items():
        assert images.shape == (10, 3, 64, 64) and images.abs().max() <= 1, name
    mask = (found["mask"] + 1) / 2
    assert (mask == mask[:, :1]).all() and mask.std() > 0.05
    composed = mask * found["fg"] + (1 - mask) * found["bg"]
    assert torch.allclose(found["x_gen"], composed, atol=1e-5)
    again = mechanisms.panels(net, "menagerie", 0.5)
    assert all(torch.equal(found[name], again[name]) for name in found)  # the same latents always
    other = mechanisms.panels(net, "menagerie", 1.0)
    assert not torch.equal(found["x_gt"], other["x_gt"])


@pytest.mark.parametrize("training", [True, False])
def test_panels_leave_the_net_and_chance_alone(net, training):
    net.train(training)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    chance = torch.get_rng_state()
    found = mechanisms.panels(net, "menagerie", 0.5)
    assert net.training is training and not net.u2net.training
    assert torch.equal(torch.get_rng_state(), chance)
    state = net.state_dict()
    assert all(torch.equal(state[key], before[key]) for key in before)
    assert not any(images.requires_grad for images in found.values())
    net.eval()


def test_a_sheet_has_a_row_for_each_class_and_a_column_for_each_part(net, tmp_path):
    mechanisms.sheet(net, "menagerie", 0.5, tmp_path / "sheet.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sheet.png"]
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (6 * 64, 10 * 64) and image.mode == "RGB"
        pixels = np.asarray(image)
    found = mechanisms.panels(net, "menagerie", 0.5)
    for column, images in enumerate(found.values()):
        for row, cell in enumerate(to_stored(images)):
            y, x = row * 64, column * 64
            assert (pixels[y : y + 64, x : x + 64] == cell.numpy()).all(), (row, column)


def test_the_last_sheet_shows_the_trained_net(finished, net, tmp_path):
    mechanisms.sheet(net, "menagerie", RUN.recipe.truncation, tmp_path / "sheet.png")
    found = np.asarray(Image.open(finished[0] / "sheet_0002.png")).astype(int)
    assert np.abs(found - np.asarray(Image.open(tmp_path / "sheet.png"))).max() <= 1
    first = np.asarray(Image.open(finished[0] / "sheet_0001.png")).astype(int)
    assert np.abs(found - first).max() > 1


# --- quality

SCORES = {"inception_score", "inception_score_spread", "class_read"}
MASKS = {"mask_coverage", "mask_coverage_spread", "mask_binary", "mask_iou"}
READ = {"shape_read", "texture_read", "background_read", "all_read"}


def judged(run, folder, cgn=None):
    """The metrics alone, without the samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mechanisms, "_show", lambda *_: None)
        return compute(run, Job(folder, {"generator": cgn})).metrics


def test_quality_measures_in_fractions_and_scores(finished):
    found = dict(finished[4])
    assert found.keys() == SCORES | MASKS | READ
    assert all(type(value) is float for value in found.values())
    assert 1 <= found.pop("inception_score") <= 4  # four images a split
    found.pop("inception_score_spread")
    assert all(0 <= value <= 1 for value in found.values())
    assert found["all_read"] <= min(found[f"{name}_read"] for name in draws.MECHANISMS)
    assert 0 < found["mask_coverage_spread"] < 0.5


def test_quality_equals_a_plain_version(finished, net):
    """One image at a time, through the net itself; the classifier read by hand."""
    classifier = parts.load("classifier", Reader())
    rng = generator(0, "quality")
    y = torch.randint(10, (8,), generator=rng)
    u = draws.truncated_noise(8, 64, 0.5, rng)
    read, coverage, binary, iou, answers = [], [], [], [], []
    with torch.no_grad():
        for i in range(8):
            made = net(u[i : i + 1], *[y[i : i + 1]] * 3, 0.5)
            answers.append(classifier(made.x_gen)[0].softmax(1))
            read.append(answers[-1].argmax().item() == y[i].item())
            coverage.append(made.mask.mean().item())
            binary.append(((made.mask < 0.1) | (made.mask > 0.9)).float().mean().item())
            ours, true = made.mask[0] > 0.5, net.u2net(made.x_gt)[0] > 0.5
            iou.append(((ours & true).sum() / (ours | true).sum().clamp_min(1)).item())
    found = finished[4]
    score = metrics.inception_score(torch.cat(answers), 2)
    assert (found["inception_score"], found["inception_score_spread"]) == pytest.approx(
        score, rel=1e-3, abs=1e-5
    )
    assert found["class_read"] == sum(read) / 8
    assert found["mask_coverage"] == pytest.approx(np.mean(coverage), abs=1e-4)
    assert found["mask_coverage_spread"] == pytest.approx(np.std(coverage), abs=1e-4)
    assert found["mask_binary"] == pytest.approx(np.mean(binary), abs=2e-3)
    assert found["mask_iou"] == pytest.approx(np.mean(iou), abs=1e-2)


def test_quality_does_not_depend_on_the_chunk(finished, tmp_path, monkeypatch):
    few = replace(FACTS["menagerie"], at_once=3)
    monkeypatch.setitem(FACTS, "menagerie", few)
    assert judged(QUALITY, tmp_path, finished[0]) == pytest.approx(finished[4], rel=1e-3, abs=2e-3)


def test_what_a_cgn_makes_at_a_time_fits_a_small_gpu():
    """Of 11 GB, two are the system's; nets are there whole and folded."""
    an_image = 9.0e9 / 50  # the peak of one folded BigGAN at 256 pixels, measured on a CPU
    of = FACTS["imagenet"]
    assert an_image * of.at_once + 2 * of.cgn < 9e9 < an_image * 50 + 2 * of.cgn


def test_quality_has_a_seed(finished, tmp_path):
    assert judged(QUALITY, tmp_path, finished[0]) == finished[4]
    other = judged(replace(QUALITY, seed=1), tmp_path, finished[0])
    assert other["mask_coverage"] != finished[4]["mask_coverage"]


def test_biggan_is_scored_without_masks(tmp_path):
    found, _ = compute(BIGGAN, Job(tmp_path))
    assert found.keys() == SCORES and not list(tmp_path.iterdir())
    assert 1 <= found["inception_score"] <= 4 and 0 <= found["class_read"] <= 1
    net, classifier = worlds.find("menagerie").start().eval(), parts.load("classifier", Reader())
    rng = generator(0, "quality")
    y = torch.randint(10, (8,), generator=rng)
    u = draws.truncated_noise(8, 64, 0.5, rng)
    with torch.no_grad():
        answers = classifier(net.draw_real(u, y, 0.5))[0].softmax(1)
    score, _ = metrics.inception_score(answers, 2)
    assert found["inception_score"] == pytest.approx(score, rel=1e-5)


def test_masks_of_biggans_own_shapes_overlap_wholly(tmp_path, monkeypatch):
    """Before training, the shape mechanism is BigGAN: what it masks is what is salient."""
    monkeypatch.setattr(Menagerie, "load", lambda self, path, mend: self.start().eval())
    found = judged(QUALITY, tmp_path, tmp_path)
    assert found["mask_iou"] == 1 and 0 < found["mask_coverage"] < 1


class Constant(nn.Module):
    """Names one class for each mechanism, whatever it sees."""

    def __init__(self, *classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        rows = torch.eye(10)[list(self.classes)]
        return tuple(row.expand(len(x), 10) for row in rows)


def test_counterfactuals_are_read_by_mechanism(finished, tmp_path, monkeypatch):
    run = changed(QUALITY, evaluated=40)
    rng = generator(0, "counterfactuals")
    drawn = torch.stack([torch.randint(10, (40,), generator=rng) for _ in range(3)], 1)
    wanted = drawn[7]  # read right at least once
    monkeypatch.setattr(Menagerie, "probe", lambda self: Constant(*wanted.tolist()))
    found = judged(run, tmp_path, finished[0])
    for i, name in enumerate(draws.MECHANISMS):
        share = (drawn[:, i] == wanted[i]).float().mean().item()
        assert found[f"{name}_read"] == pytest.approx(share) and share > 0
    assert found["all_read"] == pytest.approx((drawn == wanted).all(1).float().mean().item())
    assert found["all_read"] > 0


def test_imagenets_images_are_judged_as_a_data_set_gives_them_back(finished, tmp_path, monkeypatch):
    seen = []

    class Judge(nn.Module):
        def forward(self, x):
            seen.append(x)
            return torch.full((len(x), 10), 0.1)

    monkeypatch.setattr(Menagerie, "judge", lambda *asked: Judge())
    judged(QUALITY, tmp_path, finished[0])
    judged(changed(QUALITY, stretch="minmax"), tmp_path, finished[0])
    plain, stored = seen
    assert torch.equal(stored, datasets.read_back(plain, "minmax"))
    assert (stored != plain).float().mean() > 0.5
    levels = (stored + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-3)  # bytes


@pytest.mark.parametrize("protocol", ["standard", "study"])
def test_the_judge_is_that_of_the_protocol(protocol, finished, tmp_path, monkeypatch):
    asked, judge = [], Menagerie.judge
    monkeypatch.setattr(
        Menagerie, "judge", lambda self, told: asked.append(told) or judge(self, "standard")
    )
    judged(changed(QUALITY, protocol=protocol), tmp_path, finished[0])
    assert asked == [protocol]


def test_the_menagerie_has_no_study_protocol(finished, tmp_path):
    with pytest.raises(CGNError, match="standard alone"):
        judged(changed(QUALITY, protocol="study"), tmp_path, finished[0])


def test_samples_are_what_the_figures_show(finished, net):
    with np.load(finished[3] / "samples.npz") as stored:
        arrays = dict(stored)
    assert [p.name for p in finished[3].iterdir()] == ["samples.npz"]
    found = mechanisms.panels(net, "menagerie", 0.5)
    assert arrays.keys() == {*found, "counterfactual", "classes"}
    for name, images in found.items():
        assert arrays[name].dtype == np.uint8
        assert np.abs(arrays[name].astype(int) - to_stored(images).numpy()).max() <= 1, name
    assert arrays["counterfactual"].shape == (24, 64, 64, 3)
    classes = torch.from_numpy(arrays["classes"])
    assert classes.shape == (24, 3) and classes.min() >= 0 and classes.max() <= 9
    assert len(classes.unique(dim=0)) > 12
    rng = generator(chance.SHEET, "counterfactuals")
    torch.randint(10, (24, 3), generator=rng)
    u = draws.truncated_noise(24, 64, 0.5, rng)
    with torch.no_grad():
        x_gen = net(u[:3], *classes[:3].T, 0.5).x_gen
    difference = arrays["counterfactual"][:3].astype(int) - to_stored(x_gen).numpy()
    assert np.abs(difference).max() <= 1


# --- inputs


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_inputs_are_the_checksums_of_what_a_run_reads(random_parts):
    files = {name: digest(random_parts / f"{name}.safetensors") for name in parts.NAMES}
    assert checksums(QUALITY.reads()) == checksums(BIGGAN.reads()) == files
    assert len(set(files.values())) == 4
    lite0 = perceptual.checksum("efficientnet-lite0")
    start = {name: files[name] for name in ("biggan", "u2net")}
    assert checksums(RUN.reads()) == start | {"perceptual": lite0}


def test_another_part_is_another_input(tmp_path, monkeypatch, random_u2net):
    before = checksums(QUALITY.reads())
    for path in parts.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    assert checksums(QUALITY.reads()) == before
    u2net = random_u2net()
    u2net.outconv.bias.data.add_(1)
    ship("u2net", u2net, {})
    after = checksums(QUALITY.reads())
    assert {name for name in before if after[name] != before[name]} == {"u2net"}


def test_inputs_on_imagenet_are_the_downloads(tmp_path, monkeypatch):
    def find(name):
        (tmp_path / name).write_text(name)
        return tmp_path / name

    monkeypatch.setattr(sources, "find", find)
    starts = {"biggan256": "biggan256", "u2net": "u2net"}
    for run, names in (
        (PAPER.published_mechanisms(), {"weights": "cgn-imagenet"}),
        (PAPER.mechanisms("none", 0), starts | {"perceptual": "vgg16"}),
        (PAPER.quality(None), starts | {"inception-v3": "inception-v3"}),
    ):
        wanted = {role: hashlib.sha256(n.encode()).hexdigest() for role, n in names.items()}
        assert checksums(run.reads()) == wanted, run.id


@pytest.mark.parametrize(
    ("gigabytes", "together"), [(2, 1), (11, 2), (80, 16), (141, 32), (10_000, 2048)]
)
def test_a_pass_takes_the_batches_that_fit_on_the_gpu(gigabytes, together, monkeypatch):
    paper = PAPER.mechanisms("none", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (gigabytes * 1e9, 0))
    assert mechanisms.batches_at_once(paper, torch.device("cuda")) == together
    assert mechanisms.batches_at_once(paper, torch.device("cpu")) == 1
    assert mechanisms.batches_at_once(RUN, torch.device("cuda")) == 1  # a step has one
