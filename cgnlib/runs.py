"""`ensure(runs)`: load what is done and matches its spec, else compute it.

A run's folder, runs/<profile>/<id>/, holds spec.json, the artefacts of its kind (history.csv,
decisions.csv, weights.safetensors, images.npy, samples.npz), env.json, and metrics.json, written
last and by rename: its presence means done.  A lock keeps two processes from computing the same
run at once, and is freed by the system when its owner dies.
"""

import csv
import json
import logging
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from threading import Thread

import torch
from filelock import FileLock
from safetensors import SafetensorError
from tqdm import tqdm

from cgnlib import execute, paths, train_ensemble
from cgnlib.errors import CGNError, reason
from cgnlib.experiments import Run, with_needs
from cgnlib.mnists import Images
from cgnlib.train import Checkpoint

logger = logging.getLogger(__name__)

# glibc gives large blocks back to the system after each use, and training then spends its time
# in page faults; a worker keeps them (a sixth of a classifier's step).
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}


@dataclass(frozen=True)
class Result:
    """A finished run: its declaration and the folder of its artefacts."""

    run: Run
    folder: Path

    @cached_property
    def metrics(self) -> dict:
        """The run's numbers, fractions where they are shares."""
        return _read_json(self.folder / "metrics.json")

    @cached_property
    def env(self) -> dict:
        """Where, when, with what and for how long it was computed."""
        return _read_json(self.folder / "env.json")

    @property
    def spec(self) -> dict:
        return _read_json(self.folder / "spec.json")

    def history(self) -> list[dict[str, float]]:
        """A row for each part of the training."""
        with (self.folder / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
            return [{k: float(v) for k, v in row.items() if v} for row in rows]

    def images(self) -> Images:
        """The images of a `set` run."""
        return execute.load_set(self.folder)


def folder_of(run: Run) -> Path:
    return paths.runs(run.profile) / run.id


def is_done(run: Run) -> bool:
    """Whether the run is there and was made from the same spec.

    Raises CGNError where a folder of that name was made from another spec.
    """
    folder = folder_of(run)
    if not (folder / "spec.json").exists():
        return False
    made, wanted = _read_json(folder / "spec.json"), _full_spec(run)
    if made != wanted and set(os.listdir(folder)) == {"spec.json"}:
        return False  # a run that failed before it left anything: there is nothing to protect
    if made != wanted:
        raise CGNError(
            f"{folder} was made from another spec ({_difference(made, wanted)}): "
            "move it away, or set CGN_RUNS to another folder"
        )
    if not (folder / "metrics.json").exists():
        return False
    _read_json(folder / "metrics.json")
    return True


def load(run: Run) -> Result:
    """A run that is done already.  Raises CGNError when it is not."""
    if not is_done(run):
        raise CGNError(
            f"run {run.id} is not done: python -m cgnlib run --profile {run.profile} {run.id}"
        )
    return Result(run, folder_of(run))


def ensure(runs: Iterable[Run], workers: int | None = None) -> list[Result]:
    """The results of all runs, in order; what is missing is computed first, needs before users.

    workers: processes at work, one CPU thread each, so that a result does not depend on the
    number of cores; all cores unless told.  With a GPU there is one worker.  Raises CGNError
    naming the first run that failed; the others that were under way are finished.
    """
    runs = list(runs)
    missing = [run for run in with_needs(runs) if not is_done(run)]
    if missing:
        for run in missing:  # data that is not there is found now, not hours later
            execute.inputs(run)
        train_ensemble.devices()  # so is a setting that makes no sense
        _compute(missing, workers or (1 if torch.cuda.is_available() else os.cpu_count() or 1))
    return [load(run) for run in runs]


def _compute(missing: list[Run], workers: int) -> None:
    # the longest first: the generators, for which everything else waits
    waiting = {run.id: run for run in sorted(missing, key=_images_seen, reverse=True)}
    under_way: dict[Future, Run] = {}
    failure: tuple[Run, BaseException] | None = None
    processes = min(workers, len(missing))
    quiet = {"TQDM_DISABLE": "1"} if processes > 1 else {}  # bars of two workers would overlap
    with (
        _environment(KEEP_MEMORY | quiet),
        ProcessPoolExecutor(processes, get_context("spawn"), _start_worker) as pool,
        tqdm(total=len(missing), unit="run", disable=None) as bar,
    ):
        while waiting or under_way:
            busy = waiting.keys() | {run.id for run in under_way.values()}
            for run in list(waiting.values()):
                if len(under_way) < workers and not any(n.id in busy for _, n in run.needs):
                    under_way[pool.submit(_compute_one, run)] = waiting.pop(run.id)
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                run = under_way.pop(future)
                if error := future.exception():
                    failure = failure or (run, error)
                    waiting.clear()
                bar.set_postfix_str(run.id)
                bar.update()
                if bar.disable:  # not a terminal: a line that a log file can hold
                    logger.info("%d left: %s", len(waiting) + len(under_way), run.id)
    if failure:
        run, error = failure
        if isinstance(error, CGNError):
            raise error
        if isinstance(error, BrokenProcessPool):
            raise CGNError(
                f"the process that computed {run.id} was killed (out of memory?): run again with "
                "fewer --workers; it goes on from its last checkpoint"
            ) from error
        raise RuntimeError(f"run {run.id} failed: {type(error).__name__}: {error}") from error


def _images_seen(run: Run) -> int:
    settings = dict(run.settings)
    passes = settings.get("steps", 0) * settings.get("accumulate", 1)
    return passes * settings.get("batch", 0)


def _start_worker() -> None:
    """One CPU thread, and an end when the parent ends: a worker alone would wait for ever."""
    torch.set_num_threads(1)

    def follow_parent() -> None:
        wait_for([parent_process().sentinel])
        os._exit(1)

    Thread(target=follow_parent, daemon=True).start()


def _compute_one(run: Run) -> None:
    """Compute one run whose needs are done, unless another process just did."""
    folder = folder_of(run)
    lock = paths.runs(run.profile) / ".locks" / f"{run.id}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise CGNError(
            f"{folder} cannot be made ({reason(error)}): mend it or set CGN_RUNS"
        ) from error
    with FileLock(lock):
        if is_done(run):
            return
        try:
            _write_json(folder / "spec.json", _full_spec(run))
            start = time.monotonic()
            needs = {role: load(need).folder for role, need in run.needs}
            checkpoint = Checkpoint(folder / "checkpoint.pt")
            metrics, history = execute.execute(run, folder, needs, checkpoint)
            if history:
                _write_csv(folder / "history.csv", history)
            _write_json(folder / "env.json", _environment_record(time.monotonic() - start))
            _write_json(folder / "metrics.json", metrics)
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        except (OSError, SafetensorError) as error:
            raise CGNError(
                f"{folder} cannot be written ({reason(error)}): free space or mend the folder, "
                "then run again"
            ) from error


