"""The walls of the house: rooms import what stands below them, and some things nowhere."""

import ast
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from cgnlib.experiments import Run

ROOT = Path(__file__).resolve().parents[1]
GROUND = {"errors", "paths", "chance", "precision", "processor", "rehearsal"}
FLOORS = (  # from the ground up: a room imports from lower floors, and from itself
    GROUND,
    {"data", "measures", "experiments"},
    {"nets"},
    {"counterfactuals"},
    {"worlds", "training"},
    {"compute"},
    {"runs"},
    {"__main__"},
)
NARROW = {
    "measures": {"errors"},
    "experiments": {"errors", "paths", "rehearsal"},
}  # these import no more
FOREIGN = {"pandas", "seaborn", "matplotlib", "pooch", "urllib", "requests", "nbformat"}
FOREIGN |= {"papermill", "jupyter", "jupytext", "myst_nb", "snakemake", "IPython", "cgnbook"}
GATHER = {"welcome", "discussion"}  # chapters that read the findings of others


def python_in(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


CGNLIB = python_in("cgnlib")
BOOK = python_in("book/cgnbook")
SCRIPTS = python_in("data_prep", "benchmarks")


@cache
def nodes_of(path):
    return list(ast.walk(ast.parse(path.read_text())))


def name_of(path):
    """`cgnlib.data.digits` of its file."""
    base = ROOT / "book" if path.is_relative_to(ROOT / "book") else ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path) for path in (*CGNLIB, *BOOK)}


@cache
def imported(path, deferred=True):
    """Every module that a file imports; `a.b` for `from a import b` where that is one.

    deferred: also what functions import when they are called.
    """
    found = set()
    for node in nodes_of(path) if deferred else at_once(nodes_of(path)[0]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & MODULES) | ({node.module} if whole - MODULES else set())
    return found


def at_once(module):
    """What is run when a module is imported: all but the bodies of functions and type checks."""
    todo = list(module.body)
    while todo:
        node = todo.pop()
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing and not isinstance(node, ast.FunctionDef):
            yield node
            todo += ast.iter_child_nodes(node)


def room(name):
    return name.split(".")[1] if name.count(".") else ""


def rooms_of(path):
    """The rooms of cgnlib that a file imports from."""
    return {room(name) for name in imported(path) if name.split(".")[0] == "cgnlib"} - {""}


def test_every_module_has_a_room():
    assert {room(name_of(path)) for path in CGNLIB} - {""} == set().union(*FLOORS)


def test_rooms_import_what_stands_below_them():
    below, wrong = set(), []
    for floor in FLOORS:
        for path in (p for p in CGNLIB if room(name_of(p)) in floor):
            own = room(name_of(path))
            allowed = (NARROW.get(own, below) | {own}) if floor is not GROUND else {"errors"}
            wrong += [f"{name_of(path)} imports {other}" for other in rooms_of(path) - allowed]
        below |= floor
    assert not wrong


def test_no_modules_import_each_other_in_a_circle():
    needs = {name_of(p): imported(p, deferred=False) & MODULES for p in (*CGNLIB, *BOOK)}
    TopologicalSorter(needs).prepare()  # names the circle


def test_each_library_stays_in_its_place():
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in CGNLIB
        for name in imported(path)
        if name.split(".")[0] in FOREIGN
    ]
    assert not wrong


def test_declarations_need_the_standard_library_alone():
    used = {n.split(".")[0] for p in python_in("cgnlib/experiments") for n in imported(p)}
    assert used - {"cgnlib"} <= sys.stdlib_module_names


def test_a_chapter_imports_no_other_but_those_that_gather():
    chapters = {path.stem: path for path in python_in("book/cgnbook/chapters")}
    wrong = [
        f"{name} imports {other}"
        for name in chapters.keys() - GATHER - {"__init__"}
        for other in imported(chapters[name])
        if other.startswith("cgnbook.chapters")
    ]
    assert len(chapters) > 15 and not wrong


def kinds(of=Run):
    return [of, *(kind for sub in of.__subclasses__() for kind in kinds(sub))]


def words(node):
    """Text that a node is, and names that it takes from the declarations."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("experiments", "e"):
        yield node.attr
    elif isinstance(node, ast.ImportFrom) and node.module.startswith("cgnlib.experiments"):
        yield from (alias.name for alias in node.names)


def test_runs_name_no_kind():
    """By class, or by the word that its spec has."""
    names = {kind.__name__ for kind in kinds()[1:]}
    names |= {kind.kind for kind in kinds() if isinstance(getattr(kind, "kind", None), str)}
    assert len(names) > 20
    said = [
        f"{name_of(path)} says {word}"
        for path in python_in("cgnlib/runs")
        for node in nodes_of(path)
        for word in words(node)
        if word in names
    ]
    assert not said


def test_no_kind_is_compared_above_the_declarations():
    """A type is asked with isinstance or match, and says the rest of itself."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in (*CGNLIB, *BOOK, *SCRIPTS)
        if room(name_of(path)) != "experiments"
        for node in nodes_of(path)
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Attribute) and side.attr == "kind" for side in ast.walk(node))
    ]
    assert not wrong


def test_no_module_is_called_utils():
    names = {path.stem for path in (*CGNLIB, *BOOK, *SCRIPTS)}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def calls(path, name):
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name):
            yield node, {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_weights_load_whole_or_not_at_all():
    """In one place; a training's own checkpoints are another thing, and run no code either."""
    found, wrong = 0, []
    for path in (*CGNLIB, *SCRIPTS):
        own = name_of(path) == "cgnlib.nets.weights"
        if "safetensors.torch" in imported(path) and not own:
            wrong.append(f"{path}: safetensors")
        for node, options in calls(path, "load_state_dict"):
            found += 1
            if options.get("strict", "True") != "True":
                wrong.append(f"{path}:{node.lineno}")
        for node, options in calls(path, "torch.load"):
            found += 1
            of_training = path.is_relative_to(ROOT / "cgnlib" / "training")
            if options.get("weights_only") != "True" or not (own or of_training):
                wrong.append(f"{path}:{node.lineno}")
    assert found >= 6 and not wrong  # the search finds what is there


def test_rooms_called_data_and_runs_are_tracked():
    """git is to overlook the folders at the top alone."""
    lines = {line.strip() for line in (ROOT / ".gitignore").read_text().splitlines()}
    assert {"/data/", "/runs/"} <= lines
    assert not {"data", "data/", "runs", "runs/", "**/data", "**/runs"} & lines
