"""What is searched: a range for every argument, and points in it that are known before the first run."""

from __future__ import annotations

import ast
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from waddington._checks import check_in_range, require_extra
from waddington.errors import ArgumentError

__all__ = [
    "Choice",
    "Dimension",
    "End",
    "Log",
    "OneMinus",
    "Space",
    "Times",
    "Uniform",
    "apart",
    "arguments_at",
    "ends_at",
    "grid_points",
    "parse_dimension",
    "quasi_random_points",
]

Ends: TypeAlias = Literal["none", "low", "high", "both"]
End: TypeAlias = Literal["low", "high"]


class Dimension(ABC):
    """The range of one argument, seen as the interval [0, 1]."""

    closed: Ends
    """Ends beyond which there is nothing, so that the best point may lie there."""

    @abstractmethod
    def at(self, u: float) -> Any:
        """Give the value at a place of [0, 1]."""

    @abstractmethod
    def place(self, value: Any) -> float:
        """Give the place of a value."""

    @abstractmethod
    def beyond(self, end: End) -> Dimension:
        """Give the stretch beyond an end."""

    @abstractmethod
    def enlarged(self, end: End) -> Dimension:
        """Give the range together with the stretch beyond an end."""

    def may_widen(self, end: End) -> bool:
        """Tell whether there is anything beyond an end."""
        return self.closed not in (end, "both")


@dataclass(frozen=True)
class Log(Dimension):
    """From `low` to `high`, even in the logarithm; it is widened by decades."""

    low: float
    high: float
    closed: Ends = "none"

    def __post_init__(self) -> None:
        check_in_range("low", self.low, 0.0, open_low=True, open_high=True)
        check_in_range("high", self.high, self.low, open_low=True, open_high=True)

    def at(self, u: float) -> float:
        """Give ``low (high/low)^u``, rounded to six digits so that people can read it."""
        return _readable(self.low * (self.high / self.low) ** u)

    def place(self, value: Any) -> float:
        """Give the place of a value."""
        return math.log(float(value) / self.low) / math.log(self.high / self.low)

    def beyond(self, end: End) -> Log:
        """Give the decade beyond an end."""
        return Log(self.low / 10.0, self.low) if end == "low" else Log(self.high, self.high * 10.0)

    def enlarged(self, end: End) -> Log:
        """Give the range with a decade more."""
        return replace(self, low=self.low / 10.0) if end == "low" else replace(self, high=self.high * 10.0)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Uniform(Dimension):
    """From `low` to `high`, evenly; it is widened by half of itself."""

    low: float
    high: float
    closed: Ends = "none"

    def __post_init__(self) -> None:
        check_in_range("low", self.low, open_low=True, open_high=True)
        check_in_range("high", self.high, self.low, open_low=True, open_high=True)

    def at(self, u: float) -> float:
        """Give ``low + u (high - low)``, rounded to six digits."""
        return _readable(self.low + (self.high - self.low) * u)

    def place(self, value: Any) -> float:
        """Give the place of a value."""
        return (float(value) - self.low) / (self.high - self.low)

    def beyond(self, end: End) -> Uniform:
        """Give a stretch half as wide, beyond an end."""
        half = (self.high - self.low) / 2.0
        return Uniform(self.low - half, self.low) if end == "low" else Uniform(self.high, self.high + half)

    def enlarged(self, end: End) -> Uniform:
        """Give the range with half of it more."""
        half = (self.high - self.low) / 2.0
        return replace(self, low=self.low - half) if end == "low" else replace(self, high=self.high + half)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneMinus(Dimension):
    """One less what another range gives: ``OneMinus(Log(1e-3, 1e-1))`` for a decay from .9 to .999.

    Its low end is the other's high one, and there it ends at 0.
    """

    inner: Log

    def __post_init__(self) -> None:
        check_in_range("high", self.inner.high, 0.0, 1.0, open_low=True)

    @property
    def closed(self) -> Ends:  # type: ignore[override]  # computed here, a field elsewhere
        """The inner range's, the other way round."""
        turned: dict[Ends, Ends] = {"low": "high", "high": "low", "none": "none", "both": "both"}
        return turned[self.inner.closed]

    def at(self, u: float) -> float:
        """Give one less the inner value."""
        return _readable(1.0 - self.inner.at(1.0 - u))

    def place(self, value: Any) -> float:
        """Give the place of a value."""
        return 1.0 - self.inner.place(1.0 - float(value))

    def may_widen(self, end: End) -> bool:
        """Tell whether there is anything beyond an end."""
        return super().may_widen(end) and not (end == "low" and self.inner.high >= 1.0)

    def beyond(self, end: End) -> OneMinus:
        """Give the decade beyond an end, from 0."""
        found = self.inner.beyond(_OTHER[end])
        return OneMinus(Log(found.low, min(found.high, 1.0)))

    def enlarged(self, end: End) -> OneMinus:
        """Give the range with a decade more, from 0."""
        found = self.inner.enlarged(_OTHER[end])
        return OneMinus(replace(found, high=min(found.high, 1.0)))

    def __str__(self) -> str:
        return f"1 - ({self.inner})"


@dataclass(frozen=True)
class Times(Dimension):
    """A multiple of an argument before it: ``alpha_min=Times("lr", Log(1e-2, 1, closed="high"))`` may equal ``lr``."""

    name: str
    factor: Log | Uniform

    @property
    def closed(self) -> Ends:  # type: ignore[override]
        """The factor's."""
        return self.factor.closed

    def at(self, u: float) -> float:
        """Give the factor."""
        return self.factor.at(u)

    def place(self, value: Any) -> float:
        """Give the place of a factor."""
        return self.factor.place(value)

    def beyond(self, end: End) -> Times:
        """Give the stretch beyond an end of the factor."""
        return Times(self.name, self.factor.beyond(end))

    def enlarged(self, end: End) -> Times:
        """Give the factor's range together with the stretch beyond an end."""
        return Times(self.name, self.factor.enlarged(end))

    def __str__(self) -> str:
        return f"{self.factor} times {self.name}"


