from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from waddington.errors import DataError
from waddington.twin.trajectory import trends
from waddington.twin.trajectory.trends import call_trends, smooth_trend


def _cells(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times = rng.uniform(size=n)
    noise = rng.normal(size=(n, 4))
    return times, np.column_stack([3 * times, -3 * times, 0 * times, np.full(n, 7.0)]) + noise * [0.5, 0.5, 1.0, 0.0]


def test_calls_follow_direction_and_noise_is_flat() -> None:
    times, values = _cells()
    table = call_trends(times, {"rna": values}, {"rna": ["rises", "falls", "noise", "constant"]})
    assert table["call"].tolist() == ["up", "down", "flat", "flat"]
    assert table["spearman"].iloc[3] == 0.0
    expected = stats.spearmanr(times, values[:, 0])
    assert table["spearman"].iloc[0] == pytest.approx(expected.statistic, abs=1e-12)
    assert table["p_value"].iloc[2] == pytest.approx(stats.spearmanr(times, values[:, 2]).pvalue, rel=1e-6)


def test_a_perfect_order_has_p_zero_without_warnings() -> None:
    times = np.arange(20.0)
    table = call_trends(times, {"rna": times[:, None]}, {"rna": ["gene"]})
    assert table["spearman"].iloc[0] == pytest.approx(1.0)
    assert table["call"].iloc[0] == "up"


def test_sparse_equals_dense_and_unordered_cells_are_left_out() -> None:
    times, values = _cells()
    values = np.maximum(values, 0)
    names = {"rna": list("abcd")}
    dense = call_trends(times, {"rna": values}, names)
    thin = call_trends(times, {"rna": sparse.csr_matrix(values)}, names)
    more = call_trends(np.append(times, np.nan), {"rna": np.vstack([values, values[:1] * 90])}, names)
    assert dense.equals(thin)
    assert dense.equals(more)


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    times, values = _cells(60)
    table = call_trends(times, {"rna": values[:, :3]}, {"rna": list("abc")})
    order = np.argsort(table["p_value"].to_numpy())
    p = table["p_value"].to_numpy()[order]
    by_hand = [min(1.0, *(p[j] * 3 / (j + 1) for j in range(i, 3))) for i in range(3)]
    assert table["q_value"].to_numpy()[order] == pytest.approx(by_hand)
    with pytest.warns(DeprecationWarning, match="scipy"):
        assert trends.false_discovery_rates(p) == pytest.approx(by_hand)


def test_a_modality_without_features_has_no_trends() -> None:
    times, values = _cells(20)
    table = call_trends(times, {"rna": values, "atac": values[:, :0]}, {"rna": list("abcd"), "atac": []})
    assert table["modality"].tolist() == ["rna"] * 4


def test_courses_follow_the_mean_with_an_honest_error() -> None:
    times, values = _cells(2000)
    grid, mean, error = smooth_trend(times, values)
    inside = (grid > 0.1) & (grid < 0.9)
    assert np.allclose(mean[inside, 0], 3 * grid[inside], atol=0.25)
    assert np.allclose(mean[:, 3], 7.0)
    assert np.allclose(error[:, 3], 0.0, atol=1e-6)
    assert np.all(error[:, 0] < 0.2)
    assert np.all(error[:, 0] > 0.0)


def test_a_gap_in_pseudotime_widens_the_kernel_and_stays_finite() -> None:
    times = np.concatenate([np.linspace(0, 0.1, 50), np.linspace(0.9, 1.0, 50)])
    _, mean, error = smooth_trend(times, times[:, None], bandwidth=0.001)
    assert np.isfinite(mean).all()
    assert np.isfinite(error).all()


def test_bad_input_is_refused() -> None:
    times, values = _cells(30)
    with pytest.raises(DataError, match="3 names for 4 columns"):
        call_trends(times, {"rna": values}, {"rna": list("abc")})
    with pytest.raises(DataError, match="29 pseudotimes"):
        smooth_trend(times[:29], values)
    with pytest.raises(DataError, match="found 2 cells with one"):
        smooth_trend([0.0, 1.0, np.nan], np.ones((3, 1)))


def test_no_call_is_made_where_ranks_and_the_drawn_mean_disagree() -> None:
    rng = np.random.default_rng(0)
    times = np.linspace(0.0, 1.0, 400)
    # Most cells rise a little; a few early ones are so high that the mean falls.
    rising = 0.2 * times + 0.01 * rng.normal(size=400)
    bursts = np.where((times < 0.4) & (rng.random(400) < 0.2), 20.0, rising)
    table = call_trends(times, {"rna": np.column_stack([rising, bursts])}, {"rna": ["rises", "bursts"]})
    assert table["call"].tolist() == ["up", "flat"]
    bursting = table.iloc[1]
    assert bursting["spearman"] > 0.1
    assert bursting["slope"] < 0