def _full_spec(run: Run) -> dict:
    return run.spec() | {"inputs": execute.inputs(run)}


def _difference(made: dict, wanted: dict) -> str:
    for key in wanted:
        if made.get(key) == wanted[key]:
            continue
        if isinstance(wanted[key], dict) and isinstance(made.get(key), dict):
            return f"{key}: {_difference(made[key], wanted[key])}"
        return f"{key} was {made.get(key)!r} and is {wanted[key]!r}"
    return "it has " + ", ".join(made.keys() - wanted.keys()) + " besides"


def _environment_record(seconds: float) -> dict:
    return {
        "seconds": round(seconds, 2),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _cpu(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cgnlib": version("cgn-book"),
        "commit": commit(),
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()} (CPU)"
    return f"{platform.processor() or platform.machine()} (CPU)"


def commit() -> str:
    """The commit of the working tree, with `+` where it has changes; `unknown` outside git."""
    try:
        git = ["git", "-C", str(paths.ROOT)]
        head = subprocess.check_output(
            [*git, "rev-parse", "--short=10", "HEAD"], text=True, stderr=subprocess.DEVNULL
        )
        changed = subprocess.check_output(
            [*git, "status", "--porcelain", "cgnlib"], text=True, stderr=subprocess.DEVNULL
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if changed.strip() else "")


class _environment:
    """Environment variables for processes that start inside the block."""

    def __init__(self, variables: dict[str, str]):
        self.variables = variables

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.variables}
        os.environ.update(self.variables)

    def __exit__(self, *error) -> None:
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("it does not hold an object")
        return content
    except (OSError, ValueError) as error:
        raise CGNError(
            f"{path} cannot be read ({reason(error)}): delete {path.parent} and run again"
        ) from error


def _write_json(path: Path, content: dict) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    os.replace(part, path)


def _write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
