"""The study's out-of-distribution sets, and the public image sets that the book reads."""

import pandas as pd

from cgnbook.names import INVARIANT, NONE
from cgnbook.page import Page
from cgnbook.tables import spread
from cgnlib.data import public

SETS = {  # by title, what our runs call the accuracy on them
    "IN-mini": "real_top1",
    "IN-A": "imagenet-a",
    "cue conflict, by shape": "cue_conflict",
    "IN-Sketch": "sketch",
}


def table(this: Page) -> pd.DataFrame:
    """The study's out-of-distribution sets in percent, and ours where they were run."""
    told, live = this.told("ood", source="Study"), this.live
    columns = {
        "Study, ResNet-50": (told, "plain"),
        "Study, ensemble": (told, "avg"),
        f"{this.profile}, plain": (live, "plain"),
        f"{this.profile}, ensemble": (live[live.train_on == INVARIANT], "avg"),
    }
    return pd.DataFrame(
        {"Images": title}
        | {
            column: spread(rows[rows.metric == f"{subject}/{measure}"].value)
            for column, (rows, subject) in columns.items()
        }
        for title, measure in SETS.items()
    )


def layouts() -> pd.DataFrame:
    """The public sets that the book reads, a row each: how many images a part of it must have."""
    sets: dict[str, dict[str, str]] = {}
    for name, layout in public.LAYOUTS.items():
        folder, _, part = name.partition("/")
        sets.setdefault(folder, {})[part or NONE] = f"{layout.expected:,}"
    return pd.DataFrame(
        {
            "Folder": folder,
            "Parts": ", ".join(parts),
            "Images": " / ".join(dict.fromkeys(parts.values())),
        }
        for folder, parts in sets.items()
    )
