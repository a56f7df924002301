"""Small data sets made by rule, for every form of file."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

Make = Callable[..., ad.AnnData]


@pytest.fixture
def make() -> Make:
    """Give a maker of one modality: raw counts of some cells with names of their own."""

    def make_one(
        n_cells: int = 30, n_features: int = 8, *, stem: str = "Gene", seed: int = 0, dense: bool = False
    ) -> ad.AnnData:
        counts = np.random.default_rng(seed).poisson(1.5, (n_cells, n_features)).astype(np.float32)
        counts[0, 0] = 3.0
        return ad.AnnData(
            X=counts if dense else sp.csr_matrix(counts),
            obs=pd.DataFrame(index=[f"cell{i}-1" for i in range(n_cells)]),
            var=pd.DataFrame(index=[f"{stem}{i}" for i in range(n_features)]),
        )

    return make_one
