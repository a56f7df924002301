"""Checks of printed figures that several papers' claims share; what is printed is the number ``printed``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from waddington.claims.finding import Finding, found

__all__ = ["agrees", "is_as_printed"]


def agrees(
    name: str, compute: Callable[[Mapping[str, Any]], float], *, within: float
) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check that a computed figure is the printed one, to the digits that are printed.

    Parameters
    ----------
    name
        What the figure is.
    compute
        Gives it from the paper's numbers.
    within
        Largest difference: half a unit of the last printed digit.
    """

    def check(numbers: Mapping[str, Any]) -> Finding:
        value, said = float(compute(numbers)), float(numbers["printed"])
        holds = math.isfinite(value) and abs(value - said) <= within
        return found(holds, f"{name} is {value:.6g}; printed is {said:g}", computed=value, printed=said)

    return check


def is_as_printed(name: str, compute: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check that what is computed, a word or a tuple of words, is what is printed."""

    def check(numbers: Mapping[str, Any]) -> Finding:
        value, said = compute(numbers), numbers["printed"]
        return found(value == said, f"{name}: {_text(value)}; printed is {_text(said)}")

    return check


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
