"""The frame of the project stays in step with itself: dependencies, pins, commands, CI."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = {"venv", "runs", "chapters", "book", "test", "nbval", "lint", "bench", "clean"}
CODE = ("cgnlib", "book/cgnbook", "book/_press", "data_prep", "benchmarks", "tests")

# Hosts of packages, in halves, since this file is looked at too.
HOSTS = (("py", r"pi\.org"), ("python", r"hosted\.org"), ("npm", r"js\.org"), ("deb", r"\.debian"))
REGISTRY = re.compile(rf"\b(?:{'|'.join(map(''.join, HOSTS))})")


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for by name, with the tools of the developers."""
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(line) for line in sum(extras, PROJECT["dependencies"])]


def pins(lines: list[str]) -> dict[str, str]:
    """Name to version of the lines `name==version`; other lines are left out."""
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.strip() for name, version in pairs}


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text().splitlines())


def tracked() -> list[Path]:
    """The files that are, or would be, in the repository."""
    if not ((ROOT / ".git").exists() and shutil.which("git")):
        pytest.skip("not a git checkout, or there is no git")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_each_dependency_is_bounded_and_pinned_within():
    loose = [
        requirement.name
        for requirement in requirements()
        if not {">=", "<"} <= {bound.operator for bound in requirement.specifier}
        or CONSTRAINTS[canonicalize_name(requirement.name)] not in requirement.specifier
    ]
    assert not loose


def test_conda_has_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, _, pip = environment["dependencies"]
    assert python == "python=" + re.search(r"3\.\d+", PROJECT["requires-python"])[0]
    wanted = {canonicalize_name(r.name) for r in requirements()}
    assert pins(pip["pip"]) == {name: CONSTRAINTS[name] for name in wanted}
    assert {line for line in pip["pip"] if "==" not in line} == {"-c constraints.txt", "-e ."}


def test_constraints_leave_the_gpu_libraries_to_torch():
    assert not [name for name in CONSTRAINTS if re.match(r"nvidia|cuda|triton", name)]
    assert not [version for version in CONSTRAINTS.values() if "+" in version]


def imports(path: Path) -> set[str]:
    """The top-level names that a Python file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_every_import_is_a_declared_dependency():
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    ours = {path.stem for path in files} | {path.parent.name for path in files} | {"cgnlib"}
    providers = {"rocrate_validator": ["roc-validator"]}  # of an extra that may not be installed
    providers |= packages_distributions()
    declared = {canonicalize_name(r.name) for r in requirements()}
    for path in files:
        for name in imports(path) - ours - sys.stdlib_module_names:
            found = {canonicalize_name(provider) for provider in providers.get(name, [name])}
            assert found & declared, f"{path.relative_to(ROOT)} imports {name}: name its package"


def test_make_alone_prints_a_line_for_every_target():
    makefile = (ROOT / "Makefile").read_text()
    declared = set(re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split())
    assert declared >= TARGETS
    command = ["make", "--no-print-directory"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = {line.split()[0]: line.split()[1:] for line in printed.splitlines()[1:]}
    assert set(listed) == declared
    assert all(listed.values())


def make(folder: Path, *words: str, recipe: str = "", **env: str) -> str:
    """What our Makefile prints from a folder, a target `show` added; env None: not set."""
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text() + f"\nshow:\n\t@{recipe}\n")
    variables = {name: value for name, value in (os.environ | env).items() if value is not None}
    command = ["make", "-s", *words]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_gives_a_home_and_a_name_to_those_who_have_none(tmp_path):
    home = tmp_path / "a home"
    home.mkdir()
    show = 'echo "$$HOME|$${XDG_CACHE_HOME-}|$$LOGNAME"'
    plain = {"XDG_CACHE_HOME": None, "LOGNAME": "ann", "USER": None}
    assert make(tmp_path, "show", recipe=show, HOME=str(home), **plain) == f"{home}||ann\n"
    for nowhere in (None, "", "/dev/null", "/nosuch"):
        said = make(tmp_path, "show", recipe=show, **plain | {"HOME": nowhere, "LOGNAME": None})
        home, _, name = said.strip().split("|")
        assert home == f"{tmp_path}/_build/home" and Path(home).is_dir() and name
    plain |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": "/dev/null"}
    said = make(tmp_path, "show", recipe=show, **plain)
    assert said == f"{tmp_path}|{tmp_path}/_build/cache|ann\n"


def test_make_does_not_hear_what_a_user_tells_snakemake_and_python(tmp_path):
    told = ("SNAKEMAKE_PROFILE", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONSTARTUP", "BASH_ENV")
    told += ("PYTHONDONTWRITEBYTECODE",)
    said = make(tmp_path, "show", recipe="env", **dict.fromkeys(told, "/dev/null"), CGN_RUNS="r")
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert "CGN_RUNS" in names and names.isdisjoint(told)


PYTHON = """#!/bin/sh
echo "$@" >> log
case "$*" in
    "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
    "$BROKEN"*) exit 1;;
