"""Where, when, with what and for how long a run was computed."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from cgnlib import paths, precision, processor
from cgnlib.experiments import Run


def record(seconds: float, attempts: int, computed_on: str) -> dict:
    """What env.json holds.  seconds: of all attempts, as far as their work was kept."""
    return {
        "seconds": round(seconds, 2),
        "attempts": attempts,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": computed_on,
        "threads": torch.get_num_threads(),
        "peak_memory_mb": peak_memory_mb(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cgnlib": version("cgn-book"),
        "commit": commit(),
    }


def computed_on(run: Run, device: torch.device) -> str:
    """What a run computes on, and in bfloat16 where its products are."""
    if device.type != "cpu":
        return processor.device()
    if run.mixed and precision.of(device) == precision.BFLOAT16:
        return processor.cpu().replace("(CPU)", "(CPU, bfloat16)")
    return processor.cpu()


def place() -> str:
    """This process, as a log names it: host, process id, and the cluster's job where it is one."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"{platform.node()}, process {os.getpid()}" + (f", Slurm job {job}" if job else "")


@cache
def commit() -> str:
    """The commit of the project's own working tree, with `+` where the package has changes.

    Outside git, as on a machine that only got a copy, and inside another project's tree, what
    CGN_COMMIT says, else `unknown`.
    As it was when this process asked first: the code that it has loaded is of that time.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(paths.ROOT), *words]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)

    try:
        top, head = git("rev-parse", "--show-toplevel", "--short=10", "HEAD").splitlines()
        if not Path(top).samefile(paths.ROOT):
            raise OSError(f"{top} is another project")
        changed = git("status", "--porcelain", "cgnlib")
    except (OSError, ValueError, subprocess.CalledProcessError):
        return os.environ.get("CGN_COMMIT") or "unknown"
    return head.strip() + ("+" if changed.strip() else "")


def peak_memory_mb() -> int | None:
    """The most memory that this process has held so far; a worker may have held it for another
    run.  None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
