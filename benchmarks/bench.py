"""Time the fast paths against plain renditions of the same algorithm, both on all cores.

    make bench                       all rows, and book/records/benchmarks.csv
    python benchmarks/bench.py --only counterfactuals --seconds 20

Both sides of a row run in turns, in processes of their own; only the ratio means much.  The plain
side is one process on all cores, as the published code runs; the fast side is one process a core
where the book computes such work like that, and `alone` is its ratio in one process.  The share of
the peak is what the plain algorithm's operations would need, at the rate of the fast path, of what
this machine reaches in a convolution in float32.  Where something else is running before or after,
no record is written.
"""

import argparse
import csv
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import race
import rows
import torch

from cgnlib import paths, precision, processor
from cgnlib.data.images import load_set
from cgnlib.errors import CGNError, reason
from cgnlib.experiments.recipes import ClassifierRecipe
from cgnlib.runs import provenance
from cgnlib.training.checkpoints import Checkpoint
from cgnlib.training.digits import train_classifier

SIZES = (1, 2, 4)
SCALED = {  # what is timed at three sizes: the side, its units in the smallest, images of a unit
    "Counterfactuals, one a shape": (20, 100),
    "Classifier training": (60, rows.BATCH),
    "CGN training, W-MNIST, profile full": (15, rows.CGN_BATCH),
}
MILLION = 10**6
COLUMNS = (
    *("benchmark", "metric", "value", "unit", "n"),
    *("cores", "memory_gib", "device", "torch", "commit", "finished"),
)


class Stamps(list):
    """A clock that notes when it was called, and ends a side after some calls."""

    def __init__(self, wanted: int):
        super().__init__()
        self.wanted = wanted

    def __call__(self) -> bool:
        self.append(time.perf_counter())
        if len(self) > self.wanted:
            raise race.Ended
        return False


def scaling(row: race.Row, units: int) -> list[float]:
    """Seconds that a side's first units, 2 * units and 4 * units take, in a process of its own."""
    with race.deaf():
        started = multiprocessing.get_context("spawn").Pool(1)
    with started as pool:
        stamps = pool.apply(_stamped, (row.fast, SIZES[-1] * units))
    return [stamps[n * units] - stamps[0] for n in SIZES]


def _stamped(side: race.Side, wanted: int) -> list[float]:
    processor.keep_memory()
    stamps = Stamps(wanted)
    with suppress(race.Ended):
        side(stamps)
    return list(stamps)


def million(steps: int = 200) -> dict[str, float]:
    """GiB that training on a stored set of a million images takes, in a process of its own.

    private: what the process holds for itself, at most.  mapped: what it adds to that of files, at
    most, its libraries among them.  on_disk: the set.
    """
    with tempfile.TemporaryDirectory() as name:
        blank_set(Path(name), MILLION)
        with race.deaf():
            started = multiprocessing.get_context("spawn").Pool(1)
        with started as pool:
            return pool.apply(_trained, (Path(name), steps))


def blank_set(folder: Path, n: int) -> None:
    """A stored set of n images that are holes: as large as others, and no disk is used."""
    np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (n, 32, 32, 3))
    np.save(folder / "labels.npy", np.arange(n) % 10)


def _trained(folder: Path, steps: int) -> dict[str, float]:
    data, private = load_set(folder), []

    def clock() -> bool:
        private.append(_status("RssAnon"))
        if len(private) == steps:
            raise race.Ended
        return False

    with suppress(race.Ended):
        train_classifier(data, ClassifierRecipe(epochs=1, batch=640), 0, Checkpoint(stop=clock))
    return {
        "private": max(private),
        "mapped": _status("VmHWM") - max(private),
        "on_disk": (folder / "images.npy").stat().st_size / 2**30,
    }


