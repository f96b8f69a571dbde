"""The processes that compute runs: how they start, are asked to stop, and end."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait as wait_for

from cgnlib import processor
from cgnlib.experiments import Run, profile
from cgnlib.runs import attempt
from cgnlib.runs.signals import SIGNALS, Flag, signals_set

_stop: Flag = threading.Event()  # set when this process is asked to stop; a worker has its pool's


def compute_here(run: Run) -> None:
    """Compute one run whose needs are done in this process, which exists for nothing else.

    Raises what `ensure` raises.
    """
    processor.prepare()
    with signals_set(_stop):
        compute_one(run)


def compute_one(run: Run) -> None:
    usual = {"CGN_PRECISION": os.environ.get("CGN_PRECISION") or profile(run.profile).precision}
    with environment(usual):
        attempt.attempt(run, _stop)


class _Either:
    """A worker's own flag beside that of its pool: a handler of signals must not touch the latter,
    whose lock the interrupted code may hold."""

    def __init__(self, pools: Flag):
        self.pools, self.own = pools, False

    def set(self) -> None:
        self.own = True

    def is_set(self) -> bool:
        return self.own or self.pools.is_set()


def start_worker(stop: Flag) -> None:
    """A worker stops when its parent is asked to, and ends when its parent ends: a worker alone
    would wait for ever."""
    global _stop
    _stop = _Either(stop)
    for number in SIGNALS:  # Ctrl-C and a cluster reach every process of a job
        signal.signal(number, lambda *_: _stop.set())
    processor.prepare()

    parent = parent_process()

    def follow_parent() -> None:
        wait_for([parent.sentinel] if parent else [])
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes that start inside the block."""
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)
