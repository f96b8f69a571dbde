"""Execute chapters: the MyST text goes in, the executed notebook comes out, never the reverse.

    python book/_press/execute.py                       every chapter, in reading order
    python book/_press/execute.py 05_claim1_mnist       one chapter, by name or by path
    python book/_press/execute.py --profile full index

A kernel starts in the top folder of the project; nbval starts it in the notebook's own folder.
So a chapter must not depend on the folder it runs in, and one of the two will tell if it does.
What cells say of themselves is first written as Jupytext writes it, of which the two are a pair.
"""

import argparse
import ast
import os
import shutil
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from itertools import groupby
from pathlib import Path

import jupytext
import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets import Dict
from traitlets.config import Config

from cgnlib import rehearsal
from cgnlib.experiments import PROFILES
from same import says_the_same
from sources import ROOT, failed_of, notebooks, read_source, settle, sha256, source_of, tags, tell
from surroundings import environment

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}

PATIENCE_S = 600  # that a kernel may need to start: a cold disk on a network is slow


class Kernel(AsyncKernelManager):
    """A kernel of the Python that runs the press, whatever kernels a user has installed."""

    variables = Dict(help="its whole environment").tag(config=True)

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        here = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
        return KernelSpec(argv=command, metadata=here, **KERNEL)

    async def start_kernel(self, **options) -> None:
        await super().start_kernel(**options, env=self.variables)


def default_profile(notebook: NotebookNode) -> str | None:
    """The literal that the parameters cell gives `profile`; None where there is none."""
    for cell in notebook.cells:
        if "parameters" in tags(cell):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "profile":
                    return ast.literal_eval(node.value)
    return None


def normalise(notebook: NotebookNode, text: NotebookNode, cgn: dict) -> NotebookNode:
    """Keep what the book shows; drop what differs from one execution to the next.

    Times, dates and paths of papermill go, and so does what it was told beside its text: what is
    left is the text as Jupytext pairs it, its outputs, and `cgn`, the record that the guard reads.
    """
    for number, (cell, written) in enumerate(zip(notebook.cells, text.cells, strict=True)):
        cell.id, cell.source, cell.metadata = f"c{number:03d}", written.source, written.metadata
        for output in cell.get("outputs", []):
            output.get("metadata", {}).pop("papermill", None)
        if cell.cell_type == "code":
            cell.outputs = list(joined(cell.outputs))
    notebook.metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE, "cgn": cgn}
    notebook.metadata["jupytext"] = text.metadata["jupytext"]
    return nbformat.from_dict(notebook)


def joined(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """What was printed at once; it comes in as many parts as the kernel's clock makes of it."""
    for _, parts in groupby(outputs, key=lambda output: output.get("name", id(output))):
        first, *others = parts
        for other in others:
            first.text += other.text
        yield first


def execute(source: Path, profile: str | None = None, cwd: Path = ROOT) -> Path:
    """Execute one chapter and put its notebook beside it, whole or not at all; one that says the
    same, but for who made its numbers and when, stays as it was.

    profile: told to the kernel only where it differs from the default in the parameters cell.
    Raises what the chapter raised; the last good notebook then stays as it was, and the broken
    one is left as NAME.failed.ipynb.
    """
    notebook = source.with_suffix(".ipynb")
    failed = failed_of(notebook)
    failed.unlink(missing_ok=True)
    settle(source)
    text, digest = read_source(source), sha256(source)
    usual = default_profile(text)
    changed = usual is not None and profile is not None and profile != usual
    asked = deepcopy(text)
    for cell in asked.cells if changed else ():
        tell(cell, profile)
    start = time.monotonic()
    with environment() as variables:
        private = Path(variables["JUPYTER_RUNTIME_DIR"])
        draft = private / notebook.name
        # sockets in a folder that only we may enter; ports would be open to all on the machine
        told = {"transport": "ipc", "ip": f"{private}/kernel"}
        told |= {"connection_file": f"{private}/kernel.json", "variables": variables}
        try:
            executed = papermill.execute_notebook(
                asked,
                str(draft),
                kernel_name=KERNEL["name"],
                kernel_manager_class=Kernel,
                config=Config(Kernel=told),
                start_timeout=PATIENCE_S,
                progress_bar=False,
                cwd=cwd,
            )
        except BaseException:
            if draft.exists():
                shutil.copy(draft, failed)
            raise
    cgn = {
        "source": source.name,
        "source_sha256": digest,
        "profile": profile if changed else usual,
        "exception": executed.metadata.papermill.exception,
        "seconds": round(time.monotonic() - start),
        **({rehearsal.VARIABLE: True} if rehearsal.under_way() else {}),
    }
    fresh = normalise(executed, text, cgn)
    if not says_the_same(notebook, fresh):
        whole = notebook.with_suffix(f".{os.getpid()}.failed.ipynb")  # another press has its own
        jupytext.write(fresh, whole)
        os.replace(whole, notebook)
    if sha256(source) != digest:
        source.touch()  # edited meanwhile: to Jupytext the newer of the two is right
    return notebook


def explain(error: Exception) -> str:
    """One line about why a chapter did not run through."""
    if isinstance(error, PapermillExecutionError):
        return f"In [{error.exec_count}]: {error.ename}: {error.evalue}".splitlines()[0]
    return f"{type(error).__name__}: {error}".splitlines()[0]


def select(names: list[str], every: list[Path]) -> list[Path]:
    """The notebooks that the names mean: a stem, or a path with or without its extension."""
    chosen = []
    for name in names:
        stem = Path(name).stem
        found = [notebook for notebook in every if notebook.stem == stem]
        if not found:
            raise SystemExit(
                f"no chapter {name!r}; _toc.yml has {', '.join(n.stem for n in every)}"
            )
        chosen += found
    return chosen or every


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Execute the chapters that the command line names; 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all in _toc.yml")
    parser.add_argument("--profile", help="default: what the chapter's parameters cell says")
    parser.add_argument("--list", action="store_true", help="print the notebooks and do nothing")
    args = parser.parse_args(argv)
    if args.profile is not None and args.profile not in PROFILES:
        parser.error(f"unknown profile {args.profile!r}: choose {', '.join(PROFILES)}")
    chosen = select(args.chapters, notebooks(root))
    if args.list:
        print(*(notebook.relative_to(root).as_posix() for notebook in chosen), sep="\n")
        return 0
    failures = 0
    for number, notebook in enumerate(chosen, start=1):
        source = source_of(notebook)
        start = time.monotonic()
        try:
            execute(source, args.profile, cwd=root)
        except Exception as error:
            failures += 1
            said = f"FAILED  {explain(error)}  (see {failed_of(notebook).name})"
        else:
            said = f"{time.monotonic() - start:.0f} s"
        # as one line, since several processes of a workflow write into one log
        print(f"[{number}/{len(chosen)}] {source.relative_to(root)} {said}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
