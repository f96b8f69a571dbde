"""A figure as a table: every mark, bar, cell and picture that it holds, as it is drawn."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection, PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, ScalarFormatter

from cgnlib.errors import CGNError

COLUMNS = ["panel", "x_axis", "y_axis", "series", "x", "y", "value"]
GRID = "{} {} {}"  # height, width and gap of the pictures in an image, kept as its group id


def table(figure: Figure) -> pd.DataFrame:
    """What a figure shows, a row for each mark; the columns are COLUMNS.

    panel, x_axis, y_axis: title and axis labels of the panel, those of its column and row where
    it has none of its own.  series: as the legend has it.  x, y: where the axis has words, the
    word.  value: of a bar its length, of a heat map the cell, of a picture its name among
    `pictures`.  Raises CGNError where nothing is drawn.
    """
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    names = _legend(figure)
    rows = [
        [_shared(axis, panels, _title, -1), _shared(axis, panels, Axes.get_xlabel, 1),
         _shared(axis, panels, Axes.get_ylabel, 0), *row]
        for axis in panels
        for row in _rows(axis, names)
    ]  # fmt: skip
    if not rows:
        raise CGNError("the figure is empty: draw before evidence.show")
    return pd.DataFrame(rows, columns=COLUMNS)


def pictures(figure: Figure) -> dict[str, np.ndarray]:
    """Every picture in a figure as it was before it was drawn, [H, W, 3] bytes.

    Its name is the first digits of the sha256 of its pixels, so equal ones are there once.
    """
    return {
        _digest(pixels): pixels
        for axis in figure.axes
        for image in axis.images
        for *_, pixels in _cut(image)
    }


def _rows(axis: Axes, names: dict[tuple, str]) -> Iterator[list]:
    """Series, x, y and value of everything on one panel."""
    across, down = _words(axis.xaxis), _words(axis.yaxis)

    def row(series: Artist | str, x: float, y: float, value: object = "") -> list:
        name = series if isinstance(series, str) else _named(series, names)
        return [name, across(x), down(y), value]

    for line in axis.lines:
        if line.get_transform() is axis.transData:  # a line across the panel is a guide, no data
            yield from (row(line, x, y) for x, y in zip(*line.get_data(), strict=True))
    for bars in axis.containers:
        if isinstance(bars, BarContainer):
            yield from (_bar(bars, patch, row, names) for patch in bars.patches)
    for marks in axis.collections:
        yield from _marks(marks, row)
    for image in axis.images:
        yield from _pictures(image, row)


def _bar(bars: BarContainer, patch, row, names) -> list:
    name = _own(bars) or _named(patch, names)
    x, y, w, h = *patch.get_xy(), patch.get_width(), patch.get_height()
    if bars.orientation == "horizontal":
        return row(name, x, y + h / 2, _number(w))
    return row(name, x + w / 2, y, _number(h))


def _marks(marks: Collection, row) -> Iterator[list]:
    if isinstance(marks, QuadMesh):
        for y, line in enumerate(np.ma.filled(marks.get_array(), np.nan)):
            yield from (row("", x + 0.5, y + 0.5, _number(v)) for x, v in enumerate(line))
    elif isinstance(marks, PathCollection):
        yield from (row(marks, x, y) for x, y in np.asarray(marks.get_offsets()))
    else:  # error bars and areas
        for path in marks.get_paths():
            yield from (row(marks, x, y) for x, y in path.vertices)


def _pictures(image: AxesImage, row) -> Iterator[list]:
    for r, c, y, x, pixels in _cut(image):
        found = row("picture", x, y, _digest(pixels))
        # without words on an axis a picture is told by its place, not by its pixels
        words = [isinstance(found[1], str), isinstance(found[2], str)]
        yield ["picture", found[1] if words[0] else c, found[2] if words[1] else r, found[3]]


def _cut(image: AxesImage) -> Iterator[tuple[int, int, float, float, np.ndarray]]:
    """The pictures in an image: row and column, the middle (y, x) in pixels, and their pixels."""
    canvas = np.asarray(image.get_array())
    height, width = canvas.shape[:2]
    h, w, gap = map(int, (image.get_gid() or GRID.format(height, width, 0)).split())
    for r, y in enumerate(range(0, height, h + gap)):
        for c, x in enumerate(range(0, width, w + gap)):
            yield r, c, y + h / 2, x + w / 2, canvas[y : y + h, x : x + w, :3]


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


def _words(axis: Axis):
    """From a place on an axis to what the reader reads there: the nearest word, or the number."""
    fixed = isinstance(axis.get_major_locator(), FixedLocator)
    if not fixed or isinstance(axis.get_major_formatter(), ScalarFormatter):
        return _number
    places = axis.get_majorticklocs()
    labels = [str(axis.get_major_formatter()(at, i)).replace("\n", " ")
              for i, at in enumerate(places)]  # fmt: skip
    if not any(labels):
        return _number
    if not all(_is_number(label) for label in labels):
        return lambda at: labels[int(np.abs(np.asarray(places) - at).argmin())]
    known = dict(zip(map(float, places), labels, strict=True))
    return lambda at: known.get(float(at), _number(at))


def _legend(figure: Figure) -> dict[tuple, str]:
    """The series by its look: what looks the same is the same, which is how a legend is read."""
    legends = [*figure.legends, *filter(None, (axis.get_legend() for axis in figure.axes))]
    return {
        _look(handle): text.get_text().replace("\n", " ")
        for legend in legends
        for handle, text in zip(_handles(legend), legend.get_texts(), strict=True)
    }


def _handles(legend: Legend) -> Iterable[Artist]:
    return legend.legend_handles


def _named(artist: Artist, names: dict[tuple, str]) -> str:
    return _own(artist) or names.get(_look(artist), "")


def _own(artist) -> str:
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else label.replace("\n", " ")


def _look(artist: Artist) -> tuple:
    if isinstance(artist, Line2D):
        return to_hex(artist.get_color()), str(artist.get_marker()), artist.get_linestyle()
    colours = np.atleast_2d(artist.get_facecolor())
    return (to_hex(colours[0]),) if len(colours) else ()


def _title(axis: Axes) -> str:
    return axis.get_title("left") or axis.get_title()


def _shared(axis: Axes, panels: list[Axes], getter: Callable[[Axes], str], towards: int) -> str:
    """A title or label of a panel, or the nearest that stands for it: above, below or left."""
    at = axis.get_subplotspec()
    line = [axis]
    if at is not None:
        row, column = at.rowspan.start, at.colspan.start
        others = [(p, p.get_subplotspec()) for p in panels if p.get_subplotspec() is not None]
        if towards:
            line += sorted(
                (p for p, s in others
                 if s.colspan.start == column and (s.rowspan.start - row) * towards > 0),
                key=lambda p: abs(p.get_subplotspec().rowspan.start - row),
            )  # fmt: skip
        else:
            line += sorted(
                (p for p, s in others if s.rowspan.start == row and s.colspan.start < column),
                key=lambda p: -p.get_subplotspec().colspan.start,
            )
    texts = map(getter, line)
    return next((text.replace("\n", " ") for text in texts if text), "")


def _number(value: float) -> float:
    return float(f"{float(value):.6g}")


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-"))
    except ValueError:
        return False
    return True
