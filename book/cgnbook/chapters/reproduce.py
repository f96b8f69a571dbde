"""Tables of the page on reproduction."""

import pandas as pd

from cgnlib import experiments, paths
from cgnlib.experiments import with_needs


def profiles() -> pd.DataFrame:
    """The three profiles in words and sizes."""
    return pd.DataFrame(
        {
            "Profile": p.name,
            "For": p.purpose,
            "Digits": p.digits,
            "Textures": p.textures,
            "ImageNet claims on": p.world,
            "Gram loss": p.cgn["wildlife"]["perceptual"],
            "Counterfactuals of claim 3, at most": f"{max(p.counterfactuals.values()):,}",
            "Seeds": len(p.seeds),
        }
        for p in experiments.PROFILES.values()
    )


def run_counts() -> pd.DataFrame:
    """How many runs of each kind a profile declares."""
    grids = {name: with_needs(experiments.grid(name)) for name in experiments.PROFILES}
    kinds = dict.fromkeys(run.kind for runs in grids.values() for run in runs)
    rows = [
        {"Kind": kind} | {n: sum(r.kind == kind for r in runs) for n, runs in grids.items()}
        for kind in kinds
    ]
    return pd.DataFrame([*rows, {"Kind": "all"} | {n: len(runs) for n, runs in grids.items()}])


def tracked() -> pd.DataFrame:
    """The records that came with this copy of the book."""
    rows = []
    for path in sorted(paths.records().glob("*.csv")):
        rows.append({"File": path.name, "Rows": len(pd.read_csv(path))})
    return pd.DataFrame(rows)
