"""G5 to G7: what happens with rates 1/(μk), on strongly convex functions, with thresholds, and on a network."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from waddington.analysis.bounds import amgt as theory
from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import nonconvex, quadratics
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import Measurement, measurements

__all__ = ["G5", "G6", "G7"]

_MUS = (0.5, 2.0, 10.0)
_NOISE = 0.1
_THRESHOLD = 0.1


def _runs(rule: str, threshold: float = 0.0) -> tuple[Measurement, ...]:
    """Give runs with 1/(μk): of some starts without noise, of ten seeds with noise."""
    return tuple(
        job
        for mu in _MUS
        for noise, seeds in ((0.0, 3), (_NOISE, 10))
        for job in measurements(quadratics.decay, seeds=seeds, rule=rule, mu=mu, noise=noise, threshold=threshold)
    )


_DESCENT, _OWN, _THRESHOLDED = _runs("descent"), _runs("AMGT"), _runs("AMGT", _THRESHOLD)
_QUIET = tuple(
    job
    for mu in _MUS
    for job in measurements(quadratics.decay, seeds=3, rule="AMGT", mu=mu, threshold=_THRESHOLD, gamma=0.0)
)
"""Without noise and with λ = 1, so that the moment's error is known."""


def _linear(numbers: Mapping[str, Any]) -> Finding:
    ratio = Fraction(numbers["ratio"])
    shrinks = {k: abs(1 - ratio / (k if numbers["rate"] == "1/(μk)" else 4)) for k in (10, 1000, 100_000)}
    words = "; ".join(f"step {k:,} shrinks the error by {float(factor):.6f}" for k, factor in shrinks.items())
    is_linear = max(shrinks.values()) <= Fraction(99, 100)
    return found(is_linear, f"{words}: {'a constant factor' if is_linear else 'no factor below 1 serves them all'}")


def _exponent(numbers: Mapping[str, Any]) -> Finding:
    ratio, mu = Fraction(numbers["ratio"]), float(numbers["mu"])
    claimed, true = theory.claimed_exponent(mu), float(ratio)
    words = (
        f"for the eigenvalue {float(ratio) * mu:g} and μ = {mu:g} the error falls like k^-{true:g} and Eq. 22 says"
        f" k^-{claimed:g}; in units of f that are {theory.refuting_scale(float(ratio), mu):.2g} times as small, or"
        " smaller, it is false whatever C is"
    )
    return found(claimed <= true, words, claimed=claimed, true=true)


G5 = Claim(
    id="G5",
    paper="002",
    title="linear convergence with 1/(μk)",
    statement="On a strongly convex function AMGT with α_k = 1/(μk) has ‖x_k - x*‖ ≤ C k^(-μ/2), which the paper calls"
    " linear.",
    source="Eqs. 13-23",
    parts=(
        Part(
            name="linear",
            statement="With α_k = 1/(μk) the convergence is linear.",
            source="Eqs. 22-23, abstract",
            check=_linear,
            numbers={"rate": "1/(μk)", "ratio": "3/2"},
            opposite={"rate": "constant"},
            rule="a factor of at most 0.99 a step serves steps 10, 1,000 and 100,000",
        ),
        Part(
            name="exponent",
            statement="With α_k = 1/(μk) the exponent is μ/2.",
            source="Eq. 22",
            check=_exponent,
            numbers={"mu": 10, "ratio": "3/2"},
            opposite={"mu": 2},
            rule="the exponent that a gradient step has on a quadratic is no smaller than the claimed one",
        ),
        Part(
            name="descent, linear",
            statement="Gradient descent with 1/(μk), of which the proof is, converges linearly.",
            source="Eqs. 14-23",
            measurements=_DESCENT,
            judge=quadratics.is_linear,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="an exponential of k explains the distance better than a power of k does, for every μ, without noise"
            " and with it",
        ),
        Part(
            name="AMGT itself, linear",
            statement="AMGT with 1/(μk) converges linearly.",
            source="Eqs. 22-23, abstract",
            measurements=_OWN,
            judge=quadratics.is_linear,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="an exponential of k explains the distance better than a power of k does, for every μ, without noise"
            " and with it",
        ),
        Part(
            name="descent, exponent",
            statement="Gradient descent with 1/(μk) has ‖x_k - x*‖ ≤ C k^(-μ/2).",
            source="Eq. 22",
            measurements=_DESCENT,
            judge=quadratics.falls_as_claimed,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="the upper end of the slope's interval is -μ/2 at most, for μ of 0.5, 2 and 10",
        ),
        Part(
            name="AMGT itself, exponent",
            statement="AMGT with 1/(μk) has ‖x_k - x*‖ ≤ C k^(-μ/2).",
            source="Eq. 22",
            measurements=_OWN,
            judge=quadratics.falls_as_claimed,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="the upper end of the slope's interval is -μ/2 at most, for μ of 0.5, 2 and 10",
        ),
    ),
    traps=(
        "Where an eigenvalue over μ is whole, the product is exactly zero: ratios of 1.5 and 2.7 are used.",
        "Eqs. 14 to 22 are of gradient descent; AMGT divides by a root of its second moment.",
    ),
)


