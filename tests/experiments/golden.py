"""What a refactoring must not change, written down: python tests/golden.py [FOLDER].

golden.json has, by profile, the id and digest of every declared run and what each reads; the seeds
of some places of chance; and the metrics of small runs of every kind, computed in FOLDER.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

FILE = Path(__file__).parent / "golden.json"
SMALL = {
    "steps": 3, "epochs": 1, "decay_every": 1, "size": 200, "evaluated": 40, "embedded": 200,
    "renderings": 1, "train": 40, "val": 40, "batch": 8, "ndf": 16, "window": 1,
}  # fmt: skip
KINDS = [
    "evaluation-wildlife-g0-s0",
    "classifier-wildlife-gan-g0-s0",
    "explanation-colored-original-s0",
    "following-wildlife-original-and-cgn-g0-s0",
    "crossing-wildlife-original-and-decorrelated-s0",
    "disentanglement-double_colored-truth-s0",
    "disentanglement-wildlife-g0-s0",
    "disentanglement-menagerie-none-s0",
    "quality-menagerie-biggan-s0",
    "quality-menagerie-shape-s0",
    "robustness-menagerie-plain-s0",
    "robustness-menagerie-real-and-cgn-none-g0-s0",
    "head-maps-menagerie-real-s0",
]  # with what they need, one of each kind and more
PATHS = [
    (0, "data"), (3, "set"), (0, "order", 2), (1, "cgn"), (0, "gan"), (2, "classifier"),
    (2021, "test"), (0, "evaluation"), (0, "samples", "real"), (0, "imagenet-cgn"),
    (5, "counterfactuals", 1), (0, "quality"), (2021, "sheet"), (0, "held-out"),
]  # fmt: skip
if __name__ == "__main__":
    from dataclasses import replace

    import torch

    from cgnlib import chance, runs
    from cgnlib import experiments as e
    from cgnlib.compute import digits as execute

    torch.set_num_threads(1)

    def sha(lines):
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    golden = {"runs": {}, "reads": {}, "number": {}}
    for p in e.PROFILES:
        declared = sorted(e.with_needs(e.grid(p)), key=lambda r: r.id)
        golden["number"][p] = len(declared)
        golden["runs"][p] = sha([f"{r.id} {r.digest()}" for r in declared])
        golden["reads"][p] = sha(
            sorted(
                f"{r.id} {role} {i.kind.replace('benchmark', 'public')} {i.name}"
                for r in declared
                for role, i in execute.reads(r).items()
            )
        )
        open(f"/tmp/golden-{p}.txt", "w").write(
            "\n".join(
                [f"{r.id} {r.digest()}" for r in declared]
                + sorted(
                    f"{r.id} {role} {i.kind.replace('benchmark', 'public')} {i.name}"
                    for r in declared
                    for role, i in execute.reads(r).items()
                )
            )
        )
    golden["seeds"] = {"/".join(map(str, p)): chance.generator(*p).initial_seed() for p in PATHS}

    def small(run):
        s = {
            k: (min(SMALL[k], v) if k in SMALL and k != "batch" else SMALL.get(k, v))
            for k, v in run.settings
        }
        return replace(
            run, settings=tuple(sorted(s.items())), needs=tuple((k, small(n)) for k, n in run.needs)
        )

    os.environ["CGN_RUNS"] = sys.argv[1]
    os.environ["CGN_PRECISION"] = "float32"
    from cgnlib.data import digits
    from cgnlib.runs.inputs import Input

    Input("digits", "mnist-5k").checksum()
    whole = digits.load_digits
    digits.load_digits = lambda *w: whole(*w)[::8]
    wanted = [small(e.find("mini", k)) for k in KINDS]
    import time

    t = time.time()
    golden["small"] = {}
    for run in e.with_needs(wanted):
        t0 = time.time()
        if not runs.is_done(run):
            runs.compute_here(run)
        print(run.id, round(time.time() - t0, 1), flush=True)
        golden["small"][run.id] = runs.load(run).metrics
    print(time.time() - t)
    golden["made on"] = [torch.backends.cpu.get_cpu_capability(), torch.__version__]
    FILE.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
