"""Verdicts: what a rule makes of measured numbers, how a page shows it, and how far it may be off.

The rule of a claim is a pure function in the module of its chapter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cgnlib.measures.decisions import wilson

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
NOT_RUN, NOT_MEASURED = "not run", "not measured"
UNDECIDED = "undecided"  # nothing that the rule asks for can be seen there
ROUNDING = 1e-9  # a lead of exactly the margin counts, whatever floats make of the difference
FLOOR = 0.80  # of real images that a reader must read before it may judge made ones
SHARE = 0.80  # of the ceiling that a reader must find in made ones
Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """outcome: one of the six.  effects: what decided it, by name.  met: where it held.
    undecided: where nobody could have seen it, so that it counts neither for nor against."""

    outcome: str
    effects: Mapping[str, float]
    met: tuple[str, ...]
    undecided: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.outcome


UNRUN, BY_EYE = Verdict(NOT_RUN, {}, ()), Verdict(NOT_MEASURED, {}, ())


def judged(
    effects: Mapping[str, float], met: Sequence[str], undecided: Sequence[str] = ()
) -> Verdict:
    """All effects that a rule asks for were met: reproduced; some: partly; none that could be
    decided: not.  What is undecided is never met, so a poor instrument reproduces no claim."""
    met = [name for name in met if name not in undecided]
    outcome = REPRODUCED if len(met) == len(effects) else PARTLY if met else NOT
    if len(undecided) == len(effects):
        outcome = UNDECIDED
    return Verdict(outcome, effects, tuple(met), tuple(undecided))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def told(found: Mapping[str, Verdict]) -> dict[str, object]:
    """Facts of a text: `verdict-paper`, and in `met-paper` of how many effects it was met, ...

    found: of the paper, the study, the reference run and this run, in this order.
    """
    by = dict(zip(("paper", "study", "reference", "live"), found.values(), strict=True))
    return {f"verdict-{source}": of for source, of in by.items()} | {
        f"met-{source}": len(of.met) for source, of in by.items()
    }


def badge(outcome: str) -> str:
    """A verdict as the page shows it."""
    css = {REPRODUCED: "reproduced", PARTLY: "partly", NOT: "not"}
    return f'<span class="verdict-{css.get(outcome, "not-run")}">{outcome}</span>'


@dataclass(frozen=True)
class Mark:
    """How far an effect lies beyond what its rule asks for, as a fraction; below 0 it falls short.

    span: the ends of its interval, where it has one.  said: the effect in its own unit.
    """

    name: str
    beyond: float
    said: str
    span: Interval | None = None
    undecided: bool = False


@dataclass(frozen=True)
class Finding:
    """outcome: of a verdict.  effects: a line each, with its interval in brackets.  unit: of the
    effects, and what the interval spans.  values: the effects as numbers, by name: shares of a
    ceiling, points, or how many trends were met of how many.  marks: the same, for a picture."""

    outcome: str
    effects: tuple[str, ...] = ()
    unit: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


EYE = Finding(NOT_MEASURED, unit="judged by eye")


def shares(
    verdict: Verdict, of: Mapping, ceiling: Mapping, names: Mapping, which: str = "mean"
) -> Finding:
    """Effects that are shares of a ceiling, of which the rule asks for SHARE.  of: the shares of
    each CGN, and n images, by name.  which: of several CGNs is the effect."""
    single = all(len(values) == 1 for values, _ in of.values())
    lines, marks = [], []
    for name, effect in verdict.effects.items():
        values, n = of[name]
        if single:
            low, high = of_share(values[0], n, ceiling[name])
        else:
            low, high = (end(values) / ceiling[name] for end in (min, max))
        line, span = f"{names[name]} {effect:.2f}", f"{low:.2f} to {high:.2f}"
        line += "" if span == f"{effect:.2f} to {effect:.2f}" else f" ({span})"
        weak = name in verdict.undecided
        if weak:
            line = f"{names[name]} undecided: its reader reads {100 * ceiling[name]:.0f}%"
        lines.append(line)
        ends = low - SHARE, high - SHARE
        marks.append(Mark(names[name], effect - SHARE, line, ends, weak))
    spans = "one CGN; 95% over images" if single else f"{which}; lowest to highest CGN"
    values = {names[name]: effect for name, effect in verdict.effects.items()}
    said = f"of the ceiling ({spans})"
    return Finding(verdict.outcome, tuple(lines), said, values, tuple(marks))


def points(
    verdict: Verdict, pairs: Mapping, unit: str, asked: float, less: Mapping | None = None
) -> Finding:
    """Differences in points of the means of two kinds of run, with their range over runs.

    asked: by how much the rule wants the first to lie above the second.  less: of what should
    fall instead, by name, to which part of the second the rule wants it to fall.
    """
    lines, values, marks, single = [], {}, [], True
    for name, (high, low) in pairs.items():
        effect = mean(high) - mean(low)
        values[name] = 100 * effect
        line = f"{name} {signed(effect)}"
        several = len(high) > 1 or len(low) > 1
        if several:
            single = False
            least, most = of_difference(high, low)
            line += f" ({signed(least)} to {signed(most)})"
        lines.append(line)
        above, below, by = high, low, asked
        if less and name in less:
            above, below, by = [less[name] * value for value in low], high, 0.0
        beyond = mean(above) - mean(below) - by
        least, most = of_difference(above, below)
        span = (least - by, most - by) if several else None
        marks.append(Mark(name, beyond, line, span))
    spans = "single runs" if single else "range over seeds"
    said = f"{unit} ({spans})" if lines else ""
    return Finding(verdict.outcome, tuple(lines), said, values, tuple(marks))


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
