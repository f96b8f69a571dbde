"""`ensure(runs)`: load what is done and matches its spec, else compute it."""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for

import torch
from tqdm import tqdm

from cgnlib import attempts, execute, jobs, precision, provenance
from cgnlib.artefacts import Result, folder_of, is_done, load
from cgnlib.errors import CGNError, reason
from cgnlib.experiments import Run, with_needs
from cgnlib.interruption import SIGNALS, Flag, Interrupted, signals_set

__all__ = ["Result", "compute_here", "ensure", "folder_of", "is_done", "load", "missing"]

logger = logging.getLogger(__name__)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt
_stop: Flag = threading.Event()  # set when this process is asked to stop; a worker has its pool's


def missing(runs: Iterable[Run]) -> list[Run]:
    """What is not done of the runs and of all that they need, needs first.

    Raises CGNError where data or a setting is not as they need it: now, not hours later.
    """
    found = [run for run in with_needs(runs) if not is_done(run)]
    for run in found:
        execute.inputs(run)
    precision.of(torch.device("cpu"))
    if any(run.kind in ("plain", "ensemble") for run in found):
        from cgnlib.train_ensemble import devices  # seconds, for the others' nothing

        devices()
    return found


def ensure(
    runs: Iterable[Run], workers: int | None = None, keep_going: bool = False
) -> list[Result]:
    """The results of all runs, in order; what is missing is computed first, needs before users.

    workers: processes at work, one CPU thread each, so that a result does not depend on the number
    of cores; all cores unless told. A run that asks for several cores takes the place of as many,
    and a GPU has as many runs at a time as its memory holds. Raises CGNError naming the first run
    that failed; the others that were under way are finished first, and with keep_going all that do
    not need it. Asked to stop, by Ctrl-C or a signal, it saves what is under way and raises
    Interrupted.
    """
    runs = list(runs)
    if wanted := missing(runs):
        _compute(wanted, workers or provenance.cores(), keep_going)
    return [load(run) for run in runs]


def compute_here(run: Run) -> None:
    """Compute one run whose needs are done in this process, which exists for nothing else.

    Raises what `ensure` raises.
    """
    _prepare_process()
    with signals_set(_stop):
        _compute_one(run)


def _compute(missing: list[Run], workers: int, keep_going: bool) -> None:
    chain = jobs.chains(missing)  # what most waits for comes first, so that cores idle late
    waiting = {run.id: run for run in sorted(missing, key=lambda r: chain[r.id], reverse=True)}
    under_way: dict[Future, Run] = {}
    failure: tuple[Run, BaseException] | None = None
    processes = min(workers, len(missing))
    quiet = {"TQDM_DISABLE": "1"} if processes > 1 else {}  # bars of two workers would overlap
    context = get_context("spawn")
    stop = context.Event()
    with (
        _environment(quiet),
        signals_set(stop),
        ProcessPoolExecutor(processes, context, _start_worker, (stop,)) as pool,
        tqdm(total=len(missing), unit="run", disable=None) as bar,
    ):
        while under_way or (waiting and not stop.is_set()):
            busy = waiting.keys() | {run.id for run in under_way.values()}
            for run in list(waiting.values()):
                free = _has_room(run, under_way.values(), workers) and not stop.is_set()
                if free and not any(n.id in busy for _, n in run.needs):
                    under_way[pool.submit(_compute_one, run)] = waiting.pop(run.id)
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                run = under_way.pop(future)
                if error := future.exception():
                    failure = failure or (run, error)
                    going = keep_going and not isinstance(error, BrokenProcessPool | Interrupted)
                    for name in _users(run, waiting.values()) if going else list(waiting):
                        del waiting[name]
                    if going:
                        logger.warning("%s failed: %s", run.id, reason(error))
                bar.set_postfix_str(run.id)
                bar.update()
                if bar.disable:  # not a terminal: a line that a log file can hold
                    logger.info("%d left: %s", len(waiting) + len(under_way), run.id)
    if failure:
        run, error = failure
        if isinstance(error, CGNError | Interrupted):
            raise error
        if isinstance(error, BrokenProcessPool) and stop.is_set():
            raise Interrupted("stopped while its processes were starting") from error
        if isinstance(error, BrokenProcessPool):
            raise CGNError(
                f"the process that computed {run.id} was killed (out of memory?): run again with "
                "fewer --workers; it goes on from its last checkpoint"
            ) from error
        raise RuntimeError(f"run {run.id} failed: {type(error).__name__}: {error}") from error
    if waiting:
        raise Interrupted(f"stopped with {len(waiting)} runs left")


def _users(needed: Run, among: Iterable[Run]) -> list[str]:
    """The ids of those that need a run, by way of others too."""
    return [run.id for run in among if needed.id in {need.id for need in with_needs([run])}]


def _has_room(run: Run, busy: Collection[Run], workers: int) -> bool:
    """Whether a run fits beside those under way; alone it always does."""
    if not busy:
        return True
    together = (run, *busy)
    shared = execute.on_gpu(run) and any(map(execute.on_gpu, busy))
    if shared and sum(map(execute.gpu_memory_mb, together)) > _gpu_memory_mb():
        return False
    return sum(jobs.resources(other).cores for other in together) <= workers


def _gpu_memory_mb() -> float:
    return torch.cuda.get_device_properties(0).total_memory / 2**20


def _compute_one(run: Run) -> None:
    attempts.compute(run, _stop)


class _Either:
    """A worker's own flag beside that of its pool: a handler of signals must not touch the latter,
    whose lock the interrupted code may hold."""

    def __init__(self, pools: Flag):
        self.pools, self.own = pools, False

    def set(self) -> None:
        self.own = True

    def is_set(self) -> bool:
        return self.own or self.pools.is_set()


def _start_worker(stop: Flag) -> None:
    """A worker stops when its parent is asked to, and ends when its parent ends: a worker alone
    would wait for ever."""
    global _stop
    _stop = _Either(stop)
    for number in SIGNALS:  # Ctrl-C and a cluster reach every process of a job
        signal.signal(number, lambda *_: _stop.set())
    _prepare_process()

    def follow_parent() -> None:
        wait_for([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _prepare_process() -> None:
    """One CPU thread, so that a result does not depend on how many there are; on a GPU only what
    gives the same bits each time."""
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
