"""Judgement on unseen cells: metrics, the held-out protocol, what is measurable at all, summaries."""

from __future__ import annotations

from waddington.twin.evaluate.distance import EnergyTest, e_distance, energy_test
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
    "EnergyTest",
    "Metric",
    "Truth",
    "chance_explains",
    "e_distance",
    "effect_metrics",
    "energy_test",
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
