"""The evaluator: hide conditions, cells or groups from models, and score what they say beside what noise scores."""

from __future__ import annotations

from waddington.twin.evaluate.protocol.evaluation import Evaluation, evaluate_screen, measure_screen
from waddington.twin.evaluate.protocol.folds import WAYS, Fold, folds_of
from waddington.twin.evaluate.protocol.given import (
    GivenPredictions,
    labels_of_predictions,
    predictions_of,
    read_predictions,
)
from waddington.twin.evaluate.protocol.keeping import fingerprint
from waddington.twin.evaluate.protocol.reading import screen_of
from waddington.twin.evaluate.protocol.screen import Screen
from waddington.twin.evaluate.protocol.storing import TABLES, read_tables, write_tables
from waddington.twin.evaluate.protocol.tables import GENES, SCORES, SUMMARY

__all__ = [
    "GENES",
    "SCORES",
    "SUMMARY",
    "TABLES",
    "WAYS",
    "Evaluation",
    "Fold",
    "GivenPredictions",
    "Screen",
    "evaluate_screen",
    "fingerprint",
    "folds_of",
    "labels_of_predictions",
    "measure_screen",
    "predictions_of",
    "read_predictions",
    "read_tables",
    "screen_of",
    "write_tables",
]