G6 = Claim(
    id="G6",
    paper="002",
    title="global convergence with thresholds",
    statement="With a moment that is wrong by at most δ_k = O(1/k), as a threshold at τ0/k makes it, AMGT with 1/(μk)"
    " converges to the minimum of a strongly convex function.",
    source="Eqs. 24-32",
    parts=(
        Part(
            name="converges",
            statement="AMGT with a threshold at τ0/k and the rate 1/(μk) converges to the minimum.",
            source="Eq. 31",
            measurements=_THRESHOLDED,
            judge=quadratics.converges,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="the interval of the slope over the last decade of steps is below 0, for every μ, without noise and"
            " with it; τ0 is 0.1",
        ),
        Part(
            name="error",
            statement="AMGT's thresholded moment is within τ0/k of the gradient at every step.",
            source="Eq. 27",
            measurements=_QUIET,
            judge=quadratics.keeps_its_word,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="the largest coordinate of k (m̂_k - ∇f(x_k)) is τ0 at most, without noise, with β1 = 0.9 and"
            " λ = 1; τ0 is 0.1",
        ),
        Part(
            name="rate",
            statement="AMGT has a global rate of O(1/k) under strong convexity.",
            source="discussion",
            measurements=_THRESHOLDED,
            judge=quadratics.falls_like_1_over_k,
            picture=quadratics.draw_decay,
            tier="minutes",
            rule="the upper end of the interval of the squared distance's slope is -0.9 at most, for every μ, without"
            " noise and with it",
        ),
    ),
    traps=(
        "The lag of the momentum is an error of the moment, too: without it a threshold at τ0/k is wrong by τ0/k at"
        " most by construction.",
        "For gradient descent the steps of Eqs. 28 to 30 do prove O(1/k) of the squared distance; they are not of AMGT,"
        " which divides by a root of its second moment.",
    ),
)

G7 = Claim(
    id="G7",
    paper="002",
    title="non-convex functions",
    statement="On a non-convex function AMGT with 1/(μk) brings the least squared gradient to 0 like 1/ln T.",
    source="Eqs. 33-36",
    parts=(
        Part(
            name="least gradient",
            statement="Training a network by AMGT with 1/(μk) brings the least squared gradient to 0 like 1/ln T.",
            source="Eqs. 34-36",
            measurements=tuple(
                job for mu in (10.0, 100.0) for job in measurements(nonconvex.gradients, seeds=8, mu=mu)
            ),
            judge=nonconvex.falls_like_1_over_log,
            picture=nonconvex.draw_gradients,
            tier="minutes",
            rule="over more than three decades of steps the mean over seeds stays below C/ln T with the C of its first"
            " decade, and the interval at the end lies below that",
        ),
    ),
    traps=(
        "O(1/ln T) is an upper bound: a run that falls faster holds it, only a slower one could refute it.",
        "The least gradient may be that of the start, from where a network's gradient grows first.",
    ),
)
