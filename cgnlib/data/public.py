"""The benchmarks of claim 3 under CGN_DATA, and their images as classifiers take them.

A benchmark's name says its part: `imagenet/val`, `in9/mixed_same`.  Its folder holds a folder a
class, and those hold images; each is looked at by name, and counted, before one is read.

The study calls the cue-conflict stimuli "IN-Stylized".  Stylized-ImageNet is another data set:
ImageNet's images in the styles of paintings, which its makers give out as code that makes it.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from string import digits

import torch
from torch import Tensor

from cgnlib import paths
from cgnlib.data import sources
from cgnlib.data.categories import NINE, SIXTEEN, imagenet_a, mapping, wordnet
from cgnlib.errors import CGNError, MissingError, legible

SUFFIXES = (".jpeg", ".jpg", ".png")
IN9 = (
    *("original", "mixed_same", "mixed_rand", "mixed_next", "only_fg", "no_fg", "only_bg_b"),
    "only_bg_t",
)
IN9_FOLDERS = tuple(f"{i:02}_{name}" for i, name in enumerate(NINE))


@dataclass(frozen=True)
class Layout:
    """folder: under CGN_DATA.  labels: imagenet, imagenet_a, sixteen or nine.

    even: whether each class has the same number of images.  entry: of sources.toml, which says how
    many there are in all; None where only its makers give it out, and images then says it.
    other: how to get it then.
    """

    folder: str
    labels: str
    even: bool
    entry: str | None = None
    images: int | None = None
    other: str = ""

    @property
    def expected(self) -> int:
        """Images in all."""
        if self.images is not None or self.entry is None:
            return self.images or 0
        entry = sources.table()[self.entry]
        part = PurePosixPath(self.folder).relative_to(entry["folder"])
        return entry["images"][str(part)]

    @property
    def get_it(self) -> str:
        """What to do where it is missing, for the end of an error message."""
        return sources.get_it(self.entry) if self.entry else f"{self.other}, or set CGN_DATA"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark on disk, sorted by class folder and file name.

    name, condition: `in9` and `mixed_same`; the condition of a benchmark without parts is its
    name.  labels: [N] int64, of `classes`: for ImageNet-A too its places among the 1,000.
    texture: [N] int64, likewise; cue conflict only.
    """

    name: str
    condition: str
    images: list[Path]
    labels: Tensor
    classes: tuple[str, ...]
    texture: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def some(self, n: int | None) -> "Benchmark":
        """n of the images, evenly spaced; all of them where n is None or more than there are."""
        if n is None or n >= len(self):
            return self
        index = torch.arange(n) * len(self) // n
        return replace(
            self,
            images=[self.images[i] for i in index],
            labels=self.labels[index],
            texture=None if self.texture is None else self.texture[index],
        )


STIMULI = 1280  # of cue conflict
_STYLIZED = "make it from ImageNet with the code of github.com/rgeirhos/Stylized-ImageNet"

# IN-9's release has a ninth variation, fg_mask: masks as arrays, no images to classify.
LAYOUTS = {
    "imagenet/train": Layout("imagenet/train", "imagenet", False, "imagenet"),
    "imagenet/val": Layout("imagenet/val", "imagenet", True, "imagenet"),
    "in-mini/train": Layout("in-mini/train", "imagenet", False, "in-mini"),
    "in-mini/val": Layout("in-mini/val", "imagenet", False, "in-mini"),
    "cue_conflict": Layout("cue_conflict", "sixteen", True, "cue-conflict"),
    **{f"in9/{v}": Layout(f"in9/{v}/val", "nine", True, "in9") for v in IN9},
    "imagenet-a": Layout("imagenet-a", "imagenet_a", False, "imagenet-a"),
    "sketch": Layout("sketch", "imagenet", False, "sketch"),
    "stylized-imagenet/train": Layout(
        "stylized-imagenet/train", "imagenet", False, images=1_281_167, other=_STYLIZED
    ),
    "stylized-imagenet/val": Layout(
        "stylized-imagenet/val", "imagenet", True, images=50_000, other=_STYLIZED
    ),
}


@legible()
def read(name: str, check: bool = True) -> Benchmark:
    """A benchmark of LAYOUTS under CGN_DATA, its folders, files and counts checked.

    check=False takes a part of one: what is there must be named rightly, the rest may be missing.
    Raises CGNError, which says what is missing and what is there too much.
    """
    if name not in LAYOUTS:
        raise CGNError(f"unknown benchmark {name!r}: choose {', '.join(LAYOUTS)}")
    layout, root = LAYOUTS[name], paths.data() / LAYOUTS[name].folder
    classes, label_of = _classes(layout.labels)
    folders = sorted(look(name, check))
    images = [root / folder / file for folder in folders for file in _image_files(root / folder)]
    texture = None
    if layout.labels == "sixteen":
        there = {f"{path.parent.name}/{path.name}" for path in images}
        expected = {f"{shape}/{file}" for file, (shape, _) in stimuli().items()}
        _compare(root, "stimuli", there, expected, check)
        texture = torch.tensor([SIXTEEN.index(stimuli()[path.name][1]) for path in images])
    if check:
        _count(root, layout, images, folders)
    if not images:
        raise CGNError(f"{root} holds no image: {layout.get_it}")
    labels = torch.tensor([label_of[path.parent.name] for path in images])
    first, _, part = name.partition("/")
    return Benchmark(first, part or first, images, labels, classes, texture)


