"""Which chapters the book has, and how their text is read."""

import hashlib
import os
import re
from pathlib import Path

import jupytext
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
FRONT_MATTER = re.compile(r"(---\n.*?\n---\n\n*)?", re.S)


def pages(root: Path) -> list[Path]:
    """Every page that _toc.yml names, in reading order, as a path with its extension."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    for part in toc.get("parts", [toc]):
        files += [chapter["file"] for chapter in part.get("chapters", [])]
    return [root / file for file in files]


def notebooks(root: Path) -> list[Path]:
    """The executed pages: those that _toc.yml names with the extension .ipynb."""
    return [page for page in pages(root) if page.suffix == ".ipynb"]


def source_of(notebook: Path) -> Path:
    """The MyST text from which a notebook is made."""
    return notebook.with_suffix(".md")


def failed_of(notebook: Path) -> Path:
    """Where a running or failed execution is kept; git ignores it."""
    return notebook.with_suffix(".failed.ipynb")


def read_source(source: Path) -> NotebookNode:
    """The cells of a chapter's text, without outputs."""
    return jupytext.read(source, fmt="md:myst")


def settle(source: Path) -> None:
    """Let a text have the form in which Jupytext writes it from its notebook, so that no sync will.

    That is the order, the quotes and the folds of what cells say of themselves; front matter stays.
    """
    text = source.read_text(encoding="utf-8")
    stored = jupytext.reads(jupytext.writes(read_source(source), fmt="ipynb"), fmt="ipynb")
    bare = {"extension": ".md", "format_name": "myst", "notebook_metadata_filter": "-all"}
    settled = FRONT_MATTER.match(text)[0] + jupytext.writes(stored, fmt=bare)
    if settled != text:
        draft = source.with_suffix(f".{os.getpid()}.failed.md")
        draft.write_text(settled, encoding="utf-8")
        os.replace(draft, source)


def sha256(source: Path) -> str:
    """Hash of a text that does not depend on how a checkout ends its lines."""
    return hashlib.sha256(source.read_text(encoding="utf-8").encode()).hexdigest()


def tell(cell: NotebookNode, profile: str) -> None:
    """Let a cell that holds the parameters set another profile than its text does."""
    if "parameters" in tags(cell):
        cell.source += f"\nprofile = {profile!r}"


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell; none is an empty list."""
    return cell.metadata.get("tags", [])
