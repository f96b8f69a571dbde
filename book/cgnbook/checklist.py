"""The five items of the ML Code Completeness Checklist, and how this book meets each."""

import pandas as pd

# By item: what there is, the command that uses it, and the files that show it.
ITEMS = {
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
        ("cgnlib/experiments.py", "cgnlib/train.py", "data_prep/menagerie_biggan.py"),
    ),
    "Evaluation code": (
        "every measure is a function with tests, and every classifier leaves its decision about "
        "each test image",
        "python -m cgnlib run claim-3-mnist",
        ("cgnlib/metrics.py", "cgnlib/decisions.py", "tests/test_metrics.py"),
    ),
    "Pretrained models": (
        "the menagerie's four come with the book; those of others are named with address, "
        "checksum and licence; CGNs and classifiers trained here are not shipped, they are made "
        "again in minutes at the smallest scale",
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


def table() -> pd.DataFrame:
    """An item a row: how it is met, with which command, and where to look."""
    return pd.DataFrame(
        {"Item": item, "In this book": how, "Command": command, "Where": ", ".join(files)}
        for item, (how, command, files) in ITEMS.items()
    )
