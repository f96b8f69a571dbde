"""Which chapters the book has, and how their text is read."""

import hashlib
from pathlib import Path

import jupytext
import yaml
from nbformat import NotebookNode, ValidationError

ROOT = Path(__file__).resolve().parents[2]
# What a file raises that is no notebook, or one whose cells are no code.
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SyntaxError)
BROKEN += (ValidationError,)


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


def sha256(source: Path) -> str:
    """Hash of a text that does not depend on how a checkout ends its lines."""
    return hashlib.sha256(source.read_text(encoding="utf-8").encode()).hexdigest()


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell; none is an empty list."""
    return cell.metadata.get("tags", [])
