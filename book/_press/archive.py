"""Pack the book for a repository such as Zenodo: one zip that says of itself what is in it.

    python book/_press/archive.py                 as `make archive`

Pages, PDF, records, shipped weights, pins and licences, and a folder for each run behind the pages;
with RO-Crate metadata (profile Process Run Crate), in which every run, of this machine or on
record, has what it read, the commit it was made of and its device.
The result is _build/cgn-book-VERSION.zip, which has its name once the validator has passed it.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pandas as pd
import yaml

import pdf
from cgnbook import records
from cgnlib import experiments, rehearsal, runs
from cgnlib.errors import CGNError
from cgnlib.experiments import CLAIMS, PROFILES
from sources import ROOT

try:
    import rocrate
    from rocrate.model import ContextEntity
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.services import validate
    from rocrate_validator.utils.http import HttpRequester
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed: make archive, or pip install -e '.[archive]'")

CONFORMS = "https://w3id.org/ro/wfrun/process/0.5"  # Process Run Crate, of RO-Crate 1.1
HTML = Path("_build/html")
FOLDERS = {
    HTML: ("html", "The book: open index.html"),
    Path("book/records"): ("records", "Numbers of the reference run, and all that others report"),
    Path("data_prep/mnists"): ("weights", "Weights that come with the book"),
}
FILES = {
    "README.md": "How to run it",
    "CITATION.cff": "How to cite it",
    "LICENSE": "Licence of the code",
    "LICENSE-TEXT": "Licence of the text",
    "constraints.txt": "Exact versions of all packages",
    "environment.yml": "The same for conda",
    "pyproject.toml": "The packages that are asked for",
}
OF_A_RUN = ("spec.json", "env.json", "metrics.json", "artefacts.json")


class Crate:
    """The metadata, and where the files are.

    folder: where what runs have left is put together; it has to last until the crate is written.
    """

    def __init__(self, citation: dict, folder: Path):
        self.crate, self.folder, self.citation = ROCrate(version="1.1"), folder, citation
        root = self.crate.root_dataset
        root["name"], root["version"] = citation["title"], citation["version"]
        root["description"] = "The pages, and what they rest on: records, weights, runs and pins."
        root["keywords"] = ", ".join(citation["keywords"])
        root["license"] = self.about(
            "CreativeWork", f"https://spdx.org/licenses/{citation['license']}",
            name=citation["license"], description="Of the code; LICENSE-TEXT has that of the text",
        )  # fmt: skip
        root["conformsTo"] = self.about(
            "CreativeWork", CONFORMS, name="Process Run Crate", version="0.5"
        )
        self.authors = [
            self.about("Organization", f"#author-{number}", name=author["name"])
            for number, author in enumerate(citation["authors"])
        ]
        root["author"] = root["publisher"] = self.authors

    def about(self, kind: str, identity: str, **properties: object) -> Entity:
        """What is no file: the entity of this identity, where there is one already."""
        found = self.crate.get(identity)
        properties |= {"@type": kind}
        return found or self.crate.add(ContextEntity(self.crate, identity, properties=properties))

    def add_book(self) -> None:
        """The pages, and what they rest on."""
        for path, (name, said) in FOLDERS.items():
            self.crate.add_dataset(ROOT / path, name, properties={"name": said})
        for name, said in FILES.items():
            self.crate.add_file(ROOT / name, name, properties={"name": said})

    def add_run(self, told: pd.Series, read: Iterable[Entity], left: Entity) -> None:
        """A run: by the columns of the records, what it read, and what is kept of it."""
        book = self.about(
            "SoftwareApplication", f"#cgnlib-{told.commit}", name="cgnlib, at a commit",
            softwareVersion=f"{self.citation['version']} ({told.commit})",
        )  # fmt: skip
        made = f"on {told.device}, Python {told.python}, torch {told.torch}"
        action = self.about(
            "CreateAction", f"#run-{told.profile}-{told.run}", name=f"{told.run} ({told.profile})",
            description=f"{told.seconds:.0f} s {made}; spec {told.spec}", endTime=told.finished,
        )  # fmt: skip
        action["instrument"], action["agent"] = book, self.authors
        action["object"], action["result"] = list(read), left
        self.crate.root_dataset.append_to("mentions", action)

    def left_by(self, profile: str, run: str) -> Entity:
        """What a run has left, of which its numbers alone are in here."""
        said = f"What the run {run} ({profile}) has left"
        return self.about("CreativeWork", f"#left-{profile}-{run}", name=said)

    def add_live(self, results: list[runs.Result]) -> None:
        """The runs of this machine, with their small files."""
        rows = records.frame(results).drop_duplicates("run").set_index("run", drop=False)
        left = {}
        for result in results:  # behind those that it needs
            run = result.run
            place = Path("runs", run.profile, run.id)
            kept = self.folder / place
            kept.mkdir(parents=True)
            for path in (result.folder / name for name in OF_A_RUN):
                if path.exists():
                    shutil.copy(path, kept)
            said = {"name": f"What the run {run.id} says of itself"}
            left[run.id] = self.crate.add_dataset(kept, place, properties=said)
            read = [self.file_read(*of_role) for of_role in result.spec["inputs"].items()]
            read += [left[need.id] for need in run.needs.values()]
            self.add_run(rows.loc[run.id], read, left[run.id])

    def file_read(self, role: str, sha256: str) -> Entity:
        """A file, or a set of files, that is not in here."""
        named = {"name": f"{role} (sha256)", "value": sha256}
        return self.about("PropertyValue", f"#sha256-{sha256}", **named)

    def add_recorded(self, profile: str) -> None:
        """The runs on record, whose rows are among the records."""
        frames = records.stacked(records.read(claim, profile) for claim in CLAIMS)
        every = (run for claim in CLAIMS for run in experiments.grid(profile, claim))
        declared = {run.id: run for run in experiments.with_needs(every)}
        for _, row in frames.drop_duplicates("run").iterrows():
            run = declared.get(row.run)
            known = run is not None and run.digest() == row.spec
            read = [self.left_by(profile, need.id) for need in run.needs.values()] if known else []
            self.add_run(row, read, self.left_by(profile, row.run))


def issues(path: Path) -> list[str]:
    """What the validator finds wrong with a crate, a line each.

    It asks the web for the context of RO-Crate and gets that of the rocrate package.
    """
    brought = Path(rocrate.__file__).with_name("data") / "ro-crate.jsonld"
    context = SimpleNamespace(
        status_code=200, headers={"Content-Type": "application/ld+json"},
        json=lambda: json.loads(brought.read_text(encoding="utf-8")),
    )  # fmt: skip
    settings = ValidationSettings(
        rocrate_uri=str(path),
        profile_identifier="process-run-crate",
        requirement_severity=Severity.REQUIRED,
    )
    with patch.object(HttpRequester, "get", lambda *_, **__: context, create=True):
        found = validate(settings).get_issues()
    return [f"{issue.violatingEntity}: {issue.message}" for issue in found]


def write(profile: str, results: list[runs.Result]) -> Path:
    """Pack the built book and what these runs say of themselves; returns the path of the zip.

    Raises CGNError where the validator refuses it; then there is no zip.
    """
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    made = ROOT / "_build" / f"cgn-book-{citation['version']}.zip"
    with tempfile.TemporaryDirectory(dir=ROOT / "_build") as folder:
        crate = Crate(citation, Path(folder))
        crate.add_book()
        crate.add_live(results)
        if profile != records.FULL:
            crate.add_recorded(records.FULL)
        whole = Path(folder) / made.stem
        crate.crate.write(whole)
        if wrong := issues(whole):
            raise CGNError(f"the archive is no valid RO-Crate: {'; '.join(wrong)}")
        os.replace(shutil.make_archive(str(whole), "zip", whole), made)
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=PROFILES, default="mini", help="default: mini")
    profile = parser.parse_args(argv).profile
    try:
        if rehearsal.under_way():
            raise CGNError("a rehearsal has no results to archive: unset " + rehearsal.VARIABLE)
        if not (ROOT / HTML / pdf.NAME).exists():
            raise CGNError(f"there is no {HTML / pdf.NAME}: make pdf PROFILE={profile}")
        declared = experiments.with_needs(experiments.grid(profile))
        made = write(profile, [runs.load(run) for run in declared])
    except CGNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{made.relative_to(ROOT)}, {made.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
