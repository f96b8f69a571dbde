"""What each kind of run computes: from a declared run and the folders of its needs to files.

Each function writes its artefacts into `folder` and returns (metrics, history or None).
"""

import csv
import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cgnlib import precision, processor
from cgnlib.chance import generator
from cgnlib.counterfactuals import digits as counterfactuals
from cgnlib.data import digits as digits_data
from cgnlib.data import sources, variants
from cgnlib.data.images import Images, Union, load_set
from cgnlib.data.variants import Variant
from cgnlib.errors import CGNError, reason
from cgnlib.experiments import Run
from cgnlib.measures import metrics
from cgnlib.nets import mnist as nets
from cgnlib.runs.inputs import Input, checksums
from cgnlib.training import digits as train
from cgnlib.training.checkpoints import Checkpoint

TEST_SEED = 2021  # all runs of a profile are tested on the same images
CHUNK = 500
LONG = ("cgn", "gan", "set", "classifier")  # on the MNISTs
# kinds with products in bfloat16
MIXED = ("cgn", "gan", "set", "classifier", "mechanisms", "plain", "ensemble")


def execute(run: Run, folder: Path, needs: dict[str, Path], checkpoint: Checkpoint):
    """Compute a run whose needs lie in the given folders."""
    if run.kind in ELSEWHERE:
        return getattr(_elsewhere(run), run.kind)(run, folder, needs, checkpoint)
    return KINDS[run.kind](run, folder, needs, checkpoint)


def reads(run: Run) -> dict[str, Input]:
    """The data and pretrained parts that a run reads, by role."""
    if run.kind in ELSEWHERE and run.variant not in variants.VARIANTS:
        return _elsewhere(run).reads(run)
    found = {}
    if "digits" in dict(run.settings):
        found["digits"] = Input("digits", run["digits"])
    if run.variant == "wildlife" and "textures" in dict(run.settings):
        found["textures"] = Input("textures", run["textures"])
    if "perceptual" in dict(run.settings):
        found["perceptual"] = Input.of_net(run["perceptual"])
    if run.kind == "cgn" and run["source"] == "published":
        found["weights"] = Input("weights", f"cgn-{run.variant}")
    return found


def on_gpu(run: Run) -> bool:
    """Whether a run computes on a GPU that is here; what measures on the MNISTs does not gain.

    `jobs.uses_gpu` says for which a cluster is asked for one.
    """
    if not torch.cuda.is_available():
        return False
    if run.variant not in (*variants.VARIANTS, "digits"):
        return True
    return run.kind in LONG and dict(run.settings).get("source") != "published"


def device_of(run: Run) -> torch.device:
    """Where a run computes."""
    return torch.device("cuda" if on_gpu(run) else "cpu")


def device_name(run: Run) -> str:
    """What a run computes on, and in bfloat16 where its products are."""
    if on_gpu(run):
        return processor.device()
    given = dict(run.settings).get("source") in ("published", "pretrained")  # nothing is computed
    here = precision.of(torch.device("cpu"))
    if run.kind in MIXED and not given and here == precision.BFLOAT16:
        return processor.cpu().replace("(CPU)", "(CPU, bfloat16)")
    return processor.cpu()


def gpu_memory_mb(run: Run) -> float:
    """How much of a GPU's memory to keep free for a run; for what is on ImageNet, all of it."""
    if not on_gpu(run):
        return 0
    if run.variant in (*variants.VARIANTS, "digits"):
        return 4_000
    return 6_000 if run.variant == "menagerie" else math.inf


def inputs(run: Run) -> dict[str, str]:
    """Checksums of what a run reads: part of what must match.

    Raises CGNError, with the command that mends it, for an input that is missing or damaged.
    """
    return checksums(reads(run))


def load_cgn(path: Path, latent: int, ngf: int) -> nets.CGN:
    """A CGN from safetensors, whole or not at all, in evaluation mode."""
    return _load(nets.CGN(latent, ngf), path)


def load_cnn(path: Path) -> nets.CNN:
    """A classifier from safetensors, whole or not at all, in evaluation mode."""
    return _load(nets.CNN(), path)


def published_cgn(variant: str) -> nets.CGN:
    """One of the three published CGNs, from CGN_DATA.

    Raises CGNError when the file is missing, has another checksum or holds another net.
    """
    if variant not in variants.VARIANTS:
        raise CGNError(f"there is no published CGN of {variant!r}: choose {variants.VARIANTS}")
    return nets_from_checkpoint(sources.find(f"cgn-{variant}"), nets.CGN())


def nets_from_checkpoint(path: Path, net: nn.Module) -> nn.Module:
    """Load a torch checkpoint into a net, strictly, on the CPU, in evaluation mode."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(state, strict=True)
    except Exception as error:
        raise CGNError(
            f"{path} is not a checkpoint of {type(net).__name__} "
            f"({reason(error)}): use the file it was published with"
        ) from error
    return net.to(memory_format=torch.channels_last).eval()


def predict(net: nets.CNN, data: Images | Variant) -> Tensor:
    """Predicted classes of a whole set, in order, [N] on the CPU."""
    net.eval()
    device = net.cls[0].weight.device
    batches = (data.batch(part)[0].to(device) for part in torch.arange(len(data)).split(CHUNK))
    with torch.inference_mode():
        return torch.cat([net(x).argmax(1) for x in batches]).cpu()


def split_of(run: Run, split: str, rng: torch.Generator, **kwargs) -> Variant:
    """The variant's split that a run works on."""
    return Variant(run.variant, run["digits"], split, rng, run["textures"], **kwargs)


