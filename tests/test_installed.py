"""What conda is told to install, put into an empty environment by either installer."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from test_frame import CODE, ROOT, imports

COPIED = ("pyproject.toml", "constraints.txt", "LICENSE", "cgnlib", "book/cgnbook")


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Makes an environment of the pip part of environment.yml, as conda does it: a file of
    requirements beside a copy of the project."""
    made = {}

    def make(installer: str) -> Path:
        if installer in made:
            return made[installer]
        folder = tmp_path_factory.mktemp(installer)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (folder / name).parent.mkdir(exist_ok=True)
            copy(ROOT / name, folder / name)
        *_, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
        (folder / "requirements.txt").write_text("\n".join(pip["pip"]))
        venv.create(folder / "env", with_pip=True)
        python = made[installer] = folder / "env/bin/python"
        how = (sys.executable, "-m", "uv", "pip", "install", "--python", python)
        if installer == "pip":
            how = (python, "-m", "pip", "install")
        run(*how, "-q", "-r", "requirements.txt", cwd=folder)
        return python

    yield make
    for python in made.values():
        shutil.rmtree(python.parents[1])


def imported() -> set[str]:
    """Every package that a file of ours imports, and our two."""
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    ours = {path.stem for path in files} | {path.parent.name for path in files}
    found = set().union(*map(imports, files))
    return found - ours - sys.stdlib_module_names | {"cgnlib", "cgnbook"}


@pytest.mark.install
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_all_that_is_imported_is_there(installer, installed, tmp_path):
    modules = imported() | {"snakemake"}
    code = f"import importlib; [importlib.import_module(name) for name in {modules}]"
    run(installed(installer), "-c", code, cwd=tmp_path)
    assert run(installed(installer), "-m", "pip", "check", cwd=tmp_path).startswith("No broken")


@pytest.mark.install
def test_both_installers_have_the_same_result(installed, tmp_path):
    with_uv, with_pip = (
        run(installed(installer), "-m", "pip", "freeze", "--exclude-editable", cwd=tmp_path)
        for installer in ("uv", "pip")
    )
    assert with_uv == with_pip and "torch==" in with_uv
