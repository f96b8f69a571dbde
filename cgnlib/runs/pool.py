"""`ensure(runs)`: load what is done and matches its spec, else compute it."""

import logging
from collections.abc import Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from graphlib import TopologicalSorter
from multiprocessing import get_context
from typing import NoReturn

import torch
from tqdm import tqdm

from cgnlib import precision, processor
from cgnlib.errors import CGNError, Interrupted, reason
from cgnlib.experiments import Run, jobs, with_needs
from cgnlib.runs.inputs import checksums
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
        checksums(run.reads())
    precision.of(torch.device("cpu"))
    if any(run.trains_on_devices for run in found):
        processor.devices()
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
    declared = {run.id: run for run in missing}
    order = TopologicalSorter(
        {id: [n.id for n in run.needs.values() if n.id in declared] for id, run in declared.items()}
    )
    order.prepare()
    chain = jobs.chains(missing)
    ready: list[Run] = []
    under_way: dict[Future, Run] = {}
    failure: tuple[Run, BaseException] | None = None
    going, left = True, len(missing)
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
        while True:
            ready += (declared[id] for id in order.get_ready())
            # what most waits for comes first, so that cores idle late
            for run in sorted(ready, key=lambda run: chain[run.id], reverse=True):
                free = going and _has_room(run, under_way.values(), workers)
                if free and not stop.is_set():
                    ready.remove(run)
                    under_way[pool.submit(compute_one, run)] = run
            if not under_way:
                break
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                run, left = under_way.pop(future), left - 1
                if error := future.exception():  # what needs it is never ready
                    failure = failure or (run, error)
                    fatal = isinstance(error, BrokenProcessPool | Interrupted)
                    going = going and keep_going and not fatal
                    if going:
                        logger.warning("%s failed: %s", run.id, reason(error))
                else:
                    order.done(run.id)
                bar.set_postfix_str(run.id)
                bar.update()
                if bar.disable:  # not a terminal: a line that a log file can hold
                    logger.info("%d left: %s", left, run.id)
    if failure:
        _raise(*failure, stop.is_set())
    if left:
        raise Interrupted(f"stopped with {left} runs left")


def _raise(run: Run, error: BaseException, stopped: bool) -> NoReturn:
    """For the error that ended a run, what tells the user."""
    if isinstance(error, CGNError | Interrupted):
        raise error
    if not isinstance(error, BrokenProcessPool):
        raise RuntimeError(f"run {run.id} failed: {type(error).__name__}: {error}") from error
    if stopped:
        raise Interrupted("stopped while its processes were starting") from error
    raise CGNError(
        f"the process that computed {run.id} was killed (out of memory?): run again with "
        "fewer --workers; it goes on from its last checkpoint"
    ) from error


def _has_room(run: Run, busy: Collection[Run], workers: int) -> bool:
    """Whether a run fits beside those under way; alone it always does."""
    if not busy:
        return True
    together = (run, *busy)
    shared = [each.gpu_memory_mb for each in together if each.uses_gpu]
    if processor.on_gpu() and run.uses_gpu and len(shared) > 1 and sum(shared) > _gpu_memory_mb():
        return False
    return sum(jobs.resources(each).cores for each in together) <= workers


def _gpu_memory_mb() -> float:
    return torch.cuda.get_device_properties(0).total_memory / 2**20
