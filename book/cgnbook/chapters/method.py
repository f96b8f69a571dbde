"""Method and data: settings and sizes of the networks, and what the data sets look like."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from torch import Tensor, nn

from cgnbook import boxes, reported
from cgnbook.drawing import STYLE, WIDTH, bytes_of, tile
from cgnbook.names import NAMES
from cgnlib import experiments
from cgnlib.data.variants import Variant
from cgnlib.experiments.recipes import MENAGERIE_LOSSES, PRINTED_LOSSES, Losses
from cgnlib.experiments.scales import DigitsScale

LAMBDAS = {"l1": "λ1", "perc": "λ2", "binary": "λ3", "mask": "λ4", "text": "λ5", "bg": "λ6"}
# By setting: what the published code trains with, what the paper prints, and ours.
IMAGENET_LOSSES = {"code": Losses(), "paper": PRINTED_LOSSES, "menagerie": MENAGERIE_LOSSES}
_LABEL = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"}


def facts(profile: str, train: Variant, test: Variant, hidden: Tensor) -> dict[str, object]:
    """Every number of the text.  train, test: splits of DC-MNIST.  hidden: the places of the test
    digits that have the colour of their background."""
    told = reported.table(
        "mnist-classification", row="cgn", column="double_colored", metric="test_accuracy",
        source="paper",
    )  # fmt: skip
    share = 100 * len(hidden) / len(test)
    return {
        "profile": profile,
        "n-train": len(train),
        "n-test": len(test),
        "n-hidden": len(hidden),
        "hidden": share,
        "seen": 100 - share,
        "paper-dc": float(told.value.iloc[0]),
    }


def loss_weights() -> pd.DataFrame:
    """The published settings of the CGNs of the MNISTs, a row a variant."""
    return pd.DataFrame(
        {
            "Data": NAMES[variant],
            "λ": f"{recipe.mask:g}",
            "Layer": ", ".join(map(str, recipe.layers)),
            "w": ", ".join(f"{(factor / 5000) ** 0.5:.2g}" for factor in recipe.factors),
            "5000 w²": ", ".join(f"{factor:g}" for factor in recipe.factors),
            "Discriminator": recipe.discriminator,
            "Initial weights": f"{recipe.init}, {recipe.gain}",
        }
        for variant, recipe in experiments.profile("paper").digits.cgn.items()
    )


def imagenet_losses() -> pd.DataFrame:
    """The weight of each loss of the CGN over BigGAN, a column a setting."""

    def shown(weight: float | tuple[float, ...]) -> str:
        return " / ".join(f"{w:,g}" for w in (weight if isinstance(weight, tuple) else (weight,)))

    return pd.DataFrame(
        {"Weight": symbol} | {n: shown(getattr(of, term)) for n, of in IMAGENET_LOSSES.items()}
        for term, symbol in LAMBDAS.items()
    )


def parameters(networks: Mapping[str, nn.Module]) -> pd.DataFrame:
    """How many parameters each network has."""
    return pd.DataFrame(
        {"Network": name, "Parameters": f"{sum(w.numel() for w in net.parameters()):,}"}
        for name, net in networks.items()
    )


def profiles() -> pd.DataFrame:
    """What the profiles have in common and where they differ on the MNISTs, a column a profile."""
    columns = {p.name: _settings(p.digits) for p in experiments.PROFILES.values()}
    return pd.DataFrame(columns).rename_axis("Setting").reset_index()


def _settings(scale: DigitsScale) -> dict[str, object]:
    """The MNIST half of a profile in words."""
    cgn, cnn = scale.cgn["wildlife"], scale.classifier
    edge = [f"{NAMES[v]} {recipe.edge:g}" for v, recipe in scale.cgn.items() if recipe.edge]
    return {
        "Digits": scale.digits,
        "Textures": scale.textures,
        "Net of the Gram loss": cgn.perceptual,
        "Edge loss": ", ".join(edge) or "off",
        "CGN width, W-MNIST": cgn.ngf,
        "CGN steps, W-MNIST": f"{cgn.steps:,} of {cgn.batch}",
        "Released CGN as well": "yes" if scale.published else "no",
        "CGNs a variant": len(scale.generator_seeds),
        "Classifiers a setting": len(scale.seeds),
        "Counterfactuals, at most": f"{max(scale.counterfactuals.values()):,}",
        "Classifier, epochs × batch": f"{cnn.epochs} × {cnn.batch}",
    }


def variants(
    splits: Mapping[str, tuple[Variant, Variant]], *made_by: boxes.Source, n: int = 3
) -> boxes.Shown:
    """What each variant looks like: training images on the left, test images on the right.

    splits: training and test split by variant.  The first n images of the digits 0 to 4 are shown,
    a column for each digit.
    """
    with plt.rc_context(STYLE):
        size = (WIDTH, 1.45 * len(splits) + 0.2)
        figure, axes = plt.subplots(len(splits), 2, figsize=size, layout="constrained")
        for row, (name, pair) in zip(axes, splits.items(), strict=True):
            for axis, data in zip(row, pair, strict=True):
                chosen = [(data.y == digit).nonzero()[:n, 0] for digit in range(5)]
                tile(axis, np.stack([bytes_of(data.batch(i)[0]) for i in chosen], axis=1))
            row[0].set_ylabel(NAMES[name], fontweight="bold")
        axes[0, 0].set_title("training")
        axes[0, 1].set_title("test")
        figure.get_layout_engine().set(wspace=0.04)
    return boxes.show("variants", *made_by)


def palettes(
    colors: Mapping[str, Sequence[tuple[int, int, int]]], *made_by: boxes.Source
) -> boxes.Shown:
    """Ten colours of 0...255 for the ten classes, in rows by the name of their palette."""
    swatches = np.array(list(colors.values()), np.uint8)[:, :, None, None]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(WIDTH, 0.3 + 0.25 * len(colors)), layout="constrained")
        tile(axis, np.broadcast_to(swatches, (*swatches.shape[:2], 20, 32, 3)))
        axis.set_xticks(np.arange(10) * 34 + 15.5, range(10))
        axis.set_yticks(np.arange(len(colors)) * 22 + 9.5, colors)
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
    return boxes.show("palettes", *made_by)


def textures(pair: Tensor, *made_by: boxes.Source) -> boxes.Shown:
    """The twenty textures of W-MNIST with their classes.  pair: [2, 10, H, W, 3] bytes."""
    step = -(-pair.shape[2] // 96)  # grain makes large files: a pixel of several
    pair = pair[:, :, ::step, ::step]
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(2, 1, figsize=(WIDTH, 4.4), layout="constrained")
        titles = ("object textures", "background textures")
        for axis, images, title in zip(axes, pair.numpy(), titles, strict=True):
            side = images.shape[1] + 6
            tile(axis, images.reshape(2, 5, *images.shape[1:]), gap=6)
            for label in range(10):
                x, y = label % 5 * side + 14, label // 5 * side + 16
                axis.text(x, y, label, ha="center", va="center", bbox=_LABEL)
            axis.set_title(title)
    return boxes.show("textures", *made_by)


def hidden_digits(x: Tensor, *made_by: boxes.Source) -> boxes.Shown:
    """Images of digits in the colour of their background: as they are, and stretched to be seen.

    x: [N, 3, 32, 32].  Below each image, its mean over the channels from black to white.
    """
    grey = x.mean(1, keepdim=True).expand_as(x)
    low, high = grey.amin((1, 2, 3), keepdim=True), grey.amax((1, 2, 3), keepdim=True)
    stretched = (grey - low) / (high - low) * 2 - 1
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(WIDTH, WIDTH * 2 / len(x)), layout="constrained")
        tile(axis, np.stack([bytes_of(x), bytes_of(stretched)]))
    return boxes.show("hidden-digits", *made_by)
