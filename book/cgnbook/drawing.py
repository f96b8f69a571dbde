"""What the figures of the chapters share: their looks, and how one becomes a vector drawing.

A colour is a cue, and nothing else: see CUES.  All else is a grey, which the page mixes from its
ink and its paper, so that a figure follows the theme.  Sources are told apart by shape of mark and
grey level, data sets by panel.
"""

import io
import re
from collections.abc import Mapping
from hashlib import sha256

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from torch import Tensor

from cgnbook import drawn
from cgnlib.data.images import to_bytes
from cgnlib.runs import Result

WIDTH = 4.75  # inches; a figure of this width fills a phone, where its letters are ten pixels high
GRID = "0.85"
STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "svg.fonttype": "none",
    "svg.hashsalt": "cgn",
    "image.composite_image": False,
    "image.interpolation": "none",
}
# Okabe and Ito's colours, told apart by colour-blind readers; the style sheet has those of the dark
CUES = {"shape": "#0072b2", "texture": "#e69f00", "background": "#009e73"}
OTHER = "0.8"  # an answer that is none of the cues
DARK = "#010101"  # dark in either theme, for letters on a light hue
SOURCES = {  # mark, filling and edge: hollow is what is told, full what was run here
    "Paper": ("D", "white", "black"),
    "Study": ("s", "white", "black"),
    "Authors' weights": ("^", "black", "black"),
    "Trained here": ("v", "0.45", "0.45"),
    "This run": ("o", "0.7", "0.3"),
}
DISPLAYED = 1.4  # pixels a point on a wide screen
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font: ((?:italic |oblique )?(?:\d+ |bold )?)([\d.]+)px [^;\"]*")

_ANCHORED = re.compile(r'<g id="anchor-(start|middle|end)-([-\d.]+)">(.*?)</g>', re.S)
_LINE = re.compile(r'<text style="([^"]*)" transform="translate\(([-\d.]+) ([-\d.]+)\)">')
_LOSS = re.compile(r"\bL_(\w+)")  # as a formula, in the letters of the page
_SUBSCRIPT = (
    r'<tspan font-style="italic">L</tspan><tspan font-size="7.5" dy="2">\1</tspan>'
    '<tspan dy="-2">\u200b</tspan>'  # back up, for letters that follow
)
_ANCHORS = {"left": ("start", 0), "center": ("middle", 0.5), "right": ("end", 1)}


def sign(source: str) -> dict[str, object]:
    """The mark of a source, the same in every figure: what `plot` asks for."""
    marker, face, edge = next(look for name, look in SOURCES.items() if source.startswith(name))
    return {"marker": marker, "mfc": face, "mec": edge, "color": edge, "ls": "none", "ms": 7}


def legend(figure: Figure, names: list[str], columns: int = 3, **more) -> Legend:
    """Sources below a figure, each with its mark."""
    handles = [Line2D([], [], label=name, **sign(name)) for name in names]
    return figure.legend(
        handles=handles, loc="outside lower left", ncols=columns, columnspacing=1.2,
        handletextpad=0.2, borderpad=0, **more,
    )  # fmt: skip


def stack(axis: Axes, y: float, shares: Mapping[str, float], least: float = 0.06) -> None:
    """A bar of shares by cue, each in its colour and with its number where that is `least` or more.

    A name that is no cue has the colour of OTHER.
    """
    left, letters = 0.0, {"shape": "white", "texture": DARK, "background": DARK}
    for name, share in shares.items():
        colour = CUES.get(name, OTHER)
        axis.barh(y, 100 * share, left=100 * left, color=colour, height=0.8, label=name)
        if share >= least:
            axis.text(100 * (left + share / 2), y, f"{100 * share:.0f}", ha="center", va="center",
                      color=letters.get(name, "black"), fontsize=9)  # fmt: skip
        left += share


def cue_legend(figure: Figure, names: Mapping[str, str]) -> Legend:
    """The cues of bars below a figure, as they are called there."""
    handles = [Rectangle((0, 0), 1, 1, color=CUES.get(cue, OTHER), label=word)
               for cue, word in names.items()]  # fmt: skip
    return figure.legend(
        handles=handles, loc="outside lower left", ncols=4, columnspacing=1.2, handlelength=1,
        handletextpad=0.4, borderpad=0,
    )  # fmt: skip


def arrays_of(result: Result) -> dict[str, np.ndarray]:
    with np.load(result.folder / "samples.npz") as stored:
        return dict(stored)


