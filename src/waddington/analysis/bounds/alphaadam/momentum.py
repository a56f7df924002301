"""Corollary 3.4 (B.5): how much less momentum varies than a gradient, and how little of that lasts.

With gradients whose covariance is Σ, ``m_t = β m_{t-1} + (1-β) g_t`` has the covariance ``f Σ``. The averaging is one
linear filter for all coordinates, so every entry of Σ is multiplied by the same f, off the diagonal, too; the paper's
second statement has f² there. f = (1-β)²/(1-β²) = (1-β)/(1+β) asks for gradients that are independent in time and for
a run long enough; :func:`variance_factor` has the others. Steps that follow each other share gradients: their sum
varies as much as that of the gradients themselves (:func:`displacement_factor`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from waddington._checks import check_choice, check_count, check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError

__all__ = [
    "MomentumSpread",
    "displacement_factor",
    "printed_off_diagonal_factor",
    "simulate_momentum",
    "variance_factor",
]


def variance_factor(
    beta: float, *, step: int | None = None, bias_correction: bool = False, autocorrelation: float = 0.0
) -> float:
    """Give f of ``Cov(m_t) = f Cov(g)``, on the diagonal and off it.

    Parameters
    ----------
    beta
        Decay β, in [0, 1).
    step
        Number of steps t from ``m_0 = 0``; None is the limit.
    bias_correction
        Divide m by 1 - β^t, as Adam does. Without autocorrelation that gives (1-β)/(1+β) · (1+β^t)/(1-β^t), 1 at the
        first step.
    autocorrelation
        ρ of gradients with ``Cov(g_t, g_{t+k}) = ρ^k Cov(g)``, in (-1, 1). The limit is then
        (1-β)/(1+β) · (1+βρ)/(1-βρ).

    Returns
    -------
    float
        1 where momentum varies as a gradient does. The corollary's factor is that of the defaults.

    Raises
    ------
    ArgumentError
        An argument lies outside its range.
    """
    _check_beta(beta)
    check_in_range("autocorrelation", autocorrelation, -1.0, 1.0, open_low=True, open_high=True)
    both = beta * autocorrelation
    limit = (1.0 - beta) / (1.0 + beta)
    if step is None:
        return limit * (1.0 + both) / (1.0 - both)
    check_count("step", step, 1)
    # (1-β)² Σ_{i,j<t} β^{i+j} ρ^{|i-j|}: the diagonal, and twice Σ_{k=1}^{t-1} of the pairs k apart.
    forgotten = beta ** (2 * step)
    near = both * (1.0 - both ** (step - 1)) / (1.0 - both)
    found = limit * (1.0 - forgotten + 2.0 * (near - _lost(beta, autocorrelation, step)))
    return found / (1.0 - beta**step) ** 2 if bias_correction else found


def printed_off_diagonal_factor(beta: float) -> float:
    """Give what the corollary says of off-diagonal terms, ((1-β)²/(1-β²))²; the right one is :func:`variance_factor`.

    Parameters
    ----------
    beta
        Decay β, in [0, 1).
    """
    _check_beta(beta)
    return ((1.0 - beta) ** 2 / (1.0 - beta**2)) ** 2


def displacement_factor(beta: float, updates: int, *, start: str = "stationary") -> float:
    """Give the variance of a sum of K values of momentum over that of the sum of K gradients, independent in time.

    Parameters
    ----------
    beta
        Decay β, in [0, 1).
    updates
        Their number K.
    start
        ``"stationary"``: momentum has run long before the first of them, 1 - 2β(1-β^K)/(K(1-β²)). ``"rest"``: the
        first of them is m_1 with m_0 = 0; what momentum still holds at the end is missing from the sum.

    Returns
    -------
    float
        f of :func:`variance_factor` for one update, 1 for many: the displacement of K steps is not made steadier.

    Raises
    ------
    ArgumentError
        An argument lies outside its range.
    """
    _check_beta(beta)
    check_count("updates", updates, 1)
    check_choice("start", start, ("stationary", "rest"))
    left = 1.0 - beta**updates
    if start == "stationary":
        return 1.0 - 2.0 * beta * left / (updates * (1.0 - beta**2))
    both = beta**2 * (1.0 - beta ** (2 * updates)) / (1.0 - beta**2)
    return 1.0 - (2.0 * beta * left / (1.0 - beta) - both) / updates


@dataclass(frozen=True)
class MomentumSpread(Saved):
    """Factors of a simulation, each with its standard error over chains.

    Attributes
    ----------
    variance, variance_error
        Of momentum's variances over a gradient's.
    off_diagonal, off_diagonal_error
        Of its covariances between coordinates; NaN where the gradients have none.
    displacement, displacement_error
        Of the sum of all updates from m_0 = 0 over that of independent gradients, as :func:`displacement_factor` has
        it.
    chains, steps
        How many runs, of how many steps.
    """

    variance: float
    variance_error: float
    off_diagonal: float
    off_diagonal_error: float
    displacement: float
    displacement_error: float
    chains: int
    steps: int


def simulate_momentum(
    beta: float,
    covariance: Arrays | None = None,
    *,
    steps: int = 300,
    chains: int = 4000,
    autocorrelation: float = 0.0,
    bias_correction: bool = False,
    seed: int = 0,
) -> MomentumSpread:
    """Measure the three factors on normal gradients of mean zero.

    Parameters
    ----------
    beta
        Decay β, in [0, 1).
    covariance
        Σ of a gradient, of shape (d, d); None is two coordinates with a correlation of ½.
    steps
        Of each run, from m_0 = 0.
    chains
        Independent runs, at least 2.
    autocorrelation
        ρ of gradients that follow each other, in (-1, 1).
    bias_correction
        Divide the last momentum by 1 - β^t; the displacement sums the momentum as it is.
    seed
        Of the gradients.

    Returns
    -------
    MomentumSpread
        The factors and their standard errors.

    Raises
    ------
    ArgumentError
        An argument lies outside its range; the covariance is not symmetric and positive definite.
    """
    _check_beta(beta)
    check_count("steps", steps, 1)
    check_count("chains", chains, 2)
    check_count("seed", seed, 0)
    check_in_range("autocorrelation", autocorrelation, -1.0, 1.0, open_low=True, open_high=True)
    sigma = np.array([[1.0, 0.5], [0.5, 1.0]]) if covariance is None else as_numbers("covariance", covariance)
    root = _root(sigma)
    rng = np.random.default_rng(seed)
    fresh = math.sqrt(1.0 - autocorrelation**2)
    shape = (chains, len(sigma))
    grad, momentum, total = rng.standard_normal(shape) @ root.T, np.zeros(shape), np.zeros(shape)
    for step in range(steps):
        if step:
            grad = autocorrelation * grad + fresh * (rng.standard_normal(shape) @ root.T)
        momentum = beta * momentum + (1.0 - beta) * grad
        total += momentum
    last = momentum / (1.0 - beta**steps) if bias_correction else momentum
    scale = sigma.diagonal()
    off = sigma - np.diag(scale)
    weight = float(np.square(off).sum())
    pairs = np.einsum("ci,ij,cj->c", last, off, last) / weight if weight else np.full(chains, math.nan)
    return MomentumSpread(
        *_mean((last**2 / scale).mean(1)),
        *_mean(pairs),
        *_mean((total**2 / scale).mean(1) / steps),
        chains=chains,
        steps=steps,
    )


def _check_beta(beta: float) -> None:
    check_in_range("beta", beta, 0.0, 1.0, open_high=True)


def _lost(beta: float, rho: float, step: int) -> float:
    """Sum ρ^k β^(2t-k) over k from 1 to t - 1."""
    if abs(beta - rho) < 1e-7:
        return (step - 1) * beta ** (2 * step)
    return (beta ** (2 * step) * rho - beta ** (step + 1) * rho**step) / (beta - rho)


def _root(sigma: Arrays) -> Arrays:
    said = "accepted: a symmetric and positive definite matrix of shape (d, d)"
    if sigma.ndim != 2 or sigma.shape[0] != sigma.shape[1] or not np.allclose(sigma, sigma.T, rtol=1e-12, atol=0.0):
        raise ArgumentError(f"cannot simulate gradients of a covariance of shape {sigma.shape}; {said}")
    try:
        return np.linalg.cholesky(sigma)
    except np.linalg.LinAlgError:
        least = float(np.linalg.eigvalsh(sigma)[0])
        raise ArgumentError(
            f"cannot simulate gradients of a covariance with the eigenvalue {least:.3g}; {said}"
        ) from None


def _mean(values: Arrays) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
