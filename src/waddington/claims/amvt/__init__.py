"""The claims of paper 004, which proposes AMVT: momentum with variance tracking."""

from __future__ import annotations

from waddington.claims.amvt.accuracy import V2, V3, V6
from waddington.claims.amvt.curvature import V8
from waddington.claims.amvt.modules import V7, V9
from waddington.claims.amvt.robustness import V5, V11
from waddington.claims.amvt.speed import V1, V4, V10
from waddington.claims.claim import Answer, Paper

__all__ = ["PAPER"]

PAPER = Paper(
    number="004",
    title="AMVT: momentum with variance tracking",
    claims=(V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11),
    answers=(
        Answer(question="Is AMVT's state comparable to Adam's?", claim="V4", part="state over Adam"),
        Answer(question="What does AMVT cost?", claim="V4", part="time an iteration"),
        Answer(question="Is AMVT more accurate than a tuned Adam?", claim="V2", part="MNIST"),
        Answer(question="Does AMVT forgive a wrong rate?", claim="V5", part="wider than Adam"),
    ),
    use="`AMVT(params, lr, variance=\"moments\")` has AMVT's rule at Adam's memory. Tune its rate, and compare it with"
    " an Adam that was tuned with the same effort, and with one at `lr` times the mean penalty.",
)
