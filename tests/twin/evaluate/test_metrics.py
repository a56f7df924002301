from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from waddington.errors import ArgumentError
from waddington.twin.evaluate.metrics import PAPER, effect_metrics

changes = arrays(np.float64, 12, elements=st.floats(-5, 5).filter(lambda x: abs(x) > 1e-3))


def test_by_hand() -> None:
    found = effect_metrics(np.array([1.0, -1.0, 2.0, 1.0]), np.array([2.0, -1.0, 1.0, -1.0]))
    # rises: 1, 0, 1, 0; called: 1, 0, 1, 1
    assert found["accuracy"] == 0.75
    assert found["precision"] == pytest.approx(0.5 * (2 / 3) + 0.5 * 1.0)
    assert found["recall"] == 0.75
    assert found["mse"] == pytest.approx((1 + 0 + 1 + 4) / 4)
    assert found["rmse"] == pytest.approx(math.sqrt(1.5))
    assert found["mae"] == pytest.approx(1.0)
    assert found["r2"] == pytest.approx(1 - 6 / (7 - 4 * 0.25**2))
    # ranked: feature 3 (rises), then a tie of one that rises and one that falls
    assert found["auprc"] == pytest.approx(0.5 * 1 + 0.5 * (2 / 3))


@settings(deadline=None, max_examples=40)
@given(changes)
def test_the_truth_scores_best(observed: np.ndarray) -> None:
    found = effect_metrics(observed, observed)
    for metric in ("accuracy", "precision", "recall", "f1"):
        assert found[metric] == 1.0
    assert found["mse"] == found["mae"] == 0.0
    assert math.isnan(found["r2"]) or found["r2"] == 1.0
    assert math.isnan(found["pearson"]) or found["pearson"] == pytest.approx(1.0)


@settings(deadline=None, max_examples=40)
@given(changes, changes)
def test_weighted_recall_is_accuracy_as_in_the_paper(predicted: np.ndarray, observed: np.ndarray) -> None:
    found = effect_metrics(predicted, observed)
    assert found["recall"] == pytest.approx(found["accuracy"])
    assert set(found) == set(PAPER)


@settings(deadline=None, max_examples=60)
@given(arrays(np.float64, st.integers(1, 12), elements=st.integers(-2, 2)), st.data())
def test_calls_and_ranks_are_those_of_scikit_learn(predicted: np.ndarray, data: st.DataObject) -> None:
    """Whole numbers make ties of scores, and classes that nothing is called to."""
    observed = data.draw(arrays(np.float64, predicted.shape, elements=st.integers(-1, 1)))
    found = effect_metrics(predicted, observed)
    wanted = metrics.precision_recall_fscore_support(
        observed > 0, predicted > 0, average="weighted", zero_division=0.0
    )[:3]
    np.testing.assert_allclose([found[name] for name in ("precision", "recall", "f1")], wanted, rtol=1e-12)
    if (observed > 0).any():
        assert found["auprc"] == pytest.approx(metrics.average_precision_score(observed > 0, predicted), rel=1e-12)


def test_no_change_has_no_correlation_and_auprc_at_prevalence() -> None:
    observed = np.array([1.0, 2.0, -1.0, -3.0, 0.5])
    found = effect_metrics(np.zeros(5), observed)
    assert math.isnan(found["pearson"])
    assert found["auprc"] == pytest.approx(3 / 5)


def test_hard_calls_can_rank_instead() -> None:
    predicted, observed = np.array([3.0, 2.0, 1.0]), np.array([1.0, -1.0, 1.0])
    assert effect_metrics(predicted, observed, score=predicted > 0)["auprc"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("predicted", "observed", "message"),
    [
        (np.zeros(3), np.zeros(4), "on 3 features with the observed effect on 4"),
        (np.zeros(0), np.zeros(0), "non-zero"),
        (np.array([np.nan]), np.array([1.0]), "not finite"),
    ],
)
def test_bad_input(predicted: np.ndarray, observed: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        effect_metrics(predicted, observed)
