"""Choose the pictures of the gate: test images of W-MNIST, and the same on generated backgrounds.

Strokes and foreground stay; the background is that of a real image, or what the authors' CGN makes
of the same class.  Of each digit it is the first test image, its three cues of different classes,
about which the shipped union names the background in the one and the digit in the other.  Written
to book/records/gate.npz and gate.json, with how many of the images asked were so.

    python -m cgnlib run --profile full cgn-wildlife-published-s0
    python data_prep/mnist_cnns.py union
    python data_prep/gate.py
"""

import argparse
import json
import sys
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor

from cgnlib import experiments, paths, processor, runs
from cgnlib.chance import DIGITS_SHOWN, generator
from cgnlib.compute.digits import test_of
from cgnlib.compute.nets_of import net_of
from cgnlib.counterfactuals.digits import to_stored
from cgnlib.data.images import to_signed
from cgnlib.errors import ended
from cgnlib.measures.cues import conflicting
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CNN, compose
from cgnlib.runs import provenance

UNION, ASKED = "cnn-wildlife-union", 1000
RUN = "classifier-wildlife-original-and-cgn-published-r50-s0"


@torch.inference_mode()
def ends() -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Test images whose cues differ: on real and on generated backgrounds, [N, 2, 32, 32, 3] bytes,
    and the classes of their digits, foregrounds and backgrounds, [N]."""
    run = experiments.find("full", RUN)
    maker = experiments.find("full", "cgn-wildlife-published-s0")
    cgn = net_of(maker, runs.load(maker).folder)
    test, rng = test_of(run), generator(DIGITS_SHOWN, "gate")
    first = torch.arange(ASKED)
    index = first[conflicting(test.y[first], test.fg[first], test.bg[first])]
    y, fg, bg = test.y[index], test.fg[index], test.bg[index]
    texture, real = (
        to_signed(test.cue(i, of, rng)).permute(0, 3, 1, 2) for i, of in enumerate((fg, bg))
    )
    made = cgn.background(cgn.draw_latent(len(y), rng), bg, rng)
    mask = test.mask[index].float()
    both = [to_stored(compose(mask, texture, ground)) for ground in (real, made)]
    return torch.stack(both, 1), (y, fg, bg)


@torch.inference_mode()
def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    x, cues = ends()
    net = shipped.load(UNION, CNN())
    said = [net(to_signed(x[:, i]).permute(0, 3, 1, 2)).argmax(1) for i in range(2)]
    tips = (said[0] == cues[2]) & (said[1] == cues[0])
    chosen = [int((tips & (cues[0] == digit)).nonzero()[0]) for digit in range(10)]
    np.savez_compressed(
        paths.records() / "gate.npz",
        x=x[chosen].numpy(),
        cues=torch.stack(cues, 1)[chosen].numpy().astype(np.uint8),
    )
    about = {"union": UNION, "union_sha256": shipped.record(UNION)["sha256"]}
    about |= {"asked": len(x), "tip": int(tips.sum()), "generator": "cgn-wildlife-published-s0"}
    about |= {"textures": "dtd", "digits": "mnist", "commit": provenance.commit()}
    about |= {"device": processor.device(), "torch": torch.__version__}
    about["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    (paths.records() / "gate.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{about['tip']} of {about['asked']} tip; chosen: {chosen}")


if __name__ == "__main__":
    sys.exit(ended(main, "the same command starts again"))
