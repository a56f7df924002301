"""The claims of paper 003, which proposes AlphaAdam: asynchronous masks with dynamic strength."""

from __future__ import annotations

from waddington.claims.alphaadam.masks import L5, L6, L7, L9
from waddington.claims.alphaadam.strength import L8, L10
from waddington.claims.alphaadam.tables import L1, L2, L3, L4
from waddington.claims.claim import Answer, Paper

__all__ = ["PAPER"]

PAPER = Paper(
    number="003",
    title="AlphaAdam: asynchronous masks with dynamic strength",
    claims=(L1, L2, L3, L4, L5, L6, L7, L8, L9, L10),
    answers=(
        Answer(question="Do asynchronous masks follow the gradient better?", claim="L5", part="correlation, measured"),
        Answer(question="Does AlphaAdam win at equal effective rate?", claim="L10", part="equal effective rate"),
    ),
    use="`CAdamW` has a mask and no strength. Compare `AlphaAdam` at tuned rates or at equal effective ones: "
    "`rate_multiplier` of `diagnostics()` says by how much the strength multiplies the rate.",
)
