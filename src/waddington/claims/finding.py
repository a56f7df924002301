"""What a check or a measurement says: it holds or not, in words and in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real

from waddington.bench.statistics import Interval
from waddington.errors import ArgumentError

__all__ = ["Finding", "found"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An answer with what it rests on.

    Attributes
    ----------
    holds
        Whether what was claimed is so; None where it cannot be told.
    words
        One sentence that holds the figures.
    short
        The part of it that decides, as a sentence by itself; empty where there is nothing to leave out.
    figures
        Numbers by name, with units in the names where they have some.
    interval
        Of the figure that decides, 95 % unless the words say otherwise.
    detectable
        Smallest effect that would have been found with a chance of 80 %, in the unit of the interval.

    Raises
    ------
    ArgumentError
        A figure, an end of the interval or what is detectable is no number.
    """

    holds: bool | None
    words: str
    short: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    interval: Interval | None = None
    detectable: float | None = None

    def __post_init__(self) -> None:
        ends = () if self.interval is None else (("low", self.interval.low), ("high", self.interval.high))
        for name, value in (*self.figures.items(), *ends, ("detectable", self.detectable or 0.0)):
            if not isinstance(value, Real):
                raise ArgumentError(f"cannot find {name}={value!r}: {name} must be a number")


def found(holds: bool | None, words: str, **figures: float) -> Finding:
    """Give a finding whose figures are numbers of arithmetic, without spread."""
    return Finding(holds=holds, words=words, figures={name: float(value) for name, value in figures.items()})
