"""G9: bounds that the paper prints on its way, and what algebra says of them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from waddington.analysis.bounds import amgt as theory
from waddington.claims.claim import Claim, Part
from waddington.claims.finding import Finding, found

__all__ = ["G9"]


def _start_free(numbers: Mapping[str, Any]) -> Finding:
    """Look for a start on L x²/2 at which Eq. 11 fails after one step."""
    far = theory.far_start(numbers["C"], numbers["L"], numbers["eta0"], numbers["alpha"])
    allowed = far.allowed * (far.gap_before if numbers["C depends on"] == "the start" else 1.0)
    words = (
        f"on f = L x²/2 with L = {numbers['L']:g} and η0 = {numbers['eta0']:g}, from a distance of {far.distance:.3g}"
        f" the gap is {far.gap_after_descent:.3g} after one step of descent and {far.gap_after_unit_step:.3g} after one"
        f" of length η0; C = {numbers['C']:g} allows {allowed:.3g}; for every C there is such a start"
    )
    return found(far.gap_after_unit_step <= allowed, words, gap=far.gap_after_unit_step, allowed=allowed)


def _contracts(numbers: Mapping[str, Any]) -> Finding:
    """Compare the power that Eq. 30 forces with the one that a gradient step has."""
    ratio = Fraction(numbers["ratio"])
    true, forced = 2.0 * float(ratio), 3.0
    factor = theory.printed_contraction(1.0, 10.0)
    words = (
        f"with a factor of 1 - kμ, {factor:g} at μ = 1 and k = 10, a square would be bounded by k^-{forced:g}; that of"
        f" gradient descent on an eigenvalue of {float(ratio):g} μ falls like k^-{true:g}"
    )
    return found(true >= forced, words, forced=forced, true=true)


def _sum_is_bounded(numbers: Mapping[str, Any]) -> Finding:
    """Sum squared gradients of descent with 1/(μk) on l x²/2, exactly: Eq. 35 bounds the sum."""
    ratio = float(Fraction(numbers["ratio"]))
    squares = np.square(theory.decay_factor(ratio, np.arange(1_000_000, dtype=float)))
    sums = {at: float(squares[:at].sum()) for at in (100, 10_000, 1_000_000)}
    grown = sums[1_000_000] / sums[10_000]
    words = (
        f"for l/μ = {ratio:g} the sum of squared gradients is "
        + ", ".join(f"{value:.4g} at T = {at:,}" for at, value in sums.items())
        + (": it grows like a power of T" if grown > 2.0 else ": it is bounded")
        + "; Eq. 34 bounds the sum with weights 1/(μk), which Eq. 35 leaves out"
    )
    return found(grown <= 2.0, words, **{f"sum at {at}": value for at, value in sums.items()})


def _agree(numbers: Mapping[str, Any]) -> Finding:
    """Compare two exponents of the distance that the discussion gives."""
    mu = numbers["mu"]
    one, other = theory.claimed_exponent(mu), 1.0
    words = f"for μ = {mu:.3g} the discussion claims k^-{one:.3g} and, a paragraph on, O(1/k)"
    return found(abs(one - other) < 1e-9, words, **{"exponent of Eq. 22": one, "exponent of the discussion": other})


G9 = Claim(
    id="G9",
    paper="002",
    title="bounds that are printed on the way",
    statement="f - f* ≤ C/√T with a C that knows no start; squared distances contract by 1 - kμ; the sum of squared"
    " gradients is bounded; and the rate is both k^(-μ/2) and 1/k.",
    source="Eqs. 11, 30 and 35, discussion",
    parts=(
        Part(
            name="C without a start",
            statement="On convex functions f(θ_T) - f* ≤ C/√T with a C of L, η0 and γ alone.",
            source="Eq. 11",
            check=_start_free,
            numbers={"C": 10.0, "L": 1.0, "eta0": 0.1, "alpha": 0.0, "C depends on": "L, η0, γ"},
            opposite={"C depends on": "the start"},
            rule="no start on a quadratic breaks it at T = 1",
        ),
        Part(
            name="factor 1 - kμ",
            statement="A step multiplies the squared distance by 1 - kμ, but for terms of 1/k².",
            source="Eq. 30",
            check=_contracts,
            numbers={"ratio": "5/4"},
            opposite={"ratio": "7/4"},
            rule="squared distances fall at least like k^-3, which that factor forces",
        ),
        Part(
            name="sum of gradients",
            statement="The sum of squared gradients of the first T steps is bounded.",
            source="Eq. 35",
            check=_sum_is_bounded,
            numbers={"ratio": "1/4"},
            opposite={"ratio": "3/4"},
            rule="on a quadratic the sum of a million is at most twice the sum of ten thousand",
        ),
        Part(
            name="two rates",
            statement="The rates k^(-μ/2) and 1/k of the discussion agree on application 2.",
            source="Discussion",
            check=_agree,
            numbers={"mu": theory.APPLICATION_2.function.eigenvalues[0]},
            opposite={"mu": theory.APPLICATION_1.function.eigenvalues[0]},
            rule="both exponents are the same",
        ),
    ),
    traps=("Eq. 36 follows from Eq. 34 all the same; what convergence there is stands at G6 and G7.",),
)
