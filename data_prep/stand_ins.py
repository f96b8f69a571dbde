"""Stand-ins for the files of others, as their publishers wrote them, for a rehearsal.

Weights are in the format and layout of the published files: pickles of before torch 1.6 or zips,
with the tensors that these hold.  Archives are packed as they are offered, with their folders and
names, and go the way of the real ones: `download` checks and unpacks them.  What is in them is
made up.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torchvision.models
from PIL import Image
from torch import nn

from cgnlib import experiments, worlds
from cgnlib.data import digits, public, sources
from cgnlib.data.categories import imagenet_a, wordnet
from cgnlib.nets import biggan, imagenet, mnist
from cgnlib.nets.u2net import U2Net
from cgnlib.worlds import imagenet as world

PASSES = 5
COUNT = "num_batches_tracked"  # of a batch norm; publishers before torch 0.4.1 have none


@dataclass(frozen=True)
class Published:
    """How a state dict was published.

    net: that it is of.  full: the same at its published width, on no device.  pickle: whether the
    file is older than torch's zips.  counts: whether it has those of batch norms.
    """

    net: Callable[[], nn.Module]
    full: Callable[[], nn.Module]
    pickle: bool = True
    counts: bool = False


def _inception() -> nn.Module:
    return torchvision.models.inception_v3(weights=None, init_weights=False)


def _resnet50() -> nn.Module:
    return torchvision.models.resnet50(weights=None)


def _vgg16() -> nn.Module:
    with torch.device("meta"):  # its linear layers, 500 MB, are in the file and never run
        net = torchvision.models.vgg16(weights=None)
    net.features.to_empty(device="cpu")
    for layer in filter(lambda part: isinstance(part, nn.Conv2d), net.features):
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return net


def _biggan() -> nn.Module:
    """Thin, with statistics as of a trained one, and singular vectors that fit its weights."""
    net = biggan.build(worlds.find("imagenet").config)
    for name, value in net.named_buffers():
        if name.endswith("running_vars"):
            value.uniform_(0.5, 1.5)
    y = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        for _ in range(PASSES):  # a power iteration each
            biggan.generate(net.train(), torch.zeros(1, net.config.z_dim), y, 1.0)
    return net


def _cgn() -> nn.Module:
    start = _biggan()
    return imagenet.ImageNetCGN(start.config, world.saliency()).start_from(start)


PUBLISHED = {
    **{f"cgn-{v}": Published(*(lambda: mnist.CGN(32, 32),) * 2, False, True)
       for v in experiments.VARIANTS},
    "vgg16": Published(_vgg16, lambda: torchvision.models.vgg16(weights=None)),
    "inception-v3": Published(_inception, _inception, False),
    "resnet50": Published(_resnet50, _resnet50, False),
    "biggan256": Published(_biggan, lambda: biggan.build(biggan.BIGGAN_256)),
    "u2net": Published(world.saliency, U2Net.published),
    "cgn-imagenet": Published(
        _cgn, lambda: imagenet.ImageNetCGN(biggan.BIGGAN_256, U2Net.published()), False, True),
}  # fmt: skip


def state_of(published: Published, net: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that a publisher saved of a net; those without a device are of one value."""
    state = net.state_dict()
    for key in [key for key in state if key.endswith(COUNT) and not published.counts]:
        del state[key]
    for key, value in state.items():
        if value.is_meta:
            state[key] = torch.zeros((), dtype=value.dtype).expand(value.shape)
    return state


def save(published: Published, state: dict[str, torch.Tensor], path: Path) -> None:
    """Write a state dict in its published format, as from a GPU."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with patch.object(torch.serialization, "location_tag", lambda _: "cuda:0"):
        torch.save(state, path, _use_new_zipfile_serialization=not published.pickle)


def write_weights(name: str, path: Path) -> None:
    """A file of random weights, of which nets give finite numbers."""
    published = PUBLISHED[name]
    torch.manual_seed(0)
    save(published, state_of(published, published.net()), path)


def write_layout(name: str, path: Path) -> None:
    """A file of the published width, small: each tensor is of one value, none is missing."""
    published = PUBLISHED[name]
    with torch.device("meta"):
        net = published.full()
    save(published, state_of(published, net), path)


# --- images: `name in the archive, size` of each, few of each class


def _in_mini() -> Iterator[str]:
    for name in wordnet():
        yield f"imagenet-mini/train/{name}/{name}_10.JPEG"
        yield f"imagenet-mini/val/{name}/ILSVRC2012_val_00000010.JPEG"


def _cue_conflict() -> Iterator[str]:
    for name, (shape, _) in sorted(public.stimuli().items()):
        folder = "texture-vs-shape-master/stimuli/style-transfer-preprocessed-512"
        yield f"{folder}/{shape}/{name}"


def _in9() -> Iterator[str]:
    for variation in public.IN9:
        for folder in public.IN9_FOLDERS:
            yield from (f"bg_challenge/{variation}/val/{folder}/n{i}_0.JPEG" for i in range(2))


def _imagenet_a() -> Iterator[str]:
    names = wordnet()
    for i in imagenet_a().tolist():
        yield f"imagenet-a/{names[i]}/0.000116_digital clock _ digital clock_0.865662.jpg"


def _sketch() -> Iterator[str]:
    yield from (f"sketch/{name}/sketch_0.JPEG" for name in wordnet())


IMAGES = {
    "in-mini": _in_mini,
    "cue-conflict": _cue_conflict,
    "in9": _in9,
    "imagenet-a": _imagenet_a,
    "sketch": _sketch,
}
BESIDE = ("README.md", "LICENSE")  # at the top, as there often is


def _picture(seed: int, suffix: str) -> bytes:
    """224 x 224 pixels of large random blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(blocks).resize((224, 224), Image.Resampling.NEAREST)
    image.save(file, format="png" if suffix == ".png" else "jpeg")
    return file.getvalue()


def pack(path: Path, files: dict[str, bytes]) -> None:
    """An archive of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_images(name: str, path: Path) -> None:
    """The archive of an entry."""
    names = list(IMAGES[name]())
    pictures = [_picture(seed, Path(names[0]).suffix) for seed in range(32)]
    top = names[0].partition("/")[0]
    files = {f"{top}/{beside}": b"stand-in" for beside in BESIDE}
    pack(path, files | {file: pictures[i % 32] for i, file in enumerate(names)})


def write_textures(path: Path) -> None:
    """Of the whole data set, what is needed of it."""
    parts = sources.table()["dtd"]["files"]
    pack(path, {f"dtd/{p['original']}": _picture(i, ".jpg") for i, p in enumerate(parts)})


def write_digits(folder: Path) -> None:
    """Bars, a place and a slant for each class, in the four official files."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        n = digits.IDX_FILES[f"{prefix}-labels-idx1-ubyte"][0]
        labels = np.arange(n, dtype=np.uint8) % 10
        bars = np.zeros((10, 28, 28), np.uint8)
        for c in range(10):
            bars[c, 4 + c // 3 : 22, 5 + c : 10 + c] = 230
        images = bars[labels] + rng.integers(0, 20, (n, 1, 1), np.uint8)
        images *= bars[labels] > 0
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
            packed = gzip.compress(header + array.tobytes(), 1, mtime=0)
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(packed)
