"""Download files of sources.toml into CGN_DATA (or data/), with progress and checksum.

python data_prep/fetch.py --list
python data_prep/fetch.py cgn-colored cgn-double_colored cgn-wildlife
"""

import argparse
import sys

import pooch

from cgnlib import paths, sources
from cgnlib.errors import CGNError


def fetch(name: str) -> None:
    """Download one file, trying its urls in order; a file that is there and right is kept."""
    entry = sources.table()[name]
    path = paths.data() / entry["file"]
    digest = entry["sha256"] if len(entry["sha256"]) == 64 else None
    pooch.get_logger().setLevel("WARNING")  # else it advises on checksums that are checked here
    for url in entry["urls"]:
        try:
            pooch.retrieve(url, digest, path.name, path.parent, progressbar=True)
        except Exception as error:
            print(f"{url}: {error}", file=sys.stderr)
            continue
        try:
            sources.find(name)
        except CGNError as error:
            if not entry["sha256"]:
                raise SystemExit(f"downloaded to {path}; {error}") from error
            path.unlink()
            print(f"{url}: another file than the published one, deleted ({error})", file=sys.stderr)
            continue
        return
    raise SystemExit(f"{name} could not be downloaded; copy it to {path} by hand")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to get; see --list")
    parser.add_argument("--list", action="store_true", help="print every name and what it is")
    args = parser.parse_args()
    table = sources.table()
    if unknown := [name for name in args.names if name not in table]:
        parser.error(f"unknown {unknown[0]!r}: choose from {', '.join(table)}")
    if args.list or not args.names:
        for name, entry in table.items():
            there = "there" if (paths.data() / entry["file"]).is_file() else "missing"
            print(f"{name:20} {there:8} {entry['about']} ({entry['licence']})")
    for name in args.names:
        fetch(name)


if __name__ == "__main__":
    main()
