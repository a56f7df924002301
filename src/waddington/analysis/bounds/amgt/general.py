"""Convex and non-convex functions: Eq. 11, which knows no start, and Eqs. 33-36, whose rate is 1/ln T."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from waddington._checks import check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.assumption import stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays

__all__ = [
    "FarStart",
    "best_mu",
    "convex_rate",
    "far_start",
    "nonconvex_rate",
    "nonconvex_rate_as_printed",
    "quartic_floor",
]

_SQUARES = math.pi**2 / 6.0
"""Sum of 1/k²."""


@dataclass(frozen=True)
class FarStart:
    """A start on f(x) = L x²/2 from which Eq. 11 fails at T = 1.

    Attributes
    ----------
    distance
        D of the start x = D from the minimum.
    gap_before
        f - f* at the start.
    gap_after_descent
        After one step of gradient descent with η_1 = η0/(1 + α).
    gap_after_unit_step
        After one step of the length η_1, which AMGT's first is: ``m̂/√v̂`` is 1 there.
    allowed
        C of Eq. 11 at T = 1.
    """

    distance: float
    gap_before: float
    gap_after_descent: float
    gap_after_unit_step: float
    allowed: float


def convex_rate(constant: float, first_gap: float) -> Bound:
    """Give Eq. 11 as printed: ``f(θ_T) - f* <= C/√T`` with a C of L, η0 and γ alone.

    Parameters
    ----------
    constant
        C.
    first_gap
        f - f* at the start, which is what standing still has.
    """
    check_in_range("constant", constant, 0.0, open_high=True)
    check_in_range("first_gap", first_gap, 0.0, open_high=True)
    return Bound(
        name="distance of the loss from the least one",
        source="002, Eq. 11",
        at=lambda t: constant / np.sqrt(t),
        trivial=first_gap,
        constants={"C": constant},
        note="C does not know how far the start is: far_start gives one from which it fails at T = 1",
    )


def far_start(constant: float, smoothness: float, eta0: float, decay: float = 0.0) -> FarStart:
    """Find a start from which Eq. 11 fails at T = 1, whatever its C: f = L x²/2 from far enough.

    Parameters
    ----------
    constant
        C, of L, η0 and γ.
    smoothness
        L, above 0.
    eta0, decay
        η0 and α of Eq. 10, whose first rate is η0/(1 + α).

    Returns
    -------
    FarStart
        All its three gaps are at least 4 C, but that after descent where η_1 is exactly 1/L: then it is zero.
    """
    check_in_range("constant", constant, 0.0, open_low=True, open_high=True)
    check_in_range("smoothness", smoothness, 0.0, open_low=True, open_high=True)
    check_in_range("eta0", eta0, 0.0, open_low=True, open_high=True)
    check_in_range("decay", decay, 0.0, open_high=True)
    rate = eta0 / (1.0 + decay)
    reach = 2.0 * math.sqrt(2.0 * constant / smoothness)  # from where the gap is 4 C
    factor = abs(1.0 - rate * smoothness)
    distance = max(reach + rate, reach / factor if factor > 0.0 else 0.0)

    def gap(x: float) -> float:
        return 0.5 * smoothness * x * x

    return FarStart(distance, gap(distance), gap(factor * distance), gap(distance - rate), constant)


def quartic_floor(steps: Arrays | float, eta0: float, decay: float, start: float = 1.0) -> Arrays:
    """Give a lower bound of f after T steps of gradient descent on f(x) = x⁴ with the rate η0/(1 + αt) of Eq. 10.

    Near its minimum the function is convex and smooth, and with these rates it falls no faster than 1/(ln T)²::

        f(x_T) >= (1/x_0² + 15 (η0/α) ln(1 + αT))^-2

    so that ``C/√T`` is below it from some T on for every C, also one that knows the start.

    Parameters
    ----------
    steps
        T, at least 0, of any shape.
    eta0, decay
        η0 and α of Eq. 10, α above 0.
    start
        x_0, above 0. ``12 η0 x_0²`` must be at most 1 + α, for the steps to be small enough.
    """
    check_in_range("decay", decay, 0.0, open_low=True, open_high=True)
    check_in_range("start", start, 0.0, open_low=True, open_high=True)
    check_in_range("eta0", eta0, 0.0, (1.0 + decay) / (12.0 * start**2), open_low=True)
    t = as_numbers("steps", steps)
    return np.asarray((start**-2.0 + 15.0 * (eta0 / decay) * np.log1p(decay * t)) ** -2.0)


def nonconvex_rate(
    mu: float,
    gap: float,
    smoothness: float,
    moment_bound: float,
    *,
    beta1: float = 0.9,
    threshold: float = 0.0,
    is_normalized: bool = True,
) -> Bound:
    """Give what Eq. 34 says with α_k = 1/(μk): ``min ‖∇f‖² <= (μΔ + L G² π²/(12 μ)) / H_T``, H_T = Σ 1/k > ln(T+1).

    Parameters
    ----------
    mu
        μ of the rate; here it is no constant of f, but the rate's own.
    gap
        Δ = f(x_1) - inf f.
    smoothness
        L.
    moment_bound
        G, with ``E‖m̂_k‖² <= G²``.
    beta1, threshold
        Of the rule: with either the moment is not an unbiased gradient.
    is_normalized
        Whether the rule divides by ``√v̂``, as AMGT does.

    Returns
    -------
    Bound
        Of the least mean squared norm of a gradient among x_1, …, x_T. Trivial is G², by the same assumptions.
    """
    start, noise = _terms(mu, gap, smoothness, moment_bound)
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    check_in_range("threshold", threshold, 0.0, open_high=True)
    return Bound(
        name="least squared gradient norm",
        source="002, Eqs. 33 to 36",
        at=lambda t: (start + noise) / np.log(t + 1.0),
        trivial=moment_bound**2,
        terms={"start": lambda t: start / np.log(t + 1.0), "noise": lambda t: noise / np.log(t + 1.0)},
        constants={"mu": mu, "gap": gap, "L": smoothness, "G": moment_bound},
        assumptions=(
            stated("unbiased moment", "E[m̂_k] = ∇f(x_k)", "002, Eq. 33", beta1 == 0.0 and threshold == 0.0),
            stated("plain step", "x_{k+1} = x_k - α_k m̂_k without a denominator", "002, Eq. 33", not is_normalized),
        ),
        note="the weights α_k stay in the sum, which Eq. 35 drops",
    )


def nonconvex_rate_as_printed(mu: float, gap: float, smoothness: float, moment_bound: float) -> Bound:
    """Give Eq. 35 as printed, ``(1/ln T) Σ E‖∇f(x_k)‖² <= O(1/ln T)``: the sum is bounded, so the least one is O(1/T).

    Eq. 34 bounds ``Σ α_k E‖∇f‖²``; without α_k = 1/(μk) the sum may grow. On f = l x²/2 with r = l/μ below 1/2 the
    gradients fall like k^-r and the sum grows like T^(1 - 2r).

    Parameters
    ----------
    mu, gap, smoothness, moment_bound
        As for :func:`nonconvex_rate`. The constant, which is not printed, is that of Eq. 34 times μ.
    """
    start, noise = _terms(mu, gap, smoothness, moment_bound)
    return Bound(
        name="least squared gradient norm, as printed",
        source="002, Eq. 35",
        at=lambda t: (start + noise) / t,
        trivial=moment_bound**2,
        terms={"start": lambda t: start / t, "noise": lambda t: noise / t},
        constants={"mu": mu, "gap": gap, "L": smoothness, "G": moment_bound},
        note="α_k is dropped from the sum",
    )


def best_mu(gap: float, smoothness: float, moment_bound: float) -> float:
    """Give the μ with the smallest :func:`nonconvex_rate`, ``π G √(L / (12 Δ))``.

    The bound then is ``(π/√3) G √(LΔ) / ln(T+1)``, and below G² from ``T = exp((π/√3) √(LΔ) / G)`` on.

    Parameters
    ----------
    gap, smoothness, moment_bound
        Δ, L and G, all above 0.
    """
    check_in_range("gap", gap, 0.0, open_low=True, open_high=True)
    check_in_range("smoothness", smoothness, 0.0, open_low=True, open_high=True)
    check_in_range("moment_bound", moment_bound, 0.0, open_low=True, open_high=True)
    return math.pi * moment_bound * math.sqrt(smoothness / (12.0 * gap))


def _terms(mu: float, gap: float, smoothness: float, moment_bound: float) -> tuple[float, float]:
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_in_range("gap", gap, 0.0, open_high=True)
    check_in_range("smoothness", smoothness, 0.0, open_high=True)
    check_in_range("moment_bound", moment_bound, 0.0, open_high=True)
    return mu * gap, 0.5 * smoothness * moment_bound**2 * _SQUARES / mu
