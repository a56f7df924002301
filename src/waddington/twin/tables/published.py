"""Tables II and III of the ASGDAdam paper as printed, and which of our rows stands beside which of theirs."""

from __future__ import annotations

import pandas as pd

from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.run.agent_jobs import TABLES

__all__ = ["PUBLISHED_TABLES", "TABLE_OF", "published_table", "table_name"]

PUBLISHED_TABLES: dict[str, dict[str, tuple[float, ...]]] = {
    "II": {
        "Adam": (0.6000, 0.6251, 0.6000, 0.5951, 0.5271, 6.9416, 2.5141, 2.0544, -8.7919, -0.0360),
        "AMSGrad": (0.6026, 0.6060, 0.6026, 0.5696, 0.5194, 7.4191, 2.6398, 2.1740, -9.6020, -0.0423),
        "ASGD-AMSGrad": (0.7359, 0.7508, 0.7359, 0.7331, 0.6466, 1.1206, 0.9520, 0.6840, -0.0597, 0.0336),
        "ASGD-Adam": (0.7370, 0.7510, 0.7370, 0.7340, 0.6484, 1.1185, 0.9508, 0.6844, -0.0571, 0.0100),
        "Padam": (0.6229, 0.6396, 0.6229, 0.6169, 0.5475, 2.3823, 1.4694, 1.0988, -1.9851, 0.1143),
        "SGD": (0.6219, 0.6354, 0.6219, 0.6174, 0.5446, 2.1887, 1.4246, 1.0675, -1.7920, 0.2226),
    },
    "III": {
        "Adam": (0.572, 0.597, 0.572, 0.563, 0.518, 9.438, 3.039, 2.561, -12.391, -0.022),
        "AMSGrad": (0.578, 0.596, 0.578, 0.575, 0.522, 8.644, 2.886, 2.414, -10.953, -0.030),
        "ASGD-AMSGrad": (0.705, 0.762, 0.705, 0.687, 0.626, 1.274, 1.102, 0.868, -0.762, -0.009),
        "ASGD-Adam": (0.760, 0.781, 0.760, 0.757, 0.678, 0.845, 0.903, 0.692, -0.053, -0.015),
        "Padam": (0.638, 0.664, 0.638, 0.632, 0.564, 2.091, 1.417, 1.086, -1.873, 0.098),
        "SGD": (0.627, 0.644, 0.627, 0.625, 0.554, 1.997, 1.395, 1.051, -1.818, 0.203),
    },
}
"""Each table's rows: accuracy, precision, recall, F1, AUPRC, MSE, RMSE, MAE, R² and Pearson r, as printed.

Recall equals accuracy in every row, as recall weighted over the two classes does by its definition. RMSE is below the
root of MSE in every row, as a mean of roots over episodes is below the root of their mean."""

TABLE_OF = {1: "II", 2: "III"}
"""The table by the number of random perturbations at once."""


def table_name(max_perturb: int) -> str:
    """Name a regime: ``"single (Table II)"``, ``"double (Table III)"``, ``"4 at once"``."""
    return TABLES.get(max_perturb, f"{max_perturb} at once")


def published_table(max_perturb: int) -> pd.DataFrame:
    """Give a published table, rows by name and columns by metric; empty for a regime that the paper has no table of."""
    rows = PUBLISHED_TABLES.get(TABLE_OF.get(max_perturb, ""), {})
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(PAPER), dtype="float64")
