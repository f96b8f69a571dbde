"""Verdicts: what a rule makes of measured numbers, how a page shows it, and how far it may be off.

The rule of a claim is a pure function in the module of its chapter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cgnlib.measures.decisions import wilson

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
NOT_RUN, NOT_MEASURED = "not run in full", "not measured"
ROUNDING = 1e-9  # a lead of exactly the margin counts, whatever floats make of the difference
Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """outcome: one of the five.  effects: what decided it, by name.  met: where it held."""

    outcome: str
    effects: Mapping[str, float]
    met: tuple[str, ...]

    def __str__(self) -> str:
        return self.outcome


UNRUN, BY_EYE = Verdict(NOT_RUN, {}, ()), Verdict(NOT_MEASURED, {}, ())


def judged(effects: Mapping[str, float], met: Sequence[str]) -> Verdict:
    """All effects that a rule asks for were met: reproduced; some: partly; none: not."""
    outcome = REPRODUCED if len(met) == len(effects) else PARTLY if met else NOT
    return Verdict(outcome, effects, tuple(met))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def badge(outcome: str) -> str:
    """A verdict as the page shows it."""
    css = {REPRODUCED: "reproduced", PARTLY: "partly", NOT: "not"}
    return f'<span class="verdict-{css.get(outcome, "not-run")}">{outcome}</span>'


@dataclass(frozen=True)
class Finding:
    """outcome: of a verdict.  effects: a line each, with its interval in brackets.  unit: of the
    effects, and what the interval spans.  values: the effects as numbers, in order: shares of a
    ceiling, points, or how many trends were met of how many."""

    outcome: str
    effects: tuple[str, ...] = ()
    unit: str = ""
    values: tuple[float, ...] = ()


def shares(verdict: Verdict, of: Mapping, ceiling: Mapping, names: Mapping) -> Finding:
    """Effects that are shares of a ceiling.  of: the shares of each CGN, and n images, by name."""
    single = all(len(values) == 1 for values, _ in of.values())
    lines = []
    for name, effect in verdict.effects.items():
        values, n = of[name]
        if single:
            low, high = of_share(values[0], n, ceiling[name])
        else:
            low, high = (end(values) / ceiling[name] for end in (min, max))
        lines.append(f"{names[name]} {effect:.2f} ({low:.2f} to {high:.2f})")
    spans = "one CGN; 95% over images" if single else "lowest to highest CGN"
    values = tuple(verdict.effects.values())
    return Finding(verdict.outcome, tuple(lines), f"of the ceiling ({spans})", values)


def points(verdict: Verdict, pairs: Mapping, unit: str) -> Finding:
    """Differences in points of the means of two kinds of run, with their range over runs."""
    lines, values, single = [], [], True
    for name, (high, low) in pairs.items():
        effect = mean(high) - mean(low)
        values.append(100 * effect)
        line = f"{name} {signed(effect)}"
        if len(high) > 1 or len(low) > 1:
            single = False
            least, most = of_difference(high, low)
            line += f" ({signed(least)} to {signed(most)})"
        lines.append(line)
    spans = "single runs" if single else "range over seeds"
    said = f"{unit} ({spans})" if lines else ""
    return Finding(verdict.outcome, tuple(lines), said, tuple(values))


def signed(difference: float) -> str:
    """A difference of fractions in whole points, with its sign."""
    return f"{100 * difference:+.0f}".replace("-", "−")


def of_difference(high: Sequence[float], low: Sequence[float]) -> Interval:
    """The least and the most by which a run of the first kind lies above one of the second.

    Raises ValueError where either has no run.
    """
    if not high or not low:
        raise ValueError("a difference needs a run of either kind")
    return min(high) - max(low), max(high) - min(low)


def of_share(share: float, n: int, ceiling: float = 1.0) -> Interval:
    """The 95 % score interval of a share of n images, as a part of a ceiling taken as known.

    Raises ValueError for what is no share of n, and for a ceiling that is not above 0.
    """
    if not 0 < ceiling <= 1:
        raise ValueError(f"a ceiling of {ceiling} is not in (0, 1]")
    low, high = wilson(round(share * n), n)
    return low / ceiling, high / ceiling


def mechanisms_apart(
    read: Mapping[str, float], ceiling: Mapping[str, float], share: float = 0.80
) -> Verdict:
    """Claim 1 on the menagerie: shape, texture and background can be chosen one by one.

    read: share of counterfactuals in which a probe without a shortcut names the intended shape,
    texture or background; ceiling: the same on true images with independent cues.  A mechanism
    counts when it reaches `share` of its ceiling.  effects: that ratio.
    """
    if any(cue not in read for cue in ceiling):
        return UNRUN
    effects = {cue: read[cue] / ceiling[cue] for cue in ceiling}
    met = tuple(cue for cue, ratio in effects.items() if ratio >= share - ROUNDING)
    return judged(effects, met)


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
        return UNRUN
    effects, met = {}, []
    for trend, (ablation, metric, sign) in TRENDS.items():
        base = mean(measured["none"][metric])
        effects[trend] = mean(measured[ablation][metric]) / base - 1
        if sign * effects[trend] >= share - ROUNDING:
            met.append(trend)
    return judged(effects, met)


def shape_heads(bias: Mapping[str, Sequence[float]], margin: float = 0.10) -> Verdict:
    """Claim 3, shape bias: the shape head of an invariant classifier decides by shape.

    bias: shape bias of the plain classifier (`plain`) and of the heads `shape` and `texture`, one
    for each seed.  Two trends: the shape head lies above the plain classifier, and above the
    texture head; each counts when its lowest seed clears the highest of the other by `margin`.
    effects: the difference of the means.
    """
    return ordered(
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
        return UNRUN
    plain_gap, plain_rand, gap, rand = needed
    held = {
        "the gap between backgrounds narrows": max(gap) <= 0.75 * min(plain_gap) + ROUNDING,
        "accuracy on random backgrounds does not fall": min(rand) >= max(plain_rand) - ROUNDING,
    }
    changes = (mean(gap) - mean(plain_gap), mean(rand) - mean(plain_rand))
    met = tuple(trend for trend, holds in held.items() if holds)
    return judged(dict(zip(held, changes, strict=True)), met)


_BACKGROUND = ("bg_gap", "mixed_rand")


def ordered(
    values: Mapping[str, Sequence[float]], trends: Mapping[str, tuple[str, str]], margin: float
) -> Verdict:
    """Which of several `higher than` relations hold for every seed, by `margin`.

    trends: the names of the higher and the lower values of each.  effects: differences of means.
    """
    if any(not values.get(name) for pair in trends.values() for name in pair):
        return UNRUN
    effects = {
        trend: mean(values[high]) - mean(values[low]) for trend, (high, low) in trends.items()
    }
    met = [
        trend
        for trend, (high, low) in trends.items()
        if min(values[high]) - max(values[low]) >= margin - ROUNDING
    ]
    return judged(effects, met)
