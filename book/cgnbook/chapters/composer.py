"""The composer's page: its data as the browser reads them, a still picture, and what to count."""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cgnbook import boxes, composing, live
from cgnbook.composing import CUES, Answers, Parts, World
from cgnbook.drawing import STYLE, WIDTH, tile
from cgnbook.names import NAMES
from cgnbook.tables import pct
from cgnlib import experiments
from cgnlib.chance import generator
from cgnlib.data import menagerie
from cgnlib.runs import Result

WORLDS = NAMES | {"menagerie": "Menagerie"}
# By subject: what the page calls it, and the cue that it is asked for.
SUBJECTS = {
    "original": ("Trained on the original images", "shape"),
    "cgn": ("Trained on counterfactuals", "shape"),
    "plain": ("Plain classifier", "shape"),
    "shape": ("Invariant classifier, shape head", "shape"),
    "texture": ("Invariant classifier, texture head", "texture"),
    "bg": ("Invariant classifier, background head", "background"),
}
STILL = {"original": "saw originals", "cgn": "saw counter-\nfactuals"}  # of a picture, short
FILES = ("composer/composer.css", "composer/composer.js")


def worlds(profile: str, digits: Sequence[Result], drawn: Sequence[Result]) -> list[World]:
    """What the page shows: two variants of MNIST, and the menagerie where the profile is on it.

    digits, drawn: of claim 3, on the MNISTs and on the profile's world.
    """
    shown = [composing.digits(name, digits, samples=2) for name in ("wildlife", "double_colored")]
    if experiments.profile(profile).world.name == "menagerie":
        shown.append(composing.menagerie(drawn, samples=1))
    return shown


def facts(profile: str, worlds: Iterable[World]) -> dict[str, object]:
    """What the text says of the profile, and how many images its worlds hold."""
    return {
        "profile": profile,
        "purpose": experiments.profile(profile).purpose,
        "images": sum(len(world.parts.mask) ** 3 for world in worlds),
    }


def classes(name: str) -> dict[str, list[str]]:
    """What the classes of each cue are called."""
    if name == "menagerie":
        named = (menagerie.CLASSES, menagerie.TEXTURES, menagerie.BACKGROUNDS)
        words = ([name.replace("_", " ") for name in names] for names in named)
        return dict(zip(CUES, words, strict=True))
    return {cue: [str(digit) for digit in range(10)] for cue in CUES}


def pack(world: World) -> str:
    """All bytes of a world behind one another, compressed, in base64.

    In this order: masks [N, H, W], textures and backgrounds [N, 3, H, W]; then for each subject
    labels and percent, [N, N, N] by shape, texture and background.
    """
    tensors = [world.parts.mask, world.parts.fg, world.parts.bg]
    for answers in world.answers.values():
        tensors += [answers.label, answers.percent]
    raw = b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def unpack(text: str, size: int, samples: int, subjects: Sequence[str]) -> World:
    """What `pack` packed, without the runs; the page's script does the same."""
    raw = torch.frombuffer(bytearray(zlib.decompress(base64.b64decode(text))), dtype=torch.uint8)
    n = 10 * samples
    shapes = [(n, c, size, size) for c in (1, 3, 3)] + [(n, n, n)] * (2 * len(subjects))
    parts = raw.split([int(np.prod(shape)) for shape in shapes])
    mask, fg, bg, *rest = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
    answers = map(Answers, rest[::2], rest[1::2])
    return World("", Parts(mask, fg, bg, samples), dict(zip(subjects, answers, strict=True)), ())


def page(worlds: Iterable[World]) -> boxes.Shown:
    """The composer: its data and the files that make it work; hidden without scripts."""
    data = json.dumps([_described(world) for world in worlds])
    return boxes.Shown(
        '<div class="composer live" hidden></div>'
        '<noscript><p class="composer-off">Choosing needs scripts, which are off here. '
        "The figure below shows ten choices.</p></noscript>"
        f'<script type="application/json" id="composer-data">{data}</script>{live.loaded(*FILES)}'
    )


def _described(world: World) -> dict:
    return {
        "name": world.name,
        "title": WORLDS[world.name],
        "size": world.parts.mask.shape[-1],
        "samples": world.parts.samples,
        "classes": classes(world.name),
        "subjects": [
            {"key": key, "name": SUBJECTS[key][0], "cue": SUBJECTS[key][1]} for key in world.answers
        ],
        "data": pack(world),
    }


def shares(worlds: Iterable[World]) -> pd.DataFrame:
    """Right answers about images of one class alone, in percent; and of all images whose three
    classes differ, how many answers follow each cue."""
    rows = []
    for world in worlds:
        for subject, answers in world.answers.items():
            found = composing.followed(answers, world.parts)
            row = {"World": WORLDS[world.name], "Classifier": SUBJECTS[subject][0]}
            row["Agree"] = pct(composing.agreed(answers, world.parts))
            rows.append(row | {cue.capitalize(): pct(share) for cue, share in found.items()})
    return pd.DataFrame(rows)


def sources(worlds: Iterable[World]) -> pd.DataFrame:
    """The runs that a page shows, a line each."""
    return pd.DataFrame(
        [
            {"World": WORLDS[world.name], "Run": run.id, "Seed": str(run.seed)}
            for world in worlds
            for run in world.runs
        ]
    )


def still(world: World, *behind: Result, seed: int = 0) -> boxes.Shown:
    """A composition for each shape, with textures and backgrounds in random order.

    Below each column what every subject says of it, in bold where it names the shape.
    """
    index = _drawn(world.parts.samples, seed)
    parts = [
        x[i] for x, i in zip((world.parts.mask, world.parts.fg, world.parts.bg), index, strict=True)
    ]
    rows = [parts[0].expand(-1, 3, -1, -1), *parts[1:], composing.compose(*parts)]
    names = ["mask", "texture", "background", "composed"]
    names += [STILL.get(subject, subject) for subject in world.answers]
    with plt.rc_context(STYLE):
        _, axis = plt.subplots(figsize=(WIDTH, 2.5), layout="constrained")
        tile(axis, np.stack([row.permute(0, 2, 3, 1).numpy() for row in rows]))
        side = world.parts.mask.shape[-1] + 2
        axis.set_yticks((np.arange(len(names)) + 0.5) * side, names)
        axis.set_ylim(len(names) * side, 0)
        for row, answers in enumerate(world.answers.values(), start=len(rows)):
            for column, label in enumerate(answers.label[index].tolist()):
                said = classes(world.name)["shape"][label]
                weight = "bold" if label == column else "normal"
                axis.text((column + 0.5) * side, (row + 0.5) * side, said, ha="center",
                          va="center", fontweight=weight)  # fmt: skip
        axis.tick_params(length=0)
    return boxes.show("composer", behind)


def _drawn(samples: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Places of ten shapes, and of textures and backgrounds in random order; first samples."""
    rng = generator(seed, "still")
    y = torch.arange(10)
    orders = (y, torch.randperm(10, generator=rng), torch.randperm(10, generator=rng))
    return tuple(order * samples for order in orders)
