"""What the machine offers: processors, memory, GPUs, Slurm, disks.  Nothing is changed or sent."""

import os
import platform
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cgnlib import precision, processor
from cgnlib.errors import CGNError, reason

SLURM_SECONDS = 10  # how long sinfo may take to answer


@dataclass(frozen=True)
class Gpu:
    """trouble: why torch cannot compute on it, empty where it can."""

    name: str
    bytes: int
    trouble: str = ""


@dataclass(frozen=True)
class Slurm:
    """sbatch: whether jobs can be submitted from here.  answers: whether the cluster answers.

    partitions: as sinfo prints them, `name gres nodes`.  gpu: whether one of them has GPUs.
    trouble: what sinfo said where it does not answer.
    """

    sbatch: bool
    answers: bool
    partitions: list[str] = field(default_factory=list)
    gpu: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Disk:
    """A folder that data or runs go to.  free: bytes.  needed: bytes that are still to come.

    own: those of them that come into this folder, and not into another on the same disk.
    writable: whether it, or the folder that it will be made in, can be written.
    """

    what: str
    folder: str
    free: int
    needed: int
    own: int
    writable: bool

    @property
    def enough(self) -> bool:
        return self.free >= self.needed


@dataclass(frozen=True)
class Machine:
    """cores: that this process may use.  memory: bytes.  precision: of trainings on a CPU.

    driver: what torch says of a GPU's driver that it cannot use, empty where it says nothing.
    """

    python: str
    torch: str
    torchvision: str
    cores: int
    memory: int
    precision: str
    gpus: list[Gpu]
    slurm: Slurm
    driver: str = ""


def look(precision_of_profile: str = "") -> Machine:
    """The machine that this runs on."""
    import torchvision  # seconds, which a download need not wait for

    return Machine(
        platform.python_version(),
        torch.__version__,
        torchvision.__version__,
        processor.cores(),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        precision.of(torch.device("cpu"), precision_of_profile),
        _gpus(),
        look_for_slurm(),
        processor.driver(),
    )


def look_at_disks(needed: dict[str, tuple[Path, int]]) -> list[Disk]:
    """By what is stored, its folder and the bytes that are still to come.

    What lies on one disk is needed there together.
    """
    places = {what: _existing(folder) for what, (folder, _) in needed.items()}
    together = Counter()
    for what, (_, size) in needed.items():
        together[places[what].stat().st_dev] += size
    return [
        Disk(
            what,
            str(folder),
            free=shutil.disk_usage(places[what]).free,
            needed=together[places[what].stat().st_dev],
            own=size,
            writable=os.access(places[what], os.W_OK | os.X_OK),
        )
        for what, (folder, size) in needed.items()
    ]


def check_space(what: str, folder: Path, needed: int) -> None:
    """Raises CGNError where the disk of a folder has not the bytes that something needs."""
    place = _existing(folder)
    if (free := shutil.disk_usage(place).free) < needed:
        raise CGNError(
            f"{what} needs about {needed / 1e9:.1f} GB at {place}, which has {free / 1e9:.1f}: "
            "free space or set CGN_DATA to a larger disk"
        )


def look_for_slurm() -> Slurm:
    """Whether jobs can be submitted here, and what sinfo says of the partitions."""
    sbatch = shutil.which("sbatch") is not None
    command = ["sinfo", "--noheader", "--format=%P %G %D"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SLURM_SECONDS)
    except FileNotFoundError:
        return Slurm(sbatch, False, trouble="there is no sinfo here")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Slurm(sbatch, False, trouble=reason(error))
    if asked.returncode:
        said = asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"]
        return Slurm(sbatch, False, trouble=said[0].removeprefix("sinfo: error: "))
    partitions = [" ".join(line.split()) for line in asked.stdout.splitlines() if line.strip()]
    return Slurm(sbatch, True, partitions, any("gpu" in line.lower() for line in partitions))


def _gpus() -> list[Gpu]:
    found = {card: processor.why_not(card) for card in processor.cards()}
    cards = ((torch.cuda.get_device_properties(card), why) for card, why in found.items())
    return [Gpu(card.name, card.total_memory, why) for card, why in cards]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that exists, as far as one may look."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.path.exists(place))