def tile(axis: Axes, images: np.ndarray, gap: int = 2) -> None:
    """Images [R, C, H, W, 3] as a grid with gaps through which the page is seen, without ticks."""
    rows, columns, h, w, _ = images.shape
    canvas = np.zeros((rows * (h + gap) - gap, columns * (w + gap) - gap, 4), np.uint8)
    for r in range(rows):
        for c in range(columns):
            y, x = r * (h + gap), c * (w + gap)
            canvas[y : y + h, x : x + w, :3] = images[r, c]
            canvas[y : y + h, x : x + w, 3] = 255
    axis.imshow(canvas, interpolation="none", gid=drawn.GRID.format(h, w, gap))
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def bytes_of(x: Tensor) -> np.ndarray:
    return to_bytes(x).permute(0, 2, 3, 1).numpy()


def show(figure: Figure) -> None:
    """Show a figure on the page, and forget it."""
    from IPython.display import display  # at need: the tests have no notebook

    display({"image/svg+xml": svg(figure), "text/plain": repr(figure)}, raw=True)
    plt.close(figure)


def svg(figure: Figure) -> str:
    """A figure as a drawing that takes ink, paper, the colours of the cues and the font from the
    page that it stands in; by itself it is black on white."""
    _anchor(figure)
    with plt.rc_context(STYLE), io.StringIO() as file:
        figure.savefig(file, format="svg", dpi=144, metadata={"Date": None, "Creator": None})
        text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r" *<metadata>.*?</metadata>\n", "", text, flags=re.S)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.S)  # of lines: see the style sheet
    text = _FONT.sub(_font, _COLOUR.sub(_themed, text))
    text = _ANCHORED.sub(_aligned, text)
    text = _LOSS.sub(_SUBSCRIPT, text)
    text = re.sub(r"font-family: [^;\"]*(; )?", "", text)
    text = _named(text)
    width, height = (72 * inches for inches in figure.get_size_inches())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="plot" viewBox="0 0 {width:g} {height:g}" width="{DISPLAYED * width:.0f}" '
        f'height="{DISPLAYED * height:.0f}" font-family="sans-serif" stroke-linejoin="round" '
        'fill="currentColor">'
    )
    return re.sub(r"<svg[^>]*>", head, text, count=1)


def _themed(found: re.Match) -> str:
    """A colour as the page has it; ValueError where it is neither a grey nor a cue's."""
    colour = found[0]
    if colour == DARK:
        return "#111"
    for cue, its in CUES.items():
        if colour == its:
            return f"var(--cue-{cue}, {colour})"
    levels = {colour[i : i + 2] for i in (1, 3, 5)}
    if len(levels) > 1:
        raise ValueError(f"{colour} is no grey and no cue's colour, and means nothing else")
    ink = round(100 * (1 - int(levels.pop(), 16) / 255))
    if ink == 100:
        return "currentColor"
    return f"color-mix(in srgb, currentColor {ink}%, var(--pst-color-background, #fff))"


def _font(found: re.Match) -> str:
    """Size, weight and slant; the family is the page's."""
    words = found[1].split()
    slant = "; font-style: italic" if {"italic", "oblique"} & set(words) else ""
    weight = next((f"; font-weight: {w}" for w in words if w.isdigit() or w == "bold"), "")
    return f"font-size: {found[2]}px{weight}{slant}"


def _anchor(figure: Figure) -> None:
    """Mark texts of several lines with where they are aligned, which matplotlib forgets: the page's
    letters are narrower than those that it lays out."""
    if not (texts := figure.findobj(lambda of: isinstance(of, Text) and "\n" in of.get_text())):
        return
    figure.draw_without_rendering()
    for text in texts:
        name, share = _ANCHORS[text.get_horizontalalignment()]
        box = Text.get_window_extent(text)  # of an annotation without its arrow
        x = 72 / figure.dpi * (box.x0 + share * box.width)
        text.set_gid(f"anchor-{name}-{x:.2f}")


def _aligned(found: re.Match) -> str:
    """The lines of a text, at its anchor."""
    name, x, lines = found.groups()
    lines = _LINE.sub(
        rf'<text style="text-anchor: {name}; \1" transform="translate({x} \3)">', lines
    )
    return f"<g>{lines}</g>"


def _named(text: str) -> str:
    """Ids that nothing refers to go; the others are of this drawing alone."""
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', text))
    own = sha256(text.encode()).hexdigest()[:8]

    def kept(found: re.Match) -> str:
        return f' id="{own}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', kept, text)
    return re.sub(r'((?:href="|url\()#)([\w-]+)', rf"\g<1>{own}-\2", text)
