"""ImageNet runs on the menagerie with random parts: what they leave, and what they measure."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from cgnlib.imagenet import loss_weights
from PIL import Image
from safetensors.torch import load_file
from stopping import StopAt
from torch import nn

from cgnlib import chance as train
from cgnlib import experiments, worlds
from cgnlib.compute import digits, mechanisms
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.data import sources
from cgnlib.errors import CGNError, Interrupted
from cgnlib.measures import metrics
from cgnlib.nets import perceptual
from cgnlib.nets import shipped as parts
from cgnlib.nets.imagenet import FROZEN, TRAINED
from cgnlib.nets.readers import Reader
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.mechanisms import train_imagenet_cgn

MINI = experiments.profile("mini")
TINY = replace(
    MINI,
    mechanisms=MINI.mechanisms | {"steps": 3, "batch": 1, "window": 2, "lr": (1e-3,) * 3},
    quality=MINI.quality | {"evaluated": 8},
)
RUN = experiments.mechanisms(TINY, "none", 0)
QUALITY = experiments.quality(TINY, RUN)
BIGGAN = experiments.quality(TINY, None)
PAPER = experiments.profile("paper")


@pytest.fixture(autouse=True)
def random(random_parts):
    """Random parts in place of the trained ones."""


def changed(run, **settings):
    return replace(run, settings=tuple(sorted((dict(run.settings) | settings).items())))


@pytest.fixture(scope="module")
def finished(shipped, tmp_path_factory):
    """A tiny training and the quality of its CGN: both folders, metrics and the history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "FOLDER", shipped)
        patch.setattr(mechanisms, "DEVICE", torch.device("cpu"))
        folder, judged = (tmp_path_factory.mktemp(name) for name in ("mechanisms", "quality"))
        made, history = mechanisms.mechanisms(RUN, folder, {}, Checkpoint())
        found, nothing = mechanisms.quality(QUALITY, judged, {"generator": folder}, None)
        assert nothing is None
    return folder, made, history, judged, found


@pytest.fixture(scope="module")
def net(finished):
    """The trained CGN; no test changes it."""
    return worlds.load("menagerie", finished[0] / "weights.safetensors")


# --- training


def test_a_training_leaves_weights_and_a_sheet_for_each_window(finished):
    folder, made, history, *_ = finished
    assert {p.name for p in folder.iterdir()} == {
        "weights.safetensors",
        "sheet_0001.png",
        "sheet_0002.png",
    }
    assert [row["step"] for row in history] == [2, 3]
    last = {f"loss_{name}": value for name, value in history[-1].items() if name != "step"}
    assert made == last and set(made) == {f"loss_{n}" for n in (*loss_weights("menagerie"),
                                                                "mask_mean")}  # fmt: skip


def test_stored_weights_are_the_trained_ones_and_sheets_disturb_nothing(finished):
    """The same training without sheets ends with the same bits."""
    net = worlds.start("menagerie")
    features = perceptual.build(RUN["perceptual"], RUN["layers"])
    s = dict(RUN.settings) | {"weights": dict(RUN["weights"]), "patches": dict(RUN["patches"])}
    history = train_imagenet_cgn(net, features, s, 0, Checkpoint())
    stored = load_file(finished[0] / "weights.safetensors")
    state = net.state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in state)
    assert history == finished[2]
    start = worlds.start("menagerie").state_dict()
    for name in (*FROZEN, *TRAINED):
        keys = [key for key in state if key.startswith(f"{name}.")]
        still = all(torch.equal(stored[key], start[key]) for key in keys)
        assert still == (name in FROZEN), name


def test_a_stopped_run_leaves_the_same_files(finished, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(2))
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(Interrupted):
        mechanisms.mechanisms(RUN, folder, {}, checkpoint)
    assert [p.name for p in folder.iterdir()] == ["sheet_0001.png"]
    made, history = mechanisms.mechanisms(RUN, folder, {}, checkpoint)
    assert (made, history) == finished[1:3]
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert files == {p.name: p.read_bytes() for p in finished[0].iterdir()}


def test_an_ablated_run_trains_without_its_losses(tmp_path):
    run = changed(experiments.mechanisms(TINY, "reconstruction", 0), steps=1)
    made, _ = mechanisms.mechanisms(run, tmp_path, {}, Checkpoint())
    assert set(made) == {f"loss_{name}" for name in ("binary", "mask", "text", "bg", "mask_mean")}


def test_the_published_cgn_is_stored_as_it_is(tmp_path, monkeypatch):
    net = worlds.start("menagerie")
    monkeypatch.setattr(worlds, "published", lambda name: {"imagenet": net}[name])
    run = experiments.published_mechanisms(PAPER)
    assert mechanisms.mechanisms(run, tmp_path, {}, Checkpoint()) == ({}, None)
    stored, state = load_file(tmp_path / "weights.safetensors"), net.state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in state)


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
    mechanisms.sheet(net, "menagerie", RUN["truncation"], tmp_path / "sheet.png")
    found = np.asarray(Image.open(finished[0] / "sheet_0002.png")).astype(int)
    assert np.abs(found - np.asarray(Image.open(tmp_path / "sheet.png"))).max() <= 1
    first = np.asarray(Image.open(finished[0] / "sheet_0001.png")).astype(int)
    assert np.abs(found - first).max() > 1


# --- quality

SCORES = {"inception_score", "inception_score_spread", "class_read"}
MASKS = {"mask_coverage", "mask_coverage_spread", "mask_binary", "mask_iou"}
READ = {"shape_read", "texture_read", "background_read", "all_read"}


