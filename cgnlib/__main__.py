"""The command line: list, run, adopt, generate."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from cgnlib import __version__, experiments, paths, processor, runs
from cgnlib.compute.nets_of import WEIGHTS, net_of
from cgnlib.counterfactuals import datasets, draws
from cgnlib.data import sources
from cgnlib.errors import CGNError, Interrupted, ended
from cgnlib.experiments import jobs

DONE = ("done", "")
COME_AGAIN = 75  # EX_TEMPFAIL of sysexits: what a cluster may queue again
EXIT_CODES = """exit codes: 0 done; 1 an error that can be mended, in one line; 2 bad usage;
75 asked to stop (by Ctrl-C or a signal) and all is saved, the same command goes on;
130 a second Ctrl-C"""


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    logging.getLogger().handlers[0].setLevel(logging.INFO)  # a run sets its own loggers lower
    try:
        return ended(lambda: args.call(args), "the same command goes on from what is saved")
    except Interrupted as error:
        print(f"interrupted: {error}; the same command goes on from there", file=sys.stderr)
        return COME_AGAIN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cgnlib",
        description="Runs behind the counterfactual reproduction book.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(call: Callable, help_text: str, examples: str) -> Callable:
        """A command of its function's name, with the option that all have; adds arguments."""
        made = commands.add_parser(
            call.__name__.strip("_"),
            help=help_text, description=help_text, epilog=f"examples:\n  {examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.set_defaults(call=call)
        made.add_argument("--profile", default="mini", help="mini (default), full or paper")
        return made.add_argument

    words = f"run ids, or claims: all, {', '.join(experiments.CLAIMS)}"
    add = command(
        _list, "show the runs of a profile, and which are done",
        "python -m cgnlib list --profile full claim-3-mnist",
    )  # fmt: skip
    add("what", nargs="*", default=["all"], help=words)
    add = command(
        _run, "compute runs that are not done yet",
        """python -m cgnlib run claim-3-mnist             what a chapter needs
  python -m cgnlib run cgn-wildlife-s0           one run, and what it needs
  python -m cgnlib run --profile full all        the paper's sizes: hours
  python -m cgnlib run --profile full --dry-run all""",
    )  # fmt: skip
    add("what", nargs="+", help=words)
    add("--workers", type=_positive, help="processes (default: all cores)")
    add("--dry-run", action="store_true", help="only print the plan")
    add("--keep-going", action="store_true", help="after a failure, what does not need it")
    add = command(
        _adopt, "take finished runs that state no sha256 of their artefacts as they are",
        "python -m cgnlib adopt --profile full all",
    )  # fmt: skip
    add("what", nargs="+", help=words)
    add = command(
        _generate, "write a data set of counterfactuals with its label table",
        "python -m cgnlib generate mechanisms-menagerie-none-s0 data/generated --n 1000",
    )  # fmt: skip
    add("run", help="a finished run of kind mechanisms: the CGN")
    add("folder", type=Path, help="where the data set goes, or goes on")
    add("--mode", default="random", choices=draws.MODES)
    add("--n", type=_positive, default=1000, help="images (default 1000)")
    steps = "above 0, at most 1, in steps of 0.02 (default 0.5)"
    add("--truncation", type=float, default=0.5, help=steps)
    add("--seed", type=int, default=0)
    add("--batch", type=_positive, default=8, help="images at a time (default 8)")
    three = ("SHAPE", "TEXTURE", "BACKGROUND")
    add("--classes", type=int, nargs=3, metavar=three, help="for the mode fixed_classes")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _chosen(args: argparse.Namespace) -> list[experiments.Run]:
    paths.data(), paths.runs(args.profile)  # one error, where they can be no places
    chosen = []
    for what in args.what:
        if what == "all" or what in experiments.CLAIMS:
            chosen += experiments.grid(args.profile, what)
        else:
            chosen.append(experiments.find(args.profile, what))
    return chosen


def _status(run: experiments.Run) -> tuple[str, str]:
    """`done`, `-` or `refused`, and what `run` says of the last: why, and what mends it."""
    try:
        return DONE if runs.is_done(run) else ("-", "")
    except CGNError as error:
        return "refused", f": {error}"


def _end(status: dict[str, tuple[str, str]]) -> None:
    """Raises CGNError where `run` would refuse."""
    if refused := [run for run, (word, _) in status.items() if word == "refused"]:
        raise CGNError(
            f"{len(refused)} of {len(status)} runs are refused: mend each as its line above says"
        )


def _list(args: argparse.Namespace) -> None:
    wanted = experiments.with_needs(_chosen(args))
    status = {run.id: _status(run) for run in wanted}
    for run, (word, why) in status.items():
        print(f"{word:7} {run}{why}")
    done = list(status.values()).count(DONE)
    print(f"{done} of {len(wanted)} done in {paths.runs(args.profile)}")
    _end(status)


def _run(args: argparse.Namespace) -> None:
    if args.dry_run:
        return _plan(args)
    chosen = _chosen(args)
    left = runs.missing(chosen)
    if len(left) == 1:  # as in a job of a workflow: no second process has to start
        runs.compute_here(left[0])
    results = runs.ensure(chosen, args.workers, args.keep_going)
    print(f"{len(results)} runs are done in {paths.runs(args.profile)}")


def _plan(args: argparse.Namespace) -> None:
    """What is to be done, with what, and how long it should take."""
    wanted = experiments.with_needs(_chosen(args))
    status = {run.id: _status(run) for run in wanted}
    print(f"{'':7} {'cores':>5} {'GPUs':>4} {'memory':>7} {'expected':>8}")
    for run in wanted:
        needs, minutes = jobs.resources(run), jobs.expected_seconds(run) / 60
        what = f"{needs.cores:5} {needs.gpus:4} {needs.memory_mb:4} MB {minutes:4.0f} min"
        word, why = status[run.id]
        print(f"{word:7} {what}  {run.id}{why}")
    print(jobs.cost(wanted, lambda run: status[run.id] == DONE))
    _end(status)
    try:
        runs.missing(wanted)
    except CGNError as error:  # a plan needs no data
        print(f"it would not start: {error}")


def _adopt(args: argparse.Namespace) -> None:
    adopted = [run.id for run in experiments.with_needs(_chosen(args)) if runs.adopt(run)]
    print(*adopted, f"{len(adopted)} runs state their artefacts from now on", sep="\n")


def _generate(args: argparse.Namespace) -> None:
    run = experiments.find(args.profile, args.run)
    if not isinstance(run, experiments.Mechanisms | experiments.PublishedMechanisms):
        raise CGNError(f"{run.id} is no CGN over BigGAN: choose a run of kind mechanisms")
    folder = runs.load(run).folder
    net = net_of(run, folder).to(processor.torch_device(run.uses_gpu))
    made = datasets.write_dataset(
        net.fold(args.truncation), args.folder, args.n, args.mode, args.truncation, args.seed,
        name=run.id, weights=sources.sha256(folder / WEIGHTS), num_classes=net.config.num_classes,
        latent=net.config.z_dim, fixed=args.classes and tuple(args.classes), batch=args.batch,
    )  # fmt: skip
    print(f"{len(made)} images are in {made.folder}")


if __name__ == "__main__":
    sys.exit(main())
