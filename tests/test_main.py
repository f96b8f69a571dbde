"""The command line: what it prints, and its exit codes."""

import hashlib
import os
import re
import subprocess
import sys

import pytest
from tiny import TINY

from cgnlib import __main__, __version__, experiments, paths, runs, worlds
from cgnlib.__main__ import main
from cgnlib.counterfactuals import datasets
from cgnlib.errors import CGNError, Interrupted
from cgnlib.nets import shipped as parts
from cgnlib.runs import pool

RUN = "mechanisms-menagerie-none-s0"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty CGN_RUNS; no workers start, whatever happens."""

    def refuse(*_):
        raise AssertionError("this would compute")

    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(pool, "_compute", refuse)
    return tmp_path / "runs"


def expected(claim, profile="mini"):
    return [run.id for run in experiments.with_needs(experiments.grid(profile, claim))]


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_list_shows_every_run_of_a_profile(profile, capsys, folder):
    assert main(["list", "--profile", profile]) == 0
    ids = expected("all", profile)
    lines = [f"{'-':7} {run_id}" for run_id in ids]
    lines.append(f"0 of {len(ids)} done in {folder / profile}")
    assert capsys.readouterr().out.splitlines() == lines
    assert not folder.exists()


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m cgnlib list --profile full all | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=paths.ROOT,
        env=os.environ | {"CGN_RUNS": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("-")


def test_list_says_what_is_done(capsys, monkeypatch):
    monkeypatch.setattr(runs, "is_done", lambda run: isinstance(run, experiments.GAN))
    assert main(["list", "claim-3-mnist"]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    done = [line.split()[1] for line in lines if line.startswith("done")]
    assert done == [f"gan-{v}-s0" for v in experiments.VARIANTS] and summary.startswith("3 of ")


@pytest.mark.parametrize("claim", ["all", "claim-1-mnist"])
def test_a_dry_run_prints_the_plan_and_computes_nothing(claim, capsys, folder):
    assert main(["run", "--dry-run", claim]) == 0
    header, *lines, cost = capsys.readouterr().out.splitlines()
    assert header.split() == ["cores", "GPUs", "memory", "expected"]
    assert [line.split()[-1] for line in lines] == expected(claim) and not folder.exists()
    assert all(re.search(r"^-\s+1\s+0\s+\d+ MB\s+\d+ min  ", line) for line in lines)
    assert cost.startswith(f"0 of {len(lines)} runs are done; about ")


@pytest.mark.parametrize("command", ["list", "run --dry-run"])
def test_what_run_refuses_is_said_beforehand(command, capsys, folder):
    run = folder / "mini/classifier-digits-s0"
    run.mkdir(parents=True)
    (run / "spec.json").write_text('{"kind": "another"}')
    (run / "weights.safetensors").touch()
    assert main(["run", run.name]) == 1
    why = capsys.readouterr().err.removeprefix("error: ").strip()
    assert "another spec" in why and main([*command.split(), run.name]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if run.name in line and "runs are" not in line]
    assert line.startswith("refused ") and line.endswith(f"{run.name}: {why}")
    assert err.startswith("error: 1 of 1 runs are refused: ")


def test_a_plan_without_its_data_says_that_it_would_not_start(capsys, no_data):
    assert main(["run", "--dry-run", "--profile", "full", "claim-3-mnist"]) == 0
    *_, cost, last = capsys.readouterr().out.splitlines()
    assert cost.startswith("0 of ") and last.startswith("it would not start: ")
    assert main(["run", "--profile", "full", "claim-3-mnist"]) == 1
    assert capsys.readouterr().err == last.replace("it would not start", "error") + "\n"


def test_a_run_comes_with_its_needs(capsys):
    assert main(["run", "--dry-run", "evaluation-wildlife-g0-s0"]) == 0
    _, *lines, _ = capsys.readouterr().out.splitlines()
    ids = [line.split()[-1] for line in lines]
    assert ids[-1] == "evaluation-wildlife-g0-s0" and "cgn-wildlife-s0" in ids and len(ids) == 4


def test_run_computes_what_is_asked_with_the_workers_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(runs, "ensure", lambda r, *how: asked.append((r, *how)) or r)
    what = ["gan-colored-s0", "claim-1-mnist"]
    assert main(["run", "--workers", "3", "--keep-going", *what]) == main(["run", *what]) == 0
    (chosen, workers, keep_going), (_, *usual), *rest = asked
    assert keep_going and usual == [None, False]
    ids = [run.id for run in experiments.grid("mini", "claim-1-mnist")]
    assert [run.id for run in chosen] == ["gan-colored-s0", *ids] and workers == 3 and not rest
    assert capsys.readouterr().out.startswith(f"{len(chosen)} runs are done")


def test_a_run_that_was_asked_to_stop_may_come_again(monkeypatch, capsys):
    def stop(*_):
        raise Interrupted("stopped after step 7")

    monkeypatch.setattr(runs, "ensure", stop)
    assert main(["run", "claim-1-mnist"]) == 75
    said = "interrupted: stopped after step 7; the same command goes on from there\n"
    assert capsys.readouterr().err == said


def test_one_run_needs_no_second_process(monkeypatch, capsys):
    computed = []
    monkeypatch.setattr(runs, "compute_here", computed.append)
    monkeypatch.setattr(runs, "ensure", lambda r, *_: r)
    assert main(["run", "gan-colored-s0"]) == 0
    assert [run.id for run in computed] == ["gan-colored-s0"]


def test_adopt_says_which_runs_state_their_artefacts_now(monkeypatch, capsys):
    monkeypatch.setattr(runs, "adopt", lambda run: run.id.startswith("cgn"))
    assert main(["adopt", "evaluation-wildlife-g0-s0"]) == 0
    said = "cgn-wildlife-s0\n1 runs state their artefacts from now on\n"
    assert capsys.readouterr().out == said


def exit_code(line):
    """Of a command that ends before it begins."""
    with pytest.raises(SystemExit) as left:
        main(line.split())
    return left.value.code


def test_help_shows_every_command_and_the_exit_codes(capsys):
    assert exit_code("--help") == 0
    out = capsys.readouterr().out
    assert "exit codes: 0 done" in out
    assert all(f"    {command} " in out for command in ("list", "run", "adopt", "generate"))


@pytest.mark.parametrize("command", ["list", "run", "adopt", "generate"])
def test_every_command_has_examples_and_they_are_right_usage(command, monkeypatch, capsys):
    generated = []

    def _generate(args):
        generated.append(experiments.find(args.profile, args.run))

    monkeypatch.setattr(__main__, "_generate", _generate)
    monkeypatch.setattr(runs, "missing", lambda r: [])
    monkeypatch.setattr(runs, "ensure", lambda r, *_: r)
    assert exit_code(f"{command} --help") == 0
    _, examples = capsys.readouterr().out.split("examples:")
    examples = re.findall(rf"python -m cgnlib ({command} .*?)(?:   |\n)", examples)
    assert examples and all(main(example.split()) == 0 for example in examples)
    assert all(isinstance(run, experiments.Mechanisms) for run in generated)
    assert bool(generated) == (command == "generate")


UNKNOWN = (
    *("list --profile tiny", "list claim-9", "run --dry-run cgn-colored-s99"),
    *("run --profile tiny all", "run claim-9", "generate mechanisms-menagerie-none-s99 data"),
    f"generate --profile tiny {RUN} data",
)


def test_an_unknown_name_is_one_line_and_exit_code_1(capsys):
    wrong = []
    for line in UNKNOWN:
        code = main(line.split())
        out, err = capsys.readouterr()
        if (code, out) != (1, "") or not re.fullmatch(r"error: unknown .+\n", err):
            wrong.append((line, code, out, err))
    assert not wrong


def test_a_failed_run_is_one_line_and_exit_code_1(monkeypatch, capsys):
    def fail(*_):
        raise CGNError("the disk is full: free space")

    monkeypatch.setattr(runs, "ensure", fail)
    assert main(["run", "all"]) == 1
    assert capsys.readouterr().err == "error: the disk is full: free space\n"


BAD_USAGE = (
    *("", "walk", "run", "list --prof", f"generate {RUN}"),
    *(f"run --workers {n} all" for n in ("two", "0", "-1")),
    *(f"generate {RUN} data {o}" for o in ("--n 0", "--batch 0", "--mode best", "--classes 1 2")),
)


def test_bad_usage_is_exit_code_2(capsys, monkeypatch):
    monkeypatch.setattr(runs, "ensure", lambda *_: [])
    ended = {line: (exit_code(line), capsys.readouterr().err[:6]) for line in BAD_USAGE}
    assert ended == dict.fromkeys(BAD_USAGE, (2, "usage:"))


def test_the_package_is_a_command_that_starts_without_what_few_runs_need():
    command = [sys.executable, "-X", "importtime", "-m", "cgnlib", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"
    assert not re.findall(r"[|] +(?:torchvision|torch._dynamo|boto3|pandas)\n", done.stderr)


# --- generate


@pytest.fixture(scope="module")
def trained(shipped, tmp_path_factory):
    """CGN_RUNS with one training of a few steps, computed by the command line."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CGN_RUNS", str(root))
        patch.setattr(parts, "FOLDER", shipped)
        patch.setitem(experiments.PROFILES, "mini", TINY)
        assert main(["run", RUN]) == 0
    return root


