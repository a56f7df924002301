"""What a theorem assumes, beside what was measured: held, broken by how much, or not measurable."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from waddington._checks import check_number

__all__ = ["Assumption", "at_most", "broken", "not_measured", "stated"]


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One assumption of a theorem in one setting.

    Attributes
    ----------
    name
        A few words.
    statement
        What the paper asks for, as a formula in plain text.
    source
        Paper and place, such as ``"000, Theorem 2"``.
    measured, limit
        What was found, and what is allowed at most; None where the assumption is no inequality, or was not measured.
    holds
        Whether it holds; None is not measurable.
    note
        What was guessed or left out, such as that a maximum over a run is a lower bound of a maximum over all points.
    """

    name: str
    statement: str
    source: str
    measured: float | None = None
    limit: float | None = None
    holds: bool | None = None
    note: str = ""

    @property
    def excess(self) -> float | None:
        """By which factor the measured figure is above the limit; 1 at the limit, None where either is missing."""
        if self.measured is None or self.limit is None:
            return None
        if self.limit == 0.0:
            return 1.0 if self.measured <= 0.0 else math.inf
        return self.measured / self.limit

    @property
    def sentence(self) -> str:
        """Say in one line whether it holds, and by how much not."""
        word = {True: "holds", False: "is violated", None: "is not measurable"}[self.holds]
        figures = ""
        if self.measured is not None and self.limit is not None:
            figures = f" ({self.measured:.3g} measured, {self.limit:.3g} allowed)"
        elif self.measured is not None:
            figures = f" ({self.measured:.3g} measured)"
        return f"{self.name} {word}{figures}: {self.statement}{f'; {self.note}' if self.note else ''}"


def at_most(
    name: str, statement: str, source: str, measured: float, limit: float, *, strict: bool = False, note: str = ""
) -> Assumption:
    """Check ``measured <= limit``, or ``<`` where the paper is strict; what is not finite is violated.

    Parameters
    ----------
    name, statement, source, note
        As :class:`Assumption` has them.
    measured, limit
        The two sides; NaN on either is not measurable.
    strict
        Whether equality is a violation.

    Raises
    ------
    ArgumentError
        A side is no number.
    """
    for side, value in (("measured", measured), ("limit", limit)):
        check_number(side, value)
    if math.isnan(measured) or math.isnan(limit):
        return not_measured(name, statement, source, note=note)
    holds = measured < limit if strict else measured <= limit
    return Assumption(
        name=name, statement=statement, source=source, measured=measured, limit=limit, holds=holds, note=note
    )


def stated(name: str, statement: str, source: str, holds: bool, *, note: str = "") -> Assumption:
    """Give an assumption that a setting has or has not, such as a projection onto a box."""
    return Assumption(name=name, statement=statement, source=source, holds=holds, note=note)


def not_measured(name: str, statement: str, source: str, *, note: str = "") -> Assumption:
    """Give an assumption of which nobody can say here whether it holds."""
    return Assumption(name=name, statement=statement, source=source, note=note)


def broken(assumptions: Iterable[Assumption]) -> tuple[Assumption, ...]:
    """Give those that are violated."""
    return tuple(one for one in assumptions if one.holds is False)
