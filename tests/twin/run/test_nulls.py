"""Whole runs on data without an answer: noise, and real effects under labels drawn at random."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.twin.run.tiny import TINY

from waddington import twin


def write(path: Path, counts: np.ndarray, labels: np.ndarray) -> Path:
    obs = pd.DataFrame({"perturbation": labels}, index=[f"c{i}" for i in range(len(labels))])
    var = pd.DataFrame(index=[f"g{i}" for i in range(counts.shape[1])])
    ad.AnnData(counts.astype(np.float32), obs=obs, var=var).write_h5ad(path)
    return path


def answers(path: Path, out: Path) -> set[str]:
    fields = {name: value for name, value in TINY.items() if name != "n_cells"}
    return {verdict.answer for verdict in twin.run(path, out=out, seeds=2, **fields).verdicts}


@pytest.mark.slow
@pytest.mark.usefixtures("unpictured")
def test_noise_and_drawn_labels_have_no_answer_and_effects_have_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(["control", "A", "B", "C"], 480)
    rates = np.tile(rng.gamma(2.0, 2.0, 80), (480, 1))
    noise = write(tmp_path / "noise.h5ad", rng.poisson(rates), labels)
    assert answers(noise, tmp_path / "noise") == {"not measurable"}
    for condition in "ABC":
        rates[labels == condition] *= np.exp(0.8 * rng.normal(size=80))
    counts = rng.poisson(rates)
    drawn = write(tmp_path / "drawn.h5ad", counts, rng.permutation(labels))
    assert answers(drawn, tmp_path / "drawn") == {"not measurable"}
    real = write(tmp_path / "real.h5ad", counts, labels)
    assert answers(real, tmp_path / "real") != {"not measurable"}
