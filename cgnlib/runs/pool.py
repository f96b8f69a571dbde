"""`ensure(runs)`: load what is done and matches its spec, else compute it."""

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import torch
from tqdm import tqdm

from cgnlib import jobs, precision, processor
from cgnlib.compute import digits
from cgnlib.errors import CGNError, Interrupted, reason
from cgnlib.experiments import Run, with_needs
from cgnlib.runs.process import compute_one, environment, start_worker
from cgnlib.runs.results import Result, is_done, load
from cgnlib.runs.signals import signals_set

logger = logging.getLogger(__name__)


def missing(runs: Iterable[Run]) -> list[Run]:
    """What is not done of the runs and of all that they need, needs first.

    Raises CGNError where data or a setting is not as they need it: now, not hours later.
    """
    found = [run for run in with_needs(runs) if not is_done(run)]
    for run in found:
        digits.inputs(run)
    precision.of(torch.device("cpu"))
    if any(run.kind in ("plain", "ensemble") for run in found):
        from cgnlib.training.classifiers import devices  # seconds, for the others' nothing

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
        _compute(wanted, workers or processor.cores(), keep_going)
    return [load(run) for run in runs]


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
        environment(quiet),
        signals_set(stop),
        ProcessPoolExecutor(processes, context, start_worker, (stop,)) as pool,
        tqdm(total=len(missing), unit="run", disable=None) as bar,
    ):
        while under_way or (waiting and not stop.is_set()):
            busy = waiting.keys() | {run.id for run in under_way.values()}
            for run in list(waiting.values()):
                free = _has_room(run, under_way.values(), workers) and not stop.is_set()
                if free and not any(n.id in busy for _, n in run.needs):
                    under_way[pool.submit(compute_one, run)] = waiting.pop(run.id)
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
    shared = digits.on_gpu(run) and any(map(digits.on_gpu, busy))
    if shared and sum(map(digits.gpu_memory_mb, together)) > _gpu_memory_mb():
        return False
    return sum(jobs.resources(other).cores for other in together) <= workers


def _gpu_memory_mb() -> float:
    return torch.cuda.get_device_properties(0).total_memory / 2**20
