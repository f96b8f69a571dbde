"""The checklist and the tables of the page on reproduction: what they point to is there."""

from cgnbook.chapters import reproduce
from cgnlib import experiments, paths

ROOT = paths.ROOT


def test_there_are_five_items():
    assert len(reproduce.checklist()) == len(reproduce.CHECKLIST) == 5


def test_what_an_item_points_to_is_there():
    named = [file for _, _, files in reproduce.CHECKLIST.values() for file in files]
    assert not [file for file in named if not (ROOT / file).is_file()]


def test_a_command_stands_in_the_instructions():
    told = "".join((ROOT / name).read_text() for name in ("README.md", "book/19_reproduce.md"))
    told += "".join(path.read_text() for path in (ROOT / "book").glob("0*.md"))
    make = (ROOT / "Makefile").read_text()
    for _, command, _ in reproduce.CHECKLIST.values():
        assert command in told or f"\n{command.removeprefix('make ')}:" in make, command


def test_every_declared_run_is_counted():
    table = reproduce.run_counts().set_index("Kind")
    for name in experiments.PROFILES:
        declared = experiments.with_needs(experiments.grid(name))
        assert table.loc["all", name] == len(declared) == table[name].iloc[:-1].sum()
        assert table.loc["gan", name] == sum(isinstance(r, experiments.GAN) for r in declared)


def test_profiles_and_records_have_a_row_each():
    assert list(reproduce.profiles()["Profile"]) == list(experiments.PROFILES)
    assert {"reported.csv", "inconsistencies.csv"} < set(reproduce.tracked()["File"])
