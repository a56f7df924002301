"""L5 to L7 and L9: what the theorems say of masks, momentum, Hessians and convergence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from waddington.analysis.bounds import alphaadam as theory
from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import hessians, masked_norms, masks, momentum
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import measurements

__all__ = ["L5", "L6", "L7", "L9"]

_ALONG = measurements(masks.compared, seeds=10)
_NORMS = measurements(masked_norms.norms, seeds=8)
_HESSIANS = measurements(hessians.blocks, seeds=3)


def _identity(numbers: Mapping[str, Any]) -> Finding:
    """Compare both masks of many random gradients and moments."""
    draw = torch.Generator().manual_seed(0)
    higher, least, draws = 0, 0.0, int(numbers["draws"])
    for _ in range(draws):
        grad, old = (torch.randn(256, dtype=torch.float64, generator=draw) for _ in range(2))
        square = torch.rand(256, dtype=torch.float64, generator=draw)
        terms = theory.correlation_gap(grad, theory.masked_updates(grad, old, square))
        gap = float(terms.sum()) if numbers["sign"] == "as printed" else -float(terms.sum())
        higher += gap < 0.0
        least = min(least, float(terms.min()))
    word = "higher" if numbers["sign"] == "as printed" else "lower"
    words = (
        f"in {higher:,} of {draws:,} random draws the asynchronous mask has the {word} correlation; the terms by which"
        f" the synchronous one is ahead are never below {least:g}, as algebra says"
    )
    return found(higher > 0.99 * draws, words, share=higher / draws)


def _off_diagonal(numbers: Mapping[str, Any]) -> Finding:
    beta = numbers["beta"]
    printed, right = theory.printed_off_diagonal_factor(beta), theory.variance_factor(beta)
    words = f"for β = {beta:g} covariances shrink to {right:.5f}, as variances do; the square is {printed:.5f}"
    return found(abs(printed - right) < 1e-12, words, printed=printed, right=right)


L5 = Claim(
    id="L5",
    paper="003",
    title="what asynchronous masks keep",
    statement="Asynchronous masks have a higher gradient correlation and a lower directional sharpness than synchronous"
    " ones.",
    source="Theorem 3.5",
    parts=(
        Part(
            name="correlation",
            statement="The gradient correlation of the asynchronous mask is the higher one.",
            source="Theorem 3.5, App. C",
            check=_identity,
            numbers={"draws": 2000, "sign": "as printed"},
            opposite={"sign": "turned round"},
            rule="it is higher in more than 99 % of random draws of g, m and v, both masks on the same ones",
        ),
        Part(
            name="correlation, measured",
            statement="Along a training run the gradient correlation of the asynchronous mask is the higher one.",
            source="Theorem 3.5",
            measurements=_ALONG,
            judge=masks.correlates_more,
            picture=masks.draw_correlations,
            tier="minutes",
            rule="the interval of its relative difference lies above 0, of the batch's loss and of all data's, both"
            " masks on the same gradient and moments every ten steps of AdamW on digits",
        ),
        Part(
            name="sharpness",
            statement="Along a training run the directional sharpness of the asynchronous mask is the lower one.",
            source="Theorem 3.5",
            measurements=_ALONG,
            judge=masks.is_less_sharp,
            picture=masks.draw_sharpnesses,
            tier="minutes",
            rule="the interval of its relative difference lies below 0, of the batch's loss and of all data's, both"
            " masks on the same gradient and moments every ten steps of AdamW on digits",
        ),
    ),
    traps=(
        "Both masks are of one gradient and one momentum: along separate runs anything may show.",
        "The paper counts descent as positive; counted uphill, every sign of a correlation turns.",
    ),
)

L6 = Claim(
    id="L6",
    paper="003",
    title="momentum varies less",
    statement="Momentum reduces the variance of updates by (1-β)²/(1-β²), and off the diagonal by the square of that.",
    source="Corollary 3.4",
    parts=(
        Part(
            name="variance",
            statement="The variance of momentum is (1-β)²/(1-β²) of a gradient's.",
            source="Corollary 3.4",
            measurements=tuple(job for beta in (0.9, 0.99) for job in measurements(momentum.spread, beta=beta)),
            judge=momentum.is_the_factor,
            rule="simulated factors are within three standard errors, for β of 0.9 and 0.99",
        ),
        Part(
            name="off the diagonal",
            statement="Covariances between coordinates of momentum shrink by the square of (1-β)²/(1-β²).",
            source="Corollary 3.4, B.5",
            check=_off_diagonal,
            numbers={"beta": 0.9},
            opposite={"beta": 0.0},
            rule="the factor is the square of the variances'",
        ),
    ),
    traps=("It holds for gradients that are independent in time, and for updates: the displacement varies as before.",),
)

L7 = Claim(
    id="L7",
    paper="003",
    title="convergence with all data at each step",
    statement="With all data at each step, the rate η/√t and β1 < √β2, AlphaAdam's least masked gradient norm falls"
    " like log T/√T, and no step is longer than κη/√t.",
    source="Theorem 3.8, App. E",
    parts=(
        Part(
            name="rate",
            statement="The least ‖∇L‖_φ falls like log T/√T, for the update that is analysed.",
            source="Theorem 3.8",
            measurements=_NORMS,
            judge=masked_norms.falls_as_claimed,
            picture=masked_norms.draw_norms,
            tier="minutes",
            rule="over three decades of steps on digits, with neither α nor η̂, it stays below C log T/√T with the C of"
            " the first decade, on every seed",
        ),
        Part(
            name="constants",
            statement="The theorem's bound, with its constants, tells more than smoothness alone.",
            source="Theorem 3.8, E.5",
            measurements=_NORMS,
            judge=masked_norms.says_something,
            picture=masked_norms.draw_norms,
            tier="minutes",
            rule="on every run it holds, and is somewhere below √(2 d L L(θ)), which smoothness and a loss of at least"
            " 0 give alone",
        ),
        Part(
            name="step",
            statement="No coordinate of AlphaAdam moves further in a step than κη.",
            source="Lemma E.2",
            measurements=tuple(
                job for arm in masked_norms.ARMS for job in measurements(masked_norms.steps_of, seeds=3, arm=arm)
            ),
            judge=masked_norms.stays_below,
            picture=masked_norms.draw_steps,
            tier="minutes",
            rule="the longest step is κη at most, for the update that is analysed, for α at most 2, and for Algorithm 1"
            " as printed",
        ),
    ),
    traps=(
        "‖∇L‖_φ is 0 where the mask is empty, as at the first step of Algorithm 1: that step is left out.",
        "The proof drops α, n/(‖φ‖₀+1) and ε; what converges is another update than Algorithm 1's.",
    ),
)

L9 = Claim(
    id="L9",
    paper="003",
    title="Hessians of transformers",
    statement="A transformer's Hessian is nearly block-diagonal with alike eigenvalues in each block, so that the"
    " directional sharpness is at least c1‖Δθ‖² with c1 > 0.",
    source="Theorem 3.3, A.1, A.2",
    parts=(
        Part(
            name="positive definite",
            statement="There is a c1 > 0 with c1‖Δθ‖² ≤ DS: a transformer's Hessian is positive definite.",
            source="Theorem 3.3",
            measurements=_HESSIANS,
            judge=hessians.is_positive_definite,
            picture=hessians.draw_eigenvalues,
            tier="minutes",
            rule="every eigenvalue is above 0 by more than rounding, after 0, 50 and 200 steps on letters",
        ),
        Part(
            name="nearly block-diagonal",
            statement="What lies outside of the blocks is small: ‖E‖ ≤ ε‖D‖.",
            source="A.1",
            measurements=_HESSIANS,
            judge=hessians.is_nearly_diagonal,
            picture=hessians.draw_couplings,
            tier="minutes",
            rule="ε is below 1 on every Hessian, without which no c1 is above 0; blocks are tensors",
        ),
        Part(
            name="alike eigenvalues",
            statement="In each block all eigenvalues lie between (1-σ)μ and (1+σ)μ, μ > 0 and σ < 1.",
            source="A.2",
            measurements=_HESSIANS,
            judge=hessians.has_alike_eigenvalues,
            picture=hessians.draw_spreads,
            tier="minutes",
            rule="that is so of every tensor on every Hessian",
        ),
    ),
    traps=(
        "The best c1 and c2 of any Hessian are its own extreme eigenvalues: c1 > 0 asks for λ_min > 0 and no more.",
    ),
)
