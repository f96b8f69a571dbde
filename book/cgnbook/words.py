"""Words for numbers and lists, as sentences have them.

A chapter's text is written once and its numbers are computed each time.  What it concludes from
them in words is therefore computed as well, in the facts of its module.
"""

from collections.abc import Mapping, Sequence

from cgnbook import verdict as verdicts

NUMBERS = ("none", "one", "two", "three", "four", "five")


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


def sorted_out(found: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> str:
    """Where which of several things is so: `up on a and b; down on c`.

    found: names by kind.  words: of each kind, with a place for its names; kinds without any are
    left out.
    """
    return "; ".join(words[kind].format(listed(of)) for kind, of in found.items() if of)


LOSSES = {
    "shape": "L_shape",
    "texture": "L_text",
    "background": "L_bg",
    "reconstruction": "L_rec",
}


def short_of_ceiling(read: Mapping[str, float], ceiling: Mapping[str, float]) -> str:
    """Which mechanisms of the ImageNet model miss the rule of claim 1."""
    verdict = verdicts.mechanisms_apart(read, ceiling)
    missed = [cue for cue in verdict.effects if cue not in verdict.met]
    if not missed:
        return "No mechanism falls short of the rule."
    words = listed(missed).capitalize()
    return f"{words} {'falls' if len(missed) == 1 else 'fall'} short of the rule."


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
