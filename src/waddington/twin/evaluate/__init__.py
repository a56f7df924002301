"""Judgement on unseen cells: metrics, the held-out protocol, what is measurable at all, summaries."""

from __future__ import annotations

from waddington.twin.evaluate.heldout import Truth, observe, replicate_scores, score, score_effect
from waddington.twin.evaluate.measurable import Agreement, chance_explains, measure_agreement, reliability
from waddington.twin.evaluate.metrics import (
    CLASSIFICATION,
    METRICS,
    REGRESSION,
    Metric,
    effect_metrics,
    get_metric,
    register,
)
from waddington.twin.evaluate.summary import headline, summarize

__all__ = [
    "CLASSIFICATION",
    "METRICS",
    "REGRESSION",
    "Agreement",
    "Metric",
    "Truth",
    "chance_explains",
    "effect_metrics",
    "get_metric",
    "headline",
    "measure_agreement",
    "observe",
    "register",
    "reliability",
    "replicate_scores",
    "score",
    "score_effect",
    "summarize",
]
