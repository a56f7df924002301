from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import spearmanr

from waddington.errors import ArgumentError, DataError
from waddington.twin.preprocess.graph import connectivities, knn_graph
from waddington.twin.trajectory.pseudotime import diffusion_components, diffusion_pseudotime, infer_root


def branching(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A stem that splits in two; gives coordinates and the true time."""
    rng = np.random.default_rng(seed)
    time = rng.random(n)
    side = rng.choice([-1.0, 1.0], size=n)
    x = np.stack([1.0 + time, side * np.clip(time - 0.4, 0, None), np.full(n, 0.5)], axis=1)
    return (x + rng.normal(size=x.shape) * 0.02).astype(np.float32), time


def test_it_orders_a_branching_process_from_its_root():
    x, time = branching()
    order = diffusion_pseudotime(x, root=int(time.argmin()))
    assert order[time.argmin()] == 0.0
    assert order.max() == 1.0
    assert spearmanr(order, time).statistic > 0.95


def test_the_root_is_found_from_observed_times():
    x, time = branching()
    harvested = np.round(time * 3) / 3
    order = diffusion_pseudotime(x, times=harvested)
    assert time[order.argmin()] < 0.17
    assert spearmanr(order, time).statistic > 0.9
    harvested[::2] = np.nan
    assert spearmanr(diffusion_pseudotime(x, times=harvested), time).statistic > 0.9


def test_the_root_is_found_from_stemness_and_among_candidates():
    x, time = branching()
    assert spearmanr(diffusion_pseudotime(x, stemness=-time), time).statistic > 0.9
    order = diffusion_pseudotime(x, candidates=time < 0.3)
    assert time[order.argmin()] < 0.3


def test_without_any_hint_the_root_is_a_tip():
    x, time = branching()
    start = time[diffusion_pseudotime(x).argmin()]
    assert start < 0.1 or start > 0.9


def test_it_agrees_with_scanpy():
    sc = pytest.importorskip("scanpy")
    ad = pytest.importorskip("anndata")
    x, time = branching()
    graph = connectivities(knn_graph(x, metric="euclidean"))
    adata = ad.AnnData(x)
    adata.obsp["connectivities"], adata.obsp["distances"] = graph, graph
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 15, "method": "umap"},
    }
    sc.tl.diffmap(adata, n_comps=16)
    adata.uns["iroot"] = int(time.argmin())
    sc.tl.dpt(adata, n_dcs=16)
    ours = diffusion_pseudotime(graph, root=int(time.argmin()), n_components=15)
    assert np.corrcoef(ours, adata.obs["dpt_pseudotime"])[0, 1] > 0.999


def test_parts_that_no_path_joins():
    x, time = branching()
    far = np.concatenate([x, x[:40] * np.array([-1, 1, 1], dtype=np.float32)])
    graph = connectivities(knn_graph(far))
    root = int(time.argmin())
    alone = diffusion_pseudotime(graph, root=root)
    assert np.isnan(alone[300:]).all()
    assert np.isfinite(alone[:300]).all()
    bridged = diffusion_pseudotime(far, root=root)
    assert np.isfinite(bridged).all()
    assert bridged[300:].min() > bridged[:300].mean()
    assert spearmanr(bridged[:300], time).statistic > 0.9


def test_the_root_is_sought_where_most_early_cells_are():
    x, time = branching()
    far = np.concatenate([x, x[:40] * np.array([-1, 1, 1], dtype=np.float32)])
    harvested = np.concatenate([np.round(time * 3), np.ones(40)])
    harvested[-1] = 0.0
    order = diffusion_pseudotime(connectivities(knn_graph(far)), times=harvested)
    assert np.isfinite(order[:300]).all()


@given(seed=st.integers(0, 50), n=st.integers(3, 80))
@settings(deadline=None, max_examples=25)
def test_it_lies_between_0_and_1_and_does_not_depend_on_the_run(seed, n):
    x = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    order = diffusion_pseudotime(x, root=0)
    assert order[0] == 0.0
    assert (order >= 0.0).all()
    assert order.max() <= 1.0
    assert np.array_equal(order, diffusion_pseudotime(x, root=0))


def test_infer_root_prefers_the_centre_of_the_earliest_cells():
    x, time = branching()
    components = diffusion_components(connectivities(knn_graph(x)))
    assert time[infer_root(components, earliest=time < 0.1)] < 0.1


def test_bad_input_is_refused_with_what_was_found():
    x, _ = branching(20)
    with pytest.raises(ArgumentError, match="root=20"):
        diffusion_pseudotime(x, root=20)
    with pytest.raises(ArgumentError, match="n_components=0"):
        diffusion_pseudotime(x, n_components=0)
    with pytest.raises(DataError, match="found 2; accepted are 3"):
        diffusion_pseudotime(x[:2])
    with pytest.raises(DataError, match="times"):
        diffusion_pseudotime(x, times=np.zeros(3))
    with pytest.raises(DataError, match="only NaN"):
        diffusion_pseudotime(x, times=np.full(20, np.nan))
    x[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        diffusion_pseudotime(x)
    assert sparse.issparse(connectivities(knn_graph(x)))
