"""The runs that make and use small nets on the MNISTs: CGNs, GANs, sets of images, classifiers."""

import csv
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cgnlib import experiments as e
from cgnlib.chance import DIGITS_TEST, generator
from cgnlib.compute import Found, Job
from cgnlib.compute.nets_of import WEIGHTS, keep, net_of
from cgnlib.counterfactuals.digits import sample_cgn, sample_gan, set_size
from cgnlib.data import sources, variants
from cgnlib.data.images import Images, Union, load_set
from cgnlib.data.variants import Variant
from cgnlib.nets import mnist, weights
from cgnlib.training.digits import train_cgn, train_classifier, train_gan
from cgnlib.training.film import Film

CHUNK = 500  # images that a classifier looks at at a time


def split_of(run: e.OnDigits, split: str, rng: torch.Generator, **kwargs) -> Variant:
    """The variant's split that a run works on."""
    return variants.load(run.variant, run.digits, split, rng, run.textures, **kwargs)


def test_of(run: e.OnDigits) -> Variant:
    """The test images, on which all runs of a profile are tested alike."""
    return split_of(run, "test", generator(DIGITS_TEST, "test"))


def predict(net: mnist.CNN, data: Images | Variant) -> Tensor:
    """Predicted classes of a whole set, in order, [N] on the CPU."""
    net.eval()
    device = net.cls[0].weight.device
    batches = (data.batch(part)[0].to(device) for part in torch.arange(len(data)).split(CHUNK))
    with torch.inference_mode():
        return torch.cat([net(x).argmax(1) for x in batches]).cpu()


def _data(run: e.CGN | e.GAN, job: Job) -> Variant:
    return split_of(run, "train", generator(run.seed, "data")).to(job.device)


def _cgn(run: e.CGN, job: Job) -> Found:
    film = Film(run.recipe.steps)
    trained = train_cgn(_data(run, job), run.recipe, run.seed, job.checkpoint, film)
    film.save(job.folder / "film.npz")
    return keep(job, *trained)


def _gan(run: e.GAN, job: Job) -> Found:
    return keep(job, *train_gan(_data(run, job), run.recipe, run.seed, job.checkpoint))


def _published(run: e.PublishedCGN, job: Job) -> Found:
    path = sources.find(f"cgn-{run.variant}")
    net = mnist.CGN(run.latent, run.ngf)
    return keep(job, weights.load(net, path, "use the file as it was published"))


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
    with (job.folder / "decisions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "label", "fg", "bg", "prediction"])
        columns = (torch.arange(len(test)), test.y, test.fg, test.bg, predicted)
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
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
        drawn = (split_of(run, "train", rng, association="random") for _ in range(run.renderings))
        rendered = [each.freeze() for each in drawn]
        parts.append(Images(torch.cat([r.x for r in rendered]), torch.cat([r.y for r in rendered])))
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


KINDS: dict[type, Callable[..., Found]] = {
    e.CGN: _cgn,
    e.PublishedCGN: _published,
    e.GAN: _gan,
    e.ImageSet: _set,
    e.Classifier: _classifier,
}
