"""Runs behind claim 3 on ImageNet and the menagerie: what they leave and measure, end to end."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from stopping import StopAt
from torch.multiprocessing import ProcessRaisedException
from torchvision.models.resnet import Bottleneck, ResNet

from cgnbook import drawing, heads, page
from cgnbook.chapters import claim3_backgrounds as backgrounds
from cgnbook.chapters import claim3_shape_bias as shape_bias
from cgnbook.chapters import out_of_distribution
from cgnbook.names import NONE
from cgnlib import compute, processor, runs
from cgnlib import experiments as e
from cgnlib.chance import seeded
from cgnlib.compute import Job, classifiers, mechanisms
from cgnlib.compute.classifiers import measures
from cgnlib.compute.nets_of import WEIGHTS
from cgnlib.counterfactuals.datasets import read_dataset
from cgnlib.data import preprocessing, public, sources
from cgnlib.data.categories import SIXTEEN, imagenet_a, wordnet
from cgnlib.errors import CGNError, Interrupted
from cgnlib.experiments import PROFILES, grid, with_needs
from cgnlib.experiments.claims import claim_3_imagenet
from cgnlib.measures import decisions
from cgnlib.nets import biggan, weights
from cgnlib.nets import shipped as parts
from cgnlib.nets.ensemble import SUBJECTS
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.u2net import U2Net
from cgnlib.runs import pool, process
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.worlds import imagenet

MINI, PAPER = e.profile("mini"), e.profile("paper")


def scaled(profile, seeds, **recipes):
    """A profile with other settings in the recipes of its world."""
    changed = {n: replace(getattr(profile.world, n), **of) for n, of in recipes.items()}
    return replace(profile, world=replace(profile.world, ensemble_seeds=seeds, **changed))


TINY = scaled(
    MINI,
    (0,),
    mechanisms={"steps": 1, "batch": 1, "window": 1},
    images={"train": 7, "val": 5},
    plain={"train": 10, "val": 6, "batch": 4},
    ensemble={"train": 10, "val": 6, "batch": 6},
    tests={"val": 7},
)
TESTS = ("cue_conflict", "original", "mixed_same", "mixed_rand")


def on_the_cpu(patch):
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setattr(torch.cuda, "device_count", lambda: 0)
    patch.delenv("CGN_DEVICES", raising=False)


@pytest.fixture(autouse=True)
def no_gpu(random_parts, monkeypatch):
    """Random parts in place of the menagerie's trained ones; all on the CPU."""
    on_the_cpu(monkeypatch)


@pytest.fixture(scope="module")
def finished(shipped, tmp_path_factory):
    """Tiny runs of the claim on the menagerie, by kind and what was trained on."""
    with pytest.MonkeyPatch.context() as patch:
        on_the_cpu(patch)
        patch.setattr(parts, "FOLDER", shipped)
        patch.setattr(mechanisms, "_show", lambda *_: None)
        patch.setenv("CGN_RUNS", str(tmp_path_factory.mktemp("runs")))
        found = {}
        for run in with_needs(claim_3_imagenet(TINY)):
            process.compute_one(run)
            found[run.kind, run.settings.get("train_on")] = runs.load(run)
        return found


def files(result):
    return {path.name for path in result.folder.iterdir()}


def same_files(a, b):
    a, b = load_file(a / WEIGHTS), load_file(b / WEIGHTS)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- what a run leaves

COMMON = {"spec.json", "env.json", "artefacts.json", "metrics.json", "attempt-001.log"}


def test_each_kind_leaves_its_files_and_nothing_else(finished):
    kinds = {
        "images": {"train", "val"},
        "plain": {WEIGHTS, "history.csv"},
        "ensemble": {WEIGHTS, "history.csv"},
        "robustness": {"decisions.csv"},
    }
    for (kind, _), result in finished.items():
        if kind != "mechanisms":
            assert files(result) == COMMON | kinds[kind], result.run.id
    assert {kind for kind, _ in finished} == kinds.keys() | {"mechanisms"}


def test_images_are_two_sets_of_their_own(finished):
    result = finished["images", None]
    train, val = (read_dataset(result.folder / split) for split in ("train", "val"))
    assert (len(train), len(val)) == (7, 5) and not train.missing + val.missing
    assert result.metrics == {"train_images": 7, "val_images": 5}
    assert train.spec["mode"] == val.spec["mode"] == "random"
    assert (train.spec["truncation"], train.spec["stretch"]) == (0.5, "plain")
    assert train.spec["seed"] != val.spec["seed"]
    assert not torch.equal(train.classes[:5], val.classes)
    assert train.spec["weights"] == sources.sha256(finished["mechanisms", None].folder / WEIGHTS)


