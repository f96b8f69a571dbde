"""Carry every run of a profile, at its smallest size, to the last page of the book.

    python book/_press/rehearse.py paper          as `make rehearsal PROFILE=paper`

What is declared for the profile is computed, each run cut to a few steps and images, every chapter
executed and the pages strictly built: in a copy of the project under _build/rehearsal, with data
and runs of its own.  Real files under CGN_DATA are used and only read; others have stand-ins in
their published formats (data_prep/gather.py).  Texts and files are looked at first.  Nothing of it
is a result: its runs say so in their specs, each page says so, and no record is made of it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from cgnlib import paths, rehearsal
from cgnlib.experiments import PROFILES
from sources import ROOT, notebooks, read_source, source_of

PARTS = ("cgnlib", "book", "data_prep", "profiles")
FAULT = re.compile(
    r"^(\w+\.py):(\d+): error: (?:(.+)  \[(?:syntax|name-defined|call-arg|import-not-found)\]"
    r"|(Module .+)  \[attr-defined\])$",
    re.M,
)
LEFT_OUT = shutil.ignore_patterns("*.ipynb", "__pycache__")


@dataclass(frozen=True)
class Stage:
    """A copy of the project in a folder, with data and runs of its own beside it."""

    profile: str
    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def index(self) -> Path:
        """The first of the built pages."""
        return self.project / "_build" / "html" / "index.html"

    @cached_property
    def environment(self) -> dict[str, str]:
        """Of everything that a rehearsal runs."""
        return os.environ | {
            rehearsal.VARIABLE: "1",
            "CGN_DATA": str(self.folder / "data"),
            "CGN_RUNS": str(self.folder / "runs"),
            "CGN_COMMIT": "rehearsal",
            "PYTHONPATH": f"{self.project}:{self.project / 'book'}",
        }

    def set_up(self) -> None:
        """Copy the project as it is now, without its notebooks; what was there before goes."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.project.mkdir(parents=True)
        for part in PARTS:
            shutil.copytree(ROOT / part, self.project / part, ignore=LEFT_OUT)
        for path in (p for p in ROOT.iterdir() if p.is_file() and p.suffix != ".ipynb"):
            if path.name != ".git":  # a file in a second worktree
                shutil.copy(path, self.project)

    def gather(self) -> None:
        """Data, real or not, checked."""
        beside = ["--profile", self.profile, "--beside", str(paths.data())]
        self.run(["data_prep/gather.py", *beside])

    def compute(self, *what: str) -> None:
        """Runs, by claim or by id."""
        self.run(["-m", "cgnlib", "run", "--profile", self.profile, *what])

    def build(self) -> None:
        """Execute every chapter, and build the pages strictly."""
        command = ["-m", "snakemake", "--cores", "all", "--config", f"profile={self.profile}"]
        self.run([*command, "--", "book"])

    def run(self, words: list[str]) -> None:
        """Python in the copy.  Raises CalledProcessError; what went wrong was printed."""
        subprocess.run([sys.executable, *words], cwd=self.project, env=self.environment, check=True)


def defects_of_texts(root: Path) -> Iterator[str]:
    """A line for each cell that cannot run, as mypy sees it: what is no Python, a name that nothing
    binds, a module or a name in it that is not there, a call without what it needs."""
    with TemporaryDirectory() as folder:
        texts = {}
        for text in map(source_of, notebooks(root)):
            cells = [c.source for c in read_source(text).cells if c.cell_type == "code"]
            script = Path(folder, f"{text.stem}.py")
            script.write_text("\n".join(cells) + "\n", encoding="utf-8")
            texts[script.name] = text.relative_to(root).as_posix(), cells
        here = paths.ROOT
        settings = ["--config-file", here / "pyproject.toml", "--cache-dir", here / ".mypy_cache"]
        done = subprocess.run(
            [sys.executable, "-m", "mypy", *settings, "--scripts-are-modules", *sorted(texts)],
            cwd=folder, env=os.environ | {"MYPYPATH": f"{here}:{here / 'book'}"},
            capture_output=True, text=True,
        )  # fmt: skip
        yield from done.stderr.splitlines()
    for script, line, *wrong in FAULT.findall(done.stdout):
        text, cells = texts[script]
        ends = accumulate(cell.count("\n") + 1 for cell in cells)
        number = 1 + sum(end < int(line) for end in ends)
        written = "\n".join(cells).splitlines()[int(line) - 1].strip()
        yield f"{text}: code cell {number}: {''.join(wrong)}: {written}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("profile", choices=PROFILES)
    args = parser.parse_args(argv)
    stage, start = Stage(args.profile, ROOT / "_build" / "rehearsal" / args.profile), time.time()
    if wrong := list(defects_of_texts(ROOT)):
        print(*(f"error: {line}" for line in wrong), sep="\n", file=sys.stderr)
        return 1
    stage.set_up()
    try:
        for act, words in (
            (stage.gather, "data gathered and checked"),
            (lambda: stage.compute("all"), "every run computed"),
            (stage.build, "every chapter executed, the pages strictly built"),
        ):
            act()
            print(f"{words}, {time.time() - start:.0f} s", flush=True)
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        print("interrupted: the same command begins anew", file=sys.stderr)
        return 130
    print(f"the rehearsed book, which holds no result, is at {stage.index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
