"""Which peaks and surface proteins go with which genes: scores of pairs, and the nulls that they must exceed."""

from __future__ import annotations

from waddington.twin.links.genome import near_pairs, places
from waddington.twin.links.judging import FOUND, judge, stand_out
from waddington.twin.links.scores import averaging, implied_correlation, smoothed_correlation

__all__ = [
    "FOUND",
    "averaging",
    "implied_correlation",
    "judge",
    "near_pairs",
    "places",
    "smoothed_correlation",
    "stand_out",
]