def _cgn(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    if run["source"] == "published":
        net, history = published_cgn(run.variant), None
    else:
        data = split_of(run, "train", generator(run.seed, "data")).to(device_of(run))
        net, history = train.train_cgn(data, dict(run.settings), run.seed, checkpoint)
    _save(net, folder)
    final = {} if history is None else {f"loss_{k}": v for k, v in history[-1].items()}
    final.pop("loss_step", None)
    return final, history


def _gan(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    data = split_of(run, "train", generator(run.seed, "data")).to(device_of(run))
    net, history = train.train_gan(data, dict(run.settings), run.seed, checkpoint)
    _save(net, folder)
    final = {f"loss_{k}": v for k, v in history[-1].items() if k != "step"}
    return final, history


def _set(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    source = run.need("generator")
    build, sample = {
        "cgn": (nets.CGN, counterfactuals.sample_cgn),
        "gan": (nets.GAN, counterfactuals.sample_gan),
    }[source.kind]
    net = _load(build(source["latent"], source["ngf"]), needs["generator"] / "weights.safetensors")
    net.to(device_of(run))
    n = counterfactuals.set_size(run["size"], run["per_shape"])
    labels = []
    part = folder / "images.part"
    with part.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (n, 32, 32, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for batch in sample(net, run["size"], run["per_shape"], generator(run.seed, "set")):
            file.write(batch.x.numpy().tobytes())
            labels.append(batch.y.numpy())
    np.save(folder / "labels.npy", np.concatenate(labels))
    part.replace(folder / "images.npy")
    return {"images": n}, None


def _classifier(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    train_on = run["train_on"]
    parts: list[Images] = []
    rng = generator(run.seed, "data")
    if train_on.startswith("original"):
        parts.append(split_of(run, "train", rng).freeze())
    if train_on.endswith("decorrelated"):
        parts.append(_decorrelated(run, rng))
    if "set" in needs:
        parts.append(load_set(needs["set"]))
    if "share" in dict(run.settings):
        parts = mix(*parts, run["share"], rng)
    data = (parts[0] if len(parts) == 1 else Union(*parts)).to(device_of(run))
    net, history = train.train_classifier(data, dict(run.settings), run.seed, checkpoint)
    test = split_of(run, "test", generator(TEST_SEED, "test"))
    predicted = predict(net, test.freeze())
    _save(net, folder)
    _write_decisions(folder / "decisions.csv", test, predicted)
    return {
        "train_images": len(data),
        "train_accuracy": history[-1]["train_accuracy"],
        "test_images": len(test),
        "test_accuracy": (predicted == test.y).sum().item() / len(test),
    }, history


def mix(original: Images, made: Images, share: float, rng: torch.Generator) -> list[Images]:
    """As many images as there are generated ones, a share of them originals drawn at random.

    Raises ValueError where there are too few originals.
    """
    n = round(share * len(made))
    if n > len(original):
        raise ValueError(
            f"{n} of {len(made)} images cannot be originals: there are {len(original)}"
        )
    chosen = torch.randperm(len(original), generator=rng)[:n]
    return [Images(original.x[chosen], original.y[chosen]), Images(made.x[n:], made.y[n:])]


def _decorrelated(run: Run, rng: torch.Generator) -> Images:
    """Training digits whose cues are drawn at random, rendered several times over."""
    rendered = [
        split_of(run, "train", rng, association="random").freeze() for _ in range(run["renderings"])
    ]
    return Images(torch.cat([r.x for r in rendered]), torch.cat([r.y for r in rendered]))


def _evaluation(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    """How good a CGN's masks and counterfactuals are, read by nets that never saw it.

    The probe reads bare masks, the oracle whole images; both learned from true digits only.
    """
    source = run.need("generator")
    net = load_cgn(needs["generator"] / "weights.safetensors", source["latent"], source["ngf"])
    probe, oracle = (load_cnn(needs[role] / "weights.safetensors") for role in ("probe", "oracle"))
    rng = generator(run.seed, "evaluation")
    y = torch.arange(10).repeat_interleave(run["evaluated"] // 10)
    with torch.inference_mode():
        mask, fg, bg, _, _ = next(counterfactuals.interventions(net, y, rng))
        x_gen = nets.compose(mask, fg, bg)
        hard = mask > 0.5
        bare = hard.expand(-1, 3, -1, -1).float() * 2 - 1
        read_mask = torch.cat([probe(part).argmax(1) for part in bare.split(CHUNK)]) == y
        read_image = torch.cat([oracle(part).argmax(1) for part in x_gen.split(CHUNK)]) == y
    digits = digits_data.load_digits(run["digits"], "train", run.variant)
    true = digits_data.digit_masks(digits, run.variant)
    test = split_of(run, "test", generator(TEST_SEED, "test"))
    iou = metrics.nearest_iou(hard, y, true, digits.labels)
    of_class = {
        f"mask_read_{label}": read_mask[y == label].float().mean().item() for label in range(10)
    }
    _save_samples(folder / "samples.npz", run, net)
    return {
        "mask_coverage": metrics.mask_coverage(mask).mean().item(),
        "mask_coverage_true": test.mask.float().mean().item(),
        "mask_binary": ((mask < 0.1) | (mask > 0.9)).float().mean().item(),
        "mask_iou": iou.mean().item(),
        "mask_iou_true": metrics.nearest_iou(test.mask, test.y, true, digits.labels).mean().item(),
        "mask_read": read_mask.float().mean().item(),
        "mask_read_true": _probe_ceiling(probe, test),
        "image_read": read_image.float().mean().item(),
        "image_read_true": (predict(oracle, test) == test.y).float().mean().item(),
        "usable_digits": sum(share >= 0.5 for share in of_class.values()),
        **of_class,
    }, None


def _probe_ceiling(probe: nets.CNN, test: Variant) -> float:
    bare = test.mask.expand(-1, 3, -1, -1).float() * 2 - 1
    with torch.inference_mode():
        predicted = torch.cat([probe(part).argmax(1) for part in bare.split(CHUNK)])
    return (predicted == test.y).float().mean().item()


def _save_samples(path: Path, run: Run, net: nets.CGN) -> None:
    """What the chapter's figure shows: real images, mechanisms and counterfactuals, as bytes."""
    data = split_of(run, "train", generator(run.seed, "samples", "real"))
    first = torch.stack([(data.y == label).nonzero()[:3, 0] for label in range(10)])
    y, rng = torch.arange(10), generator(run.seed, "samples")
    with torch.inference_mode():
        mask, fg, bg = net(net.draw_latent(10, rng), y, rng)
        shapes = y.repeat_interleave(3)
        composed = [
            nets.compose(m, f, b)
            for m, f, b, _, _ in counterfactuals.interventions(net, shapes, rng)
        ]
    arrays = {
        "real": data.batch(first.flatten())[0],
        "mask": mask * 2 - 1,
        "fg": fg,
        "bg": bg,
        "x_gen": nets.compose(mask, fg, bg),
        "counterfactual": composed[0],
    }
    stored = {name: counterfactuals.to_stored(x).numpy() for name, x in arrays.items()}
    np.savez_compressed(path, **stored)


def _explanation(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    from cgnlib.compute import explanation  # slow to import, and needed here alone

    net = load_cnn(needs["classifier"] / "weights.safetensors")
    test = split_of(run, "test", generator(TEST_SEED, "test"))
    return explanation.explanation(run, folder, net, test)


def _cues(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    from cgnlib.compute import cues  # slow to import, as for explanations

    source = run.need("generator")
    cgn = load_cgn(needs["generator"] / "weights.safetensors", source["latent"], source["ngf"])
    net = load_cnn(needs["classifier"] / "weights.safetensors")
    test = split_of(run, "test", generator(TEST_SEED, "test"))
    return {"following": cues.following, "crossing": cues.crossing}[run.kind](run, net, cgn, test)


def _head_maps(run: Run, folder: Path, needs: dict, checkpoint: Checkpoint):
    from cgnlib.compute import heads  # slow to import, and needed here alone

    return heads.head_maps(run, folder, needs)


KINDS: dict[str, Callable] = {
    "cgn": _cgn,
    "gan": _gan,
    "set": _set,
    "classifier": _classifier,
    "evaluation": _evaluation,
    "explanation": _explanation,
    "following": _cues,
    "crossing": _cues,
    "head-maps": _head_maps,
}
# Kinds whose modules take seconds to import: only a run of the kind pays for it.
ELSEWHERE = {
    **dict.fromkeys(("mechanisms", "quality"), "imagenet_kinds"),
    **dict.fromkeys(("images", "plain", "ensemble", "robustness"), "ensemble_kinds"),
    **dict.fromkeys(("reader", "disentanglement"), "disentanglement_kinds"),
}


def _elsewhere(run: Run) -> ModuleType:
    return import_module(f"cgnlib.{ELSEWHERE[run.kind]}")


def _write_decisions(path: Path, test: Variant, predicted: Tensor) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "label", "fg", "bg", "prediction"])
        columns = (test.y, test.fg, test.bg, predicted)
        writer.writerows(zip(range(len(predicted)), *(c.tolist() for c in columns), strict=True))


def _save(net: nn.Module, folder: Path) -> None:
    save_file(
        {k: v.contiguous() for k, v in net.state_dict().items()}, folder / "weights.safetensors"
    )


def _load(net: nn.Module, path: Path) -> nn.Module:
    try:
        net.load_state_dict(load_file(path), strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CGNError(
            f"{path} does not hold the weights of this {type(net).__name__} "
            f"({reason(error)}): delete its folder and run again"
        ) from error
    return net.to(memory_format=torch.channels_last).eval()
