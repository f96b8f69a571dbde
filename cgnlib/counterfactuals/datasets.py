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
from torch import Tensor, nn
from tqdm import tqdm

from cgnlib.chance import generator
from cgnlib.counterfactuals import datasets, draws
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.counterfactuals.draws import _check_truncation, draw_classes, truncated_noise
from cgnlib.data.images import to_signed
from cgnlib.errors import CGNError, reason
from cgnlib.measures import metrics

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


STRETCHES = ("minmax", "plain")


@torch.inference_mode()
def write_dataset(
    net: nn.Module,
    folder: Path,
    n: int,
    mode: str,
    truncation: float,
    seed: int,
    *,
    name: str,
    weights: str,
    num_classes: int = 1000,
    latent: int = 128,
    fixed: tuple[int, int, int] | None = None,
    lists: dict[str, tuple[int, ...]] | None = None,
    stretch: str = "minmax",
    batch: int = 8,
) -> datasets.Dataset:
    """Write n counterfactuals of a net into a folder, or those of them that are missing there.

    net: called as net(u, shape, texture, background, truncation), each class [B] int64; what it
    returns has x_gen [B, 3, H, W] in -1...1 and mask.  weights: the digest of its weights.
    stretch: `minmax` stretches each image to its full range, as published; `plain` is (x + 1) / 2.

    Latents and classes are drawn for each image from the seed and its index, and so are exactly
    the same whatever the batch size; the latents do not depend on the mode either.  Batches are
    fixed blocks of indices, and a block with a gap is computed whole: a set that was interrupted
    ends with the same bytes as one that was not, on the same CPU with the same batch size and
    number of threads.  With other batches a net may round its sums differently: pixels may then
    move by one step before compression, and mean masks in their last digit.

    Raises CGNError for settings that make no sense and for a folder that holds anything else than
    this very data set, before anything is changed.  Source: published code, dataset generation.
    """
    if lists is None and mode == "best_classes":
        lists = draws.BEST_CLASSES
    spec = {"name": name, "n": n, "mode": mode, "truncation": float(truncation), "seed": seed}
    spec |= {"weights": weights, "num_classes": num_classes, "latent": latent, "fixed": fixed}
    spec |= {"lists": lists, "stretch": stretch, "quality": datasets.QUALITY}
    spec = json.loads(json.dumps(spec))
    _check(spec, batch)
    classes = torch.cat([_draw_classes_of(spec, i) for i in range(n)])
    writer = datasets.Writer(folder, spec, classes)
    net.eval()
    try:
        todo = writer.begin()
        with tqdm(total=n, initial=n - len(todo), disable=None, unit="image") as progress:
            for block in _blocks(n, batch, todo):
                u = torch.cat([_draw_latent_of(spec, i) for i in block])
                made = net(*_moved(net, u, *classes[block].T), truncation)
                shares = metrics.mask_coverage(made.mask.double()).tolist()
                images = zip(block, _bytes(made.x_gen, stretch), strict=True)
                new = {i: image for i, image in images if i in todo}
                writer.add(new, dict(zip(block, shares, strict=True)))
                progress.update(len(new))
        return writer.finish()
    except OSError as error:
        raise CGNError(
            f"{folder} cannot be written ({reason(error)}): free space or mend the folder, then "
            "run again; the images that are there are kept"
        ) from error


def read_back(x: Tensor, stretch: str) -> Tensor:
    """Images [B, 3, H, W] as a data set would give them back, without writing one."""
    return datasets.through_jpeg(_bytes(x, stretch))


def _check(spec: dict, batch: int) -> None:
    _check_truncation(spec["truncation"])
    for number in (spec["n"], spec["latent"], spec["num_classes"], batch):
        if number < 1:
            raise CGNError(f"a data set needs images, latents, classes and a batch, not {number}")
    if not re.fullmatch(r"\w[\w.-]*", spec["name"]):
        raise CGNError(f"{spec['name']!r} is no name for images: use letters, digits, . - and _")
    if spec["stretch"] not in STRETCHES:
        raise CGNError(f"unknown stretch {spec['stretch']!r}: choose {', '.join(STRETCHES)}")


def _draw_latent_of(spec: dict, i: int) -> Tensor:
    rng = generator(spec["seed"], "latent", i)
    return truncated_noise(1, spec["latent"], spec["truncation"], rng)


def _draw_classes_of(spec: dict, i: int) -> Tensor:
    rng = generator(spec["seed"], "classes", i)
    return draw_classes(
        spec["mode"], 1, spec["num_classes"], rng, fixed=spec["fixed"], lists=spec["lists"]
    )


def _blocks(n: int, batch: int, todo: set[int]) -> Iterator[list[int]]:
    for start in range(0, n, batch):
        block = list(range(start, min(start + batch, n)))
        if not todo.isdisjoint(block):
            yield block


def _moved(net: nn.Module, *tensors: Tensor) -> list[Tensor]:
    """Tensors on the device of a net's parameters."""
    device = next((t.device for t in (*net.parameters(), *net.buffers())), "cpu")
    return [t.to(device) for t in tensors]


def _bytes(x: Tensor, stretch: str) -> np.ndarray:
    """[B, 3, H, W] as [B, H, W, 3] bytes; a flat image is black when stretched."""
    x = x.float()
    if not x.isfinite().all():
        raise CGNError("the net makes images with values that are not finite: check its weights")
    if stretch == "minmax":
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        x = (x - low) / (high - low).clamp_min(1e-5) * 2 - 1
    return to_stored(x).cpu().numpy()
