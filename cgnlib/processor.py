"""What computes here: cores, the CPU, the GPU."""

import os
import platform
from pathlib import Path

import torch


def cores() -> int:
    """CPU cores that this process may use, which are not always all that there are."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def device() -> str:
    """The GPU that torch computes on, else the processor."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else cpu()


def cpu() -> str:
    """The processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} (CPU)"
    return f"{platform.processor() or platform.machine()} (CPU)"


def torch_device(gpu: bool) -> torch.device:
    """Where torch computes.  gpu: on a GPU, if one is here."""
    return torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
