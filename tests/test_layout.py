"""The layout of cgnlib: imports run one way, and what must not be there is not."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cgnlib"
ORDER = """
    errors paths sources transfer archives downloads provenance interruption checkpoints imagenet
    precision replay experiments jobs textures mnists menagerie nets losses patches counterfactuals
    metrics explain decisions categories train pictures benchmarks datasets stimuli generation
    inputs worlds mechanisms disentanglement readers train_imagenet train_ensemble imagenet_kinds
    explain_kinds disentanglement_kinds cue_kinds classifier_data head_kinds ensemble_kinds execute
    artefacts attempts runs composer machine doctor report __main__
""".split()  # noqa: SIM905
FILES = sorted(PACKAGE.rglob("*.py"))
FIGURES = {"pandas", "seaborn", "matplotlib"}
FRAME = {"papermill", "jupyter", "jupytext", "nbformat", "myst_nb", "snakemake", "IPython"}


def imported(path):
    """Every name that a file imports, wherever in the file: `a.b` for `from a import b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path):
    """The part of ORDER that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def outside(path):
    return {name.split(".")[0] for name in imported(path)} - {"cgnlib"}


def test_the_order_names_every_module():
    assert {module_of(path) for path in FILES} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_earlier_ones(path):
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("cgnlib.")}
    used = inside & set(ORDER)
    assert inside - used <= {"__version__"}
    if path == PACKAGE / "__init__.py":
        assert not inside
        return
    own = ORDER.index(module_of(path))
    for module in used:
        place = ORDER.index(module)
        assert place < own or (place == own and path.parent != PACKAGE), f"imports {module}"


def test_files_of_a_subpackage_do_not_import_in_circles():
    for folder in ("nets", "report"):
        needs = {
            path.stem: {
                name.split(".")[2]
                for name in imported(path)
                if name.startswith(f"cgnlib.{folder}.") and name.count(".") >= 2
            }
            for path in (PACKAGE / folder).glob("*.py")
        }
        while needs:
            free = [name for name, wanted in needs.items() if not wanted & needs.keys()]
            assert free, f"a circle among {sorted(needs)}"
            for name in free:
                del needs[name]


@pytest.mark.parametrize("module", ["experiments", "imagenet"])
def test_declarations_need_the_standard_library_alone(module):
    path = PACKAGE / f"{module}.py"
    assert outside(path) <= sys.stdlib_module_names
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("cgnlib")}
    assert inside <= {"errors", "imagenet"} - {module}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_library_stays_in_its_place(path):
    used = outside(path)
    assert not used & FRAME
    assert path.parent.name == "report" or not used & FIGURES


def test_figures_are_imported_by_report_only_when_asked_for():
    """Running experiments needs no plotting library: __main__ reaches report inside a function."""
    tree = ast.parse((PACKAGE / "__main__.py").read_text())
    at_top = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert not any("report" in (node.module or "") for node in at_top)


def test_no_module_is_called_utils():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "common")]


def calls(path, name):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(name):
            yield node, {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_weights_load_whole_or_not_at_all():
    found = 0
    scripts = [p for f in ("data_prep", "benchmarks") for p in (PACKAGE.parent / f).glob("*.py")]
    for path in [*FILES, *scripts]:
        for _, options in calls(path, "load_state_dict"):
            assert options.get("strict", "True") == "True", path
            found += 1
        for node, options in calls(path, "torch.load"):
            assert options.get("weights_only") == "True", f"{path}:{node.lineno}"
            found += 1
    assert found >= 6  # the search finds what is there
