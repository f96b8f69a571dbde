"""Small trainings on the MNISTs, one of each kind, that tests of several rooms put to the test.

They want the fixture `few_digits`: 40 images.
"""

from dataclasses import replace

import pytest
import torch

from cgnlib import chance
from cgnlib.data import variants
from cgnlib.experiments.recipes import CGNRecipe, ClassifierRecipe, GANRecipe
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_cgn, train_classifier, train_gan
from cgnlib.training.loop import CPU

CGN = CGNRecipe(
    steps=60, batch=4, lr=2e-3, lr_critic=1e-3, latent=4, ngf=4, ndf=8, discriminator="linear",
    init="orthogonal", gain=0.2, mask=0.3,
    perceptual="efficientnet-lite0", layers=(0,), factors=(0.3,),
)  # fmt: skip
CONV = replace(CGN, steps=20, discriminator="conv", ndf=4, init="normal", gain=0.03, edge=0.1)
GAN = GANRecipe(steps=60, batch=4, lr=2e-3, lr_critic=1e-3, latent=4, ngf=4, ndf=8)
CLASSIFIER = ClassifierRecipe(batch=16, epochs=3)  # 9 steps
RECIPES = {"cgn": CGN, "conv": CONV, "gan": GAN, "classifier": CLASSIFIER}
of_every_kind = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def split(variant):
    """The training split, whose cues are those of the label."""
    return variants.load(variant, "mnist-5k", "train", chance.generator(0, 0))


def train(recipe, seed=0, checkpoint=None, device=CPU):
    """The net that a recipe trains, and the history."""
    checkpoint = checkpoint or Checkpoint()
    match recipe:
        case CGNRecipe():
            data = split("wildlife" if recipe.discriminator == "conv" else "double_colored")
            return train_cgn(data.to(device), recipe, seed, checkpoint)
        case GANRecipe():
            return train_gan(split("double_colored").to(device), recipe, seed, checkpoint)
        case ClassifierRecipe():
            return train_classifier(split("colored").freeze().to(device), recipe, seed, checkpoint)


def same(one, other):
    """Whether two nets have the same weights, bit for bit."""
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
