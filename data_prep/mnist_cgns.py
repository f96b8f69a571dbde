"""Ship one CGN of each MNIST variant, trained here at the paper's size, with its record.

Of the CGNs that are done and evaluated, the one in whose counterfactuals the unbiased reader most
often sees the intended digit; so these are the best of a few, not typical ones.

    python -m cgnlib run --profile full claim-1-mnist edge-loss
    python data_prep/mnist_cgns.py
"""

import argparse

from cgnlib import experiments, runs
from cgnlib.compute.nets_of import net_of
from cgnlib.errors import CGNError
from cgnlib.experiments import CGN, Evaluation
from cgnlib.nets import shipped
from ship import ship

TOLD = ("image_read", "image_read_true", "usable_digits")


def best(profile: str, variant: str) -> tuple[Evaluation, dict]:
    """The evaluation of the best CGN of a variant that was trained here, and what it found."""
    declared = [
        *experiments.grid(profile, "claim-1-mnist"),
        *experiments.grid(profile, "edge-loss"),
    ]
    found = [
        (runs.load(run).metrics["image_read"], run)
        for run in declared
        if isinstance(run, Evaluation) and run.variant == variant
        if isinstance(run.generator, CGN) and runs.is_done(run)
    ]
    if not found:
        raise CGNError(
            f"no CGN of {variant} is evaluated: "
            f"python -m cgnlib run --profile {profile} claim-1-mnist edge-loss"
        )
    _, chosen = max(found, key=lambda pair: pair[0])
    metrics = runs.load(chosen).metrics
    return chosen, {name: metrics[name] for name in TOLD} | {"best_of": len(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="full", help="whose CGNs (default: full)")
    profile = parser.parse_args().profile
    for variant in experiments.VARIANTS:
        evaluation, about = best(profile, variant)
        run = evaluation.generator
        made = runs.load(run)
        kept = ("commit", "device", "seconds", "finished")
        about |= {"run": run.id, "spec": run.digest(), "settings": run.spec()["settings"]}
        about |= {name: made.env[name] for name in kept} | {"inputs": made.spec["inputs"]}
        ship(shipped.CGN + variant, net_of(run, made.folder), about)
        print(f"{shipped.CGN}{variant}: {run.id}, best of {about['best_of']}")


if __name__ == "__main__":
    try:
        main()
    except CGNError as error:
        raise SystemExit(f"error: {error}") from None
