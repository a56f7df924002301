"""Lemma 2.1, with the limit that it lost in print and the rate that it never had; and the conditions on a rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from waddington._checks import check_count, check_in_range
from waddington.analysis.bounds.assumption import Assumption, not_measured, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = ["lemma_sequence", "recursion_bound", "robbins_monro"]

_DOUBLINGS = 1000
"""How far a rate is looked at: to step 2^1000."""
_TINY = 1e-290
"""Below this a float has fewer digits."""


def lemma_sequence(beta: float, gamma: float, first: float, length: int) -> Arrays:
    """Give what Eq. 12 allows at most for terms that are not below zero: ``a_{k+1} = max(1 - β/k, 0) a_k + γ/k²``.

    Parameters
    ----------
    beta, gamma
        Of Eq. 12, above 0.
    first
        a_1, at least 0.
    length
        How many terms.

    Returns
    -------
    numpy.ndarray
        a_1, a_2, … of shape (length,).
    """
    _check(beta, gamma, first)
    check_count("length", length, 1)
    found = np.empty(length)
    found[0] = first
    for k in range(1, length):
        found[k] = max(1.0 - beta / k, 0.0) * found[k - 1] + gamma / k**2
    return found


def recursion_bound(beta: float, gamma: float, first: float) -> Bound:
    """Give Lemma 2.1 with a rate: what ``0 <= a_{k+1} <= (1 - β/k) a_k + γ/k²`` says of a_k, for all k = T.

    The lemma as printed ends "then lim a_k", without a value, and does not ask for a_k >= 0, without which the sequence
    may fall without end. It is zero, and by summing the recursion (Chung, 1954)::

        a_k <= max(a_1, 2γ, γ/(β-1)) / k                  β > 1
        a_k <= (a_1 + γ (1 + ln k + π²/6)) / k            β = 1
        a_k <= (a_1 + γ 2^β (2-β)/(1-β)) / k^β            β < 1

    Parameters
    ----------
    beta, gamma
        Of Eq. 12, above 0.
    first
        a_1, at least 0.
    """
    _check(beta, gamma, first)
    scale: float
    if beta > 1.0:
        scale = max(first, 2.0 * gamma, gamma / (beta - 1.0))
    elif beta == 1.0:
        scale = first + gamma * (1.0 + math.pi**2 / 6.0)
    else:
        scale = first + gamma * 2.0**beta * (2.0 - beta) / (1.0 - beta)
    exponent = min(beta, 1.0)
    terms: dict[str, Callable[[Arrays], Arrays]] = {"power": lambda t: scale * t**-exponent}
    if beta == 1.0:
        terms["logarithm"] = lambda t: gamma * np.log(t) / t
    return Bound(
        name="sequence of the lemma",
        source="002, Lemma 2.1",
        at=lambda t: np.asarray(sum(term(t) for term in terms.values())),
        trivial=first if first > 0.0 else math.inf,
        terms=terms,
        constants={"beta": beta, "gamma": gamma, "first": first, "scale": scale, "exponent": exponent},
        note="as printed the limit has no value and the terms need not be positive",
    )


def robbins_monro(rate: Callable[[float], float]) -> tuple[Assumption, Assumption]:
    """Say whether a rate has ``Σ α_k = ∞`` and ``Σ α_k² < ∞``, by which noise is averaged away and no start is too far.

    Finitely many terms say nothing about a sum, so the rate is a function. Cauchy's condensation sums ``2^n α(2^n)``
    instead, for n up to 1,000, and the power of n with which these grow or fall is that of the second half. The sum is
    infinite where they do not fall, finite where they fall faster than 1/n, and not measurable between: 1/(k ln k).

    Parameters
    ----------
    rate
        ``rate(k)``, for k from 1 to 2^1000; positive, and not rising with k.

    Returns
    -------
    tuple
        The two conditions.

    Raises
    ------
    ArgumentError
        The rate rises somewhere, is not positive, or is not finite.
    """
    exponents = np.arange(_DOUBLINGS + 1)
    values = np.array([float(rate(float(2.0**n))) for n in exponents])
    if not (np.isfinite(values).all() and (values >= 0).all() and values[0] > 0):
        raise ArgumentError(
            "cannot judge a rate that is negative, not finite, or zero at k = 1; accepted: positive ones"
        )
    rises = np.nonzero(np.diff(values) > 0)[0]
    if rises.size:
        raise ArgumentError(
            f"cannot judge a rate that rises, between k = 2^{rises[0]} and 2^{rises[0] + 1}; accepted: one that falls"
        )
    first, square = _sum_is_finite(values), _sum_is_finite(values**2)
    source = "Robbins and Monro 1951"
    return (
        _condition("sum of rates", "Σ α_k = ∞", source, None if first is None else not first),
        _condition("sum of squared rates", "Σ α_k² < ∞", source, square),
    )


def _sum_is_finite(values: Arrays) -> bool | None:
    """Decide by condensation whether a falling sequence, known at 2^n, has a finite sum."""
    known = np.nonzero(values > _TINY)[0][-1] + 1
    if known <= len(values) // 2:  # it falls like k^-2 at least
        return True
    late = np.arange(known // 2, known)
    logs = np.log2(values[late]) + late  # of 2^n α(2^n)
    power = float(np.polyfit(np.log2(late), logs, 1)[0])
    if power >= -0.02:
        return False
    return True if power <= -1.1 else None


def _condition(name: str, statement: str, source: str, holds: bool | None) -> Assumption:
    if holds is None:
        return not_measured(name, statement, source, note="too near to the edge")
    return stated(name, statement, source, holds)


def _check(beta: float, gamma: float, first: float) -> None:
    check_in_range("beta", beta, 0.0, open_low=True, open_high=True)
    check_in_range("gamma", gamma, 0.0, open_low=True, open_high=True)
    check_in_range("first", first, 0.0, open_high=True)
