"""The folder of a data set, as the published generation script lays it out: each file whole.

`dataset.json` says what the set is, `labels.csv` has the classes, `ims/<name>_<index>_x_gen.jpg`
an image and, once all are there, `mean_masks.txt` (the study's) a mean mask a line.  The labels
carry no file ending, and their first column is empty.
"""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cgnlib import paths
from cgnlib.data.images import to_signed
from cgnlib.data.pictures import read_image
from cgnlib.errors import CGNError, ending, legible, reason

HEADER = ("", "im_name", "shape_cls", "texture_cls", "bg_cls")
QUALITY = 75  # Pillow's default, which the published images have
PROGRESS = "mean_masks.unfinished"  # mean masks with their index, while images are written
PART = ".part"  # what a file is called until it is whole
MOST = 10**7  # images of a set, whose names have seven digits
NUMBERS = ("n", "num_classes")
SHARE = re.compile(r"[01]\.\d{6}")


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    spec: what `dataset.json` says.  classes: of shape, texture and background, [n, 3].
    missing: the images that are not there.
    """

    folder: Path
    spec: dict
    names: list[str]
    classes: Tensor
    missing: list[int]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, i: int) -> Path:
        """Where image i is, or would be."""
        return self.folder / "ims" / file_of(self.names[i])

    def images(self, batch: int) -> Iterator[Tensor]:
        """All images in order, [B, 3, H, W] in -1...1.  Raises CGNError where one is missing."""
        if self.missing:
            raise CGNError(
                f"{self.folder} lacks {len(self.missing)} of {len(self)} images, the first is "
                f"{self.path(self.missing[0]).name}: write the data set again to fill it"
            )
        for block in torch.arange(len(self)).split(batch):
            yield torch.stack([as_tensor(read_image(self.path(i))) for i in block.tolist()])


@legible()
def read_dataset(folder: Path) -> Dataset:
    """A data set that `write_dataset` wrote, finished or not.

    Raises CGNError when the folder holds no data set, or its files do not fit together.
    """
    folder = Path(folder)
    spec = read_spec(folder)
    names = names_of(spec)
    refuse_foreign(folder, names)
    path = folder / "labels.csv"
    try:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        classes = torch.tensor([[int(c) for c in row[2:]] for row in rows]).view(-1, 3)
    except (OSError, ValueError, RuntimeError, OverflowError, csv.Error) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): make the set again") from error
    if tuple(header) != HEADER or [row[:2] for row in rows] != [["", name] for name in names]:
        raise CGNError(f"{path} does not list the {len(names)} images of its set")
    if classes.amin() < 0 or classes.amax() >= spec["num_classes"]:
        raise CGNError(f"{path} has classes outside 0 to {spec['num_classes'] - 1}")
    kept_coverage(folder, len(names))  # or it is damaged
    there = present(folder)
    missing = [i for i, name in enumerate(names) if file_of(name) not in there]
    return Dataset(folder, spec, names, classes, missing)


class Writer:
    """Puts a data set into its folder; knows what is there already.

    spec: with name, n and num_classes.  classes: [n, 3].  Raises CGNError, before anything is
    changed, for a folder that holds anything else than this very data set or a part of it.
    """

    @legible()
    def __init__(self, folder: Path, spec: dict, classes: Tensor):
        self.folder, self.spec = Path(folder), spec
        self.names = names_of(spec)
        self.labels = _labels(self.names, classes)
        self._refuse_another()
        self.coverage = kept_coverage(self.folder, spec["n"])

    def begin(self) -> set[int]:
        """Write what the set is and its labels.  Returns the images that are still to be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "dataset.json", json.dumps(self.spec, indent=1) + "\n")
        _write(self.folder / "labels.csv", self.labels)
        (self.folder / "ims").mkdir(exist_ok=True)
        there = {name for name in present(self.folder) if _is_whole(self.folder / "ims" / name)}
        return {
            i
            for i, name in enumerate(self.names)
            if i not in self.coverage or file_of(name) not in there
        }

    def add(self, images: dict[int, np.ndarray], shares: dict[int, float]) -> None:
        """Write images ([H, W, 3] bytes, by index), then note their mean masks."""
        for i, image in images.items():
            path = self.folder / "ims" / file_of(self.names[i])
            part = path.with_name(path.name + PART)
            Image.fromarray(image).save(part, format="JPEG", quality=QUALITY)
            os.replace(part, path)
        self.coverage |= {i: f"{shares[i]:.6f}" for i in images}
        with (self.folder / PROGRESS).open("a") as file:
            file.writelines(f"\n{i} {self.coverage[i]}\n" for i in images)

    def finish(self) -> None:
        """Write the mean masks in order, and clear away what is half-written."""
        shares = [self.coverage[i] for i in range(len(self.names))]
        _write(self.folder / "mean_masks.txt", "\n".join(shares))
        for path in (self.folder / PROGRESS, *self.folder.rglob("*" + PART)):
            path.unlink(missing_ok=True)  # what a killed process left half-written is ours too

    def _refuse_another(self) -> None:
        folder, use = self.folder, "use another folder"
        if not paths.exists(folder):
            return
        if not paths.is_dir(folder):
            raise CGNError(f"{folder} is no folder: {use}")
        if not paths.exists(folder / "dataset.json"):
            if held := _held(folder) - {"dataset.json" + PART}:
                raise CGNError(f"{folder} holds {min(held)} and is no data set: {use}")
            return
        there = read_spec(folder)
        if other := [k for k, v in self.spec.items() if k not in there or there[k] != v]:
            raise CGNError(f"{folder} holds another data set (other {', '.join(other)}): {use}")
        refuse_foreign(folder, self.names)
        path = folder / "labels.csv"
        if path.exists() and path.read_bytes() != self.labels.encode():
            raise CGNError(f"{path} has labels of another data set: {use}")