@pytest.fixture
def weights(trained, random_parts, monkeypatch):
    """The trained weights; the run counts as done."""
    monkeypatch.setenv("CGN_RUNS", str(trained))
    monkeypatch.setitem(experiments.PROFILES, "mini", TINY)
    return trained / "mini" / RUN / "weights.safetensors"


def content(folder):
    """Every file below a folder, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def generate(folder, *options, n=5, run=RUN):
    return main(["generate", run, str(folder), "--n", str(n), "--batch", "2", *options])


def test_a_trained_run_is_done_and_leaves_its_files(weights, capsys):
    assert main(["list", RUN]) == 0
    assert capsys.readouterr().out.startswith(f"done    {RUN}\n1 of 1 done")
    assert {p.name for p in weights.parent.iterdir()} == {
        "spec.json", "env.json", "artefacts.json", "metrics.json", "history.csv",
        "weights.safetensors", "sheet_0001.png", "attempt-001.log",
    }  # fmt: skip


def test_generate_writes_the_counterfactuals_of_a_run(weights, tmp_path, capsys):
    folder = tmp_path / "set"
    assert generate(folder, "--seed", "3", "--truncation", "0.3") == 0
    assert capsys.readouterr().out == f"5 images are in {folder}\n"
    made = datasets.read_dataset(folder)
    assert made.missing == [] and made.names == [f"{RUN}_{i:07}" for i in range(5)]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    expected = {"mode": "random", "n": 5, "seed": 3, "truncation": 0.3, "weights": digest}
    expected |= {"num_classes": 10, "latent": 64, "stretch": "minmax"}
    assert made.spec | expected == made.spec
    net = worlds.find("menagerie").load(weights, "").fold(0.3)
    datasets.write_dataset(
        net, tmp_path / "other", 5, "random", 0.3, 3, name=RUN, weights=digest, num_classes=10,
        latent=64, batch=2,
    )  # fmt: skip
    assert content(tmp_path / "other") == content(folder)
    assert {x.shape for x in made.images(5)} == {(5, 3, 64, 64)}


def test_generate_goes_on_where_it_was_stopped(weights, tmp_path, monkeypatch, capsys):
    assert generate(tmp_path / "whole") == 0
    add, calls = datasets.Writer.add, []

    def stop(self, *args):
        add(self, *args)
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(datasets.Writer, "add", stop)
        assert generate(tmp_path / "set") == 130
    assert "goes on from what is saved" in capsys.readouterr().err
    assert datasets.read_dataset(tmp_path / "set").missing == [4]
    assert generate(tmp_path / "set") == 0
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_generate_mends_an_image_that_was_cut_off(weights, tmp_path):
    assert generate(tmp_path / "set") == 0
    before = content(tmp_path / "set")
    path = datasets.read_dataset(tmp_path / "set").path(1)
    path.write_bytes(path.read_bytes()[:100])
    assert generate(tmp_path / "set") == 0
    assert content(tmp_path / "set") == before


def test_generate_takes_three_classes(weights, tmp_path):
    assert generate(tmp_path / "set", "--mode", "fixed_classes", "--classes", "7", "0", "9") == 0
    assert datasets.read_dataset(tmp_path / "set").classes.tolist() == [[7, 0, 9]] * 5


REFUSED = {
    "cgn-colored-s0": "cgn-colored-s0 is no CGN over BigGAN",
    "mechanisms-menagerie-shape-s0": "shape-s0 is not done: python -m",
    f"{RUN} --truncation 0.55": "truncation 0.55",
    f"{RUN} --truncation 0": "truncation 0",
    f"{RUN} --mode fixed_classes": "three fixed classes",
    f"{RUN} --classes 1 2 3": "three fixed classes",
    f"{RUN} --mode fixed_classes --classes 1 2 10": "no class 10",
    f"{RUN} --mode best_classes": "no class",  # they are ImageNet's
}


def test_generate_refuses_in_one_line_and_writes_nothing(weights, tmp_path, capsys):
    wrong = []
    for what, message in REFUSED.items():
        run, *options = what.split()
        code = generate(tmp_path / "set", *options, run=run)
        out, err = capsys.readouterr()
        told = re.fullmatch(rf"error: .*{message}.*\n", err)
        if code != 1 or out or not told or (tmp_path / "set").exists():
            wrong.append((what, code, out, err))
    assert not wrong


def test_generate_leaves_a_folder_of_something_else_alone(weights, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    assert generate(tmp_path) == 1
    assert "holds thesis.tex and is no data set" in capsys.readouterr().err
    assert content(tmp_path) == {"thesis.tex": b"mine"}


def test_generate_leaves_another_data_set_alone(weights, tmp_path, capsys):
    assert generate(tmp_path / "set", n=2) == 0
    before = content(tmp_path / "set")
    for options, key in ((("--seed", "1"), "seed"), (("--mode", "random_same"), "mode")):
        assert generate(tmp_path / "set", *options, n=2) == 1
        assert f"another data set (other {key})" in capsys.readouterr().err
    assert content(tmp_path / "set") == before


def test_generate_refuses_weights_that_are_damaged(weights, tmp_path, capsys, monkeypatch):
    copy = tmp_path / "runs" / "mini" / RUN
    copy.mkdir(parents=True)
    for path in weights.parent.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / weights.name).write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setenv("CGN_RUNS", str(tmp_path / "runs"))
    assert generate(tmp_path / "set") == 1
    error = capsys.readouterr().err
    assert str(copy / weights.name) in error and error.count("\n") == 1
    assert not (tmp_path / "set").exists()
