"""L8 and L10: α and its band, and whether masks pay: seconds, bytes, losses at tuned and at equal effective rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from waddington.analysis.bounds import alphaadam as theory
from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import own_rates, step_costs, strengths, studies
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import measurements

__all__ = ["L8", "L10"]

_MASKED = {
    "AdamW": own_rates.RATES,
    "NAdam": own_rates.RATES,
    "RAdam": own_rates.RATES,
    "Lion": own_rates.NARROW,
    "SGD": (0.01, 0.03, 0.1, 0.3, 1.0),
}
"""Optimizers with a first moment, and the rates that are tried."""
_MOMENTUM = {"SGD": {"momentum": 0.9}}


def _orthogonal(numbers: Mapping[str, Any]) -> Finding:
    draw = torch.Generator().manual_seed(0)
    size = int(numbers["coordinates"])
    grad, old = (torch.randn(size, dtype=torch.float64, generator=draw) for _ in range(2))
    cosine = abs(theory.strength_slopes(grad, old).cosine)
    bound = float(theory.orthogonality_bound(0.05)(size))
    words = (
        f"with {size:,} coordinates the cosine of the two derivatives is {cosine:.3f}, the theorem's bound {bound:.3f}"
    )
    return found(cosine <= bound, words, cosine=cosine, bound=bound)


def _groups(numbers: Mapping[str, Any]) -> Finding:
    counts = {
        "GPT-2 small": [theory.count_tensors(theory.gpt2_shapes(bias=bias)).tensors for bias in (True, False)],
        "Llama-2-7B": [theory.count_tensors(theory.llama_shapes()).tensors],
    }
    right = counts[numbers["model"]]
    count = " or, without biases, ".join(map(str, right))
    words = f"{numbers['model']} has {count} tensors; printed is {numbers['printed']}"
    return found(numbers["printed"] in right, words, printed=numbers["printed"], tensors=right[0])


L8 = Claim(
    id="L8",
    paper="003",
    title="the strength stays in a band",
    statement="α stays in a stable band, over all parameter groups of GPT-2 and Llama, and is orthogonal to the rate.",
    source="F.4, Theorem 3.6",
    parts=(
        Part(
            name="groups of GPT-2",
            statement="GPT-2 small has 108 parameter groups.",
            source="F.4",
            check=_groups,
            numbers={"model": "GPT-2 small", "printed": 108},
            opposite={"printed": 148},
            rule="that is the number of its tensors",
        ),
        Part(
            name="groups of Llama",
            statement="Llama-2-7B has 161 parameter groups.",
            source="F.4",
            check=_groups,
            numbers={"model": "Llama-2-7B", "printed": 161},
            opposite={"printed": 291},
            rule="that is the number of its tensors",
        ),
        Part(
            name="orthogonal to the rate",
            statement="The derivatives of the update by the rate and by α are nearly orthogonal.",
            source="Theorem 3.6, D.1",
            check=_orthogonal,
            numbers={"coordinates": 10_000},
            opposite={"coordinates": 4},
            rule="their cosine is below the theorem's bound",
        ),
        Part(
            name="band",
            statement="During training α stays in a stable band up to 2.",
            source="F.4",
            measurements=(
                *measurements(strengths.band, seeds=8, task="digits", steps=600),
                *measurements(strengths.band, seeds=3, task="char-transformer", steps=100, width=32, context=32),
            ),
            judge=strengths.stays_in_the_band,
            picture=strengths.draw_bands,
            tier="minutes",
            rule="before it is capped, 90 % of α over tensors and steps lies between 1 and 2, in every run on digits"
            " and on letters, after a tenth of the steps",
        ),
    ),
    traps=(
        "A capped α is in the band by construction: it is measured before the cap.",
        "Small tensors have the largest α: quantiles are given by coordinate, too.",
        "Within a step α does not depend on the rate at all, for both of its lengths scale with it; the theorem's"
        " O(‖D‖) allows that.",
    ),
)

L10 = Claim(
    id="L10",
    paper="003",
    title="faster, cheaper, and for most optimizers",
    statement="AlphaAdam outperforms AdamW in convergence speed and computational efficiency, and its mask suits most"
    " momentum-based optimizers.",
    source="abstract",
    parts=(
        Part(
            name="equal effective rate",
            statement="AlphaAdam converges faster than AdamW whose steps are as long.",
            source="abstract, conclusion",
            measurements=measurements(strengths.equal_rates, seeds=10),
            judge=strengths.wins_at_equal_rates,
            picture=strengths.draw_equal,
            tier="minutes",
            rule="on digits, at the rate that is best for AlphaAdam, the ratio of its test loss to that of AdamW at its"
            " effective rate lies below 1 with its interval",
        ),
        Part(
            name="tuned rates",
            statement="AlphaAdam outperforms AdamW, each at tuned rates.",
            source="abstract",
            measurements=studies.of_studies(
                {"AlphaAdam, full": "masking", "AdamW": "masking"}, [("AlphaAdam, full", "AdamW")]
            ),
            judge=studies.is_better,
            picture=studies.picture,
            rule="over the eight tasks of the study `masking` the interval of its test metric over AdamW's lies below"
            " 1, and on no task it is worse by more than could be detected",
        ),
        Part(
            name="computational efficiency",
            statement="AlphaAdam is computationally more efficient than AdamW.",
            source="abstract",
            measurements=measurements(step_costs.costs, seeds=8),
            judge=step_costs.is_cheaper,
            picture=step_costs.draw_costs,
            tier="seconds",
            rule="a step takes less time than one of torch's fused AdamW on one thread of a processor, with its"
            " interval, or its state takes less memory",
        ),
        Part(
            name="other optimizers",
            statement="The mask helps most momentum-based optimizers.",
            source="abstract",
            measurements=tuple(
                job
                for name, rates in _MASKED.items()
                for on in (False, True)
                for job in measurements(
                    own_rates.reached, seeds=10, optimizer=name, rates=rates, arguments=_MOMENTUM.get(name), masked=on
                )
            ),
            judge=own_rates.beats_in_most,
            picture=own_rates.draw_ratios,
            tier="minutes",
            rule="on digits, at rates tuned with and without, the test loss of more than half of AdamW, NAdam, RAdam,"
            " Lion and SGD with momentum is lower with the mask, by Holm's correction",
        ),
    ),
    traps=(
        "α and n/(‖φ‖₀+1) lengthen the step up to fourfold: AdamW gets a rate for that, and its own tuned one.",
        "Torch's AdamW is fused here; its loop over tensors is several times as slow.",
    ),
)
