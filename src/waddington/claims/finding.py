"""What a check or a measurement says: it holds or not, in words and in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from waddington.bench.statistics import Interval, Paired, number

__all__ = ["Finding", "found", "of_pairs"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An answer with what it rests on.

    Attributes
    ----------
    holds
        Whether what was claimed is so; None where it cannot be told.
    words
        One sentence that holds the figures.
    figures
        Numbers by name, with units in the names where they have some.
    interval
        Of the figure that decides, 95 % unless the words say otherwise.
    detectable
        Smallest effect that would have been found with a chance of 80 %, in the unit of the interval.
    """

    holds: bool | None
    words: str
    figures: Mapping[str, float] = field(default_factory=dict)
    interval: Interval | None = None
    detectable: float | None = None


def found(holds: bool | None, words: str, **figures: float) -> Finding:
    """Give a finding whose figures are numbers of arithmetic, without spread."""
    return Finding(holds=holds, words=words, figures={name: float(value) for name, value in figures.items()})


def of_pairs(pair: Paired, words: str, *, holds: bool | None, unit: str = "") -> Finding:
    """Give the finding of a paired comparison: difference, interval, and what could have been found.

    Parameters
    ----------
    pair
        The statistics.
    words
        What was compared: "AMVT has 0.1 points more than Adam", without figures.
    holds
        What the claim's rule says of it.
    unit
        Of the difference.
    """
    interval, gap = pair.interval, pair.mean
    unit = f" {unit}" if unit else ""
    said = "no mean: runs diverged" if gap is None else f"{number(gap)}{unit}"
    if interval is not None:
        said += f" [{number(interval.low)}, {number(interval.high)}]"
    said += f", {pair.n} seeds"
    figures = {} if gap is None else {"difference": gap}
    return Finding(holds=holds, words=f"{words}: {said}", figures=figures, interval=interval, detectable=pair.mde)
