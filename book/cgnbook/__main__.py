"""`python -m cgnbook record`: what the book keeps of the finished runs of a profile."""

import argparse
import sys

from cgnbook import kept, records
from cgnlib import paths, rehearsal
from cgnlib.errors import CGNError, ended, reason
from cgnlib.experiments import PROFILES


def main(argv: list[str] | None = None) -> int:
    """Write the records; 1 for an error that can be mended, told in one line."""
    parser = argparse.ArgumentParser(
        prog="python -m cgnbook", description="What the book keeps.",
        epilog="example: python -m cgnbook record --profile full",
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("record", help="write book/records from the finished runs")
    command.add_argument("--profile", default="mini", help=", ".join(PROFILES))
    args = parser.parse_args(argv)
    return ended(lambda: record(args.profile), "run the same command again")


def record(profile: str) -> None:
    """Write the records and keep the pictures of a profile's finished runs, and say so.

    Raises CGNError in a rehearsal, and where they cannot be written.
    """
    if rehearsal.under_way():
        raise CGNError(f"numbers of a rehearsal are no results: unset {rehearsal.VARIABLE}")
    try:
        written, pictures = list(records.write(profile)), list(kept.write(profile))
    except OSError as error:
        where = paths.records()
        raise CGNError(f"cannot write ({reason(error)}): make {where} writable") from error
    for what in written:
        print(f"{what.path}: {what.rows} rows")
        for word, of in (("kept, of runs elsewhere", what.kept), ("lost", what.lost)):
            if of:
                print(f"  {word}: {', '.join(of)}")
    for folder in pictures:
        print(f"{folder}: pictures")
    if not written:
        print(
            f"no run of the profile {profile} is done, so nothing was written: "
            f"python -m cgnlib run --profile {profile} all"
        )


if __name__ == "__main__":
    sys.exit(main())
