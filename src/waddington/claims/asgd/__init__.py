"""The claims of paper 000, which proposes ASGDAdam and ASGDAMSGrad: a base rate that switches with curvature."""

from __future__ import annotations

from waddington.claims.asgd.cells import A1, A2, A9
from waddington.claims.asgd.speed import A4, A10, A11
from waddington.claims.asgd.theory import A3, A5, A6, A7, A8
from waddington.claims.claim import Answer, Paper

__all__ = ["PAPER"]

PAPER = Paper(
    number="000",
    title="ASGDAdam and ASGDAMSGrad: a base rate that switches with curvature",
    claims=(A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11),
    answers=(
        Answer(question="Does ASGD switch?", claim="A3", part="switches"),
        Answer(question="Is ASGD faster?", claim="A4", part="loss all along"),
    ),
    use="`ASGDAdam` has the paper's rules, and rules that switch; `diagnostics()` says at which share of steps the"
    " rate was the large one. Its default is neither: a clock that lowers the rate while noise prevails, which had"
    " the least regret in a study of ours. Where you name a rule of two rates, tune both, and compare it with an Adam"
    " at their mean.",
)
