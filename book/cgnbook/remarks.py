"""Sentences that a page says only as long as its numbers bear them out.

A chapter's text is written once and its numbers are computed each time.  What it concludes from
them in words is therefore computed as well, here, from the same measurements as the tables.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from cgnbook import explanations, scorecard, set_size, verdicts
from cgnbook.findings import Claim
from cgnbook.tables import NAMES
from cgnlib.experiments import TRAIN_SETS, VARIANTS

NUMBERS = ("none", "one", "two", "three", "four", "five")
LOSSES = {
    "shape": "L_shape",
    "texture": "L_text",
    "background": "L_bg",
    "reconstruction": "L_rec",
}


def listed(names: Sequence[str], word: str = "and") -> str:
    """`a, b and c`; `nothing` for no names."""
    if not names:
        return "nothing"
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def rarely(share: float) -> str:
    """A small probability in words that do not claim more digits than it has."""
    for bound in (1000, 100, 20):
        if share < 1 / bound:
            return f"less than once in {bound:,} times"
    return f"in {100 * share:.0f} of a hundred times"


def short_of_ceiling(read: Mapping[str, float], ceiling: Mapping[str, float]) -> str:
    """Which mechanisms of the ImageNet model miss the rule of claim 1."""
    verdict = verdicts.mechanisms_apart(read, ceiling)
    missed = [cue for cue in verdict.effects if cue not in verdict.met]
    if not missed:
        return "No mechanism falls short of the rule."
    words = listed(missed).capitalize()
    return f"{words} {'falls' if len(missed) == 1 else 'fall'} short of the rule."


def digits_short(read: Mapping[str, float], ceiling: Mapping[str, float]) -> str:
    """On which variants of MNIST the counterfactuals miss the rule of claim 1."""
    verdict = verdicts.counterfactual_quality(read, ceiling, VARIANTS)
    missed = [NAMES[v] for v in verdict.effects if v not in verdict.met]
    if not missed:
        return "no variant falls short"
    return f"{listed(missed)} {'falls' if len(missed) == 1 else 'fall'} short"


def cgns_judged(frame: pd.DataFrame) -> str:
    """Which CGNs of MNIST a source has judged: the published ones, ours, or both."""
    found = frame["generator"].drop_duplicates()
    own = int(found.str.startswith("trained").sum())
    parts = ["the published ones"] * bool((found == "published").any())
    parts += [f"{NUMBERS[own]} of our own for each variant"] * bool(own)
    return " and ".join(parts) + " alone" * (len(parts) == 1)


def losses_by_probe(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Without which losses fewer counterfactuals show all three parts, and without which more.

    measured: `all_read` by ablation, one for each seed, as `imagenet.measured` gives it.
    """
    mean = {a: sum(m["all_read"]) / len(m["all_read"]) for a, m in measured.items() if a in LOSSES}
    whole = measured["none"]["all_read"]
    whole = sum(whole) / len(whole)
    needed = [LOSSES[a] for a in LOSSES if mean[a] < whole]
    others = [LOSSES[a] for a in LOSSES if mean[a] >= whole]
    found = f"by this measure {NUMBERS[len(needed)]} of the four groups earn their place"
    if needed:
        found += f": without {listed(needed, 'or')} fewer counterfactuals show what was asked for"
    if others:
        found += f"; without {listed(others, 'or')} it is no fewer"
    return found


def gan_gain(accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> float:
    """The most that GAN samples add to the test accuracy of original images, in points."""
    mean = scorecard.means(accuracies)
    return 100 * max(of["gan"] - of["original"] for of in mean.values())


def cells_run(accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """How much of the table of accuracies a source has."""
    done = sum(len(set(of) & set(TRAIN_SETS)) for of in accuracies.values())
    return f"{done} of the {len(VARIANTS) * len(TRAIN_SETS)} cells"


def seeds_run(accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """How many seeds the cells that a source has were run with."""
    counts = [len(values) for of in accuracies.values() for values in of.values()]
    least, most = min(counts), max(counts)
    if least < most:
        return f"{NUMBERS[least]} to {NUMBERS[most]} seeds each"
    return f"{NUMBERS[most]} seed{'s' if most > 1 else ''} each"


def union_against_alone(accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Where original images beside counterfactuals help and where they hurt, beyond the seeds."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "level": []}
    for variant, of in accuracies.items():
        union, alone = of["original+cgn"], of["cgn"]
        if min(union) > max(alone):
            found["better"].append(NAMES[variant])
        elif max(union) < min(alone):
            found["worse"].append(NAMES[variant])
        else:
            found["level"].append(NAMES[variant])
    words = {
        "better": "the union is better on {}",
        "worse": "the union is worse on {}",
        "level": "on {} the seeds overlap",
    }
    return "; ".join(words[k].format(listed(names)) for k, names in found.items() if names)


def overlap_changes(live: pd.DataFrame) -> str:
    """What counterfactual training does to the study's overlap, beyond the seeds."""
    found: dict[str, list[str]] = {"up": [], "down": [], "level": []}
    for variant in VARIANTS:
        before, after = (
            explanations.of_cell(live, variant, of, "study_iou") for of in ("original", "cgn")
        )
        up, down = min(after) > max(before), max(after) < min(before)
        found["up" if up else "down" if down else "level"].append(NAMES[variant])
    words = {
        "up": "raises the number on {}",
        "down": "lowers it on {}",
        "level": "on {} moves it by no more than the seeds differ",
    }
    return "; ".join(words[k].format(listed(names)) for k, names in found.items() if names)


def size_rule(found: Mapping[str, Mapping[str, set_size.Effect]]) -> str:
    """Where the study's reading holds that size matters and the ratio does not.

    found: the effects by variant of `study`, `reference` and `live`, or some of these.
    """
    words = {"study": "the study's numbers", "reference": "the reference run", "live": "this run"}
    said = []
    for source in filter(found.__contains__, words):
        held = [v for v, e in found[source].items() if set_size.judge(e) == set_size.ALONE]
        said.append(f"on {len(held)} of {len(found[source])} variants in {words[source]}")
    return listed(said)


def in_one_sentence(claims: Sequence[Claim]) -> str:
    """What the three parts of claim 3 come to in this run."""
    third = [claim for claim in claims if claim.name.startswith("Claim 3")]
    held = [c for c in third if list(c.by.values())[-1].outcome == verdicts.REPRODUCED]
    if len(held) == len(third):
        return (
            "classifiers that learned from images with freely chosen parts lean less on the "
            "shortcut in every comparison of this run that a rule judges"
        )
    return (
        "that classifiers which learn from images with freely chosen parts lean less on the "
        f"shortcut holds in {len(held)} of the {len(third)} comparisons of this run that a rule "
        "judges"
    )
