"""What the rate α/√t does prove, for plain SGD: the theorems that the paper's sketches lead to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from waddington._checks import check_in_range
from waddington.analysis.bounds.amvt.conditions import check_constants
from waddington.analysis.bounds.assumption import Assumption
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays

__all__ = ["derived_convex", "derived_mean", "derived_nonconvex"]


def derived_convex(
    alpha: float, distance: float, gradient_norm_bound: float, *, held: tuple[Assumption, ...] = ()
) -> Bound:
    """Give what α_t = α/√t does prove, for plain SGD and convex f: ``(D² + α²G²(1 + ln T)) / (4α(√(T+1) - 1))``.

    It bounds ``E f - f*`` at the mean of the iterates with the weights α_t, and the least one among them. The last
    iterate has no such bound here.

    Parameters
    ----------
    alpha, distance, gradient_norm_bound, held
        As for :func:`.theorem_1`.
    """
    alpha, distance, bound = check_constants(alpha, distance, gradient_norm_bound)
    terms: dict[str, Callable[[Arrays], Arrays]] = {
        "start": lambda t: distance**2 / _twice_sum(alpha, t),
        "noise": lambda t: (alpha * bound) ** 2 * (1.0 + np.log(t)) / _twice_sum(alpha, t),
    }
    return Bound(
        name="distance of the loss at the weighted mean, derived",
        source="SGD with α/√t",
        at=lambda t: terms["start"](t) + terms["noise"](t),
        trivial=distance * bound,
        terms=terms,
        constants={"alpha": alpha, "D": distance, "G": bound},
        assumptions=held,
    )


def derived_mean(
    alpha: float, diameter: float, gradient_norm_bound: float, *, held: tuple[Assumption, ...] = ()
) -> Bound:
    """Give what holds at the plain mean, where no iterate is further from θ* than R: ``(R²/(2α) + αG²) / √T``.

    Zinkevich 2003, for SGD with α_t = α/√t and convex f; it bounds the mean regret, too.

    Parameters
    ----------
    alpha
        α.
    diameter
        R, at least every ‖θ_t - θ*‖.
    gradient_norm_bound
        G.
    held
        What :func:`check_assumptions` found.
    """
    alpha, diameter, bound = check_constants(alpha, diameter, gradient_norm_bound)
    return Bound(
        name="distance of the loss at the mean, derived",
        source="Zinkevich 2003",
        at=lambda t: (diameter**2 / (2.0 * alpha) + alpha * bound**2) / np.sqrt(t),
        trivial=diameter * bound,
        terms={
            "start": lambda t: diameter**2 / (2.0 * alpha * np.sqrt(t)),
            "noise": lambda t: alpha * bound**2 / np.sqrt(t),
        },
        constants={"alpha": alpha, "R": diameter, "G": bound},
        assumptions=held,
    )


def derived_nonconvex(
    alpha: float, gap: float, smoothness: float, gradient_norm_bound: float, *, held: tuple[Assumption, ...] = ()
) -> Bound:
    """Give what the sketch of Theorem 2 proves for plain SGD: ``(Δ + LG²α²(1 + ln T)/2) / (2α(√(T+1) - 1))``.

    Parameters
    ----------
    alpha
        α of α/√t.
    gap
        Δ = f(θ_0) - inf f.
    smoothness, gradient_norm_bound
        L and G.
    held
        What :func:`check_assumptions` found.

    Returns
    -------
    Bound
        Of the least mean squared gradient norm of T steps. Trivial is G².
    """
    check_in_range("gap", gap, 0.0, open_high=True)
    check_in_range("smoothness", smoothness, 0.0, open_high=True)
    alpha, _, bound = check_constants(alpha, 0.0, gradient_norm_bound)
    terms: dict[str, Callable[[Arrays], Arrays]] = {
        "start": lambda t: 2.0 * gap / _twice_sum(alpha, t),
        "noise": lambda t: smoothness * (alpha * bound) ** 2 * (1.0 + np.log(t)) / _twice_sum(alpha, t),
    }
    return Bound(
        name="least squared gradient norm, derived",
        source="SGD with α/√t, descent lemma",
        at=lambda t: terms["start"](t) + terms["noise"](t),
        trivial=bound**2,
        terms=terms,
        constants={"alpha": alpha, "gap": gap, "L": smoothness, "G": bound},
        assumptions=held,
    )


def _twice_sum(alpha: float, t: Arrays) -> Arrays:
    """Give 4α(√(T+1) - 1), at most twice the sum of α/√t over T steps."""
    return 4.0 * alpha * (np.sqrt(t + 1.0) - 1.0)
