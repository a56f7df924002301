"""Where definitions coincide, cell-eval's code gives the same numbers: ``pip install --group oracles``."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from waddington.twin.evaluate.distance import e_distance
from waddington.twin.evaluate.metrics import Sample, effect_metrics

PERTURBATIONS = [f"g{i}" for i in range(6)]
GENES = [f"g{i}" for i in range(20)]


@pytest.fixture(scope="module")
def cell_eval() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("cell_eval", reason="cell-eval is not installed (dependency group oracles)")


def screen(seed: int) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    labels = np.repeat(["control", *PERTURBATIONS], 15)
    shift = {label: np.random.default_rng(i).normal(size=20) for i, label in enumerate(PERTURBATIONS)}
    x = np.stack([shift.get(label, np.zeros(20)) for label in labels]) + 3.0 + rng.normal(size=(len(labels), 20))
    obs = pd.DataFrame({"target": labels}, index=[f"c{i}" for i in range(len(labels))])
    return ad.AnnData(x.astype(np.float64), obs=obs, var=pd.DataFrame(index=GENES))


@pytest.fixture(scope="module")
def pair(cell_eval: Any) -> Any:
    from cell_eval._types import PerturbationAnndataPair

    return PerturbationAnndataPair(real=screen(1), pred=screen(2), pert_col="target", control_pert="control")


def effects(data: ad.AnnData) -> dict[str, np.ndarray]:
    means = pd.DataFrame(data.X).groupby(data.obs["target"].to_numpy()).mean()
    return {label: (means.loc[label] - means.loc["control"]).to_numpy() for label in PERTURBATIONS}


@pytest.mark.parametrize(("ours", "theirs"), [("pearson", "pearson_delta"), ("mse", "mse_delta"), ("mae", "mae_delta")])
def test_metrics_of_a_change(pair: Any, ours: str, theirs: str) -> None:
    from cell_eval.metrics import _anndata

    observed, predicted = effects(pair.real), effects(pair.pred)
    for label, value in getattr(_anndata, theirs)(pair).items():
        assert effect_metrics(predicted[label], observed[label])[ours] == pytest.approx(value, rel=1e-5)


def test_the_discrimination_score_counts_the_same_rivals(pair: Any) -> None:
    from cell_eval.metrics import _anndata

    observed, predicted = effects(pair.real), effects(pair.pred)
    candidates, n = np.stack(list(observed.values())), len(PERTURBATIONS)
    theirs = _anndata.discrimination_score(pair, metric="cosine", exclude_target_gene=False)
    for row, label in enumerate(PERTURBATIONS):
        sample = Sample(
            noise=0.0, changed=np.ones(20, bool), sd=np.ones(20), candidates=candidates, own=row
        )  # fmt: skip
        ours = effect_metrics(predicted[label], observed[label], sample=sample)["discrimination"]
        # Theirs divides the rank by all conditions, the right one among them; ours by the others.
        assert round((1.0 - ours) * (n - 1)) == round((1.0 - theirs[label]) * n)


def test_the_energy_distance_is_theirs_with_a_cell_compared_with_itself(pair: Any) -> None:
    from cell_eval.metrics import _anndata

    def distances(data: ad.AnnData) -> list[float]:
        x = np.asarray(data.X)
        control = x[(data.obs["target"] == "control").to_numpy()]
        return [
            e_distance(x[(data.obs["target"] == label).to_numpy()], control, unbiased=False) for label in PERTURBATIONS
        ]

    ours = np.corrcoef(distances(pair.real), distances(pair.pred))[0, 1]
    assert ours == pytest.approx(_anndata.edistance(pair), rel=1e-6)
