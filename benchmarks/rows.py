"""The pieces of work that are timed: the plain rendition and the fast path of each, side by side.

Each side runs in processes of its own, on all cores; see `race`.  Perceptual nets and generators
of the paper's size have random weights, which cost as much as trained ones.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count

import plain_imagenet
import plain_mnist
import torch
from race import Clock, Row
from torch import nn
from torch.utils.data import DataLoader

from cgnlib import chance, worlds
from cgnlib.counterfactuals.digits import sample_cgn
from cgnlib.data import categories, digits, variants
from cgnlib.experiments import profile
from cgnlib.experiments.recipes import PUBLISHED, CGNRecipe, ClassifierRecipe, MechanismsRecipe
from cgnlib.nets import biggan, perceptual
from cgnlib.nets import mnist as nets
from cgnlib.nets.imagenet import ImageNetCGN
from cgnlib.nets.u2net import U2Net
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_cgn, train_classifier
from cgnlib.training.mechanisms import train_mechanisms

LONG = 10**9  # steps or images: more than anybody waits for
BATCH = 64
CGN_BATCH = PUBLISHED["wildlife"].batch  # that of all variants
WORKERS = 2  # loading processes of the plain renditions


def each(steps: Iterator[None], clock: Clock) -> None:
    for _ in steps:
        clock()


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def variant(name: str) -> variants.Variant:
    return variants.load(name, "mnist-5k", "train", rng())


# --- data


def plain_rendering(clock: Clock) -> None:
    data = plain_mnist.Wildlife(digits.load_digits("mnist-5k", "train"))
    while True:
        for _ in DataLoader(data, BATCH, shuffle=True, num_workers=WORKERS):
            clock()


def fast_rendering(clock: Clock) -> None:
    data = variant("wildlife")
    for epoch in count():
        for index in torch.randperm(len(data), generator=chance.generator(0, epoch)).split(BATCH):
            data.batch(index)
            clock()


# --- training on the MNISTs


def plain_cgn(clock: Clock, name: str) -> None:
    data: object = plain_mnist.Wildlife(digits.load_digits("mnist-5k", "train"))
    if name != "wildlife":
        frozen = variant(name).freeze()  # its cues cost nothing: kind to the plain side
        data = torch.utils.data.TensorDataset(frozen.x.permute(0, 3, 1, 2).contiguous(), frozen.y)
    each(plain_mnist.cgn_steps(data, PUBLISHED[name], WORKERS), clock)


def fast_cgn(clock: Clock, name: str) -> None:
    """The same work: the same nets, batch and layers of VGG-16."""
    perceptual.build = lambda _, layers: perceptual.vgg16(layers, pretrained=False)
    _train_cgn(clock, name, PUBLISHED[name])


def full_cgn(clock: Clock, name: str) -> None:
    """The profile `full` as it is."""
    _train_cgn(clock, name, profile("full").digits.cgn[name])


def _train_cgn(clock: Clock, name: str, recipe: CGNRecipe) -> None:
    train_cgn(variant(name), replace(recipe, steps=LONG), 0, Checkpoint(stop=clock))


def plain_generation(clock: Clock, per_shape: int) -> None:
    kept = []  # as floats, as the published code keeps them
    for batch in plain_mnist.counterfactuals(plain_mnist.CGN(), per_shape):
        kept = [*kept[-100:], batch]
        clock()


def fast_generation(clock: Clock, per_shape: int) -> None:
    net = nets.CGN().to(memory_format=torch.channels_last)
    for _ in sample_cgn(net, LONG, per_shape, rng()):
        clock()


def plain_classifier(clock: Clock) -> None:
    x, y = variant("wildlife").batch(torch.arange(4000))
    each(plain_mnist.classifier_steps(x.contiguous(), y, BATCH), clock)


def fast_classifier(clock: Clock) -> None:
    recipe = ClassifierRecipe(epochs=10**6, batch=BATCH, gamma=1.0)
    train_classifier(variant("wildlife").freeze(), recipe, 0, Checkpoint(stop=clock))


# --- decisions


def answers() -> torch.Tensor:
    return torch.randn(1000, categories.CLASSES, generator=rng()).mul(3).softmax(1)


def plain_decisions(clock: Clock) -> None:
    probabilities = answers().numpy()
    while True:
        plain_mnist.sixteen(probabilities)
        plain_mnist.nine(probabilities)
        clock()


def fast_decisions(clock: Clock) -> None:
    probabilities = answers()
    while True:
        categories.sixteen(probabilities).argmax(1)
        categories.nine(probabilities.argmax(1))
        clock()


# --- the CGN over BigGAN


Started = tuple[ImageNetCGN, nn.Module, MechanismsRecipe]


def menagerie() -> Started:
    recipe = replace(profile("mini").world.mechanisms, steps=LONG, window=50)
    features = perceptual.build(recipe.perceptual, recipe.layers)
    return worlds.find("menagerie").start(), features, recipe


def large() -> Started:
    """The paper's size, 256 pixels: one image a pass, one pass a step."""
    recipe = replace(profile("paper").world.mechanisms, steps=LONG, accumulate=1)
    features = perceptual.vgg16(recipe.layers, pretrained=False)
    return ImageNetCGN(biggan.BIGGAN_256, U2Net.published()), features, recipe