@dataclass(frozen=True)
class Choice(Dimension):
    """One of several values; has no ends."""

    values: tuple[Any, ...]
    closed: Ends = "both"

    def __init__(self, *values: Any) -> None:
        if not values:
            raise ArgumentError("cannot use a Choice of nothing: accepted are one value or more")
        object.__setattr__(self, "values", values)

    def at(self, u: float) -> Any:
        """Give a value; each has an equal share of [0, 1]."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def place(self, value: Any) -> float:
        """Give the middle of a value's share."""
        return (self.values.index(value) + 0.5) / len(self.values)

    def beyond(self, end: End) -> Choice:
        """Refuse: there is nothing beyond."""
        raise ArgumentError(f"cannot widen {self} at its {end} end: a choice has no ends")

    enlarged = beyond

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))


_OTHER: dict[End, End] = {"low": "high", "high": "low"}

Space: TypeAlias = Mapping[str, Dimension]
"""Ranges by argument. The order counts: spaces that begin alike have points that begin alike."""


def arguments_at(
    space: Space, point: Sequence[float], fixed: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Give the arguments at a point of the unit cube.

    Parameters
    ----------
    space, point
        The space, and a place of [0, 1] for each of its arguments.
    fixed
        Arguments that are not searched, of which others may be multiples.

    Raises
    ------
    ArgumentError
        A multiple of an argument that is not fixed and does not stand before it in the space.
    """
    found: dict[str, Any] = {}
    for (name, dimension), u in zip(space.items(), point, strict=True):
        value = dimension.at(float(u))
        if isinstance(dimension, Times):
            before = {**fixed, **found}
            if dimension.name not in before:
                raise ArgumentError(
                    f"cannot use {name} as a multiple of {dimension.name!r}: accepted is an argument that is fixed or"
                    f" stands before it in the space: {', '.join(before) or 'none does'}"
                )
            value = _readable(value * before[dimension.name])
        found[name] = value
    return found


def ends_at(space: Space, arguments: Mapping[str, Any], trials: int) -> dict[str, End]:
    """Give the arguments whose value lies in the outermost part of an open range: the part that one of `trials` fills.

    A point there says that better ones may lie beyond.
    """
    margin = 1.0 / trials
    found: dict[str, End] = {}
    for name, dimension in space.items():
        value = arguments[name]
        u = dimension.place(value / arguments[dimension.name] if isinstance(dimension, Times) else value)
        end: End | None = "low" if u < margin else "high" if u > 1.0 - margin else None
        if end is not None and dimension.may_widen(end):
            found[name] = end
    return found


def quasi_random_points(dimensions: int, count: int, *, seed: int, skip: int = 0) -> list[tuple[float, ...]]:
    """Give points that fill the unit cube more evenly than random ones: Sobol's sequence, scrambled.

    Parameters
    ----------
    dimensions
        Of the cube.
    count
        Points.
    seed
        Of the scrambling.
    skip
        Points at the beginning of the sequence to leave out: those that have been used.
    """
    qmc: Any = require_extra("scipy.stats.qmc", "bench")
    if dimensions == 0:
        return [()] * count
    sampler = qmc.Sobol(dimensions, scramble=True, rng=seed)
    # Sobol's numbers are balanced in powers of two; a part of such a number only loses that property.
    found = sampler.random_base2(math.ceil(math.log2(skip + count)))
    return [tuple(float(u) for u in row) for row in found[skip : skip + count]]


def grid_points(dimensions: int, count: int) -> list[tuple[float, ...]]:
    """Give the largest even grid of at most `count` points; one point a dimension is its middle."""
    if dimensions == 0:
        return [()] * count
    each = int(count ** (1.0 / dimensions) + 1e-9)
    steps = [0.5] if each == 1 else [i / (each - 1) for i in range(each)]
    return list(itertools.product(steps, repeat=dimensions))


def apart(spaces: Mapping[str, Space]) -> list[str]:
    """Say which arguments have different ranges in some arms: their spaces are not nested there."""
    found = []
    for name in dict.fromkeys(itertools.chain.from_iterable(spaces.values())):
        ranges = {arm: str(space[name]) for arm, space in spaces.items() if name in space}
        if len(set(ranges.values())) > 1:
            each = "; ".join(f"{arm}: {text}" for arm, text in ranges.items())
            found.append(f"{name} is searched in different ranges ({each})")
    return found


def _readable(value: float) -> float:
    return float(f"{value:.6g}")


def parse_dimension(text: str) -> Dimension:
    """Read a range as the command line writes it: ``1e-4:1e-1`` (logarithmic), ``0..1`` (even) or ``8,16,32`` (one of).

    Raises
    ------
    ArgumentError
        It is none of these.
    """
    for mark, kind in ((":", Log), ("..", Uniform)):
        low, found, high = text.partition(mark)
        if found:
            try:
                return kind(float(low), float(high))
            except ValueError as error:
                raise _unreadable(text, str(error)) from error
    try:
        return Choice(*(ast.literal_eval(part) for part in text.split(",")))
    except (ValueError, SyntaxError) as error:
        raise _unreadable(text, "no number, text in quotes, True, False or None") from error


def _unreadable(text: str, why: str) -> ArgumentError:
    return ArgumentError(
        f"cannot read the range {text!r}: {why}; accepted: 1e-4:1e-1 (logarithmic), 0..1 (even) or 8,16,32 (one of)"
    )
