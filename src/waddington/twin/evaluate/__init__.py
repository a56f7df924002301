"""Judgement on unseen cells: metrics, the held-out protocol, what is measurable at all, summaries."""

from __future__ import annotations

from waddington.twin.evaluate.heldout import Truth, observe, replicate_scores, score, score_change
from waddington.twin.evaluate.measurable import Agreement, chance_explains, measure_agreement, reliability
from waddington.twin.evaluate.metrics import CLASSIFICATION, METRICS, REGRESSION, change_metrics
from waddington.twin.evaluate.summary import headline, summarize

__all__ = [
    "CLASSIFICATION",
    "METRICS",
    "REGRESSION",
    "Agreement",
    "Truth",
    "chance_explains",
    "change_metrics",
    "headline",
    "measure_agreement",
    "observe",
    "reliability",
    "replicate_scores",
    "score",
    "score_change",
    "summarize",
]
