"""What computes here: cores, the CPU, the GPU."""

import ctypes
import os
import platform
import re
import sys
import warnings
from functools import cache
from itertools import takewhile
from pathlib import Path

import torch

from cgnlib.errors import CGNError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt


def cores() -> int:
    """CPU cores that this process may use, which are not always all that there are."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def device() -> str:
    """The GPU that torch computes on, else the processor."""
    return torch.cuda.get_device_name() if on_gpu() else cpu()


def cpu() -> str:
    """The processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} (CPU)"
    return f"{platform.processor() or platform.machine()} (CPU)"


def torch_device(gpu: bool) -> torch.device:
    """Where torch computes.  gpu: on a GPU, if one is here that it can use."""
    return torch.device("cuda" if gpu and on_gpu() else "cpu")


def on_gpu() -> bool:
    """Whether torch computes on a GPU that is here."""
    return gpus() > 0


def gpus() -> int:
    """How many GPUs it computes on: those in sight before the first that it has no kernels for."""
    return len(list(takewhile(lambda card: not why_not(card), cards())))


def devices() -> int:
    """How many devices a training of a classifier uses: CGN_DEVICES, else all GPUs, else one CPU.

    Raises CGNError when CGN_DEVICES is no number above 0, or more than the GPUs or cores here.
    """
    if not (told := os.environ.get("CGN_DEVICES", "")):
        return max(gpus(), 1)
    most = gpus() or cores()
    if not (re.fullmatch(r"\d{1,9}", told) and 0 < int(told) <= most):
        raise CGNError(
            f"CGN_DEVICES is {told!r}: set it to a number of devices, {most} at most here, or "
            "unset it"
        )
    return int(told)


def cards() -> range:
    """The GPUs in sight, by number; none where the driver is too old."""
    driver()  # it warns once, and not here
    return range(torch.cuda.device_count() if torch.cuda.is_available() else 0)


@cache
def driver() -> str:
    """What torch says of a driver that it cannot use, empty where it says nothing."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.is_available()
    told = (str(warning.message) for warning in said)
    return next((text.removeprefix("CUDA initialization: ").split(". ")[0] for text in told), "")


@cache
def why_not(card: int) -> str:
    """Why torch cannot compute on a GPU in sight, empty where it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of the same
        capability, built_for = torch.cuda.get_device_capability(card), torch.cuda.get_arch_list()
    if torch.version.hip or any(_runs(name, capability) for name in built_for):
        return ""
    major, minor = capability
    return f"this torch has no kernels for sm_{major}{minor}, but for {' '.join(built_for)}"


def _runs(kernels: str, capability: tuple[int, int]) -> bool:
    """Whether kernels run on a card: those of its own major version that are no newer (`sm_86`),
    and what a driver compiles for any later card (`compute_90`)."""
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", kernels)
    if not found:
        return False
    version = int(found[2]), int(found[3])
    if found[4] == "a":  # for that one alone
        return version == capability
    later = found[1] == "compute" and not found[4]
    return version <= capability and (later or version[0] == capability[0])


def prepare() -> None:
    """Have this process compute with one CPU thread, so that a result does not depend on how many
    there are, and on a GPU only with what gives the same bits each time."""
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_memory()


def keep_memory() -> None:
    """Have this process keep the memory that it frees.

    glibc gives large blocks back to the system after each use, and training then spends its time
    in page faults (a sixth of a classifier's step).
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
