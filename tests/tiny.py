"""Runs as small as they get, and runs that compute what a test says."""

from dataclasses import replace

import pytest

from cgnlib import experiments as e
from cgnlib.data import digits
from cgnlib.runs import inputs

VARIANT = "double_colored"


def _profile(mini: e.Profile) -> e.Profile:
    d, w = mini.digits, mini.world
    net = {"steps": 3, "batch": 4, "latent": 4, "ngf": 4, "ndf": 8}
    cnn = replace(d.classifier, batch=500, epochs=1)
    learnt = {"train": 24, "val": 6, "batch": 4, "epochs": 3}
    cgn = {v: replace(r, **net, layers=(0,), factors=(0.3,)) for v, r in d.cgn.items()}
    of_digits = replace(
        d, cgn=cgn, gan={v: replace(r, **net) for v, r in d.gan.items()},
        classifier=cnn, original=cnn, oracle=cnn, probe=cnn,
        counterfactuals=dict.fromkeys(e.VARIANTS, 200), gan_images=200,
        sets=replace(d.sets, sizes={}), oracle_renderings=2, evaluated=20,
    )  # fmt: skip
    of_world = replace(
        w, mechanisms=replace(w.mechanisms, steps=1, batch=1, window=1, lr=(1e-3,) * 3),
        images=replace(w.images, train=9, val=5),
        plain=replace(w.plain, **learnt), ensemble=replace(w.ensemble, **learnt),
        ensemble_seeds=(0,), tests=replace(w.tests, val=6),
    )  # fmt: skip
    return replace(mini, digits=of_digits, world=of_world)


TINY = _profile(e.profile("mini"))


def cgn(**recipe) -> e.CGN:
    run = TINY.cgn(VARIANT, 0)
    return replace(run, recipe=replace(run.recipe, **recipe))


def gan(seed: int = 0, **recipe) -> e.GAN:
    run = TINY.gan(VARIANT, seed)
    return replace(run, recipe=replace(run.recipe, **recipe))


class Simple(e.Run):
    """A run that reads no data, and takes as long as it has steps."""

    kind = "cgn"
    seconds_an_image = 1.0
    steps: int | None = 3
    first: e.Run | None = None
    second: e.Run | None = None

    def images_seen(self) -> int:
        return self.steps or 0


def simple(name: str = "", *needs: e.Run, **settings) -> Simple:
    roles = dict(zip(("first", "second"), needs, strict=False))
    return Simple(variant="colored", profile="mini", name=name, **roles, **settings)


def use_an_eighth(patch: pytest.MonkeyPatch) -> None:
    """Of the digits: 50 a class to train on, 13 or 12 to test on."""
    inputs.checksum(e.Input("digits", "mnist-5k"))  # kept from here on: it is of the whole source
    whole = digits._five_thousand
    patch.setattr(digits, "_five_thousand", lambda split: whole(split)[::8])
