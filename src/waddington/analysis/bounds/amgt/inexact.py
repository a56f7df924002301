"""Global convergence with a thresholded moment (Eqs. 24-32): as printed, and as its own steps give it.

The paper counts iterates from the start x_1 and lets the moment be wrong by at most δ_k = δ_1/k. A hard threshold at
τ0/k is wrong by that much in each coordinate, in the moment that it is given; the moment itself lags behind the
gradient, which the assumption counts, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from waddington._checks import check_count, check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.amgt.sequences import recursion_bound
from waddington.analysis.bounds.assumption import Assumption, at_most, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError
from waddington.optim.amgt import ThresholdMode, threshold_moment

__all__ = [
    "derived_global_convergence",
    "global_convergence",
    "printed_contraction",
    "threshold_error",
    "threshold_errors",
    "threshold_holds",
]


def threshold_error(threshold: float, step: int, dimension: int = 1) -> float:
    """Give δ_k of a hard or soft threshold at τ0/k, in the Euclidean norm: ``√d τ0 / k``.

    Parameters
    ----------
    threshold
        τ0, at least 0, in units of the gradient.
    step
        k, from 1.
    dimension
        d; 1 gives the bound of one coordinate, which is that of the maximum norm.
    """
    check_in_range("threshold", threshold, 0.0, open_high=True)
    check_count("step", step, 1)
    check_count("dimension", dimension, 1)
    return math.sqrt(dimension) * threshold / step


def threshold_errors(
    gradients: Sequence[Sequence[float]] | Arrays, *, threshold: float, beta1: float = 0.9, mode: ThresholdMode = "hard"
) -> Arrays:
    """Measure Eq. 27's error on a run, ``‖T_k(m̂_k) - g_k‖_∞`` with the lag of the momentum, times k.

    Parameters
    ----------
    gradients
        Full gradients g_1, g_2, … of the run, of shape (T, d).
    threshold
        τ0, at least 0; step k thresholds at τ0/k.
    beta1
        Decay of the first moment, in [0, 1); its average is corrected for its start, and γ of Eq. 9 is 0.
    mode
        As AMGT's ``threshold_mode``.

    Returns
    -------
    numpy.ndarray
        ``k ‖T_k(m̂_k) - g_k‖_∞`` for k from 1, of shape (T,). Eq. 27 asks for a bound of this over all k.
    """
    check_in_range("threshold", threshold, 0.0, open_high=True)
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    run = torch.as_tensor(as_numbers("gradients", gradients))
    if run.ndim != 2 or not run.numel():
        raise ArgumentError(f"cannot use gradients of shape {tuple(run.shape)}; accepted: (T, d), both at least 1")
    average = torch.zeros_like(run[0])
    found = np.empty(len(run))
    for at, gradient in enumerate(run):
        k = at + 1
        average = beta1 * average + (1.0 - beta1) * gradient
        moment = average / (1.0 - beta1**k)
        if threshold:
            moment = threshold_moment(moment, threshold / k, mode)
        found[at] = k * float((moment - gradient).abs().max())
    return found


def threshold_holds(errors: Sequence[float] | Arrays, threshold: float) -> Assumption:
    """Say whether Eq. 27 holds on a run with δ_k = τ0/k: the largest of :func:`threshold_errors` beside τ0."""
    return at_most(
        "error of the moment",
        "k ‖m̂_k - ∇f(x_k)‖_∞ <= τ0",
        "002, Eq. 27",
        float(np.max(as_numbers("errors", errors))),
        threshold,
        note="with the lag of the momentum; over the steps of the run",
    )


def printed_contraction(mu: float, step: float) -> float:
    """Give the factor of Eq. 30, ``1 - kμ``: below zero from k = 1/μ on, though it multiplies a square."""
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_in_range("step", step, 1.0, open_high=True)
    return 1.0 - step * mu


def global_convergence(mu: float, distance: float, constant: float) -> Bound:
    """Give what Eq. 30 as printed says: ``‖x_k - x*‖² <= C / (k² (kμ - 1))`` for k > 1/μ.

    The right side of Eq. 30 is at least the square on its left, which is not negative. So with the factor 1 - kμ the
    square before it is bounded, whatever the run does: by k^-3. Before k = 1/μ it says nothing.

    Parameters
    ----------
    mu
        μ of strong convexity.
    distance
        ``‖x_1 - x*‖``.
    constant
        C of Eq. 30.

    Returns
    -------
    Bound
        Of the squared distance of x_k, for k = T.
    """
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_in_range("distance", distance, 0.0, open_high=True)
    check_in_range("constant", constant, 0.0, open_high=True)

    def at(t: Arrays) -> Arrays:
        room = t * mu - 1.0
        return np.where(room > 0.0, constant / (t**2 * np.where(room > 0.0, room, 1.0)), math.inf)

    return Bound(
        name="squared distance, as printed",
        source="002, Eq. 30",
        at=at,
        trivial=distance**2,
        constants={"mu": mu, "C": constant},
        assumptions=(at_most("factor of Eq. 30", "1 - kμ >= 0 at k = 1", "002, Eq. 30", mu, 1.0),),
        note="the lines above it have 1 - 2k, and Eq. 17 has 1 - μ/k; its own steps give 1 - 2/k",
    )


def derived_global_convergence(
    mu: float,
    gradient_bound: float,
    distance: float,
    *,
    error: float = 0.0,
    is_normalized: bool = False,
    errors_hold: Assumption | None = None,
) -> Bound:
    """Give what the steps of Eqs. 28 to 30 prove: ``‖x_k - x*‖² <= max(R², 2C) / k``, C = 2 δ_1 R/μ + G²/μ².

    With α_k = 1/(μk) the factor is ``1 - 2 α_k μ = 1 - 2/k``, without a unit, and Lemma 2.1 with β = 2 gives the rate.

    Parameters
    ----------
    mu
        μ of strong convexity and of the rate.
    gradient_bound
        G, at least every ``‖m̂_k‖``. The paper calls it L.
    distance
        R, at least every ``‖x_k - x*‖`` of the run, the first one with them.
    error
        δ_1: the moment is wrong by at most δ_1/k, in the Euclidean norm.
    is_normalized
        Whether the rule divides by ``√v̂``, as AMGT does.
    errors_hold
        What :func:`threshold_holds` found.

    Returns
    -------
    Bound
        Of the squared distance of x_k, for k = T. The distance itself falls like k^(-1/2) at least, in all units.
    """
    check_in_range("mu", mu, 0.0, open_low=True, open_high=True)
    check_in_range("gradient_bound", gradient_bound, 0.0, open_high=True)
    check_in_range("distance", distance, 0.0, open_low=True, open_high=True)
    check_in_range("error", error, 0.0, open_high=True)
    constant = 2.0 * error * distance / mu + (gradient_bound / mu) ** 2
    lemma = recursion_bound(2.0, max(constant, math.ulp(0.0)), distance**2)
    return Bound(
        name="squared distance, derived",
        source="002, Eqs. 28 to 30 with Lemma 2.1",
        at=lemma.at,
        trivial=distance**2,
        constants={"mu": mu, "G": gradient_bound, "R": distance, "delta": error, "C": constant},
        assumptions=(
            *((errors_hold,) if errors_hold is not None else ()),
            stated("plain step", "x_{k+1} = x_k - α_k m̂_k without a denominator", "002, Eq. 25", not is_normalized),
        ),
        note="1 - 2/k in place of 1 - kμ",
    )
