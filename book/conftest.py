"""What `make nbval` runs again gets the profile that the notebook was executed with."""

from nbval.plugin import IPyNbCell
from pytest import Item

from sources import tell


def pytest_collection_modifyitems(items: list[Item]) -> None:
    for item in items:
        if isinstance(item, IPyNbCell):
            tell(item.cell, item.parent.nb.metadata.cgn.profile)
