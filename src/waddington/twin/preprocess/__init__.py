"""Preprocessing per modality, fitted on training cells only."""

from __future__ import annotations

from waddington.twin.preprocess.depth import cell_depth, check_scaling, depth_notes
from waddington.twin.preprocess.features import is_as_given, measured, model_counts, model_input
from waddington.twin.preprocess.preprocessor import REDUCED, Preprocessor

__all__ = [
    "REDUCED",
    "Preprocessor",
    "cell_depth",
    "check_scaling",
    "depth_notes",
    "is_as_given",
    "measured",
    "model_counts",
    "model_input",
]
