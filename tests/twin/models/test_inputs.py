"""What models of responses learn from is read in any kind of table, or refused by name."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from waddington.errors import DataError
from waddington.twin.models.inputs import latent_of


def test_a_representation_may_be_sparse_and_has_to_be_of_numbers() -> None:
    data = ad.AnnData(np.zeros((4, 2), dtype=np.float32))
    dense = np.arange(8.0).reshape(4, 2) - 3.0
    data.obsm["sparse"] = sparse.csr_matrix(dense)
    data.obsm["words"] = pd.DataFrame({"a": list("wxyz")}, index=data.obs_names)
    np.testing.assert_array_equal(latent_of(data, "sparse"), dense)
    with pytest.raises(DataError, match=r"cannot use obsm\['words'\]: could not convert"):
        latent_of(data, "words")
