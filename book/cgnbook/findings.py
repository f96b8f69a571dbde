"""What each source found about each claim: its verdict, its effects, and their intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from cgnbook import imagenet, intervals, records, robustness, scorecard, verdicts
from cgnbook.tables import NAMES
from cgnbook.verdicts import Verdict
from cgnlib import experiments
from cgnlib.experiments import VARIANTS

NOT_MEASURED = "not measured"
STUDY, REFERENCE = "Study", "Reference run"


@dataclass(frozen=True)
class Finding:
    """outcome: of verdicts, or NOT_MEASURED.  effects: a line each, with its interval in brackets.
    unit: of the effects, and what the interval spans.  values: the effects as numbers, in order:
    shares of a ceiling, points, or how many trends were met of how many."""

    outcome: str
    effects: tuple[str, ...] = ()
    unit: str = ""
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claim, the page and the heading under which its evidence stands, and who found what."""

    name: str
    text: str
    page: str
    heading: str
    by: Mapping[str, Finding]

    @property
    def anchor(self) -> str:
        """The heading as the page's address has it."""
        words = "".join(c if c.isalnum() or c in " -" else "" for c in self.heading.lower())
        return "-".join(words.split())


def of_all(live: pd.DataFrame, profile: str) -> list[Claim]:
    """The six claims, each by the study, the reference run and this run.

    live: the metrics of this run.  Reference numbers are the tracked records of the profile full.
    """
    this, by_eye = f"This run ({profile})", Finding(NOT_MEASURED, unit="judged by eye")

    def full(claim: str) -> pd.DataFrame:
        return records.read(claim, "full")

    def both(make: Callable, reference: pd.DataFrame, mine: pd.DataFrame, told=None) -> dict:
        first = by_eye if told is None else told
        return {STUDY: first, REFERENCE: make(reference), this: make(mine)}

    place = {"menagerie": "On the menagerie.", "imagenet": "This run: on ImageNet."}
    place = place[experiments.profile(profile).world]
    article = scorecard.told_accuracies("article")
    ablated = losses_needed(imagenet.told("article"))
    ablated = replace(ablated, unit=f"{ablated.unit}; the study calls them inconclusive")
    quality, robust = full("claim-1-mnist"), full("claim-3-mnist")
    return [
        Claim(
            "Claim 1, MNISTs",
            "Counterfactuals show the digit.",
            "05_claim1_mnist",
            "What unbiased readers see",
            {
                STUDY: by_eye,
                REFERENCE: digits_read(quality, "published"),
                this: digits_read(live, "trained"),
            },
        ),
        Claim(
            "Claim 1, ImageNet model",
            f"Shape, texture and background can be chosen one by one. {place}",
            "06_claim1_imagenet",
            "What a probe without a shortcut reads",
            both(cues_read, full("claim-2"), live),
        ),
        Claim(
            "Claim 2",
            f"Every loss is needed. {place}",
            "07_claim2",
            "Against the paper",
            both(
                lambda frame: losses_needed(imagenet.measured(frame[frame["removed"] != ""])),
                full("claim-2"),
                live,
                ablated,
            ),
        ),
        Claim(
            "Claim 3, MNISTs",
            "They make classifiers robust.",
            "08_claim3_mnist",
            "The shortcut, and who takes it",
            {
                STUDY: robust_digits(article),
                REFERENCE: robust_digits(scorecard.accuracies(robust, "published")),
                this: robust_digits(scorecard.accuracies(live)),
            },
        ),
        Claim(
            "Claim 3, shape bias",
            f"A head that learns the shapes of counterfactuals decides by shape. {place}",
            "09_claim3_shape_bias",
            "Which cue decides",
            both(
                lambda frame: shape_heads(robustness.biases(robustness.measured(frame))),
                full("claim-3-imagenet"),
                live,
                shape_heads(robustness.told_biases("article", "in-mini")),
            ),
        ),
        Claim(
            "Claim 3, backgrounds",
            f"Without its background head a classifier minds backgrounds less. {place}",
            "10_claim3_backgrounds",
            "What a foreign background costs",
            both(
                lambda frame: backgrounds(robustness.gaps(robustness.measured(frame))),
                full("claim-3-imagenet"),
                live,
                backgrounds(robustness.told_gaps("article", "in-mini+cgn")),
            ),
        ),
    ]


def sources() -> list[pd.DataFrame]:
    """What the verdicts of others and of the reference run are made from, for the box below."""
    claims = ("claim-1-mnist", "claim-2", "claim-3-mnist", "claim-3-imagenet")
    tables = ("mnist-classification", "loss-ablation", "shape-bias", "backgrounds")
    return [*(records.read(claim, "full") for claim in claims), *map(records.reported, tables)]


def digits_read(frame: pd.DataFrame, generator: str) -> Finding:
    """Claim 1 on the MNISTs: the share of its ceiling at which an unbiased reader reads."""
    read, ceiling = scorecard.readings(frame, generator)
    verdict = verdicts.counterfactual_quality(read, ceiling, VARIANTS)
    if not verdict.effects:
        return Finding(verdict.outcome)
    rows = frame[(frame.metric == "image_read") & frame.generator.str.startswith(generator)]
    of = {v: (g.value.astype(float).tolist(), int(g.n.iloc[0])) for v, g in rows.groupby("variant")}
    return _shares(verdict, of, ceiling, NAMES)


