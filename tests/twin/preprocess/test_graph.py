from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from waddington.errors import ArgumentError, DataError
from waddington.twin.preprocess import neighbors
from waddington.twin.preprocess.graph import connectivities, joint_graph, joint_neighbors, knn_graph
from waddington.twin.preprocess.neighbors import neighbor_table


def cloud(n: int, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def two_modalities(n: int = 120, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two groups that only ``good`` can tell apart; ``noise`` sees nothing."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 2
    good = rng.normal(size=(n, 6)) * 0.1 + np.where(group[:, None] == 0, 1.0, [[-1, 1, -1, 1, -1, 1]])
    return {"good": good.astype(np.float32), "noise": rng.normal(size=(n, 6)).astype(np.float32)}, group


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbors_are_those_of_brute_force(metric):
    x, query = cloud(60), cloud(20, seed=1)
    graph = knn_graph(x, n_neighbors=7, metric=metric, query=query)
    if metric == "cosine":
        unit = [t / np.linalg.norm(t, axis=1, keepdims=True) for t in (query, x)]
        full = 1.0 - unit[0] @ unit[1].T
    else:
        full = np.linalg.norm(query[:, None] - x[None], axis=2)
    table, distances = neighbor_table(graph)
    assert np.array_equal(np.sort(table, axis=1), np.sort(np.argsort(full, axis=1)[:, :7], axis=1))
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :7], atol=1e-5)


@given(n=st.integers(2, 40), k=st.integers(1, 50), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_no_cell_is_its_own_neighbor_and_rows_run_from_near_to_far(n, k, seed):
    table, distances = neighbor_table(knn_graph(cloud(n, 3, seed), n_neighbors=k))
    assert table.shape == (n, min(k, n - 1))
    assert (table != np.arange(n)[:, None]).all()
    assert (np.diff(distances, axis=1) >= -1e-6).all()


@pytest.mark.slow  # the search is compiled for a minute or more
def test_approximate_search_finds_most_of_the_exact_neighbors(monkeypatch):
    x = cloud(600, 4)
    exact, _ = neighbor_table(knn_graph(x, n_neighbors=10))
    exact_query, _ = neighbor_table(knn_graph(x, n_neighbors=10, query=x[:50]))
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 100)
    found, _ = neighbor_table(knn_graph(x, n_neighbors=10))
    found_query, _ = neighbor_table(knn_graph(x, n_neighbors=10, query=x[:50]))
    assert (found != np.arange(600)[:, None]).all()
    for one, other in ((exact, found), (exact_query, found_query)):
        assert np.mean([np.isin(a, b).mean() for a, b in zip(one, other, strict=True)]) > 0.9


def test_unmeasured_cells_have_no_neighbors_and_are_nobodys():
    x = cloud(30)
    x[[3, 17]] = np.nan
    table, _ = neighbor_table(knn_graph(x, n_neighbors=5))
    assert (table[[3, 17]] == -1).all()
    assert not np.isin(table, [3, 17]).any()


def test_a_zero_profile_is_no_nan():
    x = cloud(20)
    x[4] = 0.0
    assert np.isfinite(knn_graph(x, n_neighbors=3).data).all()


@given(n=st.integers(3, 60), k=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_connectivities_are_symmetric_weights(n, k, seed):
    graph = connectivities(knn_graph(cloud(n, 3, seed), n_neighbors=k, metric="euclidean"))
    assert abs(graph - graph.T).max() < 1e-6
    assert graph.diagonal().sum() == 0.0
    assert graph.data.min() > 0.0
    assert graph.data.max() <= 1.0 + 1e-6


def test_the_kernel_gives_each_row_the_sum_of_umap():
    # Directed weights of a cell sum to log2(k + 1): take an asymmetric graph, so that uniting changes nothing.
    distances = sparse.csr_matrix(np.array([[0, 1, 2, 4.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
    graph = connectivities(distances)
    assert graph[0].sum() == pytest.approx(np.log2(4.0), rel=1e-5)
    assert graph[0, 1] == pytest.approx(1.0)


def test_joint_neighbors_follow_the_modality_that_knows():
    spaces, group = two_modalities()
    table, affinity, weights = joint_neighbors(spaces, n_neighbors=8)
    assert (group[table] == group[:, None]).mean() > 0.95
    assert weights[:, 0].mean() > 0.7
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-5)
    assert (np.diff(affinity, axis=1) <= 1e-6).all()
    assert (table != np.arange(len(group))[:, None]).all()


def test_joint_graph_of_one_modality_has_that_modalitys_neighbors():
    x = cloud(80)
    graph, weights = joint_graph({"rna": x}, n_neighbors=6)
    alone = connectivities(knn_graph(x, n_neighbors=6))
    assert ((graph > 0) != (alone > 0)).nnz == 0
    assert (weights == 1.0).all()


def test_joint_graph_is_symmetric_and_connected():
    spaces, group = two_modalities()
    graph, _ = joint_graph(spaces, n_neighbors=10)
    assert abs(graph - graph.T).max() < 1e-6
    assert graph.shape == (len(group), len(group))
    assert connected_components(graph)[0] <= 2


def test_a_missing_modality_has_no_weight_in_the_joint_graph():
    spaces, _ = two_modalities()
    spaces["good"][:10] = np.nan
    table, _, weights = joint_neighbors(spaces, n_neighbors=5)
    assert (weights[:10, 0] == 0.0).all()
    assert (table[:10] >= 0).all()
    left_out, _, weights = joint_neighbors(spaces, n_neighbors=5, query={"noise": spaces["noise"][20:30]})
    assert left_out.shape == (10, 5)
    assert (weights == [0.0, 1.0]).all()


def test_bad_input_is_refused_with_what_was_found():
    x = cloud(10)
    with pytest.raises(ArgumentError, match="metric='manhattan'"):
        knn_graph(x, metric="manhattan")
    with pytest.raises(ArgumentError, match="n_neighbors=0"):
        knn_graph(x, n_neighbors=0)
    with pytest.raises(DataError, match=r"\(4, 2\)"):
        knn_graph(x, query=cloud(4, 2))
    with pytest.raises(DataError, match="no reference cell"):
        knn_graph(np.full((4, 2), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="square"):
        connectivities(knn_graph(x, n_neighbors=2, query=x[:3]))
    with pytest.raises(DataError, match=r"\[9, 10\]"):
        joint_graph({"rna": x, "atac": cloud(9)})