def test_trainings_count_their_images_and_name_their_epoch(finished):
    found = finished["ensemble", "real+cgn"].metrics
    assert found.keys() == {
        *("epoch", "epochs", "real_top1", "train_images", "counterfactual_images")
    }
    assert (found["train_images"], found["counterfactual_images"], found["epochs"]) == (10, 7, 3)
    assert "counterfactual_images" not in finished["ensemble", "real"].metrics
    assert finished["plain", None].metrics["epochs"] == 2


@pytest.mark.parametrize(
    ("kind", "train_on", "metric"),
    [("plain", None, "plain"), ("ensemble", "real", "avg"), ("ensemble", "real+cgn", "avg")],
)
def test_the_reported_epoch_is_the_best_on_real_images(kind, train_on, metric, finished):
    result = finished[kind, train_on]
    column = [row[f"{metric}/real_top1"] for row in result.history()]
    assert len(column) == result.metrics["epochs"]
    epoch = int(result.metrics["epoch"])
    assert column[epoch - 1] == max(column) == result.metrics["real_top1"]
    assert max(column) not in column[epoch:]


def test_an_ensembles_history_has_every_test(finished):
    for row in finished["ensemble", "real+cgn"].history():
        for subject in SUBJECTS:
            names = (*TESTS, "bg_gap", "real_top1", "real_top5", "counterfactual_top1")
            assert all(f"{subject}/{name}" in row for name in names)
        assert {"loss_real", "loss_counterfactual", "train_counterfactual_top1"} <= row.keys()
        assert not any(name.endswith("_images") for name in row)
    control = finished["ensemble", "real"].history()[0]
    assert "loss_counterfactual" not in control and "avg/counterfactual_top1" not in control


def test_robustness_is_measured_on_the_decisions_kept(finished):
    for train_on, subjects in (("plain", ("plain",)), ("real", SUBJECTS), ("real+cgn", SUBJECTS)):
        result = finished["robustness", train_on]
        table = decisions.read(result.folder / "decisions.csv")
        sizes = dict.fromkeys(("real", *TESTS), 7) | {"counterfactual": 5}
        for subject in subjects:
            for condition, n in sizes.items():
                assert len(table.where(subj=subject, condition=condition)) == n
        assert len(table) == len(subjects) * sum(sizes.values())
        assert result.metrics == pytest.approx(measures(table))
        assert {k: v for k, v in result.metrics.items() if k.endswith("_images")} == {
            f"{name}_images": n for name, n in sizes.items()
        }


def test_the_weights_kept_are_those_of_the_best_epoch(tmp_path, monkeypatch, finished):
    """Real accuracies are made up: the second epoch is best, the third is best elsewhere."""
    made = iter((0.3, 0.6, 0.5))

    def judge(table):
        value = next(made)
        return {"avg/real_top1": value, "avg/mixed_rand": 1 - value, "real_images": 3}

    states, save = [], weights.save

    def noted(net, path):
        states.append({key: value.clone() for key, value in net.state_dict().items()})
        save(net, path)

    monkeypatch.setattr(classifiers, "measures", judge)
    monkeypatch.setattr(weights, "save", noted)
    found, history = trained(finished, tmp_path)
    assert (found["epoch"], found["real_top1"], found["epochs"]) == (2, 0.6, 3)
    assert [row["avg/real_top1"] for row in history] == [0.3, 0.6, 0.5]
    assert "real_images" not in history[0] and len(states) == 2
    kept = load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(kept[key], states[1][key]) for key in kept)
    assert any(not torch.equal(kept[key], states[0][key]) for key in kept)


def trained(finished, folder, seed=0, **job):
    """The invariant classifier once more."""
    needs = {"start": finished["plain", None].folder, "images": finished["images", None].folder}
    run = replace(finished["ensemble", "real+cgn"].run, seed=seed)
    return compute.compute(run, Job(folder, needs, **job))