def cues_read(frame: pd.DataFrame) -> Finding:
    """Claim 1 on the ImageNet model: the same, for each of the three mechanisms."""
    rows = frame[frame["removed"] == "none"]
    read, ceiling = imagenet.readings(imagenet.measured(rows))
    verdict = verdicts.mechanisms_apart(read, ceiling)
    if not verdict.effects:
        return Finding(verdict.outcome)
    of = {}
    for cue in read:
        mine = rows[rows.metric == f"{cue}_read"]
        of[cue] = mine.value.astype(float).tolist(), int(mine.n.iloc[0])
    return _shares(verdict, of, ceiling, {cue: cue for cue in read})


def _shares(verdict: Verdict, of: Mapping, ceiling: Mapping, names: Mapping) -> Finding:
    """Effects that are shares of a ceiling.  of: the shares of each CGN, and n images, by name."""
    single = all(len(values) == 1 for values, _ in of.values())
    lines = []
    for name, effect in verdict.effects.items():
        values, n = of[name]
        if single:
            low, high = intervals.of_share(values[0], n, ceiling[name])
        else:
            low, high = (end(values) / ceiling[name] for end in (min, max))
        lines.append(f"{names[name]} {effect:.2f} ({low:.2f} to {high:.2f})")
    spans = "one CGN; 95% over images" if single else "lowest to highest CGN"
    values = tuple(verdict.effects.values())
    return Finding(verdict.outcome, tuple(lines), f"of the ceiling ({spans})", values)


def robust_digits(accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> Finding:
    """Claim 3 on the MNISTs: points gained by counterfactual training over original images.

    Effects are told also where the rule lacks the GAN.
    """
    verdict = verdicts.robustness(accuracies, VARIANTS)
    pairs = {
        NAMES[v]: (accuracies[v]["cgn"], accuracies[v]["original"])
        for v in VARIANTS
        if {"cgn", "original"} <= accuracies.get(v, {}).keys()
    }
    return _points(verdict, pairs, "points gained")


def shape_heads(bias: Mapping[str, Sequence[float]]) -> Finding:
    """Claim 3, shape bias: by how many points the shape head leads."""
    verdict = verdicts.shape_heads(bias)
    if not verdict.effects:
        return Finding(verdict.outcome)
    pairs = {f"over {who}": (bias["shape"], bias[key]) for who, key in _RIVALS.items()}
    return _points(verdict, pairs, "points of shape bias")


_RIVALS = {"the plain classifier": "plain", "the texture head": "texture"}


def backgrounds(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Finding:
    """Claim 3, backgrounds: how gap and accuracy differ from the plain classifier's."""
    verdict = verdicts.backgrounds(measured)
    if not verdict.effects:
        return Finding(verdict.outcome)
    plain, heads = measured["plain"], measured["shape_texture"]
    pairs = {
        name: (heads[metric], plain[metric])
        for name, metric in (("BG-gap", "bg_gap"), ("random backgrounds", "mixed_rand"))
    }
    return _points(verdict, pairs, "points")


def _points(verdict: Verdict, pairs: Mapping, unit: str) -> Finding:
    """Differences in points of the means of two kinds of run, with their range over runs."""
    lines, values, single = [], [], True
    for name, (high, low) in pairs.items():
        effect = sum(high) / len(high) - sum(low) / len(low)
        values.append(100 * effect)
        line = f"{name} {_signed(effect)}"
        if len(high) > 1 or len(low) > 1:
            single = False
            least, most = intervals.of_difference(high, low)
            line += f" ({_signed(least)} to {_signed(most)})"
        lines.append(line)
    spans = "single runs" if single else "range over seeds"
    said = f"{unit} ({spans})" if lines else ""
    return Finding(verdict.outcome, tuple(lines), said, tuple(values))


def _signed(difference: float) -> str:
    """A difference of fractions in whole points, with its sign."""
    return f"{100 * difference:+.0f}".replace("-", "−")


def losses_needed(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Finding:
    """Claim 2: how many of the paper's trends are there, by the means and by each seed."""
    verdict = verdicts.losses_needed(measured)
    if not verdict.effects:
        return Finding(verdict.outcome)
    values = (len(verdict.met), len(verdict.effects))
    line = "{} of {} trends".format(*values)
    seeds = min(len(measured[a]["inception_score"]) for a in experiments.ABLATIONS)
    if seeds == 1:
        return Finding(verdict.outcome, (line,), "single runs", values)
    met = [len(verdicts.losses_needed(_one(measured, seed)).met) for seed in range(seeds)]
    line += f" ({min(met)} to {max(met)})"
    return Finding(verdict.outcome, (line,), "range over seeds", values)


def _one(measured: Mapping, seed: int) -> dict:
    """The measures of one seed alone."""
    return {
        ablation: {metric: values[seed : seed + 1] for metric, values in of.items()}
        for ablation, of in measured.items()
    }
