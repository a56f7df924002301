"""The mathematics of preprocessing against plain NumPy and scanpy, and on cells and features without counts."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from waddington.twin.preprocess.components import leading_axes, project
from waddington.twin.preprocess.selection import normalized_dispersion, top_features
from waddington.twin.preprocess.transforms import (
    centered_log_ratio,
    column_moments,
    inverse_document_frequency,
    log_normalize,
    median_depth,
    tf_idf,
)

matrices = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8), elements=st.integers(0, 50)
).map(sp.csr_matrix)


@settings(deadline=None, max_examples=40)
@given(matrices, st.sampled_from([1e4, 126.0]))
def test_log_normalize_is_its_formula(counts: sp.csr_matrix, target_sum: float) -> None:
    dense = counts.toarray().astype(np.float64)
    totals = dense.sum(1, keepdims=True)
    expected = np.log1p(dense / np.where(totals == 0, 1, totals) * target_sum)
    np.testing.assert_allclose(log_normalize(counts, target_sum=target_sum).toarray(), expected, rtol=1e-5)
    depth = np.arange(1.0, len(dense) + 1)
    by_depth = np.log1p(dense / depth[:, None] * target_sum)
    np.testing.assert_allclose(log_normalize(counts, target_sum=target_sum, depth=depth).toarray(), by_depth, rtol=1e-5)


def test_the_median_depth_is_that_of_cells_that_have_any() -> None:
    assert median_depth(np.array([0.0, 0.0, 10.0, 30.0])) == 20.0
    assert median_depth(np.zeros(3)) == 1.0


@settings(deadline=None, max_examples=40)
@given(matrices)
def test_tf_idf_is_its_formula(counts: sp.csr_matrix) -> None:
    dense = counts.toarray().astype(np.float64)
    totals, peaks = dense.sum(1, keepdims=True), dense.sum(0)
    idf = np.where(peaks > 0, len(dense) / np.where(peaks > 0, peaks, 1), 0)
    expected = np.log1p(dense / np.where(totals == 0, 1, totals) * idf * 1e4)
    np.testing.assert_allclose(tf_idf(counts, inverse_document_frequency(counts)).toarray(), expected, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(matrices)
def test_centered_log_ratio_is_its_formula(counts: sp.csr_matrix) -> None:
    dense = counts.toarray().astype(np.float64)
    by_cell = np.log1p(dense / np.exp(np.log1p(dense).mean(1, keepdims=True)))
    np.testing.assert_allclose(centered_log_ratio(counts), by_cell, rtol=1e-5, atol=1e-7)
    log_mean = np.log1p(dense).mean(0)
    by_feature = np.log1p(dense / np.exp(log_mean))
    np.testing.assert_allclose(centered_log_ratio(counts, log_mean=log_mean), by_feature, rtol=1e-5, atol=1e-7)


@settings(deadline=None, max_examples=40)
@given(matrices)
def test_moments_of_sparse_and_dense_agree(counts: sp.csr_matrix) -> None:
    for sparse, dense in zip(column_moments(counts), column_moments(counts.toarray()), strict=True):
        np.testing.assert_allclose(sparse, dense, rtol=1e-9, atol=1e-12)


def test_log_normalize_does_not_change_the_counts() -> None:
    counts = sp.csr_matrix(np.array([[1, 3], [0, 2]], dtype=np.float32))
    log_normalize(counts, target_sum=1e4)
    assert counts.toarray().tolist() == [[1, 3], [0, 2]]


def test_dispersion_is_scanpys() -> None:
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.negative_binomial(1, 1 / (1 + rng.gamma(0.5, 3, 300)), (200, 300)).astype(np.float32))
    adata = ad.AnnData(log_normalize(counts, target_sum=1e4))
    expected = sc.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=50, inplace=False)
    ours = normalized_dispersion(log_normalize(counts, target_sum=1e4))
    theirs = expected["dispersions_norm"].to_numpy()
    np.testing.assert_allclose(ours[np.isfinite(ours)], theirs[np.isfinite(ours)], rtol=1e-3, atol=1e-4)
    assert (top_features(ours, 50) == expected["highly_variable"].to_numpy()).mean() > 0.99


def test_a_gene_that_is_not_expressed_is_never_chosen() -> None:
    counts = np.random.default_rng(0).poisson(2, (30, 6)).astype(np.float32)
    counts[:, 2] = 0
    scores = normalized_dispersion(log_normalize(sp.csr_matrix(counts), target_sum=1e4))
    assert scores[2] == -np.inf
    assert not top_features(scores, 6)[2]
    assert top_features(scores, 6).sum() == 5


def test_ties_go_to_the_earlier_feature() -> None:
    assert top_features(np.array([1.0, 2.0, 1.0, 1.0]), 2).tolist() == [True, True, False, False]


@pytest.mark.parametrize("n_features", [40, 1500])
@pytest.mark.parametrize("sparse", [True, False])
def test_axes_hold_the_variance_of_the_exact_ones(n_features: int, sparse: bool) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((90, 4)) * [9, 6, 4, 3] @ rng.standard_normal((4, n_features))
    matrix = (signal + rng.standard_normal((90, n_features)) + 2).astype(np.float32)
    centre = matrix.mean(0).astype(np.float64)
    axes = leading_axes(sp.csr_matrix(matrix) if sparse else matrix, 4, centred=True)
    exact = np.linalg.svd(matrix - centre, compute_uv=False)[:4] ** 2
    np.testing.assert_allclose((((matrix - centre) @ axes) ** 2).sum(0), exact, rtol=1e-4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-8)
    scores = project(matrix, axes.astype(np.float32), centre.astype(np.float32))
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-3 * np.sqrt(exact[0]))


def test_axes_do_not_depend_on_the_seed_beyond_rounding() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((80, 3)) * [9, 6, 4] @ rng.standard_normal((3, 1300)) + rng.standard_normal((80, 1300))
    one, other = (leading_axes(matrix.astype(np.float32), 3, centred=False, seed=seed) for seed in (0, 1))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_there_are_no_more_axes_than_rank() -> None:
    rank_two = np.outer(np.arange(10.0), np.ones(6)) + np.outer(np.ones(10), np.arange(6.0))
    assert leading_axes(rank_two.astype(np.float32), 5, centred=False).shape == (6, 2)
    assert leading_axes(np.ones((10, 1), np.float32), 5, centred=True).shape == (1, 1)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_matrix])
def test_cells_that_are_all_alike_have_one_axis(centred: bool, make: type) -> None:
    for wide in (np.zeros((10, 1300), np.float32), np.ones((10, 1300), np.float32)):
        axes = leading_axes(make(wide), 5, centred=centred)
        np.testing.assert_allclose(axes.T @ axes, np.eye(1), atol=1e-12)
