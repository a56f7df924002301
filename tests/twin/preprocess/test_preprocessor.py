"""What training cells teach is applied to every cell, and nothing else about the others matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mudata as md
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError, DataError
from waddington.twin.data.io import read, write
from waddington.twin.preprocess import REDUCED, Preprocessor, model_counts, model_input

Mask = npt.NDArray[np.bool_]

OPTIONS: dict[str, Any] = {"n_top_genes": 40, "n_top_peaks": 50, "n_pcs": 6, "n_lsi": 5}


def outputs(mdata: md.MuData) -> dict[str, npt.NDArray[np.float32]]:
    """Everything that a model may see."""
    seen = {f"{name} input": model_input(mdata, name) for name in mdata.mod}
    return seen | {f"{name} reduced": np.asarray(part.obsm[REDUCED[name]]) for name, part in mdata.mod.items()}


def subset(mdata: md.MuData, rows: Any) -> md.MuData:
    return md.MuData({name: part[rows].copy() for name, part in mdata.mod.items()})


def test_shapes_types_and_keys(mdata: md.MuData, train: Mask) -> None:
    counts = mdata.mod["rna"].layers["counts"].copy()
    Preprocessor(**OPTIONS).fit(mdata, train).transform(mdata)
    assert {name: model_input(mdata, name).shape for name in mdata.mod} == {
        "rna": (80, 40),
        "atac": (80, 50),
        "protein": (80, 8),
    }
    for name, part in mdata.mod.items():
        assert model_input(mdata, name).dtype == np.float32
        assert part.obsm[REDUCED[name]].dtype == np.float32
        assert np.isfinite(part.obsm[REDUCED[name]]).all()
        selected = part.var["highly_variable"].to_numpy()
        np.testing.assert_array_equal(model_counts(mdata, name).toarray(), part.layers["counts"].toarray()[:, selected])
        assert part.uns["waddington"]["preprocess"]["n_top_genes"] == 40
    assert sp.issparse(mdata.mod["rna"].X)
    assert (mdata.mod["rna"].layers["counts"] != counts).nnz == 0


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 79), min_size=1, max_size=20, unique=True), st.sampled_from(["cell", "feature"]))
def test_a_cell_is_the_same_in_any_company(mdata: md.MuData, train: Mask, rows: list[int], clr: str) -> None:
    fitted = Preprocessor(clr=clr, **OPTIONS).fit(mdata, train)
    together, alone = subset(mdata, slice(None)), subset(mdata, rows)
    fitted.transform(together)
    fitted.transform(alone)
    expected = outputs(together)
    for name, values in outputs(alone).items():
        np.testing.assert_allclose(values, expected[name][rows], rtol=1e-5, atol=1e-5)


def test_other_cells_teach_nothing(mdata: md.MuData, train: Mask) -> None:
    other = subset(mdata, slice(None))
    for part in other.mod.values():
        counts = part.layers["counts"].toarray()
        counts[~train] = np.random.default_rng(1).poisson(30, counts[~train].shape)
        part.layers["counts"] = sp.csr_matrix(counts)
    one, two = (Preprocessor(**OPTIONS).fit(data, train).state_dict() for data in (mdata, other))
    for name, fitted in one["fitted"].items():
        for key, value in fitted.items():
            same = (
                torch.equal(value, two["fitted"][name][key])
                if torch.is_tensor(value)
                else value == two["fitted"][name][key]
            )
            assert same, (name, key)


def test_a_feature_without_training_counts_is_not_selected(mdata: md.MuData, train: Mask) -> None:
    Preprocessor().fit(mdata, train).transform(mdata)
    for part in mdata.mod.values():
        assert not part.var["highly_variable"].iloc[1]
        assert part.var["highly_variable"].sum() == (part.layers["counts"][train].sum(axis=0) > 0).sum()


def test_a_cell_without_counts_is_zero_and_finite(mdata: md.MuData, train: Mask) -> None:
    Preprocessor(**OPTIONS).fit(mdata, train).transform(mdata)
    for name in mdata.mod:
        assert not model_input(mdata, name)[3].any()
        assert np.isfinite(mdata.mod[name].obsm[REDUCED[name]][3]).all()


def test_components_leave_depth_out(mdata: md.MuData, train: Mask) -> None:
    Preprocessor(n_lsi=10).fit(mdata, train).transform(mdata)
    depth = np.log1p(np.asarray(mdata.mod["atac"].layers["counts"].sum(axis=1)).ravel())[train]
    scores = mdata.mod["atac"].obsm["X_lsi"][train]
    assert max(abs(np.corrcoef(scores.T, depth)[-1, :-1])) <= 0.76


def test_scaled_input_has_the_training_cells_at_mean_0_and_variance_1(mdata: md.MuData, train: Mask) -> None:
    Preprocessor(**OPTIONS).fit(mdata, train).transform(mdata)
    for name in mdata.mod:
        scaled = model_input(mdata, name, scaled=True)[train]
        np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(scaled.std(0, ddof=1), 1, atol=1e-3)


def test_rows_of_the_input_can_be_taken_alone(mdata: md.MuData, train: Mask) -> None:
    Preprocessor(**OPTIONS).fit(mdata, train).transform(mdata)
    rows = np.array([5, 2, 9])
    for name in mdata.mod:
        np.testing.assert_array_equal(model_input(mdata, name, rows=rows), model_input(mdata, name)[rows])
        np.testing.assert_array_equal(
            model_counts(mdata, name, rows=train).toarray(), model_counts(mdata, name).toarray()[train]
        )


def test_the_fitted_state_survives_a_file(mdata: md.MuData, train: Mask, tmp_path: Path) -> None:
    fitted = Preprocessor(clr="feature", **OPTIONS).fit(mdata, train)
    torch.save(fitted.state_dict(), tmp_path / "preprocess.pt")
    loaded = Preprocessor.from_state_dict(torch.load(tmp_path / "preprocess.pt", weights_only=True))
    assert loaded.options == fitted.options
    one, two = subset(mdata, slice(None)), subset(mdata, slice(None))
    fitted.transform(one)
    loaded.transform(two)
    for name, values in outputs(one).items():
        np.testing.assert_array_equal(outputs(two)[name], values)


def test_the_same_seed_gives_the_same_bits(mdata: md.MuData, train: Mask) -> None:
    one, two = (Preprocessor(**OPTIONS).fit(mdata, train).state_dict()["fitted"]["rna"]["axes"] for _ in range(2))
    assert torch.equal(one, two)


def test_transforming_twice_is_transforming_once(mdata: md.MuData, train: Mask) -> None:
    fitted = Preprocessor(**OPTIONS).fit(mdata, train)
    fitted.transform(mdata)
    once = outputs(mdata)
    fitted.transform(mdata)
    for name, values in outputs(mdata).items():
        np.testing.assert_array_equal(values, once[name])


def test_a_preprocessed_file_is_written_and_read_as_counts_again(mdata: md.MuData, train: Mask, tmp_path: Path) -> None:
    Preprocessor(**OPTIONS).fit(mdata, train).transform(mdata)
    back = read(write(mdata, tmp_path / "cells.h5mu"))
    for name, part in back.mod.items():
        np.testing.assert_array_equal(part.X.toarray(), mdata.mod[name].layers["counts"].toarray())
        with pytest.raises(DataError, match="was not preprocessed"):
            model_input(back, name)


def test_one_modality_is_enough(mdata: md.MuData, train: Mask) -> None:
    only = md.MuData({"protein": mdata.mod["protein"].copy()})
    Preprocessor().fit(only, train).transform(only)
    assert model_input(only, "protein").shape == (80, 8)
    with pytest.raises(DataError, match="cannot take modality 'rna': found protein"):
        model_input(only, "rna")


class TestDepth:
    def test_cells_are_scaled_to_the_median_total_of_training_cells_with_counts(
        self, mdata: md.MuData, train: Mask
    ) -> None:
        counts = mdata.mod["rna"].layers["counts"].toarray().astype(np.float64)
        totals = counts.sum(axis=1)
        assert totals[3] == 0
        target = np.median(totals[train & (totals > 0)])
        fitted = Preprocessor(**OPTIONS).fit(mdata, train)
        assert fitted.fitted["rna"].target_sum == target
        fitted.transform(mdata)
        expected = np.log1p(counts / np.maximum(totals, 1)[:, None] * target)
        np.testing.assert_allclose(mdata.mod["rna"].X.toarray(), expected, rtol=1e-5)

    def test_new_cells_are_scaled_to_what_was_fitted(self, mdata: md.MuData, train: Mask) -> None:
        fitted = Preprocessor(**OPTIONS).fit(mdata, train)
        loaded = Preprocessor.from_state_dict(fitted.state_dict())
        deep = subset(mdata, slice(10, 30))
        deep.mod["rna"].layers["counts"] = deep.mod["rna"].layers["counts"] * 7
        loaded.transform(deep)
        fitted.transform(mdata)
        np.testing.assert_allclose(model_input(deep, "rna"), model_input(mdata, "rna")[10:30], rtol=1e-5)

    def test_a_given_target_is_taken_literally(self, mdata: md.MuData, train: Mask) -> None:
        fitted = Preprocessor(target_sum=1e4, **OPTIONS).fit(mdata, train)
        fitted.transform(mdata)
        totals = np.expm1(mdata.mod["rna"].X.toarray().astype(np.float64)).sum(axis=1)
        np.testing.assert_allclose(np.delete(totals, 3), 1e4, rtol=1e-4)

    def test_a_column_takes_the_place_of_totals(self, mdata: md.MuData, train: Mask) -> None:
        factors = np.random.default_rng(2).lognormal(9, 0.5, 80)
        mdata.obs["n_umi"] = factors
        fitted = Preprocessor(size_factor_key="n_umi", **OPTIONS).fit(mdata, train)
        assert fitted.fitted["rna"].target_sum == np.median(factors[train])
        fitted.transform(mdata)
        counts = mdata.mod["rna"].layers["counts"].toarray()
        expected = np.log1p(counts / factors[:, None] * np.median(factors[train]))
        np.testing.assert_allclose(mdata.mod["rna"].X.toarray(), expected, rtol=1e-5)

    @pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
    def test_a_cell_without_a_size_factor_is_named(self, mdata: md.MuData, train: Mask, value: float) -> None:
        mdata.obs["n_umi"] = np.where(np.arange(80) == 5, value, 2.0)
        with pytest.raises(DataError, match=r"size_factor_key='n_umi': found 1 of 80 cells .* in cell 'c5'"):
            Preprocessor(size_factor_key="n_umi").fit(mdata, train)

    def test_a_missing_column_is_named(self, mdata: md.MuData) -> None:
        with pytest.raises(DataError, match="size_factor_key='depth': no such column"):
            Preprocessor(size_factor_key="depth").fit(mdata)


class TestAsGiven:
    @pytest.fixture
    def given(self, mdata: md.MuData) -> md.MuData:
        rna = mdata.mod["rna"].copy()
        rna.X = sp.csr_matrix(np.log1p(rna.X.toarray() * 1.3))
        protein = mdata.mod["protein"].copy()
        protein.X = np.random.default_rng(3).normal(size=protein.shape)
        return read(rna=rna, protein=protein, atac=mdata.mod["atac"], normalization="none:rna,protein")

    def test_values_stay_as_they_are_and_the_most_variable_are_selected(self, given: md.MuData, train: Mask) -> None:
        before = {name: given.mod[name].X.copy() for name in ("rna", "protein")}
        Preprocessor(**OPTIONS).fit(given, train).transform(given)
        rna = given.mod["rna"]
        assert (before["rna"] != rna.X).nnz == 0
        np.testing.assert_array_equal(given.mod["protein"].X, before["protein"])
        variance = before["rna"].toarray()[train].var(axis=0)
        selected = rna.var["highly_variable"].to_numpy()
        assert selected.sum() == 40
        assert variance[selected].min() >= variance[~selected].max()
        assert (model_counts(given, "rna").toarray() == model_input(given, "rna")).all()

    def test_other_modalities_are_unaffected(self, given: md.MuData, mdata: md.MuData, train: Mask) -> None:
        for data in (given, mdata):
            Preprocessor(**OPTIONS).fit(data, train).transform(data)
        np.testing.assert_array_equal(model_input(given, "atac"), model_input(mdata, "atac"))

    def test_the_state_survives_and_counts_are_not_mistaken_for_values(
        self, given: md.MuData, mdata: md.MuData, train: Mask
    ) -> None:
        fitted = Preprocessor(**OPTIONS).fit(given, train)
        loaded = Preprocessor.from_state_dict(fitted.state_dict())
        assert loaded.fitted["rna"].as_given
        with pytest.raises(DataError, match="found counts, fitted were values as given"):
            loaded.transform(mdata)


class TestRefusals:
    @pytest.mark.parametrize(
        "options",
        [
            {"target_sum": 0},
            {"target_sum": np.inf},
            {"n_top_genes": 0},
            {"n_pcs": -1},
            {"n_lsi": 0},
            {"n_top_peaks": 0},
            {"clr": "row"},
        ],
    )
    def test_options_outside_their_range(self, options: dict[str, Any]) -> None:
        with pytest.raises(ArgumentError, match=f"cannot use {next(iter(options))}="):
            Preprocessor(**options)

    @pytest.mark.parametrize("mask", [np.ones(80), np.ones(79, bool), np.arange(10)])
    def test_a_mask_that_is_none(self, mdata: md.MuData, mask: Any) -> None:
        with pytest.raises(ArgumentError, match="a boolean for each of 80 cells"):
            Preprocessor().fit(mdata, mask)

    def test_too_few_training_cells(self, mdata: md.MuData) -> None:
        with pytest.raises(ArgumentError, match="2 training cells: accepted are at least 3"):
            Preprocessor().fit(mdata, np.arange(80) < 2)

    def test_training_cells_without_counts(self, mdata: md.MuData) -> None:
        counts = mdata.mod["protein"].layers["counts"].toarray()
        counts[:10] = 0
        mdata.mod["protein"].layers["counts"] = sp.csr_matrix(counts)
        with pytest.raises(DataError, match="cannot fit protein: found 10 training cells without a single count"):
            Preprocessor().fit(mdata, np.arange(80) < 10)

    def test_transform_before_fit(self, mdata: md.MuData) -> None:
        with pytest.raises(ArgumentError, match="before fit"):
            Preprocessor().transform(mdata)

    def test_other_features_and_modalities(self, mdata: md.MuData) -> None:
        fitted = Preprocessor(**OPTIONS).fit(mdata)
        fewer = md.MuData({"rna": mdata.mod["rna"][:, 5:].copy()})
        with pytest.raises(DataError, match="of which 5 are missing, the first is 'Gene0'"):
            fitted.transform(fewer)
        shuffled = md.MuData({"rna": mdata.mod["rna"][:, ::-1].copy()})
        with pytest.raises(DataError, match="another order"):
            fitted.transform(shuffled)
        rna_only = Preprocessor(**OPTIONS).fit(md.MuData({"rna": mdata.mod["rna"].copy()}))
        with pytest.raises(DataError, match="cannot transform atac: fitted were rna"):
            rna_only.transform(mdata)

    def test_data_without_counts(self, mdata: md.MuData) -> None:
        del mdata.mod["rna"].layers["counts"]
        with pytest.raises(DataError, match=r"accepted are raw counts in layers\['counts'\]"):
            Preprocessor().fit(mdata)
