"""The page on reproduction: the profiles, what they declare, what is tracked; and the checklist."""

import pandas as pd

from cgnlib import experiments, paths
from cgnlib.experiments import with_needs

# The five items of the ML Code Completeness Checklist: what there is, the command that uses it, and
# the files that show it.
CHECKLIST = {
    "Dependencies": (
        "ranges for every package, the exact versions that were used, and the same for conda; a "
        "test keeps the three in step",
        "make venv",
        ("pyproject.toml", "constraints.txt", "environment.yml"),
    ),
    "Training code": (
        "every network is trained by a declared run that can be stopped and goes on; so are the "
        "pretrained parts of the menagerie",
        "python -m cgnlib run --profile full all",
        (
            "cgnlib/experiments/claims.py",
            "cgnlib/training/loop.py",
            "data_prep/menagerie_biggan.py",
        ),
    ),
    "Evaluation code": (
        "every measure is a function with tests, and every classifier leaves its decision about "
        "each test image",
        "python -m cgnlib run claim-3-mnist",
        (
            "cgnlib/measures/metrics.py",
            "cgnlib/measures/decisions.py",
            "tests/measures/test_metrics.py",
        ),
    ),
    "Pretrained models": (
        "the menagerie's four and three CGNs of the MNISTs come with the book; those of others "
        "are named with address, checksum and licence; the rest is made again, in minutes at the "
        "smallest scale",
        "python data_prep/fetch.py --list",
        ("data_prep/menagerie/biggan.safetensors", "data_prep/sources.toml"),
    ),
    "Results and commands": (
        "the book itself: the chapter of a claim has its table and ends with the command that "
        "makes it again",
        "make book",
        ("README.md", "book/19_reproduce.md", "book/records/reported.csv"),
    ),
}


def profiles() -> pd.DataFrame:
    """The three profiles in words and sizes."""
    return pd.DataFrame(
        {
            "Profile": p.name,
            "For": p.purpose,
            "Digits": p.digits.digits,
            "Textures": p.digits.textures,
            "ImageNet claims on": p.world.name,
            "Gram loss": p.digits.cgn["wildlife"].perceptual,
            "Counterfactuals of claim 3, at most": f"{max(p.digits.counterfactuals.values()):,}",
            "Seeds": len(p.digits.seeds),
        }
        for p in experiments.PROFILES.values()
    )


def run_counts() -> pd.DataFrame:
    """How many runs of each kind a profile declares."""
    grids = {name: with_needs(experiments.grid(name)) for name in experiments.PROFILES}
    counts = {
        name: pd.Series([run.kind for run in of]).value_counts() for name, of in grids.items()
    }
    kinds = dict.fromkeys(run.kind for runs in grids.values() for run in runs)
    table = pd.DataFrame(counts).reindex(list(kinds)).fillna(0).astype(int)
    table.loc["all"] = table.sum()
    return table.rename_axis("Kind").reset_index()


def tracked() -> pd.DataFrame:
    """The records that came with this copy of the book."""
    return pd.DataFrame(
        {"File": path.name, "Rows": len(pd.read_csv(path))}
        for path in sorted(paths.records().glob("*.csv"))
    )


def checklist() -> pd.DataFrame:
    """An item of the checklist a row: how it is met, with which command, and where to look."""
    return pd.DataFrame(
        {"Item": item, "In this book": how, "Command": command, "Where": ", ".join(files)}
        for item, (how, command, files) in CHECKLIST.items()
    )
