"""Features over conditions: what is counted, and over how few conditions nothing is said."""

from __future__ import annotations

import numpy as np

from waddington.twin.evaluate.protocol.genes import GeneSums
from waddington.twin.evaluate.protocol.truth import Observed


def sums_of(effects: np.ndarray, *, halvings: int = 2, left_out: int | None = None) -> dict[str, np.ndarray]:
    """Add predictions that are right, (conditions, features); the first feature is not scored in one of them."""
    sums = GeneSums.empty(effects.shape[1])
    for _ in range(halvings):
        for at, effect in enumerate(effects):
            keep = np.ones(len(effect), dtype=np.bool_)
            keep[0] = at != left_out
            sums.add(f"C{at}", effect, observed(effect), keep)
    return sums.columns()


def observed(effect: np.ndarray) -> Observed:
    """Give what was observed, exactly."""
    return Observed(effect=effect, noise=np.zeros_like(effect), changed=np.ones(len(effect), dtype=np.bool_))


def test_halvings_are_no_conditions() -> None:
    columns = sums_of(np.random.default_rng(0).standard_normal((4, 3)))
    np.testing.assert_array_equal(columns["n"], 4)
    np.testing.assert_allclose(columns["pearson"], 1.0)
    np.testing.assert_allclose(columns["r2"], 1.0)


def test_over_two_conditions_nothing_is_said() -> None:
    columns = sums_of(np.random.default_rng(0).standard_normal((2, 3)))
    for name in ("r2", "pearson"):
        assert np.isnan(columns[name]).all()
    assert not columns["measurable"].any()
    np.testing.assert_allclose(columns["mse"], 0.0)


def test_a_feature_that_is_not_scored_in_a_condition_has_one_less() -> None:
    columns = sums_of(np.random.default_rng(0).standard_normal((3, 3)), left_out=1)
    np.testing.assert_array_equal(columns["n"], [2, 3, 3])
    np.testing.assert_array_equal(np.isnan(columns["pearson"]), [True, False, False])
