"""A bound of a theorem beside the curve that it bounds: does it hold, and does it say anything?

A bound can be true and empty. A squared gradient norm, say, is at most d Z² by the theorem's own assumption of bounded
gradients, at any step and for any method; a bound above that is vacuous. So a bound carries its trivial bound, and
:meth:`Bound.useful_from` says from which number of steps it says more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.assumption import Assumption, broken
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["Bound", "Judgement", "judge"]

_LONGEST = 1e300
"""Steps up to which a bound is asked whether it becomes useful."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A theorem's bound with its constants put in.

    Attributes
    ----------
    name, source
        What it bounds, and paper and place.
    at
        ``at(T)`` for an array of numbers of steps, at least 1 and not necessarily whole: the bound, of the same shape.
    trivial
        What holds without the theorem, a number; infinite where nothing does.
    terms
        The summands of the bound, each a function as `at`.
    constants
        What was put in, by name.
    assumptions
        What the theorem asks for, beside what was found.
    note
        A reading that had to be chosen, a misprint that was mended.
    """

    name: str
    source: str
    at: Callable[[Arrays], Arrays]
    trivial: float = math.inf
    terms: Mapping[str, Callable[[Arrays], Arrays]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    note: str = ""

    def __call__(self, steps: float | Sequence[float] | Arrays) -> Arrays:
        """Give the bound after so many steps; the shape is that of `steps`."""
        at = as_numbers("steps", steps)
        if at.size and not (at >= 1.0).all():
            raise ArgumentError(f"cannot give a bound after {at.min():.6g} steps; accepted: 1 or more")
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return np.asarray(self.at(at), dtype=np.float64)

    def useful_from(self) -> float:
        """Give the number of steps from which the bound is below the trivial one; infinite where it never is.

        The bound must cross the trivial one once at most from above, as a bound that falls does.
        """
        if not math.isfinite(self.trivial):
            return 1.0
        if not self._is_useful(_LONGEST):
            return math.inf
        if self._is_useful(1.0):
            return 1.0
        low, high = 0.0, math.log(_LONGEST)
        while high - low > 1e-12 * high:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self._is_useful(math.exp(middle)) else (middle, high)
        return math.exp(high)

    def _is_useful(self, steps: float) -> bool:
        return bool(self(steps) < self.trivial)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A bound beside a measured curve.

    Attributes
    ----------
    bound
        The bound.
    steps
        Numbers of steps T, of shape (n,).
    measured, allowed
        The curve and the bound there, of shape (n,).
    """

    bound: Bound
    steps: Arrays
    measured: Arrays
    allowed: Arrays

    @property
    def holds(self) -> bool:
        """Whether the curve is nowhere above the bound; a figure that is not finite is above."""
        return bool((self.measured <= self.allowed).all())

    @property
    def first_violation(self) -> float | None:
        """Give the first number of steps at which the curve is above the bound; None where it never is."""
        above = ~(self.measured <= self.allowed)
        return float(self.steps[int(above.argmax())]) if above.any() else None

    @property
    def tightest(self) -> float:
        """Give the smallest ratio of bound to curve: how far apart they are where they are closest."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = self.allowed / self.measured
        return float(np.nanmin(ratios)) if np.isfinite(ratios).any() else math.inf

    @property
    def is_vacuous(self) -> bool:
        """Whether the bound is nowhere on the curve below what holds without it."""
        return not bool((self.allowed < self.bound.trivial).any())

    @property
    def violated(self) -> tuple[Assumption, ...]:
        """Give the assumptions that are violated."""
        return broken(self.bound.assumptions)

    @property
    def confirms(self) -> bool:
        """Whether the curve speaks for the theorem: the bound holds, says something, and no assumption is violated."""
        return self.holds and not self.is_vacuous and not self.violated

    @property
    def sentence(self) -> str:
        """Say in one line what was found."""
        parts = []
        if self.holds:
            parts.append(f"the bound holds for T from {self.steps[0]:g} to {self.steps[-1]:g}")
        else:
            parts.append(f"the bound is violated at T = {self.first_violation:g}")
        if self.is_vacuous:
            since = self.bound.useful_from()
            when = f"from T = {since:.2g} on" if math.isfinite(since) else "at no T"
            parts.append(
                f"it is vacuous there: the trivial bound {self.bound.trivial:.3g} is smaller; it says more {when}"
            )
        if self.violated:
            parts.append("violated are " + ", ".join(one.name for one in self.violated))
        unknown = [one.name for one in self.bound.assumptions if one.holds is None]
        if unknown:
            parts.append("not measurable are " + ", ".join(unknown))
        return f"{self.bound.name} ({self.bound.source}): {'; '.join(parts)}"


def judge(bound: Bound, steps: Sequence[float] | Arrays, measured: Sequence[float] | Arrays) -> Judgement:
    """Put a measured curve beside a bound.

    Parameters
    ----------
    bound
        The bound.
    steps
        Numbers of steps T that rise, of shape (n,).
    measured
        What the bound bounds after so many steps, of shape (n,).

    Raises
    ------
    ArgumentError
        There is no step, the steps do not rise, or the shapes differ.
    """
    at, curve = as_numbers("steps", steps), as_numbers("measured", measured)
    if at.ndim != 1 or at.shape != curve.shape or not at.size:
        raise ArgumentError(
            f"cannot judge {bound.name}: steps of shape {at.shape} and a curve of shape {curve.shape}; accepted: two of"
            " the same shape (n,), n at least 1"
        )
    if not (np.diff(at) > 0).all():
        raise ArgumentError(f"cannot judge {bound.name}: its steps do not rise; accepted: rising numbers of steps")
    return Judgement(bound=bound, steps=at, measured=curve, allowed=bound(at))
