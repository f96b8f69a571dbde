"""Labelled images in memory or on disk, as bytes: single sets and their unions."""

import mmap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cgnlib.errors import CGNError, reason


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


def load_set(folder: Path) -> Images:
    """A stored set of generated images, memory-mapped.  Raises CGNError when it is damaged."""
    arrays = []
    for name, mode in (("images.npy", "c"), ("labels.npy", None)):
        try:
            arrays.append(np.load(folder / name, mmap_mode=mode))
        except (OSError, ValueError, EOFError) as error:
            raise CGNError(
                f"{folder / name} cannot be read ({reason(error)}): delete {folder} and run again"
            ) from error
    pages = arrays[0].base if hasattr(mmap, "MADV_DONTNEED") else None
    return Images(*map(torch.from_numpy, arrays), pages)
