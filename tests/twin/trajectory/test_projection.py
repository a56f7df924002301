from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from waddington.errors import ArgumentError, DataError
from waddington.twin.trajectory.projection import orient, project_2d


def _fork(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A trunk that parts into two branches in ten dimensions."""
    rng = np.random.default_rng(seed)
    times, branch = rng.uniform(size=n), rng.integers(0, 2, n)
    x = np.zeros((n, 10))
    x[:, 0] = 4 * times
    x[:, 1] = np.where(branch == 1, 1, -1) * 6 * np.clip(times - 0.4, 0, None)
    return x + rng.normal(scale=0.15, size=x.shape), times, branch


@pytest.mark.parametrize("method", ["forces", "walk", "pca"])
def test_same_seed_same_bits_and_unit_spread(method: str) -> None:
    x, _, _ = _fork()
    first, second = (project_2d(x, method=method, seed=3) for _ in range(2))
    assert first.shape == (400, 2)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert first.std(axis=0).max() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("method", ["forces", "walk"])
def test_branches_stay_apart_and_neighbors_stay_close(method: str) -> None:
    x, times, branch = _fork()
    places = project_2d(x, method=method)
    late = times > 0.7
    found = NearestNeighbors(n_neighbors=6).fit(places[late]).kneighbors(places[late])[1][:, 1:]
    assert (branch[late][found] == branch[late][:, None]).mean() > 0.95
    near = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places)[1][:, 1:]
    assert np.abs(times[near] - times[:, None]).mean() < 0.06


def test_cells_beyond_the_limit_join_their_neighbors() -> None:
    x, _, branch = _fork(600)
    places = project_2d(x, max_cells=200)
    assert places.shape == (600, 2)
    assert np.isfinite(places).all()
    assert branch.shape == (600,)
    far = x[:, 0] > 3.2
    centers = [places[far & (branch == side)].mean(axis=0) for side in (0, 1)]
    closest = [np.linalg.norm(places[far] - center, axis=1) for center in centers]
    assert ((closest[1] < closest[0]) == branch[far]).mean() > 0.95


def test_tiny_and_flat_data_fall_back_to_principal_components() -> None:
    few = project_2d(np.arange(12.0).reshape(4, 3))
    assert np.isfinite(few).all()
    line = project_2d(np.arange(50.0)[:, None])
    assert np.isfinite(line).all()


def test_bad_input_is_refused_with_what_was_found() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 3\)"):
        project_2d(np.zeros((2, 3)))
    x = np.ones((20, 3))
    x[4, 1] = np.nan
    with pytest.raises(DataError, match="1 of 20 cells"):
        project_2d(x)
    with pytest.raises(ArgumentError, match="'tsne'"):
        project_2d(np.ones((20, 3)), method="tsne")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0, 2 * np.pi))
def test_orienting_turns_without_stretching_and_points_down(seed: int, angle: float) -> None:
    rng = np.random.default_rng(seed)
    times = rng.uniform(size=60)
    plane = np.column_stack([3 * times, np.zeros(60)]) + rng.normal(scale=0.2, size=(60, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = orient(plane @ turn.T, times)
    assert np.allclose(pdist(turned), pdist(plane), atol=1e-4)
    early, late = times < 0.2, times > 0.8
    if early.any() and late.any():
        assert turned[early, 1].mean() > turned[late, 1].mean()


def test_orienting_without_an_order_only_centres() -> None:
    plane = np.random.default_rng(0).normal(size=(30, 2))
    assert np.allclose(orient(plane, np.full(30, np.nan)), plane - plane.mean(axis=0), atol=1e-6)
    assert np.allclose(orient(plane, np.ones(30)), plane - plane.mean(axis=0), atol=1e-6)
