"""The kind of run that asks which cue a classifier follows, and whether that depends on the domain.

A domain is where an image comes from: `real` renderings of digits, or counterfactuals (`cgn`).
Like `execute`, it writes into `folder` what is more than numbers, and returns (metrics, history).
"""

import torch
from torch import Tensor

from cgnlib import counterfactuals, explain
from cgnlib.experiments import Run
from cgnlib.mnists import Images, Variant
from cgnlib.nets.mnist import CGN, CNN, compose
from cgnlib.train import generator

CHUNK = 500


def following(run: Run, net: CNN, cgn: CGN, test: Variant) -> tuple[dict[str, float], None]:
    """Cue following of a classifier on real test images and on new counterfactuals of a CGN.

    domain_read: accuracy of a linear probe that tells the two from the classifier's features;
    chance is 0.5, since there are as many of each.
    """
    n = min(run["evaluated"], len(test))
    real = Images(test.freeze().x[:n], test.y[:n])
    made, fg, bg = held_out(cgn, n, generator(run.seed, "held-out"))
    found, z = {}, []
    for name, images, cues in (("real", real, (test.fg[:n], test.bg[:n])), ("cgn", made, (fg, bg))):
        parts = [images.batch(index)[0] for index in torch.arange(n).split(CHUNK)]
        with torch.inference_mode():
            predicted = torch.cat([net(x).argmax(1) for x in parts])
        found |= {f"{name}_{k}": v for k, v in follow(predicted, images.y, *cues).items()}
        z.append(explain.features(net, parts))
    domain = torch.arange(2).repeat_interleave(n)
    return found | {
        "followed_images": n,
        "domain_read": explain.linear_probe(torch.cat(z), domain, run.seed),
    }, None


def follow(predicted: Tensor, y: Tensor, fg: Tensor, bg: Tensor) -> dict[str, float]:
    """Accuracy, and shares of predictions that name the shape, the foreground, the background.

    The shares are over images whose three cues name three classes.  All: [N] int64.
    Raises ValueError where there is no such image.
    """
    apart = (y != fg) & (y != bg) & (fg != bg)
    if not apart.any():
        raise ValueError("no image has three cues of three classes; whom it follows is undefined")
    shares = {
        f"follows_{cue}": (predicted == of)[apart].float().mean().item()
        for cue, of in (("shape", y), ("foreground", fg), ("background", bg))
    }
    return {"accuracy": (predicted == y).float().mean().item()} | shares


@torch.inference_mode()
def held_out(cgn: CGN, n: int, rng: torch.Generator) -> tuple[Images, Tensor, Tensor]:
    """n new counterfactuals, and the classes of their foregrounds and backgrounds, [n] each."""
    made = []
    for _ in range(-(-n // counterfactuals.BATCH)):
        y = torch.randint(0, 10, (counterfactuals.BATCH,), generator=rng)
        mask, fg, bg, y_fg, y_bg = next(counterfactuals.interventions(cgn, y, rng))
        made.append((counterfactuals.to_stored(compose(mask, fg, bg)), y, y_fg, y_bg))
    x, y, y_fg, y_bg = (torch.cat(parts)[:n] for parts in zip(*made, strict=True))
    return Images(x, y), y_fg, y_bg
