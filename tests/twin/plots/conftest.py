from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from waddington.twin.evaluate.summary import COLUMNS

OPTIMIZERS = ("Adam", "AMSGrad", "ASGDAdam", "ASGDAMSGrad", "Padam", "SGD")


@pytest.fixture
def history() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            (name, seed, epoch, split, 0.4 + np.exp(-0.1 * epoch) + 0.02 * rng.random())
            for name in OPTIMIZERS
            for seed in range(3)
            for epoch in range(1, 13)
            for split in ("train", "validation")
        ],
        columns=["optimizer", "seed", "epoch", "split", "loss"],
    )


@pytest.fixture
def metrics() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for predictor in ("response", "no change", "additive", "replicate"):
        for optimizer in OPTIMIZERS if predictor == "response" else ("none",):
            for seed in range(3):
                for modality in ("rna", "atac", "protein"):
                    for metric in ("pearson", "mse", "r2"):
                        value = np.nan if (predictor, metric) == ("no change", "pearson") else rng.normal(0.5, 0.1)
                        rows.append(("held-out", predictor, optimizer, seed, modality, "test", metric, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def fork() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of a fork in the plane: places, pseudotime, fates."""
    rng = np.random.default_rng(2)
    times, side = rng.uniform(size=500), rng.choice([-1, 1], 500)
    plane = np.column_stack([2.5 * side * np.clip(times - 0.3, 0, None), -4 * times])
    fates = np.where(times < 0.3, "Progenitor", np.where(side > 0, "Monocyte", "Erythrocyte"))
    return plane + rng.normal(scale=0.12, size=plane.shape), times, fates
