"""Which cue a classifier follows, and whether that depends on the domain.

A domain is where an image comes from: `real` renderings of digits, or counterfactuals (`cgn`).
"""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from cgnlib import experiments as e
from cgnlib.chance import generator
from cgnlib.compute import Found, Job
from cgnlib.compute.digits import CHUNK, predict, test_of
from cgnlib.compute.nets_of import net_of
from cgnlib.counterfactuals.digits import BATCH, interventions, to_stored
from cgnlib.data.images import Images, to_signed
from cgnlib.data.variants import Variant
from cgnlib.measures import features
from cgnlib.measures.cues import conflicting, follow
from cgnlib.measures.naming import follows
from cgnlib.nets.mnist import CGN, CNN, compose

DOMAINS = ("real", "cgn")


def _measured(run: e.Following, job: Job) -> Found:
    measure = crossing if isinstance(run, e.Crossing) else following
    nets = (net_of(run.needs[role], job.needs[role]) for role in ("classifier", "generator"))
    return measure(*nets, test_of(run), run.evaluated, run.seed)


def following(net: CNN, cgn: CGN, test: Variant, n: int, seed: int) -> Found:
    """Cue following of a classifier on n real test images and on n new counterfactuals of a CGN.

    domain_read: accuracy of a linear probe that tells the two from the classifier's features;
    chance is 0.5, since there are as many of each.
    """
    n = min(n, len(test))
    real = Images(test.freeze().x[:n], test.y[:n])
    made, fg, bg = held_out(cgn, n, generator(seed, "held-out"))
    found, z = {}, []
    for name, images, cues in (("real", real, (test.fg[:n], test.bg[:n])), ("cgn", made, (fg, bg))):
        predicted = predict(net, images)
        found[f"{name}_accuracy"] = (predicted == images.y).float().mean().item()
        for cue, share in follow(predicted, images.y, *cues).items():
            found[follows([name], cue)] = share
        parts = torch.arange(n).split(CHUNK)
        z.append(features.features(net, (images.batch(index)[0] for index in parts)))
    domain = torch.arange(2).repeat_interleave(n)
    read = features.linear_probe(torch.cat(z), domain, seed)
    return Found(found | {"followed_images": n, "domain_read": read})


def crossing(net: CNN, cgn: CGN, test: Variant, n: int, seed: int) -> Found:
    """Cue following on images put together from real and generated parts, W-MNIST alone.

    Each of strokes, foreground and background is real or made by the CGN: eight kinds of images,
    all of the classes of the same n test images.  conflicting_images: behind each share.
    """
    n = min(n, len(test))
    predicted = {parts: [] for parts in product(DOMAINS, repeat=3)}
    for parts, x in crossed(cgn, test, n, generator(seed, "crossing")):
        with torch.inference_mode():
            predicted[parts].append(net(x).argmax(1))
    cues = test.y[:n], test.fg[:n], test.bg[:n]
    found = {"conflicting_images": float(conflicting(*cues).sum())}
    for parts, answers in predicted.items():
        for cue, share in follow(torch.cat(answers), *cues).items():
            found[follows(parts, cue)] = share
    return Found(found)


def crossed(
    cgn: CGN, test: Variant, n: int, rng: torch.Generator
) -> Iterator[tuple[tuple[str, str, str], Tensor]]:
    """Batches of the first n test images, eight for each: the origin of their three parts, images.

    Images: [B, 3, 32, 32], rounded to bytes whatever they are made of.
    """
    for index in torch.arange(n).split(BATCH):
        y, fg, bg = test.y[index], test.fg[index], test.bg[index]
        textures = (_texture(test, i, c, rng) for i, c in enumerate((fg, bg)))
        real = (test.mask[index].float(), *textures)
        with torch.inference_mode():
            made = (
                cgn.mask(cgn.draw_latent(len(y), rng), y),
                cgn.foreground(cgn.draw_latent(len(y), rng), fg, rng),
                cgn.background(cgn.draw_latent(len(y), rng), bg, rng),
            )
        sources = dict(zip(DOMAINS, (real, made), strict=True))
        for parts in product(DOMAINS, repeat=3):
            x = compose(*(sources[domain][i] for i, domain in enumerate(parts)))
            yield parts, Images(to_stored(x), y).batch(torch.arange(len(y)))[0]


def _texture(test: Variant, of: int, classes: Tensor, rng: torch.Generator) -> Tensor:
    """Real textures of the given classes, [B, 3, 32, 32] in -1...1."""
    return to_signed(test.cue(of, classes, rng)).permute(0, 3, 1, 2)


@torch.inference_mode()
def held_out(cgn: CGN, n: int, rng: torch.Generator) -> tuple[Images, Tensor, Tensor]:
    """n new counterfactuals, and the classes of their foregrounds and backgrounds, [n] each."""
    made = []
    for _ in range(-(-n // BATCH)):
        y = torch.randint(0, 10, (BATCH,), generator=rng)
        mask, fg, bg, y_fg, y_bg = next(interventions(cgn, y, rng))
        made.append((to_stored(compose(mask, fg, bg)), y, y_fg, y_bg))
    x, y, y_fg, y_bg = (torch.cat(parts)[:n] for parts in zip(*made, strict=True))
    return Images(x, y), y_fg, y_bg


KINDS = {e.Following: _measured, e.Crossing: _measured}
