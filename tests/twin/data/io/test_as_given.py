"""Values that are declared to be no counts are taken as they are; undeclared ones stay refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import mudata as md
import numpy as np
import pytest
import scipy.sparse as sp

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.io import describe, given_modalities, read, validate, write
from waddington.twin.preprocess import check_scaling

Make = Callable[..., ad.AnnData]


@pytest.fixture
def cytometry(make: Make) -> ad.AnnData:
    """Give dense values with negative ones among them."""
    adata = make(stem="CD", dense=True)
    adata.X = np.random.default_rng(1).normal(0.5, 2.0, adata.shape).astype(np.float32)
    return adata


def test_values_are_those_of_x(cytometry: ad.AnnData) -> None:
    mdata = read(protein=cytometry, normalization="none")
    part = mdata.mod["protein"]
    np.testing.assert_array_equal(part.X, cytometry.X)
    np.testing.assert_array_equal(part.layers["values"], cytometry.X)
    assert "counts" not in part.layers
    assert any("values as given from X" in note for note in mdata.uns["waddington"]["notes"])


def test_a_layer_may_hold_them_and_counts_are_then_left_aside(make: Make) -> None:
    adata = make()
    adata.layers["counts"] = adata.X.copy()
    adata.layers["lognorm"] = sp.csr_matrix(np.log1p(adata.X.toarray() * 0.7))
    part = read(adata, normalization="none", layer="lognorm").mod["rna"]
    np.testing.assert_array_equal(part.layers["values"].toarray(), adata.layers["lognorm"].toarray())
    assert "counts" not in part.layers


def test_one_modality_may_be_given_and_another_counted(make: Make, cytometry: ad.AnnData) -> None:
    mdata = read(rna=make(), protein=cytometry, normalization="none:protein")
    assert "counts" in mdata.mod["rna"].layers
    assert "values" in mdata.mod["protein"].layers
    assert [part.as_given for part in describe(mdata).modalities] == [False, True]
    assert "values as given" in str(describe(mdata))
    assert validate(mdata) is mdata


def test_what_was_written_is_read_as_what_it_is_declared_to_be(cytometry: ad.AnnData, tmp_path: Path) -> None:
    file = write(read(protein=cytometry, normalization="none"), tmp_path / "cells.h5mu")
    back = read(file, normalization="none", layer="values")
    np.testing.assert_array_equal(back.mod["protein"].X, cytometry.X)
    with pytest.raises(DataError, match=r"negative value.*normalization='none'"):
        read(file)


def test_integers_may_be_declared_as_values(make: Make) -> None:
    assert "values" in read(make(), normalization="none").mod["rna"].layers


@pytest.mark.parametrize(
    ("normalization", "found"),
    [("total", ()), ("none", ("rna", "atac", "protein")), ("none:rna", ("rna",)), ("none:rna, atac", ("rna", "atac"))],
)
def test_words_of_normalization(normalization: str, found: tuple[str, ...]) -> None:
    assert given_modalities(normalization) == found


@pytest.mark.parametrize("normalization", ["log", "None", "total:rna", "none:", "none:dna", ""])
def test_other_words_are_refused(normalization: str) -> None:
    with pytest.raises(ArgumentError, match="accepted are 'total', 'none'"):
        given_modalities(normalization)


def test_refusals(make: Make, cytometry: ad.AnnData) -> None:
    with pytest.raises(ArgumentError, match="layer='lognorm' with normalization='total'"):
        read(make(), layer="lognorm")
    with pytest.raises(DataError, match="layer='lognorm': no modality has it"):
        read(make(), normalization="none", layer="lognorm")
    with pytest.raises(ArgumentError, match="found no protein, only rna"):
        read(make(), normalization="none:protein")
    bad = cytometry.copy()
    bad.X[2, 3] = np.nan
    with pytest.raises(DataError, match="1 NaN or infinite value, first nan in cell 'cell2-1', feature 'CD3'"):
        read(protein=bad, normalization="none")
    flat = cytometry.copy()
    flat.X[:] = 2.5
    with pytest.raises(DataError, match="do not differ in any of 8 features"):
        read(protein=flat, normalization="none")


def test_undeclared_values_are_refused_with_the_advice(make: Make) -> None:
    adata = make()
    adata.X = adata.X * np.float32(0.37)
    with pytest.raises(DataError, match=r"counts_layer=; or normalization='none'"):
        read(md.MuData({"rna": adata}))


def test_options_that_would_do_nothing_are_refused(make: Make) -> None:
    given = read(make(), normalization="none")
    for options in ({"target_sum": 5.0, "size_factor_key": None}, {"target_sum": None, "size_factor_key": "depth"}):
        with pytest.raises(ArgumentError, match="RNA is taken as given; leave it out"):
            check_scaling(given, **options)
    check_scaling(given, target_sum=None, size_factor_key=None)
    check_scaling(read(make()), target_sum=5.0, size_factor_key=None)
    with pytest.raises(DataError, match="counts_layer='lognorm': no modality is read as counts"):
        read(make(), normalization="none", counts_layer="lognorm")
