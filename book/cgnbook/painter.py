"""Draw a digit, paint it, ask both classifiers: the live picture of the first page.

Its networks come with the book and run in the reader's browser (book/_interactive/engine), whatever
the profile.  Without scripts, and on paper, ten pictures with both answers stand in its place.
"""

import pandas as pd
import torch

from cgnbook import boxes, cited, composing, live
from cgnbook.tables import pct
from cgnlib import paths
from cgnlib.chance import COMPOSER
from cgnlib.counterfactuals.mechanisms import DigitCGN
from cgnlib.data.images import to_signed
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CGN, CNN, N_CLASSES

MAKER = "cgn-wildlife"
ASKED = {"cnn-wildlife-original": "originals", "cnn-wildlife-cgn": "counterfactuals"}
SCRIPTS = ("engine/engine.js", *(f"engine/{name}.js" for name in (MAKER, *ASKED)))
SCRIPTS += ("painter/pen.js", "painter/maker.js", "painter/painter.js")
FILES = ("painter/painter.css", *SCRIPTS)
CUES = ("digit", "texture", "background")
APART = (0, 4, 8)  # of the classes of digit, texture and background: 3, 7 and 1 among them


def page() -> boxes.Shown:
    """The picture of the first page, and what stands for it without scripts."""
    return boxes.Shown(f'<div class="painter live">{still()}</div>{live.loaded(*FILES, folder="")}')


def doors() -> boxes.Shown:
    """The same in a chapter, where the CGN makes the mask as well and its noise can be turned."""
    off = "<noscript><p>Painting needs scripts, which are off here.</p></noscript>"
    return boxes.Shown(f'<div class="painter live" data-doors>{off}</div>{live.loaded(*FILES)}')


def facts() -> dict[str, object]:
    """How often both are right about real digits whose texture and background are drawn."""
    [n] = {shipped.record(name)["test_images"] for name in ASKED}
    told = {f"right-{who}": right(name) for name, who in ASKED.items()}
    return told | {"right-of": f"{n:,}", "answers-ms": _took()}


def right(name: str) -> cited.Number:
    """How often a shipped classifier is right about real test digits, in per cent."""
    of = shipped.record(name)
    return cited.Number(pct(of["test_accuracy"]), [_source(name, of)])


def _took() -> cited.Number:
    """Milliseconds of work for both answers, as it was measured."""
    table = pd.read_csv(paths.records() / "engine.csv")
    [row] = table[(table.what == "both classifiers") & (table.metric == "least")].itertuples()
    about = {
        "who": f"Measured in {row.browser}, on one core of {row.device}",
        "n": f"{row.n} calls",
        "rows": "least in engine.csv",
        "command": "python benchmarks/engine.py",
    }
    return cited.Number(f"{row.value:.0f}", [about])


def _source(name: str, of: dict) -> dict[str, str]:
    return {
        "who": f"Trained here at the paper's size ({of['run']})",
        "scale": "full, as it is shipped: in half precision",
        "n": f"{of['test_images']:,}",
        "rows": f"test_accuracy in data_prep/mnists/{name}.json",
        "command": f"python -m cgnlib run --profile full {of['run']}",
    }


@torch.inference_mode()
def still() -> str:
    """One picture of each digit, its three classes apart, and what both classifiers say."""
    parts = composing.sample(DigitCGN(shipped.load(MAKER, CGN()), COMPOSER), samples=1)
    cues = [[(label + step) % N_CLASSES for label in range(N_CLASSES)] for step in APART]
    digit, texture, background = cues
    x = composing.compose(parts.mask[digit], parts.fg[texture], parts.bg[background])
    scenes = list(zip(*cues, strict=True))
    rows = [("Picture", map(_picture, x, scenes))]
    for name, who in ASKED.items():
        said = shipped.load(name, CNN())(to_signed(x)).argmax(1).tolist()
        rows.append((f"Learned from {who}", map(answer, said, scenes)))
    body = "".join(
        f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for head, cells in rows
    )
    return f'<div class="live-still"><table>{body}</table></div>'


def _picture(x: torch.Tensor, scene: tuple[int, int, int]) -> str:
    """x: [3, 32, 32] bytes."""
    words = "{} in the texture of {}, before the background of {}".format(*scene)
    return live.picture(x.permute(1, 2, 0).numpy(), words)


def answer(said: int, scene: tuple[int, int, int]) -> str:
    """The answer, marked by the cue that it follows, and whether it is the digit."""
    cue = dict(zip(scene, CUES, strict=True)).get(said, "none")
    return f'<span data-cue="{cue}">{said}&nbsp;{"✓" if cue == CUES[0] else "✗"}</span>'
