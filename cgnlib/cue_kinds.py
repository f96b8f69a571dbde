"""Kinds of runs that ask which cue a classifier follows, and whether that depends on the domain.

A domain is where an image comes from: `real` renderings of digits, or counterfactuals (`cgn`).
Like those in `execute` they return (metrics, history).
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from cgnlib import counterfactuals, explain
from cgnlib.experiments import Run
from cgnlib.mnists import Images, Variant, to_signed
from cgnlib.nets.mnist import CGN, CNN, compose
from cgnlib.train import generator

CHUNK = 500
DOMAINS = ("real", "cgn")


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


def crossing(run: Run, net: CNN, cgn: CGN, test: Variant) -> tuple[dict[str, float], None]:
    """Cue following on images put together from real and generated parts, W-MNIST alone.

    Each of strokes, foreground and background is real or made by the CGN: eight kinds of images,
    all of the classes of the same test images.  `real_real_cgn_follows_shape` is for real strokes
    and foregrounds on generated backgrounds.  conflicting_images: behind each share.
    """
    n = min(run["evaluated"], len(test))
    predicted = {parts: [] for parts in product(DOMAINS, repeat=3)}
    for parts, x in crossed(cgn, test, n, generator(run.seed, "crossing")):
        with torch.inference_mode():
            predicted[parts].append(net(x).argmax(1))
    cues = test.y[:n], test.fg[:n], test.bg[:n]
    found = {"conflicting_images": float(conflicting(*cues).sum())}
    for parts, answers in predicted.items():
        shares = follow(torch.cat(answers), *cues)
        del shares["accuracy"]
        found |= {"_".join((*parts, name)): share for name, share in shares.items()}
    return found, None


def crossed(
    cgn: CGN, test: Variant, n: int, rng: torch.Generator
) -> Iterator[tuple[tuple[str, str, str], Tensor]]:
    """Batches of the first n test images, eight for each: the origin of their three parts, images.

    Images: [B, 3, 32, 32], rounded to bytes whatever they are made of.
    """
    for index in torch.arange(n).split(counterfactuals.BATCH):
        y, fg, bg = test.y[index], test.fg[index], test.bg[index]
        real = (
            test.mask[index].float(),
            *(_texture(test, i, c, rng) for i, c in enumerate((fg, bg))),
        )
        with torch.inference_mode():
            made = (
                cgn.mask(cgn.draw_latent(len(y), rng), y),
                cgn.foreground(cgn.draw_latent(len(y), rng), fg, rng),
                cgn.background(cgn.draw_latent(len(y), rng), bg, rng),
            )
        sources = dict(zip(DOMAINS, (real, made), strict=True))
        for parts in product(DOMAINS, repeat=3):
            x = compose(*(sources[domain][i] for i, domain in enumerate(parts)))
            yield parts, Images(counterfactuals.to_stored(x), y).batch(torch.arange(len(y)))[0]


def _texture(test: Variant, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
    """Real textures of the given classes, [B, 3, 32, 32] in -1...1."""
    return to_signed(test.cue(of, classes, rng)).permute(0, 3, 1, 2)


def conflicting(y: Tensor, fg: Tensor, bg: Tensor) -> Tensor:
    """Which images have three cues of three classes, [N] bool."""
    return (y != fg) & (y != bg) & (fg != bg)


def follow(predicted: Tensor, y: Tensor, fg: Tensor, bg: Tensor) -> dict[str, float]:
    """Accuracy, and shares of predictions that name the shape, the foreground, the background.

    The shares are over images whose three cues name three classes.  All: [N] int64.
    Raises ValueError where there is no such image.
    """
    apart = conflicting(y, fg, bg)
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
