"""The study as jobs: every run, then the chapters, then the book.

    snakemake --cores all book                                           here, profile mini
    snakemake --profile profiles/slurm --config profile=paper -- book    on a cluster
    snakemake --cores all -n --config profile=full -- runs               only the plan and its cost

Targets: book, pdf, chapters, runs, a claim (claim-3-mnist), a run, a chapter.  Runs are declared in
cgnlib/experiments/; what a run has left, cgnlib itself resumes, and what is done it leaves.
"""

import json
import os
import re
import sys
from pathlib import Path

from filelock import FileLock, Timeout
from snakemake.exceptions import WorkflowError

from cgnlib import experiments, paths
from cgnlib.errors import CGNError
from cgnlib.experiments import jobs

PROFILE = config.get("profile", "mini")
ROOT = Path(os.path.relpath(workflow.basedir))  # so no name has its {brackets}, which mean more
try:
    RUNS = experiments.with_needs(experiments.grid(PROFILE))
    ASKED = {run.id: jobs.resources(run) for run in RUNS}
    CHAPTER = jobs.resources_of_chapter()
    paths.data(), paths.runs(PROFILE)  # whether they can be places
    PLACE = {asked: asked.partition for asked in (*ASKED.values(), CHAPTER)}
except CGNError as error:
    raise WorkflowError(str(error)) from None
TEXTS = [ROOT / "index.md", *sorted((ROOT / "book").glob("[0-9]*.md"))]
CODE = [path for folder in ("cgnlib", "book/cgnbook", "book/records")
        for path in sorted((ROOT / folder).rglob("*.*")) if path.is_file() and path.suffix != ".pyc"]
PRESS = [*ROOT.glob("_*.yml"), *sorted((ROOT / "book").glob("[a-z]*.*"))]
PRESS += [path for folder in ("_press", "_static", "_interactive")
          for path in sorted((ROOT / "book" / folder).rglob("*.*")) if path.suffix != ".pyc"]
PYTHON = sys.executable
EXECUTED = ROOT / "_build" / "chapters" / PROFILE
BUILT = "_build/html/.buildinfo"  # Sphinx writes it; after a failed build Snakemake removes it

def was_executed(text):
    """Whether the notebook beside a text is of this profile; without a whole one it is of none."""
    try:
        made = json.loads(text.with_suffix(".ipynb").read_text(encoding="utf-8"))
        return made["metadata"]["cgn"]["profile"] in (PROFILE, None)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def alone():
    """Held until this process ends.  Who waited for it finds done what was made meanwhile."""
    (ROOT / "_build").mkdir(exist_ok=True)
    lock = FileLock(ROOT / "_build" / ".lock", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        try:
            print("another Snakemake makes this book: waiting for it", file=sys.stderr, flush=True)
            lock.acquire()
        except KeyboardInterrupt:
            print("interrupted while waiting: nothing was done", file=sys.stderr)
            sys.exit(130)
    except (NotImplementedError, OSError):
        pass  # a disk without locks: then nobody waits
    return lock


if workflow.is_main_process:
    ours = None if workflow.output_settings.dryrun else alone()
    jobs.renew_marks(RUNS)
    for text in TEXTS:
        if not (was_executed(text) or workflow.output_settings.dryrun):
            (EXECUTED / text.stem).unlink(missing_ok=True)
    print(f"profile {PROFILE}: {jobs.cost(RUNS)}", file=sys.stderr)


def marks(runs):
    return [os.path.relpath(jobs.mark(run)) for run in runs]


def runs_of(text):
    """The runs that a chapter asks for, and theirs: `grid(profile, "claim")`, without a claim all."""
    named = re.findall(r"\bgrid\(\s*profile\b([^)]*)\)", text.read_text(encoding="utf-8"))
    claims = [name.strip(" ,\"'\n") or "all" for name in named]  # `grid` refuses what is no claim
    return experiments.with_needs(run for claim in claims for run in experiments.grid(PROFILE, claim))


rule book:
    input:
        [str(EXECUTED / text.stem) for text in TEXTS],
        # a notebook may be there, or made on the way; a chapter executed by hand counts too
        [str(path) for text in TEXTS if (path := text.with_suffix(".ipynb")).exists()],
        [str(path) for path in [*CODE, *PRESS]]
    output: BUILT
    localrule: True
    shell:
        "{PYTHON:q} book/_press/guard.py && rm -rf _build/html _build/.doctrees && "
        "{PYTHON:q} book/_press/surroundings.py jupyter-book build -W -n --keep-going . && "
        "{PYTHON:q} book/_press/links.py"

rule pdf:
    input: BUILT, "book/_press/pdf.py"
    output: "_build/html/cgn-book.pdf"
    localrule: True
    shell: "{PYTHON:q} book/_press/pdf.py"

rule chapters:
    input: [str(EXECUTED / text.stem) for text in TEXTS]

rule runs:
    input: marks(RUNS)

for claim in experiments.CLAIMS:
    rule:
        name: claim
        input: marks(experiments.with_needs(experiments.grid(PROFILE, claim)))

for run in RUNS:
    needed = ASKED[run.id]
    rule:
        name: run.id
        # what a run needs is done or not; when it was done says nothing
        input: [ancient(path) for path in marks(need for need in run.needs.values())]
        output: touch(*marks([run]))
        threads: needed.cores
        retries: needed.resumed and jobs.RETRIES + needed.resumed  # 0: the profile's own
        resources: mem_mb=needed.memory_mb, runtime=needed.minutes, gpu=needed.gpus, **PLACE[needed]
        shell: "{PYTHON:q} -m cgnlib run --profile {PROFILE} {rule}"

for text in TEXTS:
    rule:
        name: text.stem
        input: str(text), [str(path) for path in CODE], marks(runs_of(text))
        output: touch(str(EXECUTED / text.stem))
        resources: mem_mb=CHAPTER.memory_mb, runtime=CHAPTER.minutes, **PLACE[CHAPTER]
        shell: "{PYTHON:q} book/_press/execute.py --profile {PROFILE} {rule}"
