"""One attempt at a run: under a lease, with a log, to files that are whole or not there."""

import csv
import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cgnlib import compute, paths, processor
from cgnlib.compute import Job
from cgnlib.errors import CGNError, ElsewhereError, Interrupted, reason
from cgnlib.experiments import Run
from cgnlib.runs import provenance
from cgnlib.runs.lease import leased
from cgnlib.runs.results import (
    STATEMENT,
    folder_of,
    full_spec,
    is_done,
    load,
    logs_of,
    sums,
    unstated,
)
from cgnlib.runs.signals import Flag
from cgnlib.training.checkpoints import Checkpoint

logger = logging.getLogger(__name__)
ASIDE = ".made-on-"  # of folders in a run's own, and no part of its data


def attempt(run: Run, stop: Flag) -> None:
    """Compute one run whose needs are done, unless another process does or just did.

    stop: when it is set, the run saves its state and raises Interrupted.  Raises CGNError for
    what the user can mend.
    """
    folder = folder_of(run)
    locks = paths.runs(run.profile) / ".locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        locks.mkdir(exist_ok=True)
        with leased(locks / f"{run.id}.lease", run.id, stop) as check:
            try:
                if not is_done(run):
                    _attempt(run, folder, check, stop)
            except OSError:
                check()  # who took the run over cleans up: then the folder is in order
                raise
    except (OSError, SafetensorError) as error:
        raise CGNError(
            f"{folder} cannot be written ({reason(error)}): free space, mend the folder or set "
            "CGN_RUNS, then run again"
        ) from error


def adopt(run: Run) -> bool:
    """Let a finished run that states no artefacts state them as they are; whether it was one.

    Raises CGNError where it has no numbers, or cannot be written.
    """
    folder = folder_of(run)
    if stated := unstated(run):
        try:
            _write(folder / STATEMENT, _json(stated))
        except OSError as error:
            raise CGNError(
                f"{folder} cannot be written ({reason(error)}): let its owner adopt it, or use a "
                "copy of your own"
            ) from error
    return bool(stated)


def _attempt(run: Run, folder: Path, check: Callable[[], None], stop: Flag) -> None:
    """Compute a run, or go on with it.  check: raises when the lease is lost."""
    with _logged(folder) as number:
        for left in folder.glob(".tmp*"):  # by a kill, of a file that safetensors was writing
            left.unlink()
        _write(folder / "spec.json", _json(full_spec(run)))
        start = time.monotonic()
        needs = {role: load(need).folder for role, need in run.needs.items()}
        device = processor.torch_device(run.uses_gpu)

        def computed() -> tuple[Checkpoint, compute.Found]:
            path = folder / "checkpoint.pt"
            checkpoint = Checkpoint(path, checkpoint_seconds(), stop.is_set, check)
            return checkpoint, compute.compute(run, Job(folder, needs, checkpoint, device))

        try:
            checkpoint, (metrics, history) = computed()
        except ElsewhereError as error:
            check()
            _exchange(folder, error)
            checkpoint, (metrics, history) = computed()
        check()
        if history:
            with (folder / "history.csv").open("w", newline="") as file:
                rows = csv.DictWriter(file, list(dict.fromkeys(k for row in history for k in row)))
                rows.writeheader()
                rows.writerows(history)
        for path in folder.rglob("*"):  # what is said to be done is to outlast a loss of power
            if path.is_file():
                with path.open("rb") as written:
                    os.fsync(written.fileno())
        seconds = checkpoint.spent + time.monotonic() - start
        made = provenance.record(seconds, number, provenance.computed_on(run, device))
        _write(folder / "env.json", _json(made))
        last = _json(metrics)
        stated = sums(folder) | {"metrics.json": hashlib.sha256(last).hexdigest()}
        _write(folder / STATEMENT, _json(stated))
        _write(folder / "metrics.json", last)
        checkpoint.remove()
        for aside in folder.glob(f"{ASIDE}*"):
            shutil.rmtree(aside)


def _exchange(folder: Path, error: ElsewhereError) -> None:
    """Put aside the work of an attempt elsewhere, as on another kind of node, and take back what
    there is of attempts here: the two would not fit together."""
    there, here = (
        folder / f"{ASIDE}{kind.replace(' ', '-')}" for kind in (error.there, error.here)
    )
    begins = "goes on from its own work" if here.exists() else "begins anew"
    logger.warning(
        "%s, whose numbers differ: that work waits in %s for an attempt that is there again, and "
        "this one %s", error, there.name, begins,
    )  # fmt: skip
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    stays = {folder / "spec.json", *logs_of(folder), *folder.glob(f"{ASIDE}*")}
    for path in set(folder.iterdir()) - stays:
        path.rename(there / path.name)
    for path in here.iterdir() if here.exists() else ():
        path.rename(folder / path.name)
    if here.exists():
        here.rmdir()


def checkpoint_seconds() -> float:
    """Seconds between two checkpoints: CGN_CHECKPOINT_SECONDS, else 60.

    Raises CGNError when it is no number, or less than 0.
    """
    told = os.environ.get("CGN_CHECKPOINT_SECONDS") or "60"
    try:
        if 0 <= (seconds := float(told)) < math.inf:
            return seconds
    except ValueError:
        pass
    raise CGNError(f"CGN_CHECKPOINT_SECONDS is {told!r}: set it to a number of seconds")


@contextmanager
def _logged(folder: Path) -> Iterator[int]:
    """Write what the package logs into attempt-NNN.log, and how the attempt ends; its number."""
    number = 1 + max((int(p.stem.removeprefix("attempt-")) for p in logs_of(folder)), default=0)
    handler = logging.FileHandler(folder / f"attempt-{number:03}.log", encoding="utf-8")
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk: the run says so
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    package = logging.getLogger("cgnlib")
    level = package.level
    package.setLevel(logging.DEBUG)
    package.addHandler(handler)
    try:
        logger.debug("started by %s, commit %s", provenance.place(), provenance.commit())
        yield number
        logger.debug("done")
    except Interrupted as error:
        logger.debug("interrupted: %s", error)
        raise
    except BaseException:
        logger.debug("failed", exc_info=True)
        raise
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        handler.close()


def _json(content: dict) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
