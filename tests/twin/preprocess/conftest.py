"""Three modalities of some cells, with differences in depth, an empty cell and a feature that training cells lack."""

from __future__ import annotations

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.sparse as sp

from waddington.twin.data.io import read


@pytest.fixture
def train() -> npt.NDArray[np.bool_]:
    return np.arange(80) < 60


@pytest.fixture
def mdata(train: npt.NDArray[np.bool_]) -> md.MuData:
    rng = np.random.default_rng(0)
    depth = rng.lognormal(0, 0.6, (80, 1))
    kind = np.arange(80) % 2

    def part(stem: str, n_features: int, mean: float) -> ad.AnnData:
        rates = rng.gamma(0.8, mean, (2, n_features))
        counts = rng.poisson(depth * rates[kind]).astype(np.float32)
        counts[3] = 0
        counts[np.ix_(train, [1])] = 0
        counts[~train, 1] += 1
        return ad.AnnData(
            sp.csr_matrix(counts),
            obs=pd.DataFrame(index=[f"c{i}" for i in range(80)]),
            var=pd.DataFrame(index=[f"{stem}{i}" for i in range(n_features)]),
        )

    return read(rna=part("Gene", 120, 2.0), atac=part("peak", 150, 0.4), protein=part("CD", 9, 20.0))
