"""The out-of-distribution sets, and the layouts that the book reads."""

from cgnbook.chapters import out_of_distribution as chapter
from cgnbook.names import NONE


def test_sets_have_dashes_where_nothing_ran(page_of, classifiers):
    table = chapter.table(page_of("claim-3-imagenet", classifiers)).set_index("Images")
    assert table.loc["IN-mini"].to_list() == ["75.6", "56.8", "25.0 (2)", "50.0 (2)"]
    assert table.loc["IN-Sketch"].to_list() == ["24.1", "11.8", NONE, NONE]
    assert table.loc["IN-A", "Study, ResNet-50"] == "3.4"  # the one trained from scratch


def test_a_set_is_a_row():
    layouts = chapter.layouts().set_index("Folder")
    assert layouts.loc["in9", "Images"] == "4,050"
    assert layouts.loc["imagenet", "Images"] == "1,281,167 / 50,000"
