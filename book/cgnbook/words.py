"""Words for numbers and lists, as sentences have them.

A chapter's text is written once and its numbers are computed each time.  What it concludes from
them in words is therefore computed as well, in the facts of its module.
"""

from collections.abc import Mapping, Sequence

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
