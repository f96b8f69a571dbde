"""Data sets of counterfactuals on disk, as the published generation script lays them out.

A folder holds `dataset.json` (what the set is), `labels.csv`, `ims/<name>_<index>_x_gen.jpg` and,
once it is finished, `mean_masks.txt` (the study's: a mean mask a line).  The labels carry no file
ending, and their first column is empty.
"""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cgnlib.errors import CGNError, reason
from cgnlib.mnists import to_signed

HEADER = ("", "im_name", "shape_cls", "texture_cls", "bg_cls")
QUALITY = 75  # Pillow's default, which the published images have
PROGRESS = "mean_masks.unfinished"  # mean masks with their index, while images are written
PART = ".part"  # what a file is called until it is whole
SHARE = re.compile(r"[01]\.\d{6}")


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    spec: what `dataset.json` says.  classes: of shape, texture and background, [n, 3].
    coverage: the mean mask of each image, [n]; None while the set is unfinished.
    missing: the images that are not there.
    """

    folder: Path
    spec: dict
    names: list[str]
    classes: Tensor
    coverage: Tensor | None
    missing: list[int]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, i: int) -> Path:
        """Where image i is, or would be."""
        return self.folder / "ims" / _file(self.names[i])

    def images(self, batch: int) -> Iterator[Tensor]:
        """All images in order, [B, 3, H, W] in -1...1.  Raises CGNError where one is missing."""
        if self.missing:
            raise CGNError(
                f"{self.folder} lacks {len(self.missing)} of {len(self)} images, the first is "
                f"{self.path(self.missing[0]).name}: write the data set again to fill it"
            )
        for block in torch.arange(len(self)).split(batch):
            yield torch.stack([_read_image(self.path(i)) for i in block.tolist()])


def read_dataset(folder: Path) -> Dataset:
    """A data set that `generation.write_dataset` wrote, finished or not.

    Raises CGNError when the folder holds no data set, or its files do not fit together.
    """
    folder = Path(folder)
    spec = _read_spec(folder)
    names = _names(spec)
    _refuse_foreign(folder, names)
    path = folder / "labels.csv"
    try:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        classes = torch.tensor([[int(c) for c in row[2:]] for row in rows]).view(-1, 3)
    except (OSError, ValueError) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)})") from error
    if tuple(header) != HEADER or [row[:2] for row in rows] != [["", name] for name in names]:
        raise CGNError(f"{path} does not list the {len(names)} images of its set")
    if classes.amin() < 0 or classes.amax() >= spec["num_classes"]:
        raise CGNError(f"{path} has classes outside 0 to {spec['num_classes'] - 1}")
    coverage = None
    if (folder / "mean_masks.txt").exists():
        kept = _kept_coverage(folder, len(names))
        coverage = torch.tensor([float(kept[i]) for i in range(len(names))])
    there = _present(folder)
    missing = [i for i, name in enumerate(names) if _file(name) not in there]
    return Dataset(folder, spec, names, classes, coverage, missing)


class Writer:
    """Puts a data set into its folder; knows what is there already.

    spec: with name, n and num_classes.  classes: [n, 3].  Raises CGNError, before anything is
    changed, for a folder that holds anything else than this very data set or a part of it.
    """

    def __init__(self, folder: Path, spec: dict, classes: Tensor):
        self.folder, self.spec = Path(folder), spec
        self.names = _names(spec)
        self.labels = _labels(self.names, classes)
        self._refuse_another()
        self.coverage = _kept_coverage(self.folder, spec["n"])

    def begin(self) -> set[int]:
        """Write what the set is and its labels.  Returns the images that are still to be made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "dataset.json", json.dumps(self.spec, indent=1) + "\n")
        _write(self.folder / "labels.csv", self.labels)
        (self.folder / "ims").mkdir(exist_ok=True)
        there = {name for name in _present(self.folder) if _is_whole(self.folder / "ims" / name)}
        return {
            i
            for i, name in enumerate(self.names)
            if i not in self.coverage or _file(name) not in there
        }

    def add(self, images: dict[int, np.ndarray], shares: dict[int, float]) -> None:
        """Write images ([H, W, 3] bytes, by index), then note their mean masks."""
        for i, image in images.items():
            path = self.folder / "ims" / _file(self.names[i])
            part = path.with_name(path.name + PART)
            Image.fromarray(image).save(part, format="JPEG", quality=QUALITY)
            os.replace(part, path)
        self.coverage |= {i: f"{shares[i]:.6f}" for i in images}
        with (self.folder / PROGRESS).open("a") as file:
            file.writelines(f"\n{i} {self.coverage[i]}\n" for i in images)

    def finish(self) -> Dataset:
        """Write the mean masks in order, and read the set back."""
        shares = [self.coverage[i] for i in range(len(self.names))]
        _write(self.folder / "mean_masks.txt", "\n".join(shares))
        for path in (self.folder / PROGRESS, *self.folder.rglob("*" + PART)):
            path.unlink(missing_ok=True)  # what a killed process left half-written is ours too
        return read_dataset(self.folder)

    def _refuse_another(self) -> None:
        folder, use = self.folder, "use another folder"
        if not folder.exists():
            return
        if not folder.is_dir():
            raise CGNError(f"{folder} is no folder: {use}")
        if not (folder / "dataset.json").exists():
            if held := set(os.listdir(folder)) - {"dataset.json" + PART}:
                raise CGNError(f"{folder} holds {min(held)} and is no data set: {use}")
            return
        there = _read_spec(folder)
        if other := [k for k, v in self.spec.items() if k not in there or there[k] != v]:
            raise CGNError(f"{folder} holds another data set (other {', '.join(other)}): {use}")
        _refuse_foreign(folder, self.names)
        path = folder / "labels.csv"
        if path.exists() and path.read_bytes() != self.labels.encode():
            raise CGNError(f"{path} has labels of another data set: {use}")


