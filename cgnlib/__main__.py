"""The command line."""

import argparse
import importlib
import json
import logging
import sys
from pathlib import Path

from cgnlib import __version__, experiments, jobs, paths, runs, worlds
from cgnlib.counterfactuals import datasets, draws
from cgnlib.data import sources
from cgnlib.errors import CGNError, Interrupted

COME_AGAIN = 75  # EX_TEMPFAIL of sysexits: what a cluster may queue again
EXAMPLES = {
    "list": "python -m cgnlib list --profile full claim-3-mnist",
    "run": """python -m cgnlib run claim-3-mnist             what a chapter needs
  python -m cgnlib run cgn-wildlife-s0           one run, and what it needs
  python -m cgnlib run --profile full all        the paper's sizes: hours
  python -m cgnlib run --profile full --dry-run all""",
    "doctor": "python -m cgnlib doctor --profile paper",
    "generate": "python -m cgnlib generate mechanisms-menagerie-none-s0 data/generated --n 1000",
    "bench": "python -m cgnlib bench",
}
EXIT_CODES = """exit codes: 0 done; 1 an error that can be mended, in one line; 2 bad usage;
75 asked to stop (by Ctrl-C or a signal) and all is saved, the same command goes on;
130 a second Ctrl-C"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cgnlib",
        description="Runs behind the counterfactual reproduction book.",
        epilog="\n  ".join(["examples:", *EXAMPLES.values()]) + f"\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in (
        ("list", "show the runs of a profile, and which are done"),
        ("run", "compute runs that are not done yet"),
        ("doctor", "show which data, weights and machine a profile needs, and what is missing"),
        ("generate", "write a data set of counterfactuals with its label table"),
        ("bench", "time the fast paths against plain ones"),
    ):
        command = commands.add_parser(
            name, help=help_text, description=help_text, epilog=f"examples:\n  {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if name == "bench":
            command.add_argument("--seconds", default="12", help="for each side of each row")
            command.add_argument("--only", default="", help="rows with this in their name")
            continue
        command.add_argument("--profile", default="mini", help="mini (default), full or paper")
        if name == "generate":
            _add_generation(command)
        elif name == "doctor":
            command.add_argument("--json", action="store_true", help="for machines")
            command.add_argument("--thorough", action="store_true", help="hash, count everything")
        else:
            command.add_argument(
                "what", nargs="*" if name == "list" else "+", default=["all"],
                help=f"run ids, or claims: all, {', '.join(experiments.CLAIMS)}",
            )  # fmt: skip
        if name == "run":
            command.add_argument("--workers", type=_positive, help="processes (default: all cores)")
            command.add_argument("--dry-run", action="store_true", help="only print the plan")
            command.add_argument(
                "--keep-going", action="store_true", help="after a failure, what does not need it"
            )
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    logging.getLogger().handlers[0].setLevel(logging.INFO)  # a run sets its own loggers lower
    try:
        if COMMANDS[args.command](args) is False:
            return 1
    except CGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Interrupted as error:
        print(f"interrupted: {error}; the same command goes on from there", file=sys.stderr)
        return COME_AGAIN
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from what is saved", file=sys.stderr)
        return 130
    return 0


def _add_generation(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", help="a finished run of kind mechanisms: the CGN")
    command.add_argument("folder", type=Path, help="where the data set goes, or goes on")
    command.add_argument("--mode", default="random", choices=draws.MODES)
    command.add_argument("--n", type=_positive, default=1000, help="images (default 1000)")
    command.add_argument(
        "--truncation",
        type=float,
        default=0.5,
        help="above 0, at most 1, in steps of 0.02 (default 0.5)",
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--batch", type=_positive, default=8, help="images at a time (default 8)")
    command.add_argument(
        "--classes", type=int, nargs=3, metavar=("SHAPE", "TEXTURE", "BACKGROUND"),
        help="for the mode fixed_classes",
    )  # fmt: skip


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _chosen(args: argparse.Namespace) -> list[experiments.Run]:
    experiments.profile(args.profile)
    chosen = []
    for what in args.what:
        if what == "all" or what in experiments.CLAIMS:
            chosen += experiments.grid(args.profile, what)
        else:
            chosen.append(experiments.find(args.profile, what))
    return chosen


def _status(run: experiments.Run) -> str:
    try:
        return "done" if runs.is_done(run) else "-"
    except CGNError:
        return "stale"  # made from another spec, or damaged: `run` says which, and what to do


def _list(args: argparse.Namespace) -> None:
    wanted = experiments.with_needs(_chosen(args))
    status = {run.id: _status(run) for run in wanted}
    for run in wanted:
        print(f"{status[run.id]:5} {run.id}")
    print(
        f"{list(status.values()).count('done')} of {len(wanted)} done in {paths.runs(args.profile)}"
    )


def _plan(args: argparse.Namespace) -> None:
    """What is to be done, with what, and how long it should take."""
    wanted = experiments.with_needs(_chosen(args))
    print(f"{'':5} {'cores':>5} {'GPUs':>4} {'memory':>7} {'expected':>8}")
    for run in wanted:
        needs, minutes = jobs.resources(run), jobs.expected_seconds(run) / 60
        what = f"{needs.cores:5} {needs.gpus:4} {needs.memory_mb:4} MB {minutes:4.0f} min"
        print(f"{_status(run):5} {what}  {run.id}")
    print(jobs.cost(wanted))


def _run(args: argparse.Namespace) -> None:
    if args.dry_run:
        return _plan(args)
    chosen = _chosen(args)
    left = runs.missing(chosen)
    if len(left) == 1:  # as in a job of a workflow: no second process has to start
        runs.compute_here(left[0])
    results = runs.ensure(chosen, args.workers, args.keep_going)
    print(f"{len(results)} runs are done in {paths.runs(args.profile)}")


def _doctor(args: argparse.Namespace) -> bool:
    from cgnlib import doctor

    report = doctor.examine(args.profile, args.thorough)
    print(json.dumps(report.as_json(), indent=1) if args.json else doctor.text(report))
    return report.ok


def _generate(args: argparse.Namespace) -> None:
    run = experiments.find(args.profile, args.run)
    if run.kind != "mechanisms":
        raise CGNError(f"{run.id} is no CGN over BigGAN: choose a run of kind mechanisms")
    from cgnlib.compute.mechanisms import DEVICE

    weights = runs.load(run).folder / "weights.safetensors"
    try:
        net = worlds.load(run.variant, weights).to(DEVICE)
    except CGNError as error:
        again = (
            f"delete {weights.parent}, then python -m cgnlib run --profile {run.profile} {run.id}"
        )
        raise CGNError(f"{error}; {again}") from error
    made = datasets.write_dataset(
        net.fold(args.truncation), args.folder, args.n, args.mode, args.truncation, args.seed,
        name=run.id, weights=sources.sha256(weights), num_classes=net.config.num_classes,
        latent=net.config.z_dim, fixed=args.classes and tuple(args.classes), batch=args.batch,
    )  # fmt: skip
    print(f"{len(made)} images are in {made.folder}")


def _bench(args: argparse.Namespace) -> None:
    sys.path.insert(0, str(paths.ROOT / "benchmarks"))
    importlib.import_module("bench").main(["--seconds", args.seconds, "--only", args.only])


COMMANDS = {
    "list": _list,
    "run": _run,
    "doctor": _doctor,
    "generate": _generate,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main())
