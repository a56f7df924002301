"""The claims of paper 002, which proposes AMGT: two worked examples, rates of convergence, robustness."""

from __future__ import annotations

from waddington.claims.amgt.applications import G1, G2, G3, G4
from waddington.claims.amgt.convergence import G5, G6, G7
from waddington.claims.amgt.practice import G8, G10
from waddington.claims.amgt.printed import G9
from waddington.claims.claim import Answer, Paper

__all__ = ["PAPER"]

PAPER = Paper(
    number="002",
    title="AMGT: momentum by variance, thresholds, and rates 1/(μk)",
    claims=(G1, G2, G3, G4, G5, G6, G7, G8, G9, G10),
    answers=(Answer(question="Is AMGT linear?", claim="G5", part="AMGT itself, linear"),),
    use='`AMGT(params, lr)` at a tuned, constant rate. A schedule like 1/(μk) is `schedule="strongly_convex"`; its μ'
    " depends on the units of the loss, and has to be tuned as a rate is. `Compressed` goes around any optimizer:"
    " compress the rival alike before you compare.",
)
