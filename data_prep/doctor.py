"""Look at what a profile needs: data, weights, disk, memory, GPU, Slurm.  Nothing is changed.

Inputs are found by asking the declared runs; nothing is downloaded, computed or written.
"""

import argparse
import json
import signal
import sys
from dataclasses import asdict, dataclass
from itertools import takewhile

import torch

import entries
import machine
import needs
from cgnlib import experiments, paths
from cgnlib.data import sources
from cgnlib.errors import ended
from cgnlib.experiments import Input, jobs
from machine import Disk, Machine

EXAMPLES = """examples:
  python data_prep/doctor.py                        the smallest profile
  python data_prep/doctor.py --profile paper
  python data_prep/doctor.py --profile full --thorough
  python data_prep/doctor.py --profile paper --json

exit codes: 0 all is there, 1 something is not (one line each), 2 bad usage, 130 ^C
"""
SCHEMA = 1  # of the JSON; another number when a key changes its meaning
GPU_BYTES = 11 * 10**9  # the authors trained on 1080 Ti cards of 11 GB


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python data_prep/doctor.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profile", choices=experiments.PROFILES, default="mini", help="which one (default: mini)"
    )
    parser.add_argument("--thorough", action="store_true", help="hash and count everything")
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    args = parser.parse_args(argv)
    return ended(lambda: _print(args), "nothing was changed")


def _print(args: argparse.Namespace) -> int:
    report = examine(args.profile, args.thorough)
    print(json.dumps(report.as_json(), indent=1) if args.json else text(report))
    return 0 if report.ok else 1


@dataclass(frozen=True)
class Found:
    """An input as it was found.

    status: there, missing or damaged (another file, a wrong count, a checksum nobody states).
    source: its entry of sources.toml, None where nothing is downloaded.  size: bytes to download.
    get: the command.  detail: what is wrong.  runs: how many read it.
    """

    kind: str
    name: str
    status: str
    source: str | None
    size: int
    get: str
    detail: str
    runs: int


@dataclass(frozen=True)
class Report:
    """All that was found.  problems: a line for everything that keeps the profile from running."""

    profile: str
    thorough: bool
    inputs: list[Found]
    disks: list[Disk]
    machine: Machine
    gpu_needed: int
    problems: list[str]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_json(self) -> dict:
        """Plain JSON: `schema`, `ok` and the fields, those of disks with `enough`."""
        found = {"schema": SCHEMA, "ok": self.ok} | asdict(self)
        for disk, plain in zip(self.disks, found["disks"], strict=True):
            plain["enough"] = disk.enough
        return found


def examine(profile: str, thorough: bool = False) -> Report:
    """Look for every input of a profile, and at the machine.

    thorough: everything is hashed and counted, which takes minutes for large data sets; else
    files are looked for by name and size.  Raises CGNError for an unknown profile.
    """
    runs = experiments.with_needs(experiments.grid(profile))
    found = [_found(what, n, thorough) for what, n in needs.of(runs).items()]
    to_get = {f.source: f for f in found if f.status == "missing" and f.source}
    to_leave = sum(run.bytes_left() for run in runs if not jobs.is_finished(run))
    disks = machine.look_at_disks(
        {
            "data": (paths.data(), sum(map(_bytes_of_source, to_get))),
            "runs": (paths.runs(profile), int(to_leave)),
        }
    )
    looked = machine.look(experiments.profile(profile).precision)
    gpu_needed = GPU_BYTES if any(run.asks_for_gpu for run in runs) else 0
    problems = [_problem(f) for f in found if f.status != "there"]
    problems += _problems_of_disks(disks)
    usable = list(takewhile(lambda gpu: not gpu.trouble, looked.gpus))
    here = any(gpu.bytes >= gpu_needed for gpu in usable)
    if gpu_needed and not here and not (looked.slurm.sbatch and looked.slurm.gpu):
        problems.append(
            f"no GPU of {gpu_needed / 1e9:.0f} GB here that torch can use, and no Slurm partition "
            "with GPUs: run on a machine or a cluster that has one"
        )
    return Report(profile, thorough, found, disks, looked, gpu_needed, problems)


