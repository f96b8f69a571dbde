"""Get the data sets and weights of sources.toml into CGN_DATA (or data/), checked.

A download that stopped goes on where it was; one that is there is kept; an archive is unpacked.
"""

import argparse
import signal
import sys
from pathlib import Path

import download
import entries
import needs
from cgnlib import experiments, paths
from cgnlib.data import sources
from cgnlib.errors import CGNError, ended

EXAMPLES = """examples:
  python data_prep/fetch.py --list
  python data_prep/fetch.py mnist dtd cgn-wildlife
  python data_prep/fetch.py --profile paper           everything that a profile needs
  python data_prep/fetch.py in-mini --from archive.zip
  python data_prep/fetch.py in-mini --from imagenetmini-1000/    unpacked already: it is linked
  python data_prep/fetch.py u2net --from ~/Downloads/u2net.pth

exit codes: 0 all is there, 1 something is not (one line each), 2 bad usage, 130 ^C
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python data_prep/fetch.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to get; see --list")
    parser.add_argument("--list", action="store_true", help="print every name and what it is")
    parser.add_argument("--all", action="store_true", help="get everything in the list")
    parser.add_argument("--profile", choices=experiments.PROFILES, help="get what it needs")
    parser.add_argument("--from", dest="own", metavar="FILE", help="use this copy: file or folder")
    parser.add_argument("--keep", action="store_true", help="keep archives after unpacking")
    args = parser.parse_args(argv)
    return ended(lambda: _run(parser, args), "the same command goes on from what is saved")


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    table = sources.table()
    if unknown := [name for name in args.names if name not in table]:
        parser.error(f"unknown {unknown[0]!r}: choose from {', '.join(table)}")
    names = [*args.names, *(table if args.all else ())]
    if args.profile:
        names += needs.downloads_of(args.profile)
    names = list(dict.fromkeys(names))
    if args.own is not None and (len(names) != 1 or not args.own):
        parser.error("--from FILE is for one NAME")
    if args.list or not (names or args.profile):
        show()
    return int(
        any([not get(name, args.own and Path(args.own), args.keep) for name in names])
    )  # all are tried


def show() -> None:
    """Every name: whether it is there, how large it is, who needs it, what it is."""
    needed = {profile: needs.downloads_of(profile) for profile in experiments.PROFILES}
    for name, entry in sources.table().items():
        status, size = needs.look(needs.given_by(name))[0], entries.size(name) / 1e6
        profiles = " ".join(profile for profile, names in needed.items() if name in names) or "-"
        about = f"{entry['about']} ({entry['licence']})"
        print(f"{name:20} {status:8} {size:7,.1f} MB  {profiles:11} {about}")
    print(f"under {paths.data()}; set CGN_DATA to change that")


def get(name: str, own: Path | None, keep: bool) -> bool:
    """Fetch one and say so."""
    try:
        status, wrong = ("", "") if own else needs.look(needs.given_by(name), thorough=True)
        if status == "damaged":
            raise CGNError(wrong)
        place = "there already" if status == "there" else download.fetch(name, own, keep)
    except CGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    print(f"{name}: {place}")
    return True


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` has seen enough
    sys.exit(main())