def test_a_stopped_run_ends_as_an_undisturbed_one(finished, tmp_path):
    """Also where it stopped between its best epoch and its last."""
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", stop=StopAt(1, 4, 6))
    folder = tmp_path / "run"
    folder.mkdir()
    for _ in range(3):
        torch.manual_seed(5)  # chance has an owner
        with pytest.raises(Interrupted):
            trained(finished, folder, checkpoint=checkpoint)
    found, history = trained(finished, folder, checkpoint=checkpoint)
    whole = finished["ensemble", "real+cgn"]
    assert found == whole.metrics and same_files(folder, whole.folder)
    assert [{k: float(v) for k, v in row.items()} for row in history] == whole.history()


@pytest.mark.slow
def test_two_devices_leave_what_one_does(finished, tmp_path, monkeypatch):
    """Tests of each epoch included, which the first device takes."""
    monkeypatch.setattr(processor, "cores", lambda: 2)
    monkeypatch.setenv("CGN_DEVICES", "2")
    try:
        found, history = trained(finished, tmp_path)
    except ProcessRaisedException as error:
        if "process group" in str(error).lower() or "gloo" in str(error).lower():
            pytest.skip(f"no process group here: {str(error).splitlines()[-1]}")
        raise
    whole = finished["ensemble", "real+cgn"]
    assert found == whole.metrics
    assert len(history) == 3
    for ours, theirs in zip(history, whole.history(), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    kept, other = (load_file(p / WEIGHTS) for p in (tmp_path, whole.folder))
    assert all(torch.allclose(kept[key], other[key], rtol=1e-3, atol=1e-5) for key in other)


def test_seeds_are_of_heads_and_order(finished, tmp_path):
    trained(finished, tmp_path, seed=1)
    assert not same_files(tmp_path, finished["ensemble", "real+cgn"].folder)


# --- measures


def table(subject, condition, rows, **extra):
    """Rows of response, shape and texture."""
    responses, shapes, textures = zip(*rows, strict=True)
    names = [f"{i}.png" for i in range(len(rows))]
    rank = [1 if r == s else 7 for r, s, _ in rows]
    blank = [""] * len(rows)
    return decisions.build(
        subject, condition, names, shapes, responses, rank=rank, texture=textures,
        background=blank,
    )  # fmt: skip


CUES = [("cat", "cat", "dog"), ("dog", "cat", "dog"), ("cat", "cat", "oven")]
CUES += [("oven", "dog", "cat"), ("cat", "cat", "cat")]


def test_measures_equal_a_slow_count():
    """Of five images one has no conflict, and one of the others is decided for neither cue."""
    right, wrong = ("cat", "cat", "cat"), ("dog", "cat", "cat")
    found = measures(
        decisions.join(
            [
                table("shape", "cue_conflict", CUES),
                table("shape", "real", [right, right, wrong]),
                table("shape", "mixed_same", [right, right, right, wrong]),
                table("shape", "mixed_rand", [right, wrong, wrong, wrong]),
                table("avg", "real", [wrong, wrong, right]),
            ]
        )
    )
    low, high = decisions.wilson(2, 3)
    assert found == pytest.approx(
        {
            "shape/cue_conflict": 3 / 5,
            "shape/shape_bias": 2 / 3,
            "shape/shape_bias_low": low,
            "shape/shape_bias_high": high,
            "shape/cue_shape": 2 / 4,
            "shape/cue_texture": 1 / 4,
            "shape/cue_neither": 1 / 4,
            "shape/real_top1": 2 / 3,
            "shape/real_top5": 2 / 3,
            "shape/mixed_same": 3 / 4,
            "shape/mixed_rand": 1 / 4,
            "shape/bg_gap": 1 / 2,
            "avg/real_top1": 1 / 3,
            "avg/real_top5": 1 / 3,
            "cue_conflict_images": 5,
            "real_images": 3,
            "mixed_same_images": 4,
            "mixed_rand_images": 4,
        }
    )


def test_an_undefined_shape_bias_is_left_out():
    found = measures(table("shape", "cue_conflict", [("oven", "cat", "dog")] * 3))
    assert not any("shape_bias" in name for name in found)
    assert found["shape/cue_neither"] == 1 and found["shape/cue_conflict"] == 0


@pytest.mark.parametrize(("cue", "bias"), [(0, 1.0), (1, 0.0)])
def test_a_chooser_by_one_cue_has_a_bias_of_one_or_nothing(cue, bias):
    rows = [(pair[cue], *pair) for pair in (("cat", "dog"), ("oven", "car"), ("dog", "cat"))]
    found = measures(table("plain", "cue_conflict", rows))
    assert found["plain/shape_bias"] == bias == 1 - found["plain/cue_texture"]


# --- the paper's declarations, end to end on a small ImageNet

EDGE = 64  # in place of 224 pixels
CLASSES = (6, 207, 404, 766)  # stingray, golden retriever, airliner, rotisserie
SMALL_CGN = replace(
    biggan.BIGGAN_MENAGERIE,
    output_dim=32,
    z_dim=6,
    class_embed_dim=6,
    channel_width=4,
    num_classes=1000,
    layers=((False, 16, 16), (True, 16, 8), (True, 8, 4), (True, 4, 1)),
    attention_layer_position=2,
)
SMALL_RESNET = partial(ResNet, Bottleneck, [1, 1, 1, 1])
SMALL_PAPER = scaled(
    PAPER,
    (0, 1),
    images={"train": 6, "val": 3},
    ensemble={"batch": 2, "epochs": 2, "decay_every": 1},
)


def write_image(path, rng, size=EDGE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = torch.randint(256, (size, size, 3), generator=rng).to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(path)


def write_benchmarks(root):
    """Some images of each benchmark in its real layout; each category is a shape and a texture."""
    rng, ids = torch.Generator().manual_seed(0), wordnet()
    for c in CLASSES:
        for split in ("train", "val"):
            write_image(root / "in-mini" / split / ids[c] / f"{split}_{c}.JPEG", rng, 80)
        write_image(root / "sketch" / ids[c] / f"sketch_{c}.JPEG", rng, 80)
    for c in imagenet_a().tolist()[:2]:
        write_image(root / "imagenet-a" / ids[c] / f"{c}.jpg", rng, 80)
    for i, shape in enumerate(SIXTEEN):
        pair = shape, SIXTEEN[(i + 1) % 16]
        name = min(n for n, cues in public.stimuli().items() if cues == pair)
        write_image(root / "cue_conflict" / shape / name, rng)
    for variation in ("original", "mixed_same", "mixed_rand"):
        for folder in public.IN9_FOLDERS[::4]:
            write_image(root / "in9" / variation / "val" / folder / "1.JPEG", rng)


def write_weights(root, random_biggan, random_u2net):
    """A small random ResNet and a small random CGN of 1,000 classes, where the real ones belong."""
    (root / "weights").mkdir(parents=True)
    rng = torch.Generator().manual_seed(0)
    resnet = seeded(partial(SMALL_RESNET, zero_init_residual=True), rng)
    cgn = ImageNetCGN(SMALL_CGN, random_u2net()).start_from(random_biggan(SMALL_CGN))
    table = {name: dict(entry) for name, entry in sources.table().items()}
    for name, net in (("resnet50", resnet), ("cgn-imagenet", cgn)):
        path = root / table[name]["file"]
        torch.save(net.state_dict(), path)
        table[name]["sha256"] = sources.sha256(path)
    return table


@pytest.fixture
def small_imagenet(tmp_path, monkeypatch, random_biggan, random_u2net):
    """A small CGN_DATA and an empty CGN_RUNS.  What the paper's profile means in it is smaller,
    its code is not, but for the sizes of CGN and ResNet and the number of images in a benchmark."""
    data = tmp_path / "data"
    write_benchmarks(data)
    table = write_weights(data, random_biggan, random_u2net)
    monkeypatch.setenv("CGN_DATA", str(data))
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setitem(PROFILES, "paper", SMALL_PAPER)
    monkeypatch.setattr(sources, "table", lambda: table)
    monkeypatch.setattr(public, "read", partial(public.read, check=False))
    monkeypatch.setattr(preprocessing, "SIZE", EDGE)
    monkeypatch.setattr(imagenet.ImageNet, "config", SMALL_CGN)
    monkeypatch.setattr(U2Net, "published", U2Net.small)
    monkeypatch.setattr(torchvision.models, "resnet50", lambda weights: SMALL_RESNET())
    monkeypatch.setattr(pool, "ProcessPoolExecutor", lambda n, *_: ThreadPoolExecutor(n))
    return data


def shown(results, monkeypatch):
    """What the chapters show of the results is drawn, though no background is known here."""
    drawn = []
    monkeypatch.setattr(drawing, "show", drawn.append)
    this = page.gather("claim-3-imagenet", results)
    shape_bias.cue_shares(results)
    backgrounds.background_lines(results)
    assert len(drawn) == 2
    plt.close("all")
    for table in (shape_bias.table(this), backgrounds.table(this)):
        assert (table[this.label] != NONE).any()
    assert len(backgrounds.head_by_head(this)) == 1 + 2 * len(SUBJECTS)
    accuracies = out_of_distribution.table(this).set_index("Images")
    assert (accuracies.loc["IN-A", ["paper, plain", "paper, ensemble"]] != NONE).all()
    declared = [result.run.train_on for result in results]
    for train_on, of_heads in heads.measured(this.live).items():
        assert all(len(of["real_top1"]) == declared.count(train_on) for of in of_heads.values())


@pytest.mark.slow
def test_the_papers_runs_reach_both_tables(small_imagenet, monkeypatch):
    """All of claim 3 from the profile's own declarations; a second time computes nothing."""
    declared = grid("paper", "claim-3-imagenet")
    assert Counter(type(run) for run in with_needs(declared)) == {
        e.PublishedMechanisms: 1, e.Images: 1, e.PretrainedPlain: 1, e.Ensemble: 4, e.Robustness: 5,
    }  # fmt: skip
    results = runs.ensure(declared, workers=1)
    sizes = {"real": 4, "cue_conflict": 16, "original": 3, "mixed_same": 3, "mixed_rand": 3}
    sizes |= {"imagenet-a": 2, "sketch": 4, "counterfactual": 3}
    biased = 0
    for result in results:
        found = result.metrics
        table = decisions.read(result.folder / "decisions.csv")
        plain = result.run.train_on == "plain"
        for subject in ("plain",) if plain else SUBJECTS:
            for condition, n in sizes.items():
                assert found[f"{condition}_images"] == n
                assert len(table.where(subj=subject, condition=condition)) == n
            names = ("cue_conflict", "original", "mixed_same", "mixed_rand", "imagenet-a", "sketch")
            names += ("cue_shape", "real_top1", "real_top5", "counterfactual_top1")
            cues = table.where(subj=subject, condition="cue_conflict")
            decided = cues["object_response"]
            if (decided == cues["category"]).any() or (decided == cues["texture"]).any():
                names += ("shape_bias",)  # else there is none to tell
                biased += 1
            assert all(0 <= found[f"{subject}/{name}"] <= 1 for name in names)
            gap = found[f"{subject}/mixed_same"] - found[f"{subject}/mixed_rand"]
            assert found[f"{subject}/bg_gap"] == pytest.approx(gap)
        assert set(table["subj"].tolist()) == set(("plain",) if plain else SUBJECTS)
    assert biased > 10  # of 21; by chance seven of eight have a bias
    for run in with_needs(declared):
        if isinstance(run, e.Ensemble):
            result = runs.load(run)
            assert result.metrics["epochs"] == len(result.history()) == 2
            assert result.metrics["train_images"] == 4
            assert result.metrics.get("counterfactual_images", 6) == 6
            assert {"val", "train", "cue_conflict"} <= result.spec["inputs"].keys()

    shown(results, monkeypatch)

    def refuse(*_):
        raise AssertionError("nothing is computed twice")

    monkeypatch.setattr(compute, "compute", refuse)
    again = runs.ensure(declared, workers=1)
    assert [result.metrics for result in again] == [result.metrics for result in results]
    write_image(
        small_imagenet / "in-mini" / "val" / wordnet()[6] / "new.JPEG",
        torch.Generator().manual_seed(1),
    )
    with pytest.raises(CGNError, match="made from another spec"):
        runs.ensure(declared, workers=1)


def test_a_packaged_network_is_put_to_the_real_stimuli(small_imagenet, monkeypatch):
    """Both preparations of the stimuli, one subject, no training."""
    monkeypatch.setattr(preprocessing, "SIZE", 224)
    root = small_imagenet / "cue_conflict"
    for path in root.rglob("*.png"):
        write_image(path, torch.Generator().manual_seed(2), 224)
    results = runs.ensure(grid("paper", "real-stimuli"), workers=1)
    assert [result.run.recipe.preprocessing for result in results] == ["paper", "authors"]
    for result in results:
        table = decisions.read(result.folder / "decisions.csv")
        assert len(table) == 16 and set(table["subj"].tolist()) == {"efficientnet-lite0"}
        assert set(table["object_response"].tolist()) <= set(SIXTEEN)
        assert result.metrics == pytest.approx(measures(table))