def text(report: Report) -> str:
    """The report as a table for people."""
    profile = experiments.profile(report.profile)
    lines = [f"profile {report.profile}: {profile.purpose}", f"inputs, data in {paths.data()}"]
    for f in report.inputs:
        size = f"{f.size / 1e6:,.1f} MB" if f.source else ""
        get = f"  {f.get}" if f.status != "there" else ""
        lines.append(f"  {f.status:8} {f.kind:10} {f.name:20} {size:>12}{get}".rstrip())
    missing = list(dict.fromkeys(f.source for f in report.inputs if f.status == "missing"))
    if missing:
        size = sum(map(entries.size, filter(None, missing)))
        lines.append(
            f"  {size / 1e9:.1f} GB to download; all at once: "
            f"python data_prep/fetch.py --profile {report.profile}"
        )
    looked = report.machine
    lines += [
        "machine",
        f"  Python {looked.python}, torch {looked.torch}, torchvision {looked.torchvision}",
        f"  {looked.cores} CPU cores, on which nets train in {looked.precision}; "
        f"{looked.memory / 1e9:.0f} GB of memory",
        f"  GPU: {', '.join(f'{g.name} ({g.bytes / 1e9:.0f} GB)' for g in looked.gpus) or 'none'}"
        + (f"; {report.gpu_needed / 1e9:.0f} GB are needed" if report.gpu_needed else ""),
        *(f"  {line}" for line in _unused(looked)),
        f"  Slurm: {_slurm(looked.slurm)}",
    ]
    for disk in report.disks:
        lines.append(
            f"  disk for {disk.what}: {disk.free / 1e9:.1f} GB free, about "
            f"{disk.own / 1e9:.1f} needed, {'' if disk.writable else 'not '}writable: "
            f"{disk.folder}"
        )
    if report.ok:
        return "\n".join([*lines, "everything is there"])
    absent = [f for f in report.inputs if f.status == "missing" and f.source]
    shown_above = {_problem(f) for f in absent}
    problems = [p for p in report.problems if p not in shown_above]
    if absent:
        problems.insert(0, f"{len(absent)} of {len(report.inputs)} inputs are missing, see above")
    return "\n".join([*lines, "problems", *(f"  {line}" for line in problems)])


def _problem(found: Found) -> str:
    return f"{found.kind} {found.name} is {found.status}: {found.detail}"


def _unused(looked: Machine) -> list[str]:
    """A line for every GPU that is here and computes nothing."""
    lines = [
        f"{gpu.name} is not used: {gpu.trouble}; install a torch that has (README: Three scales), "
        "or hide it from CUDA_VISIBLE_DEVICES"
        for gpu in looked.gpus
        if gpu.trouble
    ]
    if looked.driver:
        lines.append(
            f"a GPU is not used: {looked.driver}; update the driver to one for CUDA "
            f"{torch.version.cuda}, or install a torch for it (README: Three scales)"
        )
    return lines


def _slurm(slurm: machine.Slurm) -> str:
    sbatch = "sbatch is here" if slurm.sbatch else "no sbatch"
    if not slurm.answers:
        return f"{sbatch}, sinfo does not answer ({slurm.trouble})"
    return f"{sbatch}, partitions (gres, nodes): {'; '.join(slurm.partitions) or 'none'}"


def _found(what: Input, runs: int, thorough: bool) -> Found:
    status, detail = needs.look([what], thorough)
    source = needs.source_of(what)
    size = entries.size(source) if source else 0
    get = sources.command(source) if source else ""
    return Found(what.kind, what.name, status, source, size, get, detail, runs)


def _bytes_of_source(name: str) -> int:
    """What a download takes on disk at most: an archive lies beside what is unpacked."""
    entry = sources.table()[name]
    return (entries.size(name) if entry["urls"] else 0) + entry.get("unpacked", 0)


def _problems_of_disks(disks: list[Disk]) -> list[str]:
    problems = [
        f"{disk.folder} cannot be written, and {disk.what} are to come: mend it or set "
        f"CGN_{disk.what.upper()}"
        for disk in disks
        if disk.own and not disk.writable
    ]
    return problems + [
        f"the disk of {disk.folder} has {disk.free / 1e9:.1f} GB free of about "
        f"{disk.needed / 1e9:.1f} that are needed: free space or set CGN_{disk.what.upper()}"
        for disk in disks
        if not disk.enough
    ]


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has seen enough
    sys.exit(main())
