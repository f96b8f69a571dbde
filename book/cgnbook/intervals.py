"""How far an effect may be off: ranges over runs, and 95 % intervals over images."""

from collections.abc import Sequence

from cgnlib.measures.decisions import wilson

Interval = tuple[float, float]


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
