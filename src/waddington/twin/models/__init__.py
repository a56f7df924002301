"""The model that a user holds: cells in, embeddings, predictions and plans out, saved as one folder."""

from __future__ import annotations

from waddington.twin.models.profiles import Response, fit_response, predict_profiles
from waddington.twin.models.saved_agent import SavedAgent
from waddington.twin.models.twin import Twin

__all__ = ["Response", "SavedAgent", "Twin", "fit_response", "predict_profiles"]
