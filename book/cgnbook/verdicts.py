"""Verdicts: pure functions from measured numbers to an outcome, by the rule the chapter states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REPRODUCED, PARTLY, NOT, NOT_RUN = "reproduced", "partly", "not reproduced", "not run in full"


ROUNDING = 1e-9  # a lead of exactly the margin counts, whatever floats make of the difference


@dataclass(frozen=True)
class Verdict:
    """outcome: one of the four.  effects: what decided it, by variant.  met: where it held."""

    outcome: str
    effects: Mapping[str, float]
    met: tuple[str, ...]

    def __str__(self) -> str:
        return self.outcome


def robustness(
    accuracies: Mapping[str, Mapping[str, Sequence[float]]],
    variants: Sequence[str],
    margin: float = 0.30,
) -> Verdict:
    """Claim 3 on the MNISTs: counterfactual training makes a classifier robust; a GAN does not.

    accuracies: test accuracy by variant, then by training set, one for each seed.
    A variant counts when the worst CGN classifier beats the best original and the best GAN
    classifier by `margin`.  All variants: reproduced; some: partly; a missing one: not run.
    effects: mean accuracy with the CGN less mean accuracy without.
    """
    if any(not accuracies.get(v, {}).get(s) for v in variants for s in ("original", "gan", "cgn")):
        return Verdict(NOT_RUN, {}, ())
    effects, met = {}, []
    for variant in variants:
        of = accuracies[variant]
        effects[variant] = _mean(of["cgn"]) - _mean(of["original"])
        if min(of["cgn"]) - max(*of["original"], *of["gan"]) >= margin - ROUNDING:
            met.append(variant)
    return Verdict(_outcome(len(met), len(variants)), effects, tuple(met))


def counterfactual_quality(
    read: Mapping[str, float],
    ceiling: Mapping[str, float],
    variants: Sequence[str],
    share: float = 0.80,
) -> Verdict:
    """Claim 1 on the MNISTs: counterfactuals show the intended shape whatever they are wrapped in.

    read: share of counterfactuals whose shape an unbiased reader names, by variant; ceiling: the
    same reader's accuracy on real digits with random cues.  A variant counts when it reaches
    `share` of its ceiling.  effects: that ratio.
    """
    if any(v not in read or v not in ceiling for v in variants):
        return Verdict(NOT_RUN, {}, ())
    effects = {variant: read[variant] / ceiling[variant] for variant in variants}
    met = tuple(v for v, ratio in effects.items() if ratio >= share - ROUNDING)
    return Verdict(_outcome(len(met), len(variants)), effects, met)


def mechanisms_apart(
    read: Mapping[str, float], ceiling: Mapping[str, float], share: float = 0.80
) -> Verdict:
    """Claim 1 on the menagerie: shape, texture and background can be chosen one by one.

    read: share of counterfactuals in which a probe without a shortcut names the intended shape,
    texture or background; ceiling: the same on true images with independent cues.  A mechanism
    counts when it reaches `share` of its ceiling.  effects: that ratio.
    """
    if any(cue not in read for cue in ceiling):
        return Verdict(NOT_RUN, {}, ())
    effects = {cue: read[cue] / ceiling[cue] for cue in ceiling}
    met = tuple(cue for cue, ratio in effects.items() if ratio >= share - ROUNDING)
    return Verdict(_outcome(len(met), len(effects)), effects, met)


# What the paper's ablation shows when a loss is left out, against the CGN with all losses: which
# number moves, and the sign of its change.
TRENDS = {
    "without L_shape the inception score falls": ("shape", "inception_score", -1),
    "without L_rec the inception score falls": ("reconstruction", "inception_score", -1),
    "without L_text the inception score rises": ("texture", "inception_score", 1),
    "without L_text the mask covers more": ("texture", "mask_coverage", 1),
    "without L_bg the inception score rises": ("background", "inception_score", 1),
    "without L_bg the mask covers less": ("background", "mask_coverage", -1),
}


def losses_needed(
    measured: Mapping[str, Mapping[str, Sequence[float]]], share: float = 0.10
) -> Verdict:
    """Claim 2: every loss is needed; leaving one out moves the numbers as in the paper.

    measured: inception_score and mask_coverage by ablation (`none` for all losses), one for each
    seed.  A trend of TRENDS counts when the mean moves its way by `share` of the mean with all
    losses, or more.  effects: the relative change behind each trend.
    """
    needed = {(a, metric) for of, metric, _ in TRENDS.values() for a in (of, "none")}
    if any(not measured.get(ablation, {}).get(metric) for ablation, metric in needed):
        return Verdict(NOT_RUN, {}, ())
    effects, met = {}, []
    for trend, (ablation, metric, sign) in TRENDS.items():
        base = _mean(measured["none"][metric])
        effects[trend] = _mean(measured[ablation][metric]) / base - 1
        if sign * effects[trend] >= share - ROUNDING:
            met.append(trend)
    return Verdict(_outcome(len(met), len(TRENDS)), effects, tuple(met))


def shape_heads(bias: Mapping[str, Sequence[float]], margin: float = 0.10) -> Verdict:
    """Claim 3, shape bias: the shape head of an invariant classifier decides by shape.

    bias: shape bias of the plain classifier (`plain`) and of the heads `shape` and `texture`, one
    for each seed.  Two trends: the shape head lies above the plain classifier, and above the
    texture head; each counts when its lowest seed clears the highest of the other by `margin`.
    effects: the difference of the means.
    """
    return _ordered(
        bias,
        {
            "the shape head has more shape bias than the plain classifier": ("shape", "plain"),
            "the shape head has more shape bias than the texture head": ("shape", "texture"),
        },
        margin,
    )


def backgrounds(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Verdict:
    """Claim 3, backgrounds: an invariant classifier without its background head minds them less.

    measured: bg_gap and mixed_rand of the plain classifier (`plain`) and of the mean of the shape
    and texture heads (`shape_texture`), one for each seed.  Two trends: the gap falls by a
    quarter of the plain one's or more; accuracy on mixed_rand does not fall.  Each counts when it
    holds between the worst seed and the best of the plain classifier.  effects: the changes of
    gap and accuracy, by the means.
    """
    needed = [measured.get(s, {}).get(m) for s in ("plain", "shape_texture") for m in _BACKGROUND]
    if not all(needed):
        return Verdict(NOT_RUN, {}, ())
    plain_gap, plain_rand, gap, rand = needed
    held = {
        "the gap between backgrounds narrows": max(gap) <= 0.75 * min(plain_gap) + ROUNDING,
        "accuracy on random backgrounds does not fall": min(rand) >= max(plain_rand) - ROUNDING,
    }
    changes = (_mean(gap) - _mean(plain_gap), _mean(rand) - _mean(plain_rand))
    met = tuple(trend for trend, holds in held.items() if holds)
    return Verdict(_outcome(len(met), len(held)), dict(zip(held, changes, strict=True)), met)


_BACKGROUND = ("bg_gap", "mixed_rand")


def _ordered(
    values: Mapping[str, Sequence[float]], trends: Mapping[str, tuple[str, str]], margin: float
) -> Verdict:
    """Which of several `higher than` relations hold for every seed."""
    if any(not values.get(name) for pair in trends.values() for name in pair):
        return Verdict(NOT_RUN, {}, ())
    effects = {
        trend: _mean(values[high]) - _mean(values[low]) for trend, (high, low) in trends.items()
    }
    met = tuple(
        trend
        for trend, (high, low) in trends.items()
        if min(values[high]) - max(values[low]) >= margin - ROUNDING
    )
    return Verdict(_outcome(len(met), len(trends)), effects, met)


def _outcome(met: int, of: int) -> str:
    return REPRODUCED if met == of else PARTLY if met else NOT


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
