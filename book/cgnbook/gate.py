"""The gate by hand: a real background fades to a generated one, and three classifiers answer.

The pictures are kept (data_prep/gate.py), the classifiers shipped; both are asked in the reader's
browser by the engine of the painter, and here by torch for what stands without scripts.
"""

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cgnbook import boxes, cited, live, painter
from cgnlib import paths
from cgnlib.data.images import to_signed
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CNN

UNION = "cnn-wildlife-union"
ASKED = painter.ASKED | {UNION: "both"}
FILES = ("gate/gate.css", "engine/engine.js", *(f"engine/{name}.js" for name in ASKED))
FILES += ("gate/gate.js",)
STEPS = 40  # from the real background to the generated one; the script has the same


def pictures() -> tuple[Tensor, Tensor]:
    """Both ends, [N, 2, 32, 32, 3] bytes, and classes of digit, texture and background, [N, 3]."""
    with np.load(paths.records() / "gate.npz") as kept:
        return torch.from_numpy(kept["x"]), torch.from_numpy(kept["cues"]).long()


def about() -> dict:
    """How the pictures were chosen, and from how many."""
    return json.loads((paths.records() / "gate.json").read_text())


def faded(ends: Tensor, step: int) -> Tensor:
    """The picture at a step of the slider.  ends: [..., 2, 32, 32, 3] bytes.  Returns bytes."""
    real, made = ends.double().unbind(-4)
    return (real + (made - real) * step / STEPS + 0.5).floor().byte()


@torch.inference_mode()
def answers(ends: Tensor) -> dict[str, Tensor]:
    """What each classifier names at every step, [N, STEPS + 1]."""
    x = torch.stack([faded(ends, step) for step in range(STEPS + 1)], 1)
    flat = to_signed(x.flatten(0, 1)).permute(0, 3, 1, 2)
    return {name: shipped.load(name, CNN())(flat).argmax(1).view(len(ends), -1) for name in ASKED}


def tip(said: Sequence[int], digit: int) -> int | None:
    """The step from which on an answer is the digit; None where the last one is not."""
    step = len(said)
    while step and said[step - 1] == digit:
        step -= 1
    return step if step < len(said) else None


def page() -> boxes.Shown:
    """The slider, and a table that stands for it without scripts."""
    return boxes.Shown(f'<div class="gate live">{still()}</div>{live.loaded(*FILES)}')


def facts() -> dict[str, object]:
    """What the text says of the third classifier and of the choice of the pictures."""
    of, union = about(), shipped.record(UNION)
    asked = {
        "who": f"Asked here, on {of['device']}, torch {of['torch']}",
        "n": str(of["asked"]),
        "rows": "tip and asked in gate.json",
        "command": "python data_prep/gate.py",
    }
    return {
        "gate-right": painter.right(UNION),
        "gate-asked": of["asked"],
        "gate-tip": cited.Number(100 * of["tip"] / of["asked"], [asked]),
        "gate-background": _steady("cnn-wildlife-original", 2),
        "gate-digit": _steady("cnn-wildlife-cgn", 0),
        "gate-share": round(100 * union["settings"]["share"]),
    }


def _steady(name: str, cue: int) -> int:
    """In how many pictures a classifier names the class of one cue at every step."""
    ends, cues = pictures()
    return int((answers(ends)[name] == cues[:, cue, None]).all(1).sum())


def still() -> str:
    """Each picture on both backgrounds, what is answered, and where the union tips."""
    ends, cues = pictures()
    said = answers(ends)
    rows = []
    for end, ground in enumerate(("Real", "Generated")):
        cells = [
            live.picture(x[end].numpy(), "{} in the texture of {}, {} background of {}".format(
                *scene[:2], ground.lower(), scene[2]))
            for x, scene in zip(ends, cues.tolist(), strict=True)
        ]  # fmt: skip
        rows.append((f"{ground} background", cells))
        for name, who in ASKED.items():
            told = said[name][:, -end].tolist()
            rows.append((f"Learned from {who}", map(painter.answer, told, cues.tolist())))
    tips = [tip(s, c[0]) for s, c in zip(said[UNION].tolist(), cues.tolist(), strict=True)]
    shares = ["–" if at is None else f"{100 * at / STEPS:.0f}%" for at in tips]
    rows.append(("The last tips at", shares))
    body = "".join(
        f'<tr><th scope="row">{head}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for head, cells in rows
    )
    return f'<div class="live-still"><table>{body}</table></div>'
