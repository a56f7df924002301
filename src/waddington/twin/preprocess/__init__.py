"""Preprocessing per modality, fitted on training cells only."""

from __future__ import annotations

from waddington.twin.preprocess.features import model_counts, model_input
from waddington.twin.preprocess.preprocessor import REDUCED, Preprocessor

__all__ = ["REDUCED", "Preprocessor", "model_counts", "model_input"]