def judged(run, folder, generator=None):
    """The metrics alone, without the samples."""
    needs = {} if generator is None else {"generator": generator}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mechanisms, "_save_samples", lambda *_: None)
        return mechanisms.quality(run, folder, needs, Checkpoint())[0]


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
    rng = train.generator(0, "quality")
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
    monkeypatch.setattr(mechanisms, "CHUNK", 3)
    assert judged(QUALITY, tmp_path, finished[0]) == pytest.approx(finished[4], rel=1e-3, abs=2e-3)


def test_quality_has_a_seed(finished, tmp_path):
    assert judged(QUALITY, tmp_path, finished[0]) == finished[4]
    other = judged(replace(QUALITY, seed=1), tmp_path, finished[0])
    assert other["mask_coverage"] != finished[4]["mask_coverage"]


def test_biggan_is_scored_without_masks(tmp_path):
    found, _ = mechanisms.quality(BIGGAN, tmp_path, {}, Checkpoint())
    assert found.keys() == SCORES and not list(tmp_path.iterdir())
    assert 1 <= found["inception_score"] <= 4 and 0 <= found["class_read"] <= 1
    net, classifier = worlds.start("menagerie").eval(), parts.load("classifier", Reader())
    rng = train.generator(0, "quality")
    y = torch.randint(10, (8,), generator=rng)
    u = draws.truncated_noise(8, 64, 0.5, rng)
    with torch.no_grad():
        answers = classifier(net.draw_real(u, y, 0.5))[0].softmax(1)
    score, _ = metrics.inception_score(answers, 2)
    assert found["inception_score"] == pytest.approx(score, rel=1e-5)


def test_masks_of_biggans_own_shapes_overlap_wholly(tmp_path, monkeypatch):
    """Before training, the shape mechanism is BigGAN: what it masks is what is salient."""
    monkeypatch.setattr(worlds, "load", lambda name, _: worlds.start(name).eval())
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
    drawn = torch.stack(
        [torch.randint(10, (40,), generator=rng) for rng in [train.generator(0, "counterfactuals")]
         for _ in range(3)], 1,
    )  # fmt: skip
    wanted = drawn[7]  # read right at least once
    monkeypatch.setattr(worlds, "probe", lambda: Constant(*wanted.tolist()))
    found = judged(run, tmp_path, finished[0])
    for i, name in enumerate(draws.MECHANISMS):
        share = (drawn[:, i] == wanted[i]).float().mean().item()
        assert found[f"{name}_read"] == pytest.approx(share) and share > 0
    assert found["all_read"] == pytest.approx((drawn == wanted).all(1).float().mean().item())
    assert found["all_read"] > 0


def test_imagenets_images_are_judged_as_a_data_set_gives_them_back(finished, tmp_path, monkeypatch):
    seen = []

    def judge(x):
        seen.append(x)
        return torch.full((len(x), 10), 0.1)

    class Judge(nn.Module):
        def forward(self, x):
            return judge(x)

    monkeypatch.setattr(worlds, "judge", lambda *asked: Judge())
    judged(QUALITY, tmp_path, finished[0])
    judged(changed(QUALITY, stretch="minmax"), tmp_path, finished[0])
    plain, stored = seen
    assert torch.equal(stored, datasets.read_back(plain, "minmax"))
    assert (stored != plain).float().mean() > 0.5
    levels = (stored + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-3)  # bytes


@pytest.mark.parametrize("protocol", ["standard", "study"])
def test_the_judge_is_that_of_world_and_protocol(protocol, finished, tmp_path, monkeypatch):
    asked = []
    original = worlds.judge
    monkeypatch.setattr(
        worlds, "judge", lambda *which: asked.append(which) or original("menagerie", "standard")
    )
    judged(changed(QUALITY, protocol=protocol), tmp_path, finished[0])
    assert asked == [("menagerie", protocol)]


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
    rng = train.generator(mechanisms.SHEET_SEED, "counterfactuals")
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
    assert digits.inputs(QUALITY) == digits.inputs(BIGGAN) == files
    lite0 = perceptual.checksum("efficientnet-lite0")
    start = {name: files[name] for name in ("biggan", "u2net")}
    assert digits.inputs(RUN) == start | {"perceptual": lite0}


def test_another_part_is_another_input(tmp_path, monkeypatch, random_biggan, random_u2net):
    before = digits.inputs(QUALITY)
    for path in parts.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    assert digits.inputs(QUALITY) == before
    u2net = random_u2net()
    u2net.outconv.bias.data.add_(1)
    parts.ship("u2net", u2net, {})
    after = digits.inputs(QUALITY)
    assert {name for name in before if after[name] != before[name]} == {"u2net"}


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (experiments.published_mechanisms(PAPER), {"weights": "cgn-imagenet"}),
        (
            experiments.mechanisms(PAPER, "none", 0),
            {"biggan256": "biggan256", "u2net": "u2net", "perceptual": "vgg16"},
        ),
        (
            experiments.quality(PAPER, None),
            {"biggan256": "biggan256", "u2net": "u2net", "inception-v3": "inception-v3"},
        ),
    ],
    ids=["published", "trained", "quality"],
)
def test_inputs_on_imagenet_are_the_downloads(run, names, tmp_path, monkeypatch):
    def find(name):
        (tmp_path / name).write_text(name)
        return tmp_path / name

    monkeypatch.setattr(sources, "find", find)
    found = digits.inputs(run)
    assert found == {role: hashlib.sha256(n.encode()).hexdigest() for role, n in names.items()}
