"""Two renditions of one piece of work, each in a process of its own, timed in turns.

A side is a function of a `Clock` that does its work for ever and calls the clock after each unit
of it: a step, a batch.  Only the ratio of two sides means much: what else the machine does hits
both alike, as they take turns.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import mean

import torch

from cgnlib import provenance, runs

TURNS = 4


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
    nothing.
    """

    name: str
    plain: Side
    fast: Side
    images: tuple[int, int]
    target: float
    gflop: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Images a second and peak memory in GiB of (plain, fast)."""

    rates: tuple[float, float]
    memory: tuple[float, float]

    @property
    def ratio(self) -> float:
        return self.rates[1] / self.rates[0]


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C, which is for the one that waits."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def run(row: Row, seconds: float) -> Outcome:
    """Time both sides of a row for some seconds each, in turns; means over their units."""
    pipes, processes, times, memory = [], [], ([], []), [0, 0]
    context = multiprocessing.get_context("spawn")
    try:
        for side in (row.plain, row.fast):
            ours, theirs = context.Pipe()
            process = context.Process(target=_live, args=(side, side is row.fast, theirs))
            with deaf():
                process.start()
            processes.append(process)
            theirs.close()  # so that a process that dies is noticed here
            pipes.append(ours)
            ours.recv()  # it is warm
        for _ in range(TURNS):
            for i, pipe in enumerate(pipes):
                pipe.send(seconds / TURNS)
                found, memory[i] = pipe.recv()
                times[i].extend(found)
        for pipe in pipes:
            pipe.send(0)
        for process in processes:
            process.join(30)
    finally:
        for process in processes:
            process.terminate()
    rates = (n / mean(t) for n, t in zip(row.images, times, strict=True))
    return Outcome(tuple(rates), tuple(m / 2**10 for m in memory))


def _live(side: Side, fast: bool, pipe: Connection) -> None:
    if fast:
        runs.keep_memory()  # as every run does
    torch.manual_seed(0)
    with suppress(Ended):
        side(Clock(pipe))


def convolution_peak(seconds: float = 2.0) -> float:
    """GFLOP/s that this machine reaches in a convolution which suits it, at its best."""
    layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(64, 64, 32, 32).contiguous(memory_format=torch.channels_last)
    times, start = [], time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - start < seconds:
            begun = time.perf_counter()
            layer(x)
            times.append(time.perf_counter() - begun)
    return 2 * layer.weight.numel() * x[:, 0].numel() / min(times) / 1e9