def _names(spec: dict) -> list[str]:
    return [f"{spec['name']}_{i:07}" for i in range(spec["n"])]


def _file(name: str) -> str:
    return f"{name}_x_gen.jpg"


def _labels(names: list[str], classes: Tensor) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(["", name, *row] for name, row in zip(names, classes.tolist(), strict=True))
    return text.getvalue()


def _present(folder: Path) -> set[str]:
    return set(os.listdir(folder / "ims")) if (folder / "ims").exists() else set()


def _is_whole(path: Path) -> bool:
    """Whether a JPEG file has its end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < 2:
            return False
        file.seek(-2, os.SEEK_END)
        return file.read() == b"\xff\xd9"


def _read_spec(folder: Path) -> dict:
    try:
        spec = json.loads((folder / "dataset.json").read_text())
    except (OSError, ValueError) as error:
        raise CGNError(f"{folder} holds no data set of ours ({reason(error)})") from error
    if not isinstance(spec, dict) or not {"name", "n", "num_classes"} <= spec.keys():
        raise CGNError(f"{folder / 'dataset.json'} does not say what the data set is")
    return spec


def _refuse_foreign(folder: Path, names: list[str]) -> None:
    files = {"dataset.json", "labels.csv", "mean_masks.txt"}
    for name, is_right in (("ims", Path.is_dir), ("labels.csv", Path.is_file)):
        if (folder / name).exists() and not is_right(folder / name):
            raise CGNError(f"{folder / name} is not what a data set has there: use another folder")
    images = {_file(name) for name in names}
    foreign = set(os.listdir(folder)) - files - _parts(files) - {PROGRESS, "ims"}
    foreign |= _present(folder) - images - _parts(images)
    if foreign:
        raise CGNError(f"{folder} holds {min(foreign)}, which is not part of its data set")


def _parts(files: Iterable[str]) -> set[str]:
    return {file + PART for file in files}


def _kept_coverage(folder: Path, n: int) -> dict[int, str]:
    """The mean masks that are known, by image; a line that was cut off is as good as none."""
    path = folder / "mean_masks.txt"
    if path.exists():
        lines = path.read_text(errors="replace").split("\n")
        if len(lines) != n or not all(map(SHARE.fullmatch, lines)):
            raise CGNError(f"{path} does not have a mean mask for each of {n} images: delete it")
        return dict(enumerate(lines))
    path = folder / PROGRESS
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
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
        back.append(_decode(file))
    return torch.stack(back)


def _read_image(path: Path) -> Tensor:
    try:
        return _decode(path)
    except OSError as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): delete and rewrite it") from error


def _decode(file: Path | io.BytesIO) -> Tensor:
    with Image.open(file) as image:
        pixels = np.array(image.convert("RGB"))
    return to_signed(torch.from_numpy(pixels)).permute(2, 0, 1)