def names_of(spec: dict) -> list[str]:
    return [f"{spec['name']}_{i:07}" for i in range(spec["n"])]


def file_of(name: str) -> str:
    return f"{name}_x_gen.jpg"


def _labels(names: list[str], classes: Tensor) -> str:
    rows = [("", name, *row) for name, row in zip(names, classes.tolist(), strict=True)]
    return "".join(",".join(map(str, row)) + "\n" for row in (HEADER, *rows))


def present(folder: Path) -> set[str]:
    return _held(folder / "ims") if paths.exists(folder / "ims") else set()


def _held(folder: Path) -> set[str]:
    """What lies in a folder, by name."""
    return set(filter(paths.is_data, os.listdir(folder)))


def _is_whole(path: Path) -> bool:
    """Whether a JPEG file has its end."""
    with ending(path).open("rb") as file:
        file.seek(-min(2, path.stat().st_size), os.SEEK_END)
        return file.read() == b"\xff\xd9"


def read_spec(folder: Path) -> dict:
    try:
        spec = json.loads(ending(folder / "dataset.json").read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CGNError(f"{folder} holds no data set of ours ({reason(error)})") from error
    says = isinstance(spec, dict) and isinstance(spec.get("name"), str)
    if not says or not all(type(spec.get(k)) is int and 0 < spec[k] <= MOST for k in NUMBERS):
        raise CGNError(f"{folder / 'dataset.json'} does not say what the data set is")
    return spec


def refuse_foreign(folder: Path, names: list[str]) -> None:
    for name, is_right in (("ims", paths.is_dir), ("labels.csv", paths.is_file)):
        if paths.exists(folder / name) and not is_right(folder / name):
            raise CGNError(f"{folder / name} is not what a data set has there: use another folder")
    ours = {"dataset.json", "labels.csv", "mean_masks.txt", PROGRESS, "ims", *map(file_of, names)}
    held = _held(folder) | present(folder)
    if foreign := [name for name in held if name.removesuffix(PART) not in ours]:
        raise CGNError(f"{folder} holds {min(foreign)}, which is not part of its data set")


def kept_coverage(folder: Path, n: int) -> dict[int, str]:
    """The mean masks that are known, by image; a line that was cut off is as good as none."""
    path = folder / "mean_masks.txt"
    if paths.exists(path):
        lines = ending(path).read_text(errors="replace").split("\n")
        if len(lines) != n or not all(map(SHARE.fullmatch, lines)):
            raise CGNError(f"{path} does not have a mean mask for each of {n} images: delete it")
        return dict(enumerate(lines))
    path = folder / PROGRESS
    lines = ending(path).read_text(errors="replace").split("\n") if paths.exists(path) else []
    pairs = [line.split(" ") for line in lines if re.fullmatch(rf"\d+ {SHARE.pattern}", line)]
    return {int(i): share for i, share in pairs if int(i) < n}


def _write(path: Path, text: str) -> None:
    """Put a text into a file, unless it is there: by rename, whole or not at all."""
    if not (path.exists() and path.read_bytes() == text.encode()):
        part = path.with_name(path.name + PART)
        part.write_bytes(text.encode())
        os.replace(part, path)


def through_jpeg(images: np.ndarray) -> Tensor:
    """Images [B, H, W, 3] as a data set gives them back: [B, 3, H, W] in -1...1."""
    back = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG", quality=QUALITY)
        back.append(as_tensor(Image.open(file)))
    return torch.stack(back)


def as_tensor(image: Image.Image) -> Tensor:
    """[3, H, W] in -1...1."""
    return to_signed(torch.from_numpy(np.array(image))).permute(2, 0, 1)
