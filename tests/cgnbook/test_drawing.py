"""How a figure becomes a part of the page."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cgnbook import drawing


@pytest.fixture
def axis():
    with plt.rc_context(drawing.STYLE):
        figure, axis = plt.subplots(figsize=(4, 2))
    yield axis
    plt.close(figure)


def test_ink_paper_and_cues_are_the_pages(axis):
    axis.plot([0, 1], [0, 1], color="black")
    axis.plot([0, 1], [1, 0], color="0.8", marker="o", mfc="white")
    axis.bar([0], [1], color=drawing.CUES["texture"])
    made = drawing.svg(axis.figure)
    assert "stroke: currentColor" in made and "var(--cue-texture, #e69f00)" in made
    assert "color-mix(in srgb, currentColor 20%, var(--pst-color-background, #fff))" in made
    assert "color-mix(in srgb, currentColor 0%, var(--pst-color-background, #fff))" in made


def test_any_other_colour_is_an_error(axis):
    axis.plot([0, 1], [0, 1], color="#d55e00")
    with pytest.raises(ValueError, match="#d55e00 is no grey"):
        drawing.svg(axis.figure)


def test_letters_are_text_in_the_font_of_the_page(axis):
    axis.set_title("a title", fontstyle="italic")
    made = drawing.svg(axis.figure)
    style = re.search(r'<text style="([^"]*)"[^>]*>a title</text>', made)[1]
    assert re.search(r"font-size: 1[12]px", style) and "font-style: italic" in style
    assert "DejaVu" not in made


def test_a_picture_keeps_its_pixels_and_its_gaps_are_open(axis):
    drawing.tile(axis, np.full((1, 2, 4, 4, 3), 7, np.uint8))
    canvas = axis.images[0].get_array()
    assert canvas.shape == (4, 10, 4) and canvas[0, 4:6, 3].tolist() == [0, 0]
    image = re.search(r"<image [^>]*>", drawing.svg(axis.figure))[0]
    assert "image-rendering:pixelated" in image and 'width="10"' in image


def test_a_drawing_is_the_same_each_time_and_shares_no_id(axis):
    axis.plot([0, 1], [0, 1], "o", color="black")
    one, again = drawing.svg(axis.figure), drawing.svg(axis.figure)
    axis.set_title("other")
    other = drawing.svg(axis.figure)
    assert one == again
    of = [set(re.findall(r' id="([^"]+)"', made)) for made in (one, other)]
    assert of[0] and not of[0] & of[1]


def test_every_source_has_a_mark_of_its_own():
    marks = [drawing.sign(f"{source} (x)")["marker"] for source in drawing.SOURCES]
    assert len(set(marks)) == len(drawing.SOURCES)


def test_a_stack_has_a_number_where_it_has_room(axis):
    drawing.stack(axis, 0, {"shape": 0.5, "texture": 0.04, "neither": 0.46})
    assert [text.get_text() for text in axis.texts] == ["50", "46"]
    assert [patch.get_width() for patch in axis.patches] == pytest.approx([50, 4, 46])


def test_lines_of_a_label_end_where_the_label_ends(axis):
    axis.set_yticks([0.5], ["one\nanother, longer"])
    line = r'<text style="text-anchor: (\w+);[^>]*translate\(([-\d.]+) '
    (anchor, x), second = re.findall(line, drawing.svg(axis.figure))
    assert second == (anchor, x) and anchor == "end"


def test_lines_of_a_label_begin_where_the_label_does_and_not_where_its_arrow_does(axis):
    axis.annotate("one\nanother", (0, 0), (0.5, 0.5), arrowprops={"arrowstyle": "-"})
    line = r'<text style="text-anchor: start;[^>]*translate\(([-\d.]+) '
    (x,) = {float(found) for found in re.findall(line, drawing.svg(axis.figure))}
    begins = axis.transData.transform((0.5, 0.5))[0] * 72 / axis.figure.dpi
    assert x == pytest.approx(begins, abs=1)


def test_a_loss_is_a_formula(axis):
    axis.set_yticks([0.5], ["without L_rec"])
    made = drawing.svg(axis.figure)
    assert '<tspan font-style="italic">L</tspan>' in made and ">rec</tspan>" in made
    assert "L_rec" not in made
