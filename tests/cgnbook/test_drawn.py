"""What a figure shows, read back from it, and its pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from boxed import facts, pictures_of
from bs4 import BeautifulSoup

from cgnbook import boxes, drawing, drawn
from cgnlib.errors import CGNError


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    axis.set(title="panel", xlabel="across", ylabel="down")
    yield axis
    plt.close(figure)


def rows(axis) -> list[list]:
    table = drawn.table(axis.figure)
    assert (table[["panel", "x_axis", "y_axis"]] == ["panel", "across", "down"]).all(axis=None)
    return table[["series", "x", "y", "value"]].values.tolist()


def test_marks_have_the_series_of_the_legend_and_the_words_of_an_axis(axis):
    axis.plot([1, 2], [0.1, 0.9], "o", color="C1", label="one")
    axis.plot([3], [1.1], "o", color="C1")  # looks as the first does
    axis.axvline(10)
    axis.set_yticks([0, 1], ["low", "high"])
    axis.legend()
    assert rows(axis) == [["one", 1, "low", ""], ["one", 2, "high", ""], ["one", 3, "high", ""]]


def test_points_bars_and_cells_have_their_values(axis):
    axis.scatter([1], [2], label="points")
    axis.barh([4], [3], left=[1], label="bar")
    axis.pcolormesh([[5.0, 6.0]])
    assert rows(axis) == [
        ["bar", 1, 4, 3], ["points", 1, 2, ""], ["", 0.5, 0.5, 5], ["", 1.5, 0.5, 6],
    ]  # fmt: skip


def test_pictures_are_told_apart_by_their_pixels(axis):
    images = np.zeros((1, 3, 4, 4, 3), np.uint8)
    images[0, 1] = 200
    drawing.tile(axis, images)
    axis.set_yticks([2], ["row"])
    found = rows(axis)
    assert [line[:3] for line in found] == [["picture", c, "row"] for c in range(3)]
    assert found[0][3] == found[2][3] != found[1][3]


def test_pictures_come_back_as_they_were_and_in_the_same_bytes(axis):
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 5, 3), np.uint8)
    drawing.tile(axis, images)
    table, pictures = drawn.table(axis.figure), drawn.pictures(axis.figure)
    markup = boxes.box("name", table, pictures=pictures)
    found = pictures_of(BeautifulSoup(markup, "html.parser"))
    assert list(found) == list(table.value)
    assert np.array_equal(list(found.values()), images.reshape(4, 4, 5, 3))
    assert boxes.box("name", table, pictures=pictures) == markup


def test_large_pictures_are_not_carried(axis):
    drawing.tile(axis, np.random.default_rng(0).integers(0, 256, (1, 2, 300, 300, 3), np.uint8))
    box = BeautifulSoup(
        boxes.box("name", drawn.table(axis.figure), pictures=drawn.pictures(axis.figure)),
        "html.parser",
    )
    assert not pictures_of(box)
    assert facts(box)["Pictures"].startswith("2, not carried here for their size (0.5 MB)")


def test_an_empty_figure_is_an_error(axis):
    with pytest.raises(CGNError, match="empty"):
        drawn.table(axis.figure)
