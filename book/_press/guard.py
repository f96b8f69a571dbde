"""Refuse notebooks that are not the true, whole record of their text.

With execution off, Jupyter Book prints whatever a notebook holds, a traceback too, and a strict
build is content.  So this comes first: one line for each defect, and exit status 1.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

import rules
from cgnlib import rehearsal
from sources import BROKEN, ROOT, failed_of, notebooks, read_source, sha256, source_of, tags

AGAIN = "run `make chapters`"
BOX = re.compile(r'<details class="evidence".*?</details>', re.S)  # nbval leaves it out
HOMES = ("/home", "/Users", "/root", "/tmp", "/private", str(ROOT), sys.prefix)
OF_A_MACHINE = re.compile(rf"(?<![\w.~])(?:{'|'.join(map(re.escape, HOMES))})/")


def record_defects(notebook: NotebookNode, source: Path) -> Iterator[str]:
    """Does the notebook say that it was made from this text, and run to its end?"""
    record = notebook.metadata.get("cgn")
    if record is None:
        yield f"not made by the press (no cgn record): {AGAIN}"
        return
    if record.get("source_sha256") != sha256(source):
        yield f"stale: {source.name} has changed since it was executed: {AGAIN}"
    if record.get("exception"):
        yield f"failed: papermill recorded an exception: {AGAIN}"
    if rehearsal.VARIABLE in record and not rehearsal.under_way():
        yield f"made in a rehearsal, so its numbers are no results: {AGAIN}"
    if not isinstance(record.get("seconds"), int):
        yield f"killed: the record has no duration: {AGAIN}"


def cell_defects(notebook: NotebookNode, source: Path) -> Iterator[str]:
    """Are these the cells of the text, all executed, none with an error or a warning?"""

    def shape(cells: list[NotebookNode]) -> list[tuple]:
        return [(c.cell_type, c.source, tags(c)) for c in cells]

    same_text = notebook.metadata.get("cgn", {}).get("source_sha256") == sha256(source)
    if same_text and shape(notebook.cells) != shape(read_source(source).cells):
        yield (
            f"edited by hand: its cells are not those of {source.name}: "
            "`jupytext --sync` takes them over, `make chapters` drops them"
        )
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield f"never run, or killed: its cells are not numbered 1 to {len(code)}: {AGAIN}"
    for cell in code:
        where = f"In [{cell.execution_count}]"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"failed: {where} raised {output.ename}: mend the chapter, then {AGAIN}"
            elif output.get("name") == "stderr":
                first = output.text.strip().splitlines()[0][:80]
                yield f"{where} leaves stderr on the page ({first}): mend its cause, then {AGAIN}"
            elif OF_A_MACHINE.search(text_of(output)):
                yield f"{where} prints a path of one machine: print a relative one, then {AGAIN}"
        name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")
        if name.startswith("fig-") and not any(map(has_picture, cell.outputs)):
            yield f"{where} declares the figure {name} and shows none: {AGAIN}"


def has_picture(output: NotebookNode) -> bool:
    """Does a page get an image from this output, a file or a drawing in its HTML?"""
    data = output.get("data", {})
    drawn = "<svg" in "".join(data.get("text/html", ""))
    return drawn or any(kind.startswith("image/") for kind in data)


def ignored_defects(cells: list[NotebookNode]) -> Iterator[str]:
    """Is each ignored output followed by a checked one?"""
    code = [cell for cell in cells if cell.cell_type == "code"]
    for number, cell in enumerate(code):
        if "nbval-ignore-output" in tags(cell):
            following = code[number + 1] if number + 1 < len(code) else None
            if following is None or not is_checked(following):
                yield (
                    f"code cell {number + 1} is ignored by nbval: "
                    "let a cell follow that asserts or prints"
                )


def is_checked(cell: NotebookNode) -> bool:
    """Would nbval see a change here: an assertion, or an output of text that it compares?"""
    if not {"nbval-ignore-output", "nbval-skip"}.isdisjoint(tags(cell)):
        return False
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))
    return asserts or any(BOX.sub("", text_of(output)) for output in cell.get("outputs", []))


def text_of(output: NotebookNode) -> str:
    """What an output says in text; nbval compares no pictures."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return "\n".join(
        str(value)
        for kind, value in data.items()
        if not kind.startswith("image/") and not str(value).startswith("<Figure size")
    )


def defects(notebook: Path) -> Iterator[str]:
    """Every reason why this notebook must not be printed."""
    source = source_of(notebook)
    if not source.exists():
        yield f"has no source {source.name}: write it, or take the page out of _toc.yml"
    elif not notebook.exists():
        yield f"missing: {AGAIN}"
    else:
        if failed_of(notebook).exists():
            yield f"its last execution failed; {failed_of(notebook).name} shows where: {AGAIN}"
        try:
            executed = nbformat.read(notebook, as_version=4)
            yield from record_defects(executed, source)
            yield from cell_defects(executed, source)
            yield from ignored_defects(executed.cells)
        except BROKEN as error:  # cut off, or with the marks of a merge
            yield f"is no notebook ({str(error).splitlines()[0][:80]}): {AGAIN}"
        yield from rules.defects(source)


def main(root: Path = ROOT) -> int:
    """Check every notebook of the book; 1 if one of them is refused.

    What is refused loses the marks by which the Snakefile knows that it was executed, of whatever
    profile: so `make chapters` executes it again.
    """
    found = []
    for notebook in notebooks(root):
        refused = [f"{notebook.relative_to(root).as_posix()}: {d}" for d in defects(notebook)]
        for mark in (root / "_build/chapters").glob(f"*/{notebook.stem}") if refused else ():
            mark.unlink(missing_ok=True)
        found += refused
    print(*found, sep="\n") if found else print(f"guard: {len(notebooks(root))} notebooks in order")
    return 1 if found else 0


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
