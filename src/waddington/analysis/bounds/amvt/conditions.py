"""What the proofs ask for: Assumptions 1 to 3 beside a run, and the one rate that AMVT does not have."""

from __future__ import annotations

import math

from waddington._checks import check_in_range
from waddington.analysis.bounds.assumption import Assumption, at_most, not_measured
from waddington.analysis.bounds.constants import RunConstants

__all__ = ["check_assumptions", "check_constants", "rate_limits"]

_ROUNDING = 1e-9
"""An L in closed form may be missed by this share of it."""


def check_assumptions(
    found: RunConstants, *, smoothness: float, gradient_norm_bound: float, noise_variance: float | None = None
) -> tuple[Assumption, Assumption, Assumption]:
    """Put Assumptions 1 to 3 beside what a run met.

    Parameters
    ----------
    found
        Of a :class:`~waddington.analysis.bounds.ConstantsRecorder`.
    smoothness
        L that the theorem is used with.
    gradient_norm_bound
        G, with ``E‖g_t‖² <= G²``.
    noise_variance
        σ², with ``E‖g_t - ∇f(θ_t)‖² <= σ²``. None is G², for which the third follows from the second.

    Returns
    -------
    tuple
        Smoothness, second moment, variance. An expectation holds where no single gradient was above it, is violated
        where the mean over the run was, and is not measurable between.
    """
    check_in_range("smoothness", smoothness, 0.0, open_high=True)
    check_in_range("gradient_norm_bound", gradient_norm_bound, 0.0, open_high=True)
    variance = gradient_norm_bound**2 if noise_variance is None else noise_variance
    check_in_range("noise_variance", variance, 0.0, open_high=True)
    most = found.slope
    if smoothness < most <= smoothness * (1.0 + _ROUNDING):
        most = smoothness
    return (
        at_most(
            "smoothness",
            "‖∇f(θ) - ∇f(θ')‖ <= L ‖θ - θ'‖",
            "004, Assumption 1",
            most,
            smoothness,
            note="at the points of the run, a lower bound",
        ),
        _expectation(
            "bounded second moment",
            "E‖g_t‖² <= G²",
            "004, Assumption 2",
            (found.mean_square_norm, found.gradient_norm_bound**2),
            gradient_norm_bound**2,
        ),
        _expectation(
            "bounded variance",
            "E‖g_t - ∇f(θ_t)‖² <= σ²",
            "004, Assumption 3",
            (math.nan, found.noise_variance),
            variance,
            note="with σ² = G² it follows from Assumption 2" if noise_variance is None else "",
        ),
    )


def _expectation(
    name: str, statement: str, source: str, mean_and_most: tuple[float, float], limit: float, note: str = ""
) -> Assumption:
    mean, most = mean_and_most
    if math.isnan(most):
        return not_measured(name, statement, source, note=note)
    if most <= limit or mean > limit:
        return at_most(name, statement, source, most if most <= limit else mean, limit, note=note)
    between = f"a single gradient had {most:.3g}, {limit:.3g} is allowed to their expectation"
    return not_measured(name, statement, source, note="; ".join(filter(None, [between, note])))


def rate_limits(alpha: float, gradient_bound: float, *, beta1: float = 0.9, eps: float = 1e-8) -> tuple[float, float]:
    """Give the least and the largest rate that AMVT may have in a coordinate, ``α/√(v̂ + ŝ + ε)``.

    The proof of Theorem 1 has one rate for all coordinates. Here they differ by up to ``√(1 + (1 + 4β1²)G²/ε)``.

    Parameters
    ----------
    alpha
        α.
    gradient_bound
        G_∞, at least every |coordinate| of a gradient; ŝ is then at most (2 β1 G_∞)².
    beta1
        Decay of the first moment.
    eps
        ε, inside the root.
    """
    check_in_range("alpha", alpha, 0.0, open_low=True, open_high=True)
    check_in_range("gradient_bound", gradient_bound, 0.0, open_high=True)
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    check_in_range("eps", eps, 0.0, open_low=True, open_high=True)
    most = (1.0 + 4.0 * beta1**2) * gradient_bound**2
    return alpha / math.sqrt(most + eps), alpha / math.sqrt(eps)


def check_constants(alpha: float, distance: float, bound: float) -> tuple[float, float, float]:
    """Refuse an α that is not above 0, and a D or G below it."""
    check_in_range("alpha", alpha, 0.0, open_low=True, open_high=True)
    check_in_range("distance", distance, 0.0, open_high=True)
    check_in_range("gradient_norm_bound", bound, 0.0, open_high=True)
    return alpha, distance, bound
