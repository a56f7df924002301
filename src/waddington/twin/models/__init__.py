"""The models that a user holds: cells in, predictions (a twin: embeddings and plans, too) out, saved as one folder."""

from __future__ import annotations

from waddington.twin.models.predicted_cells import predict_cell_profiles
from waddington.twin.models.profiles import FittedResponse, fit_response, predict_profiles
from waddington.twin.models.response import Response
from waddington.twin.models.saved_agent import SavedAgent
from waddington.twin.models.twin import Twin

__all__ = [
    "FittedResponse",
    "Response",
    "SavedAgent",
    "Twin",
    "fit_response",
    "predict_cell_profiles",
    "predict_profiles",
]