esac
"""
WITH_PIP, GET_UV, WITH_UV = (
    "-m pip install -c constraints.txt -e .[dev]",
    "-m pip install -q -c constraints.txt uv",
    "-m uv pip install -c constraints.txt -e .[dev]",
)


@pytest.mark.parametrize(
    ("installer", "broken", "called"),
    [
        ("uv", "none", [GET_UV, WITH_UV]),
        ("uv", GET_UV, [GET_UV, WITH_PIP]),
        ("uv", WITH_UV, [GET_UV, WITH_UV, WITH_PIP]),
        ("pip", "none", [WITH_PIP]),
    ],
)
def test_uv_installs_where_it_can_be_had_and_pip_where_not(tmp_path, installer, broken, called):
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    make(tmp_path, "venv", f"PYTHON={python}", f"INSTALLER={installer}", BROKEN=broken)
    assert (tmp_path / "log").read_text().splitlines()[2:] == called
    assert (tmp_path / ".venv/.installed").exists() and "uv" in CONSTRAINTS


def test_uv_looks_where_pip_is_told_to(tmp_path):
    told = {"PIP_INDEX_URL": "http://a/simple", "PIP_EXTRA_INDEX_URL": "http://b http://c"}
    told |= {"PIP_FIND_LINKS": "/d /e", "UV_FIND_LINKS": None, "UV_DEFAULT_INDEX": None}
    show = 'echo "$$UV_DEFAULT_INDEX|$$UV_INDEX|$$UV_FIND_LINKS"'
    assert (
        make(tmp_path, "show", recipe=show, **told) == "http://a/simple|http://b http://c|/d,/e\n"
    )
    mine = told | {"UV_DEFAULT_INDEX": "http://f", "UV_FIND_LINKS": "/g"}
    assert make(tmp_path, "show", recipe=show, **mine).endswith("|/g\n")
    silent = {name: None for name in told | {"UV_INDEX": None}}
    assert "UV_" not in make(tmp_path, "show", recipe="env", **silent)


def run_ci(tmp_path: Path, make: str) -> subprocess.CompletedProcess:
    """Run .ci/run with a stand-in for make."""
    (tmp_path / "make").write_text(f"#!/bin/sh\n{make}\n")
    (tmp_path / "make").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / ".ci/run")]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)


def test_ci_lints_tests_computes_compares_and_builds(tmp_path):
    done = run_ci(tmp_path, make='echo "ran $1"')
    assert done.returncode == 0, done.stderr
    ran = re.findall(r"(\w+): ran (\w+)", done.stdout)
    assert all(told == target for told, target in ran)
    assert [target for target, _ in ran][:4] == ["extras", "lint", "test", "runs"]
    assert sorted(target for target, _ in ran[4:]) == ["browser", "nbval", "slice", "slurm"]
    assert re.fullmatch(r"all checks passed in \d+ s", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("target", ["test", "slice", "nbval"])
def test_ci_fails_where_a_target_does_and_begins_no_other_after_it(tmp_path, target):
    done = run_ci(tmp_path, make=f'echo "ran $1"; [ "$1" != {target} ]')
    assert done.returncode != 0 and f"{target}: ran" in done.stdout
    assert "all checks passed" not in done.stdout
    assert target != "test" or "ran runs" not in done.stdout


def test_the_workflow_runs_the_same_script():
    workflow = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands == [".ci/run", "make pdf"]  # the PDF goes into the folder that is published
    assert list(steps[-1]["with"].values()) == ["_build/html"]
    assert workflow["jobs"]["publish"]["needs"] == ["check", "newest"]


def test_the_workflow_tests_on_the_oldest_and_the_newest_python():
    """Of those that pyproject.toml names, which are those that `make` takes."""
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"]]
    least, beyond = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert named == [f"3.{minor}" for minor in range(int(least), int(beyond))]
    jobs = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text())["jobs"]
    tested = [jobs[job]["steps"][1]["with"]["python-version"] for job in ("check", "newest")]
    assert tested == [named[0], named[-1]] and jobs["newest"]["steps"][-1]["run"] == "make test"
    makefile = (ROOT / "Makefile").read_text()
    assert f"(3, {least}) <= sys.version_info < (3, {beyond})" in makefile
    assert f"Python {named[0]} to {named[-1]} is needed" in makefile
    assert (
        f"Python {named[0]} to {named[-1]} and a package index" in (ROOT / "README.md").read_text()
    )


def test_pre_commit_uses_the_pinned_ruff():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    [ruff] = [repo["rev"] for repo in hooks if repo["repo"].endswith("ruff-pre-commit")]
    assert ruff == "v" + CONSTRAINTS["ruff"]


def test_the_citation_names_this_version():
    from cgnlib import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    places = [str(place) + "/" for place in (ROOT, Path.home()) if len(place.parts) > 1]
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found = [*REGISTRY.findall(text), *(place for place in places if place in text)]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def test_tracked_files_are_small():
    large = [
        path.name
        for path in tracked()
        if path.suffix == ".ipynb" and path.stat().st_size > 1_000_000
    ]
    assert not large, f"over 1 MB: {large}"
    big = [path for path in tracked() if path.suffix not in {".ipynb", ".safetensors"}]
    big = [path.relative_to(ROOT) for path in big if path.stat().st_size > 300_000]
    assert not big, f"over 300 kB: {big}"


def mapped() -> set[str]:
    """The paths of README's map; its indentation says what lies in what."""
    drawn = (ROOT / "README.md").read_text().partition("## What is where\n\n```\n")[2]
    folders, found = {}, set()
    for line in drawn.partition("```")[0].splitlines():
        name = line.split()[0]
        depth = line.index(name)
        folders[depth + 2] = folders.get(depth, "") + name
        found.add(folders[depth + 2])
    return found


def test_the_map_of_the_readme_is_true():
    files = {path.relative_to(ROOT) for path in tracked()}
    folders = {f"{folder}/" for path in files for folder in path.parents[:-1]}
    assert not mapped() - folders - set(map(str, files)), "not there"
    rooms = {
        f for f in folders if f.count("/") == 1 or (f.startswith("book/") and f.count("/") == 2)
    }
    rooms |= {f"{path.parent}/" for path in files if path.match("cgnlib/*/__init__.py")}
    assert not {room for room in rooms if not room.startswith(".")} - mapped(), "not on the map"