def _status(name: str) -> float:
    """A line of this process's status, in GiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError(f"/proc/self/status has no {name}: measure on Linux")


def measured(chosen: list[race.Row], seconds: float, whole: bool) -> Iterator[tuple]:
    """(benchmark, metric, value, unit, n) of all that is timed, printed on the way."""
    peak, half = race.convolution_peak(), race.convolution_peak(torch.bfloat16)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, ", end="")
    print(f"{peak:.0f} GFLOP/s in float32, {half:.0f} in bfloat16; ", end="")
    print(f"training in {precision.of(torch.device('cpu'))}")
    print(f"{'':36} {'images a second':^19} {'':21} {'peak GiB':^11} {'of the':>7}")
    print(f"{'':36} {'plain':>9} {'fast':>9} {'ratio':>6} {'alone':>6} {'target':>7} ", end="")
    print(f"{'plain':>5} {'fast':>5} {'peak':>7}")
    for row in chosen:
        found = race.run(row, seconds)
        share = row.gflop * found.rates[1] / peak
        line = f"{row.name:36} {found.rates[0]:9,.4g} {found.rates[1]:9,.4g} {found.ratio:6.2f} "
        alone = found.alone / found.rates[0]
        line += f"{alone:6.2f} {row.target:7g} {found.memory[0]:5.2f} {found.memory[1]:5.2f} "
        print(line + (f"{share:7.0%}" if row.gflop else ""), flush=True)
        for side, rate, memory in zip(("plain", "fast"), found.rates, found.memory, strict=True):
            yield row.name, f"{side}_rate", rate, "images/s", ""
            yield row.name, f"{side}_peak", memory, "GiB", ""
        yield row.name, "ratio", found.ratio, "ratio", ""
        yield row.name, "ratio_alone", alone, "ratio", ""
        yield row.name, "target", row.target, "ratio", ""
        if row.memory_target:
            yield row.name, "memory_ratio", found.memory[1] / found.memory[0], "ratio", ""
            yield row.name, "memory_target", row.memory_target, "ratio", ""
        if row.gflop:
            yield row.name, "peak_share", share, "fraction", ""
    if not whole:
        return
    yield "Convolution", "peak", peak, "GFLOP/s", ""
    yield "Convolution", "peak_bfloat16", half, "GFLOP/s", ""
    print("\nseconds for n, 2n and 4n images")
    for row in rows.ROWS:
        if row.name in SCALED:
            units, images = SCALED[row.name]
            taken = scaling(row, units)
            print(f"{row.name:36} {' '.join(f'{t:9.2f}' for t in taken)}", flush=True)
            for n, t in zip(SIZES, taken, strict=True):
                yield row.name, "seconds", t, "s", n * units * images
    print("\nGiB while a classifier trains on a million stored images")
    for name, value in million().items():
        print(f"{name:36} {value:9.2f}")
        yield "A million images", name, value, "GiB", MILLION


def positive(text: str) -> float:
    """A time in seconds.  Raises ArgumentTypeError for what is no time."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: name some seconds, such as 12")
    return value


def choose(only: str) -> list[race.Row]:
    """The rows with some letters in their name.  Raises CGNError where none has them."""
    chosen = [row for row in rows.ROWS if only.lower() in row.name.lower()]
    if not chosen:
        names = "; ".join(row.name for row in rows.ROWS)
        raise CGNError(f"no row has {only!r} in its name: choose from {names}")
    return chosen


def record(table: list[tuple]) -> Path:
    """Write the table in place of the tracked one, whole or not at all."""
    path = paths.records() / "benchmarks.csv"
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *table])
    part.replace(path)
    return path


def check_records() -> None:
    """Raises CGNError where the table could not be written, before minutes are spent on it."""
    part = paths.records() / "benchmarks.part"
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise CGNError(
            f"{part.parent} cannot be written ({reason(error)}): make it a folder that you may "
            "write to, or time single rows with --only, which writes nothing"
        ) from error


def main(argv: Sequence[str] | None = None) -> None:
    """Raises CGNError, in one line, where nothing can be timed or written, or on Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=positive, default=12, help="for each side of each row")
    parser.add_argument("--only", default="", help="rows with this in their name; writes nothing")
    args = parser.parse_args(argv)
    os.environ["TQDM_DISABLE"] = "1"
    precision.of(torch.device("cpu"))  # before anything is timed
    chosen = choose(args.only)
    if not args.only:
        check_records()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        *(processor.cores(), round(memory), processor.device(), torch.__version__),
        *(provenance.commit(), datetime.now(UTC).isoformat(timespec="seconds")),
    )
    quiet = race.quiet()
    try:
        table = [
            (*line[:2], f"{line[2]:.5g}", *line[3:], *machine)
            for line in measured(chosen, args.seconds, whole=not args.only)
        ]
    except KeyboardInterrupt as error:
        raise CGNError("stopped, and nothing was written: it starts again from the top") from error
    if all((quiet, race.quiet(), not args.only)):
        print(f"\nwritten to {record(table)}")


if __name__ == "__main__":
    try:
        main()
    except CGNError as error:
        sys.exit(f"error: {error}")
