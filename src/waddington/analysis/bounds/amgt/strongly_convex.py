"""Rates 1/(μk) on a strongly convex function (Eqs. 13-23): the power law that is claimed, and the one there is.

On a quadratic with eigenvalue l a gradient step of the rate α_k = 1/(μk) multiplies that component by ``1 - (l/μ)/k``.
So after n steps it is ``∏ (1 - r/i)`` with r = l/μ, which is zero from n = r on where r is whole, and else falls like
``n^-r / |Γ(1-r)|``: a power, with an exponent that has no unit. The paper's exponent μ/2 has one. In other units of f
the same iterates would have another exponent.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch

from waddington._checks import check_count, check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.amgt._exact import Number, rational
from waddington.analysis.bounds.assumption import Assumption, at_most, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = [
    "claimed_exponent",
    "decay_factor",
    "decay_product",
    "derived_convergence",
    "linear_convergence",
    "power_law",
    "refuting_scale",
    "vanishes_after",
]

_ASYMPTOTIC = 1e6
"""Steps from which a ratio of two gamma functions is taken from its series: logarithms lose their digits there."""


def decay_product(ratio: Number, steps: int) -> Fraction:
    """Multiply ``1 - ratio/i`` over i from 1 to `steps`, exactly.

    Parameters
    ----------
    ratio
        r = l/μ, an eigenvalue over the μ of the rate 1/(μk).
    steps
        n.
    """
    check_count("steps", steps, 0)
    r = rational("ratio", ratio)
    return math.prod((1 - r / i for i in range(1, steps + 1)), start=Fraction(1))


def decay_factor(ratio: float, steps: Arrays | float) -> Arrays:
    """Give ``|∏ (1 - ratio/i)|`` for many numbers of steps, in float64.

    Parameters
    ----------
    ratio
        r = l/μ, above 0.
    steps
        Numbers of steps n, at least 0 and not necessarily whole, of any shape.

    Returns
    -------
    numpy.ndarray
        ``|Γ(n + 1 - r) / (Γ(1 - r) Γ(n + 1))|``, of the same shape; exactly zero from n = r on where r is whole.
    """
    check_in_range("ratio", ratio, 0.0, open_low=True, open_high=True)
    n = as_numbers("steps", steps)
    if n.size and not (n >= 0).all():
        raise ArgumentError(f"cannot give a factor after {n.min():.6g} steps; accepted: 0 or more")
    if float(ratio).is_integer():  # (r - 1 choose n), zero from r on
        return np.where(
            n >= ratio, 0.0, np.exp(_lgamma(ratio) - _lgamma(n + 1.0) - _lgamma(np.maximum(ratio - n, 1.0)))
        )
    few = np.minimum(n, _ASYMPTOTIC)
    near = np.exp(_lgamma(few + 1.0 - ratio) - _lgamma(1.0 - ratio) - _lgamma(few + 1.0))
    return np.where(
        n <= _ASYMPTOTIC,
        near,
        power_law(ratio, np.maximum(n, 1.0)) * (1.0 + 0.5 * ratio * (ratio - 1.0) / np.maximum(n, 1.0)),
    )


def power_law(ratio: float, steps: Arrays | float) -> Arrays:
    """Give ``n^-r / |Γ(1 - r)|``, which :func:`decay_factor` nears for many steps; zero where r is whole.

    Parameters
    ----------
    ratio
        r = l/μ, above 0.
    steps
        Numbers of steps n, above 0, of any shape.
    """
    check_in_range("ratio", ratio, 0.0, open_low=True, open_high=True)
    scale = 0.0 if float(ratio).is_integer() else float(np.exp(-_lgamma(1.0 - ratio)))
    at = as_numbers("steps", steps)
    if not (at > 0.0).all():
        raise ArgumentError(f"cannot give a power of {at.min():.6g} steps; accepted: numbers above 0")
    return np.asarray(scale * at**-ratio)


def vanishes_after(ratio: Number) -> int | None:
    """Give the steps after which a component is exactly zero, r where that is whole; None where it never is."""
    r = rational("ratio", ratio)
    return int(r) if r.denominator == 1 and r >= 1 else None


def claimed_exponent(mu: float, scale: float = 1.0) -> float:
    """Give the exponent μ/2 of Eq. 22 when f is written in other units.

    Parameters
    ----------
    mu
        μ of f.
    scale
        c: of the function c f, whose μ is c times as large. The rate 1/(cμk) on it gives the same iterates as before.
    """
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_in_range("scale", scale, 0.0, open_low=True, open_high=True)
    return 0.5 * mu * scale


def refuting_scale(ratio: float, mu: float) -> float:
    """Give the factor on f above which Eq. 22 is false for every C: 2r/μ.

    Parameters
    ----------
    ratio
        r, the smallest l/μ that is not whole: the true exponent, in all units.
    mu
        μ of f in its own units.
    """
    check_in_range("ratio", ratio, 0.0, open_low=True, open_high=True)
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    return 2.0 * ratio / mu


def linear_convergence(mu: float, distance: float, *, constant: float = 1.0, is_normalized: bool = False) -> Bound:
    """Give Eqs. 22 and 23 as printed: ``‖x_k - x*‖ <= C ‖x_1 - x*‖ k^(-μ/2)``.

    Parameters
    ----------
    mu
        μ of strong convexity, in the units of f.
    distance
        ``‖x_1 - x*‖``.
    constant
        C over that distance; the proof has 1.
    is_normalized
        Whether the rule divides by ``√v̂``, as AMGT does: Eq. 14 then is not its step.

    Returns
    -------
    Bound
        Of the distance of the iterate x_k from the minimum, for k = T.
    """
    exponent = claimed_exponent(mu)
    check_in_range("distance", distance, 0.0, open_high=True)
    check_in_range("constant", constant, 0.0, open_high=True)
    return Bound(
        name="distance to the minimum, as printed",
        source="002, Eqs. 22 and 23",
        at=lambda t: constant * distance * t**-exponent,
        trivial=distance,
        constants={"mu": mu, "C": constant * distance, "exponent": exponent},
        assumptions=(
            at_most("factor of Eq. 17", "1 - μ/k >= 0 at k = 1, else a square is below zero", "002, Eq. 17", mu, 1.0),
            stated("plain step", "x_{k+1} = x_k - α_k m̂_k without a denominator", "002, Eq. 14", not is_normalized),
        ),
        note="the exponent is in units of f; a power is sublinear, though the abstract calls it linear",
    )


def derived_convergence(condition: float, distance: float, *, mu_share: float = 1.0) -> Bound:
    """Give what does hold for gradient descent with 1/(μk): ``‖x_k - x*‖ <= C(κ) ‖x_1 - x*‖ / (k - 1)``.

    A gradient step of the rate α on a function with curvatures from μ to L multiplies the distance by at most
    ``max(|1 - αμ|, |1 - αL|)``. With α_k = 1/(μk) that is κ/k - 1 while k < (κ+1)/2, and 1 - 1/k from there on, which
    telescopes.

    Parameters
    ----------
    condition
        κ = L/μ, at least 1.
    distance
        ``‖x_1 - x*‖``.
    mu_share
        The μ of the rate over the true one, in (0, 1]: a smaller one makes larger steps, and it, too, is a μ of strong
        convexity. κ is then larger by as much.

    Returns
    -------
    Bound
        Of the distance of x_k, for k = T; the exponent is 1 in all units, and C grows like ``2^κ``.
    """
    check_in_range("condition", condition, 1.0, open_high=True)
    check_in_range("distance", distance, 0.0, open_high=True)
    check_in_range("mu_share", mu_share, 0.0, 1.0, open_low=True)
    kappa = condition / mu_share
    turn = max(int((kappa + 1.0) // 2.0), 1)  # the last k at which the largest curvature is the worst
    grown = np.concatenate([[1.0], np.cumprod([max(kappa / k - 1.0, 1.0 - 1.0 / k) for k in range(1, turn + 1)])])

    def at(t: Arrays) -> Arrays:
        steps = t - 1.0
        early = grown[np.minimum(steps, turn).astype(np.int64)]
        return distance * early * np.where(steps > turn, turn / np.maximum(steps, 1.0), 1.0)

    held: tuple[Assumption, ...] = (
        stated("plain gradient", "x_{k+1} = x_k - ∇f(x_k)/(μk), without noise", "Polyak 1987, Section 1.4", True),
    )
    return Bound(
        name="distance to the minimum, derived",
        source="gradient descent with 1/(μk)",
        at=at,
        trivial=distance,
        constants={"kappa": kappa, "turn": float(turn), "C": float(grown[-1]) * turn},
        assumptions=held,
        note="for the step of Eq. 14 with the gradient itself",
    )


def _lgamma(value: Arrays | float) -> Arrays:
    """Give log |Γ|."""
    return np.asarray(torch.lgamma(torch.as_tensor(np.asarray(value, dtype=np.float64))).numpy())
