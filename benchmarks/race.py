"""Two renditions of one piece of work, in processes of their own, timed in turns.

A side is a function of a `Clock` that does its work for ever and calls the clock after each unit
of it: a step, a batch.  Only the ratio of two sides means much: what else the machine does hits
both alike, as they take turns.  The fast side runs twice where the book computes such work one
process a core: once as the plain one does, in one process on all cores, and once like that.
"""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import mean

import psutil
import torch

from cgnlib import processor
from cgnlib.runs import provenance

TURNS = 4
BUSY = 10.0  # percent of all cores that other work may take


class Ended(BaseException):
    """The race is over."""


class Clock:
    """What a side calls after each unit of its work; waits where it is the other side's turn.

    A turn lasts as long as it was told, and one unit at least.  The first unit is not counted.
    """

    def __init__(self, pipe: Connection):
        self.pipe, self.times = pipe, None
        self.left, self.begun = 0.0, 0.0  # seconds of this turn; when its unit began

    def __call__(self) -> bool:
        """Whether to stop: never, so that this can be a checkpoint's `stop`."""
        now = time.perf_counter()
        if self.times is not None:
            self.times.append(now - self.begun)
            self.left -= self.times[-1]
        if self.times is None or self.left <= 0:
            self.pipe.send((self.times or [], provenance.peak_memory_mb()))
            told = self.pipe.recv()
            if not told:
                raise Ended
            self.times, self.left = [], told
        self.begun = time.perf_counter()
        return False


Side = Callable[[Clock], None]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    plain, fast: functions of a module, as they are started in processes.  images: what a unit of
    each is worth.  target: the ratio that this project set itself.  gflop: billions of
    floating-point operations that the plain algorithm takes for an image, 0 where that says
    nothing.  each_core: whether the book computes such work one process a core; else one process
    has all cores.  memory_target: the share of the plain side's peak memory that this project set
    itself, 0 for none.
    """

    name: str
    plain: Side
    fast: Side
    images: tuple[int, int]
    target: float
    gflop: float = 0.0
    each_core: bool = False
    memory_target: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Images a second of (plain, fast), and the peak memory of one of their processes in GiB.

    alone: the fast side's rate in one process on all cores.
    """

    rates: tuple[float, float]
    memory: tuple[float, float]
    alone: float

    @property
    def ratio(self) -> float:
        return self.rates[1] / self.rates[0]


def quiet(seconds: float = 2.0) -> bool:
    """Whether other work leaves the cores alone while this process sleeps; says so where not."""
    taken = psutil.cpu_percent(seconds)
    if taken > BUSY:
        print(
            f"warning: other work takes {taken:.0f}% of the cores, so these times say little and "
            "no record is written: run it again when nothing else runs",
            file=sys.stderr,
        )
    return taken <= BUSY


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C, which is for the one that waits."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


class _Party:
    """Processes that do the same at the same time, `threads` threads each."""

    def __init__(self, side: Side, fast: bool, images: int, processes: int, threads: int):
        context = multiprocessing.get_context("spawn")
        self.images, self.memory = images, 0
        self.pipes, self.processes = [], []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_live, args=(side, fast, threads, theirs))
            with deaf():
                process.start()
            theirs.close()  # so that a process that dies is noticed here
            self.pipes.append(ours)
            self.processes.append(process)
        self.times = [[] for _ in self.pipes]

    def warm_up(self) -> None:
        for pipe in self.pipes:
            pipe.recv()

    def take_turn(self, seconds: float) -> None:
        for pipe in self.pipes:
            pipe.send(seconds)
        for pipe, times in zip(self.pipes, self.times, strict=True):
            found, memory = pipe.recv()
            times.extend(found)
            self.memory = max(self.memory, memory)

    @property
    def rate(self) -> float:
        return sum(self.images / mean(times) for times in self.times)

    def end(self) -> None:
        for pipe in self.pipes:
            with suppress(OSError):  # it may have died
                pipe.send(0)
        for process in self.processes:
            process.join(30)
            process.terminate()


def run(row: Row, seconds: float) -> Outcome:
    """Time both sides of a row for some seconds each, in turns; means over their units."""
    cores = processor.cores()
    sides = [(row.plain, False, row.images[0], 1, cores), (row.fast, True, row.images[1], 1, cores)]
    if row.each_core and cores > 1:
        sides.append((row.fast, True, row.images[1], cores, 1))
    parties: list[_Party] = []
    try:
        for side in sides:
            parties.append(_Party(*side))
            parties[-1].warm_up()
        for _ in range(TURNS):
            for party in parties:
                party.take_turn(seconds / TURNS)
    finally:
        for party in parties:
            party.end()
    plain, alone, fast = parties[0], parties[1], parties[-1]
    memory = plain.memory / 2**10, fast.memory / 2**10
    return Outcome((plain.rate, fast.rate), memory, alone.rate)


def _live(side: Side, fast: bool, threads: int, pipe: Connection) -> None:
    torch.set_num_threads(threads)
    if fast:
        processor.keep_memory()  # as every run does
    torch.manual_seed(0)
    with suppress(Ended):
        side(Clock(pipe))


def convolution_peak(dtype: torch.dtype = torch.float32, seconds: float = 2.0) -> float:
    """GFLOP/s that this machine reaches in a convolution which suits it, at its best."""
    layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(dtype, memory_format=torch.channels_last)
    x = torch.randn(64, 64, 32, 32).to(dtype, memory_format=torch.channels_last)
    times, start = [], time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - start < seconds:
            begun = time.perf_counter()
            layer(x)
            times.append(time.perf_counter() - begun)
    return 2 * layer.weight.numel() * x[:, 0].numel() / min(times) / 1e9
