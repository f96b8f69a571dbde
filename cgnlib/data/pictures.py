"""Images that classifiers learn from: as bytes in memory, or in files that workers read.

Both give the same batches for the same order, however many workers or devices there are: what is
drawn for an image is a function of the seed, of the step and of the image.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cgnlib import processor
from cgnlib.chance import generator
from cgnlib.data.images import Images
from cgnlib.errors import CGNError, ending, reason

Batch = tuple[Tensor, Tensor]  # images as a classifier takes them, and their labels
Order = Iterable[tuple[int, Tensor]]  # steps, and the indices of their images


class Stored:
    """Images in memory, as bytes; labels [N], or [N, 3] for shape, texture and background."""

    def __init__(self, images: Images):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, order: Order) -> Iterator[Batch]:
        """Images in -1...1, channels last, and their labels."""
        for _, index in order:
            yield self.images.batch(index)


class Files(Dataset):
    """Images in files.

    transform: from a PIL image to what a classifier takes; what it draws from torch's global
    generator is seeded for each image.  workers: processes that read ahead, 0 for none.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Tensor,
        transform: Callable[[Image.Image], Tensor],
        seed: int = 0,
        workers: int = 0,
    ):
        if len(paths) != len(labels):
            raise ValueError(f"{len(paths)} images do not go with {len(labels)} labels")
        self.paths, self.labels, self.transform = paths, labels, transform
        self.seed, self.workers = seed, workers

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        step, i = place
        rng = generator(self.seed, "transform", step, i)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
            return self.transform(read_image(self.paths[i])), self.labels[i]

    def batches(self, order: Order) -> Iterator[Batch]:
        """Transformed images and their labels.  Raises CGNError for a file that is no image."""
        places = ([(step, i) for i in index.tolist()] for step, index in order)
        yield from read_ahead(self, places, self.workers)


Pictures = Stored | Files


def read_ahead(data: Dataset, places: Iterable[list], workers: int) -> Iterator[Batch]:
    """The batches at the given places of a data set, by processes that read ahead, 0 for none.

    Raises a worker's CGNError, which comes behind its traceback, in one line.
    """
    context = get_context("forkserver") if workers else None
    if context:  # copies of a process that has loaded this: all but the first start at once
        context.set_forkserver_preload(["torchvision.transforms.v2"])
    loader = DataLoader(
        data,
        batch_sampler=places,
        num_workers=workers,
        pin_memory=processor.on_gpu(),
        multiprocessing_context=context,
        generator=torch.Generator(),  # seeds for workers, not of the global state
    )
    try:
        yield from map(tuple, loader)
    except CGNError as error:
        raise CGNError(error.args[0].rpartition("CGNError: ")[2].rstrip()) from error


def read_image(path: Path) -> Image.Image:
    """An image in RGB.  Raises CGNError when the file is missing or damaged, or has more than 8
    bits a channel, which Pillow would clip to white."""
    try:
        with Image.open(ending(path)) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its channel, {image.mode}, has more than 8 bits")
            return image.convert("RGB")
    except Exception as error:  # Pillow's readers raise whatever they stumble over
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): fetch or make it again"
        ) from error
