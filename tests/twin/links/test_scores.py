"""Scores equal what their equations say, and a judgement takes the larger of two p-values."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.twin.links import averaging, implied_correlation, judge, smoothed_correlation, stand_out

RNG = np.random.default_rng(0)


def test_correlation_is_of_averages_with_the_covariates_regressed_out() -> None:
    x, y, depth = RNG.standard_normal((50, 3)), RNG.standard_normal((50, 4)), RNG.standard_normal((50, 1))
    weights = RNG.random((20, 50))
    columns = np.column_stack([weights @ np.ones(50), weights @ depth])
    rest = [value - columns @ np.linalg.lstsq(columns, value, rcond=None)[0] for value in (weights @ x, weights @ y)]
    found = smoothed_correlation(x, y, averages=weights, covariates=depth)
    lengths = [np.linalg.norm(value, axis=0) for value in rest]
    np.testing.assert_allclose(found, rest[0].T @ rest[1] / np.outer(*lengths), atol=1e-10)
    plain = smoothed_correlation(x, np.column_stack([y, np.ones(50)]))
    np.testing.assert_allclose(plain[:, :4], np.corrcoef(x.T, y.T)[:3, 3:], atol=1e-12)
    assert (plain[:, 4] == 0.0).all()  # what does not vary correlates with nothing


def test_averages_hold_a_cell_and_its_neighbours_in_equal_parts() -> None:
    averages = averaging(np.linspace(1.0, 2.0, 12)[:, None] ** np.array([1.0, 3.0]), n_neighbors=2).toarray()
    np.testing.assert_allclose(averages.sum(axis=1), 1.0)
    np.testing.assert_allclose(averages[averages > 0], 1 / 3)
    assert (np.diag(averages) > 0).all()


def test_the_read_out_correlates_what_the_decoders_make_of_the_cells() -> None:
    embedding, first, second = RNG.standard_normal((60, 5)), RNG.standard_normal((3, 5)), RNG.standard_normal((2, 5))
    expected = np.corrcoef(first @ embedding.T, second @ embedding.T)[:3, 3:]
    np.testing.assert_allclose(implied_correlation(first, second, embedding), expected, atol=1e-12)


def test_a_pair_stands_out_by_the_scores_of_its_row_and_column() -> None:
    scores = RNG.standard_normal((30, 20))
    rows = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
    columns = (scores - scores.mean(0)) / scores.std(0)
    np.testing.assert_allclose(stand_out(scores), (rows + columns) / 2, atol=1e-12)
    assert (stand_out(np.ones((3, 3))) == 0.0).all()


@pytest.mark.parametrize("background", [0, 3000])
def test_a_link_is_above_unpaired_cells_and_above_the_other_pairs(background: int) -> None:
    rng = np.random.default_rng(1)
    scores = 0.1 * rng.standard_normal((60, 60))
    scores[0, 0] = scores[1, 1] = 0.9
    candidates = np.ones(scores.shape, dtype=bool)
    if background:
        candidates[:, 5:] = False
    low, high = 0.1 * rng.standard_normal((2, 60, 60)), rng.uniform(-1.0, 1.0, (2, 60, 60))
    found = judge(scores, candidates, unpaired=low, fdr=0.01)
    assert found.loc[found["linked"], "score"].tolist() == [0.9, 0.9]
    assert not judge(scores, candidates, unpaired=high)["linked"].any()  # unpaired cells score as high
    scores += 0.9  # every pair is far above unpaired cells: only what stands out is a link
    assert judge(scores, candidates, unpaired=low, fdr=0.01)["linked"].sum() == 2
