"""The two worlds of the ImageNet claims: ImageNet, and the menagerie that stands in for it.

A world names the pretrained parts that a CGN starts from and is judged by.  The code that trains
and evaluates is the same for both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from cgnlib import imagenet
from cgnlib.data import sources
from cgnlib.errors import CGNError
from cgnlib.nets import biggan, inception, shipped
from cgnlib.nets.imagenet import ImageNetCGN, load_biggan, load_cgn, load_u2net
from cgnlib.nets.readers import Reader
from cgnlib.nets.u2net import U2Net
from cgnlib.runs.inputs import Input


@dataclass(frozen=True)
class World:
    """config: the generators'.  sheet: classes of a sampling sheet.  u2net, biggan: load them."""

    name: str
    config: biggan.Config
    sheet: tuple[int, ...]
    empty_u2net: Callable[[], U2Net]
    u2net: Callable[[], U2Net]
    biggan: Callable[[], nn.Module]


def find(name: str) -> World:
    """A world by name.  Raises CGNError for an unknown one."""
    if name not in WORLDS:
        raise CGNError(f"unknown world {name!r}: choose {', '.join(WORLDS)}")
    return WORLDS[name]


def start(name: str) -> ImageNetCGN:
    """A CGN before its training: four copies of the pretrained BigGAN and the saliency net."""
    world = find(name)
    return ImageNetCGN(world.config, world.u2net()).start_from(world.biggan())


def published(name: str) -> ImageNetCGN:
    """The authors' trained CGN.  Raises CGNError where there is none."""
    if name != "imagenet":
        raise CGNError(f"nobody published a CGN of the {name}: it is for the world imagenet")
    return load_cgn(sources.find("cgn-imagenet"))


def load(name: str, path: Path) -> ImageNetCGN:
    """A CGN trained here, in evaluation mode."""
    world = find(name)
    return load_cgn(path, world.config, world.empty_u2net())


def judge(name: str, protocol: str) -> nn.Module:
    """What the inception score is read with: images [B, 3, S, S] to probabilities [B, K].

    protocol: `standard`, or `study` with its second rescaling of the input (ImageNet only).
    """
    if find(name).name == "menagerie":
        if protocol != "standard":
            raise CGNError("the menagerie's inception score has the protocol standard alone")
        return _Judge(shipped.load("classifier", Reader()))
    return inception.build(protocol)


class _Judge(nn.Module):
    def __init__(self, net: Reader):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[0].softmax(1)


def probe() -> Reader:
    """The menagerie's reader of shape, texture and background, which knows no shortcut."""
    return shipped.load("probe", Reader((10, 10, 10)))


def reads(name: str, judged: bool = False) -> dict[str, Input]:
    """The pretrained parts that a CGN starts from.  judged: those of its judges as well."""
    if find(name).name == "menagerie":
        names = shipped.NAMES if judged else ("biggan", "u2net")
        return {part: Input("part", part) for part in names}
    names = ("biggan256", "u2net", *(("inception-v3",) if judged else ()))
    return {part: Input("weights", part) for part in names}


WORLDS = {
    "menagerie": World(
        "menagerie",
        biggan.BIGGAN_MENAGERIE,
        tuple(range(10)),
        U2Net.small,
        lambda: shipped.load("u2net", U2Net.small()),
        lambda: shipped.load("biggan", biggan.build(biggan.BIGGAN_MENAGERIE)),
    ),
    "imagenet": World(
        "imagenet",
        biggan.BIGGAN_256,
        imagenet.SHEET_CLASSES,
        U2Net.published,
        lambda: load_u2net(sources.find("u2net")),
        lambda: load_biggan(sources.find("biggan256")),
    ),
}
