"""The runs that make and use small nets on the MNISTs: CGNs, GANs, sets of images, classifiers."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgnlib import chance
from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals.digits import sample_cgn, sample_gan, set_size
from cgnlib.data import sources, variants
from cgnlib.data.images import Images, Union, load_set
from cgnlib.data.variants import Variant
from cgnlib.nets import mnist, weights
from cgnlib.training.digits import train_cgn, train_classifier, train_gan

CHUNK = 500  # images that a classifier looks at at a time


def split_of(run: e.OnDigits, split: str, rng: torch.Generator, **kwargs) -> Variant:
    """The variant's split that a run works on."""
    return variants.load(run.variant, run.digits, split, rng, run.textures, **kwargs)


def test_of(run: e.OnDigits) -> Variant:
    """The test images, on which all runs of a profile are tested alike."""
    return split_of(run, "test", generator(chance.DIGITS_TEST, "test"))


def predict(net: mnist.CNN, data: Images | Variant) -> Tensor:
    """Predicted classes of a whole set, in order, [N] on the CPU."""
    net.eval()
    device = net.cls[0].weight.device
    batches = (data.batch(part)[0].to(device) for part in torch.arange(len(data)).split(CHUNK))
    with torch.inference_mode():
        return torch.cat([net(x).argmax(1) for x in batches]).cpu()


def _cgn(run: e.CGN, job: Job) -> Found:
    data = split_of(run, "train", generator(run.seed, "data")).to(job.device)
    net, history = train_cgn(data, run.recipe, run.seed, job.checkpoint)
    weights.save(net, job.folder / WEIGHTS)
    return Found(_last(history), history)


def _published_cgn(run: e.PublishedCGN, job: Job) -> Found:
    path = sources.find(f"cgn-{run.variant}")
    net = weights.load(mnist.CGN(run.latent, run.ngf), path, "use the file as it was published")
    weights.save(net, job.folder / WEIGHTS)
    return Found({})


def _gan(run: e.GAN, job: Job) -> Found:
    data = split_of(run, "train", generator(run.seed, "data")).to(job.device)
    net, history = train_gan(data, run.recipe, run.seed, job.checkpoint)
    weights.save(net, job.folder / WEIGHTS)
    return Found(_last(history), history)


def _last(history: list[dict]) -> dict[str, float]:
    """The losses that a training ended with."""
    return {f"loss_{name}": value for name, value in history[-1].items() if name != "step"}


def _set(run: e.ImageSet, job: Job) -> Found:
    net = net_of(run.generator, job.needs["generator"]).to(job.device)
    sample = sample_gan if isinstance(run.generator, e.GAN) else sample_cgn
    n = set_size(run.size, run.per_shape)
    part = job.folder / "images.part"
    stored = np.lib.format.open_memmap(part, "w+", np.uint8, (n, 32, 32, 3))
    labels = np.empty(n, np.int64)
    end = 0
    for batch in sample(net, run.size, run.per_shape, generator(run.seed, "set")):
        start, end = end, end + len(batch)
        stored[start:end], labels[start:end] = batch.x.numpy(), batch.y.numpy()
    stored.flush()
    del stored
    np.save(job.folder / "labels.npy", labels)
    part.replace(job.folder / "images.npy")
    return Found({"images": n})


def _classifier(run: e.Classifier, job: Job) -> Found:
    data = _training_images(run, job).to(job.device)
    net, history = train_classifier(data, run.recipe, run.seed, job.checkpoint)
    test = test_of(run)
    predicted = predict(net, test.freeze())
    weights.save(net, job.folder / WEIGHTS)
    _write_answers(job.folder / "decisions.csv", test, predicted)
    return Found(
        {
            "train_images": len(data),
            "train_accuracy": history[-1]["train_accuracy"],
            "test_images": len(test),
            "test_accuracy": (predicted == test.y).sum().item() / len(test),
        },
        history,
    )


def _training_images(run: e.Classifier, job: Job) -> Images | Union:
    rng = generator(run.seed, "data")
    parts: list[Images] = []
    if run.originals:
        parts.append(split_of(run, "train", rng).freeze())
    if run.renderings:
        parts.append(_decorrelated(run, run.renderings, rng))
    if run.set:
        parts.append(load_set(job.needs["set"]))
    if run.share is not None:
        parts = mix(*parts, run.share, rng)
    return parts[0] if len(parts) == 1 else Union(*parts)


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


def _decorrelated(run: e.Classifier, times: int, rng: torch.Generator) -> Images:
    """Training digits whose cues are drawn at random, rendered several times over."""
    rendered = [split_of(run, "train", rng, association="random").freeze() for _ in range(times)]
    return Images(torch.cat([r.x for r in rendered]), torch.cat([r.y for r in rendered]))


def _write_answers(path: Path, test: Variant, predicted: Tensor) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "label", "fg", "bg", "prediction"])
        columns = (test.y, test.fg, test.bg, predicted)
        writer.writerows(zip(range(len(predicted)), *(c.tolist() for c in columns), strict=True))


KINDS: dict[type, Callable[..., Found]] = {
    e.CGN: _cgn,
    e.PublishedCGN: _published_cgn,
    e.GAN: _gan,
    e.ImageSet: _set,
    e.Classifier: _classifier,
}