@legible()
def look(name: str, check: bool = True) -> set[str]:
    """The class folders of a benchmark, by name alone: no image is counted or read.

    Raises CGNError as `read` does, MissingError where the benchmark is not there at all.
    """
    layout, root = LAYOUTS[name], paths.data() / LAYOUTS[name].folder
    if not paths.is_dir(root):
        raise MissingError(f"{root} is missing: {layout.get_it}")
    there = _class_folders(root)
    _compare(root, "folders", there, set(_classes(layout.labels)[1]), check)
    return there


@legible()
def fingerprint(name: str) -> str:
    """What is there of a benchmark, for a run's spec: sha256 of its files' names and sizes.

    Taken anew only where a folder of the benchmark has changed.
    """
    root = paths.data() / LAYOUTS[name].folder
    folders = sorted(filter(paths.is_data, os.listdir(root))) if paths.is_dir(root) else []
    return _fingerprint(name, root, tuple((root / folder).stat().st_mtime_ns for folder in folders))


@cache
def _fingerprint(name: str, root: Path, changed: tuple[int, ...]) -> str:
    lines = [f"{p.parent.name}/{p.name} {p.stat().st_size}\n" for p in read(name).images]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def stimuli() -> dict[str, tuple[str, ...]]:
    """Shape and texture of the 1,280 cue-conflict stimuli, by file name: cat and oven of
    `cat10-oven3.png` (CC BY 4.0, Geirhos et al. 2019)."""
    with mapping("cue_conflict") as content:
        table = content["textures"].items()
        pairs = [(shape, texture) for shape, of in table for texture in of.split()]
        cues = [tuple(cue.rstrip(digits) for cue in pair) for pair in pairs]
        found = {f"{'-'.join(pair)}.png": of for pair, of in zip(pairs, cues, strict=True)}
        if len(found) != STIMULI:
            raise ValueError(f"it has {len(found):,} stimuli")
        return found


def _classes(labels: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names that labels stand for, and the label of each class folder."""
    if labels == "sixteen":
        return SIXTEEN, {name: i for i, name in enumerate(SIXTEEN)}
    if labels == "nine":
        return NINE, {name: i for i, name in enumerate(IN9_FOLDERS)}
    ids = wordnet()
    known = imagenet_a().tolist() if labels == "imagenet_a" else range(len(ids))
    return ids, {ids[i]: i for i in known}


def _class_folders(root: Path) -> set[str]:
    """The folders in a benchmark's folder; licences and the like may lie beside them."""
    with os.scandir(root) as entries:
        entries = [entry for entry in entries if paths.is_data(entry.name)]
    if stray := [e.name for e in entries if not e.is_dir() and _is_image(e.name)]:
        raise CGNError(f"{root} has images outside its class folders: {_some(stray)}")
    return {entry.name for entry in entries if entry.is_dir()}


def _image_files(folder: Path) -> list[str]:
    """The images of a class, sorted.  Raises CGNError where anything else lies there."""
    names = sorted(filter(paths.is_data, os.listdir(folder)))
    if stray := [name for name in names if not _is_image(name)]:
        raise CGNError(f"{folder} has what is no image: {_some(stray)}; move it away")
    return names


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _compare(root: Path, what: str, there: set[str], expected: set[str], whole: bool) -> None:
    if extra := there - expected:
        raise CGNError(
            f"{root} has {what} that do not belong to it: {_some(extra)}; move them away"
        )
    if whole and (missing := expected - there):
        raise CGNError(f"{root} lacks {what}: {_some(missing)}; unpack the benchmark again")


def _count(root: Path, layout: Layout, images: list[Path], folders: Iterable[str]) -> None:
    again = "unpack the benchmark again"
    count = dict.fromkeys(folders, 0) | Counter(path.parent.name for path in images)
    wanted = layout.expected // len(count) if layout.even else None
    if wanted and (wrong := [f"{f} ({n})" for f, n in count.items() if n != wanted]):
        raise CGNError(f"{root} has not {wanted} images in {_some(wrong)}: {again}")
    if empty := [folder for folder, n in count.items() if not n]:
        raise CGNError(f"{root} has no image in {_some(empty)}: {again}")
    if len(images) != layout.expected:
        raise CGNError(f"{root} has {len(images):,} images and not {layout.expected:,}: {again}")


def _some(names: set[str] | list[str]) -> str:
    """The first three names, and how many more there are."""
    first, rest = sorted(names)[:3], len(names) - 3
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")
