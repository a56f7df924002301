"""A description says what is in a data set, in numbers and in words."""

from __future__ import annotations

from collections.abc import Callable

import anndata as ad
import mudata as md
import pytest

from waddington.errors import DataError
from waddington.twin.data.io import describe, read

Make = Callable[..., ad.AnnData]


def test_numbers_and_words(make: Make) -> None:
    rna, protein = make(), make(n_features=2, stem="CD")
    rna.X[5] = 0
    rna.X.eliminate_zeros()
    rna.obs["condition"] = ["ctrl"] * 5 + ["Gene1+ctrl"] * 20 + ["Gene1+Gene2"] * 5
    rna.obs["day"] = [2, 10, 2] * 10
    found = describe(read(rna=rna, protein=protein))
    assert found.n_cells == 30
    one = found.modalities[0]
    assert (one.modality, one.n_features, one.n_empty_cells, one.layers) == ("rna", 8, 1, ("counts",))
    assert one.density == pytest.approx((rna.X.toarray() > 0).mean())
    assert one.median_counts == pytest.approx(float(sorted(rna.X.toarray().sum(1))[14:16][0]), abs=1.5)
    assert list(found.conditions.itertuples(index=False, name=None)) == [
        ("control", 5),
        ("Gene1:perturbation", 20),
        ("Gene1:perturbation+Gene2:perturbation", 5),
    ]
    assert found.labels["time"] == {"2": 20, "10": 10}
    text = str(found)
    assert text.startswith("30 cells\nRNA: 8 features")
    assert "Surface protein: 2 features" in text
    assert "conditions: control (5), Gene1:perturbation (20)" in text
    assert "note: time from obs['day']" in text


def test_long_lists_are_cut(make: Make) -> None:
    adata = make()
    adata.obs["perturbation"] = ["control"] + [f"G{i}" for i in range(29)]
    assert "and 22 more" in str(describe(read(adata)))


def test_what_was_not_read_here_is_refused(make: Make) -> None:
    with pytest.raises(DataError, match="cannot describe rna: layers found: none"):
        describe(md.MuData({"rna": make()}))
    with pytest.raises(DataError, match="cannot describe modalities methylation"):
        describe(md.MuData({"methylation": make()}))
