"""A matrix whose indices, pointers or lengths are wrong stops before a value is touched, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from waddington.errors import DataError
from waddington.twin.data.io import read, validate
from waddington.twin.data.io.structure import check_sparse

Make = Callable[..., ad.AnnData]
Spoil = Callable[[Any], None]


def put(name: str, place: int, value: int) -> Spoil:
    return lambda matrix: getattr(matrix, name).__setitem__(place, value)


SPOILS: dict[str, tuple[Spoil, str]] = {
    "index_above": (put("indices", 5, 99), "1 (column|row) index out of range, the first is 99"),
    "index_below": (put("indices", 5, -1), "out of range, the first is -1"),
    "pointer_falls": (put("indptr", 3, 10_000), "a pointer that falls from 10000"),
    "first_pointer": (put("indptr", 0, 1), "pointers from 1 to"),
    "last_pointer": (put("indptr", -1, 1), "pointers from 0 to 1 for"),
    "twice": (lambda matrix: put("indices", 1, matrix.indices[0])(matrix), "stored twice"),
    "lengths": (lambda matrix: setattr(matrix, "data", matrix.data[:-1]), "values with"),
    "pointers": (lambda matrix: setattr(matrix, "indptr", matrix.indptr[:-1]), "pointers for"),
    "fractions": (lambda matrix: setattr(matrix, "indices", matrix.indices.astype("f4")), "indices of type float32"),
}


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_damaged_matrix_is_refused(make: Make, spoil: str, form: str) -> None:
    adata = make()
    adata.X = adata.X.asformat(form)
    change, message = SPOILS[spoil]
    change(adata.X)
    with pytest.raises(DataError, match=f"X of the AnnData given: its sparse structure is damaged: found .*{message}"):
        read(adata)


@pytest.mark.parametrize("spoil", ["index_above", "pointer_falls", "twice"])
@pytest.mark.parametrize("place", ["layers", "obsm", "uns", "raw"])
def test_wherever_it_lies(make: Make, place: str, spoil: str) -> None:
    adata = make()
    if place == "raw":
        adata.raw = adata.copy()
        matrix = adata.raw.X
    else:
        getattr(adata, place)["other"] = adata.X.copy()
        matrix = getattr(adata, place)["other"]
    SPOILS[spoil][0](matrix)
    for data in (adata, md.MuData({"rna": adata}), adata[:20]):
        with pytest.raises(DataError, match=rf"{place}.* of .*damaged: found .*{SPOILS[spoil][1]}"):
            read(data)


def test_data_that_were_read_before_are_looked_at_again(make: Make) -> None:
    mdata = read(make())
    mdata.mod["rna"].layers["counts"].indices[3] = 88
    with pytest.raises(DataError, match="first is 88"):
        validate(mdata)


def test_the_order_in_a_row_is_free(make: Make) -> None:
    adata = make()
    expected = adata.X.toarray()
    for name in ("indices", "data"):
        values = getattr(adata.X, name)
        values[:2] = values[:2][::-1].copy()
    mdata = read(adata)
    np.testing.assert_array_equal(mdata.mod["rna"].X.toarray(), expected)
    assert mdata.mod["rna"].X.has_sorted_indices


@given(st.data())
def test_a_matrix_passes_exactly_when_scipy_finds_it_whole(data: st.DataObject) -> None:
    matrix = sp.random_array((6, 5), density=0.5, format="csr", rng=np.random.default_rng(1))
    array = data.draw(st.sampled_from([matrix.indices, matrix.indptr]))
    array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(-2, 20))

    def whole() -> bool:
        try:
            fresh = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(6, 5))
            fresh.check_format(full_check=True)
        except ValueError:
            return False
        if fresh.nnz != matrix.data.size:  # SciPy drops what lies past the last pointer
            return False
        row_of = np.repeat(np.arange(6), np.diff(matrix.indptr))
        return len(set(zip(row_of, matrix.indices, strict=True))) == matrix.data.size

    expected = whole()
    try:
        check_sparse(matrix, what="X")
    except DataError:
        assert not expected
    else:
        assert expected


class TestForms:
    """What is whole but unusual is read."""

    @pytest.mark.parametrize("dtype", ["f2", "g", ">f4", "u1", "?"])
    def test_types_that_scipy_has_no_sparse_form_for(self, make: Make, dtype: str) -> None:
        adata = make(dense=True)
        adata.X = adata.X.astype(dtype)
        np.testing.assert_array_equal(read(adata).mod["rna"].X.toarray(), adata.X.astype("f4"))

    @pytest.mark.parametrize("is_view", [False, True])
    def test_an_anndata_on_disk(self, make: Make, tmp_path: Path, is_view: bool) -> None:
        make().write_h5ad(tmp_path / "cells.h5ad")
        backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
        rows = slice(5, 25) if is_view else slice(None)
        np.testing.assert_array_equal(read(backed[rows]).mod["rna"].X.toarray(), make().X.toarray()[rows])
        backed.file.close()

    def test_a_mudata_on_disk(self, make: Make, tmp_path: Path) -> None:
        md.MuData({"rna": make(), "atac": make(stem="peak")}).write(tmp_path / "cells.h5mu")
        backed = md.read_h5mu(tmp_path / "cells.h5mu", backed="r")
        mdata = read(backed)
        assert list(mdata.mod) == ["rna", "atac"]
        np.testing.assert_array_equal(mdata.mod["rna"].X.toarray(), make().X.toarray())
        backed.file.close()

    @pytest.mark.parametrize("as_mudata", [False, True])
    def test_names_that_are_numbers(self, make: Make, as_mudata: bool) -> None:
        adata = make()
        adata.obs.index = range(30)
        adata.obs["batch"] = ["a", "b"] * 15
        mdata = read(md.MuData({"rna": adata}) if as_mudata else adata)
        assert list(mdata.obs_names[:2]) == ["0", "1"]
        assert list(mdata.obs["batch"][:2]) == ["a", "b"]
        assert list(adata.obs.index[:2]) == [0, 1]

    def test_masked_values_are_refused(self, make: Make) -> None:
        adata = make(dense=True)
        adata.X = np.ma.masked_equal(adata.X, 3)
        with pytest.raises(DataError, match="masked values"):
            read(adata)


class TestValues:
    def test_frequencies_are_no_counts(self, make: Make) -> None:
        adata = make()
        adata.X = adata.X / 15_000
        with pytest.raises(DataError, match=r"no integers \(largest value 0.0"):
            read(adata)
        adata.X.data[0] = 1.0
        with pytest.raises(DataError, match="no integers"):
            read(adata)

    def test_counts_beyond_float32_are_refused(self, make: Make) -> None:
        adata = make()
        adata.X = adata.X.astype(np.int64)
        adata.X.data[0] = 2**24 + 1
        with pytest.raises(DataError, match="1 value above 16,777,216"):
            read(adata)