WORLDS = {"menagerie": menagerie, "large": large}


def plain_mechanisms(clock: Clock, world: str) -> None:
    net, features, recipe = WORLDS[world]()
    features.to(memory_format=torch.contiguous_format)
    each(plain_imagenet.steps(net, features, recipe), clock)


def fast_mechanisms(clock: Clock, world: str) -> None:
    net, features, recipe = WORLDS[world]()
    train_mechanisms(net, features, recipe, 0, Checkpoint(stop=clock))


# --- the table

# GFLOP are those of the plain rendition, as torch.utils.flop_counter counts them.
ROWS = (
    Row("W-MNIST rendering", plain_rendering, fast_rendering, (BATCH, BATCH), 40),
    Row(
        "CGN training, W-MNIST, same work",
        partial(plain_cgn, name="wildlife"),
        partial(fast_cgn, name="wildlife"),
        (CGN_BATCH, CGN_BATCH),
        1.7,
        2.99,
        each_core=True,
    ),
    Row(
        "CGN training, DC-MNIST, same work",
        partial(plain_cgn, name="double_colored"),
        partial(fast_cgn, name="double_colored"),
        (CGN_BATCH, CGN_BATCH),
        1.7,
        2.2,
        each_core=True,
    ),
    Row(
        "CGN training, W-MNIST, profile full",
        partial(plain_cgn, name="wildlife"),
        partial(full_cgn, name="wildlife"),
        (CGN_BATCH, CGN_BATCH),
        6,
        each_core=True,
    ),
    Row(
        "Counterfactuals, one a shape",
        partial(plain_generation, per_shape=1),
        partial(fast_generation, per_shape=1),
        (100, 100),
        5,
        0.256,
        each_core=True,
    ),
    Row(
        "Counterfactuals, ten a shape",
        partial(plain_generation, per_shape=10),
        partial(fast_generation, per_shape=10),
        (100, 100),
        5,
        0.141,
        each_core=True,
    ),
    Row(
        "Classifier training",
        plain_classifier,
        fast_classifier,
        (BATCH, BATCH),
        2,
        0.0501,
        each_core=True,
    ),
    Row("16 and 9 categories", plain_decisions, fast_decisions, (1000, 1000), 50),
    Row(
        "CGN training, menagerie",
        partial(plain_mechanisms, world="menagerie"),
        partial(fast_mechanisms, world="menagerie"),
        (16, 16),
        1.5,
        each_core=True,
    ),
    Row(
        "CGN training, 256 pixels",
        partial(plain_mechanisms, world="large"),
        partial(fast_mechanisms, world="large"),
        (1, 1),
        1.3,
        memory_target=0.75,
    ),
)
