"""The contract of every metric of the registry: a new row is tested by being there."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from waddington.errors import ArgumentError, UnknownNameError
from waddington.twin import evaluate, plots
from waddington.twin.evaluate import metrics as registry
from waddington.twin.evaluate.metrics import METRICS, Metric, Sample, effect_metrics, get_metric, register
from waddington.twin.evaluate.summary import COLUMNS, summarize
from waddington.twin.report.tables import metric_blocks

OBSERVED = np.array([2.0, -1.0, 0.5, -0.25, 1.5, -3.0, 0.75, -0.5])
NOISE = np.array([-3.0, 2.0, -1.0, 1.0, -4.0, 4.0, -1.5, 1.25])


def scored(predicted: np.ndarray, observed: np.ndarray, order: np.ndarray | slice = slice(None)) -> dict[str, float]:
    """Score a prediction of an effect that was measured without noise, among five others."""
    scale = float(np.abs(observed).mean())
    others = scale * np.random.default_rng(3).normal(size=(5, len(observed)))
    sample = Sample(
        noise=0.0,
        changed=(np.abs(observed) > 0.6 * scale)[order],
        sd=np.full(len(observed), scale),
        candidates=np.concatenate([observed[None], others])[:, order],
        own=0,
        distance=float(np.linalg.norm(predicted - observed)),
    )
    return effect_metrics(predicted[order], observed[order], sample=sample)


@functools.cache
def means_towards_the_truth() -> list[dict[str, float]]:
    """Give the mean of each metric over noisy predictions, the noise of which shrinks to nothing."""
    noises = np.random.default_rng(0).normal(scale=2.0, size=(40, len(OBSERVED)))
    found = [[scored(OBSERVED + share * noise, OBSERVED) for noise in noises] for share in (1.0, 0.5, 0.2, 0.0)]
    return [{name: float(np.mean([one[name] for one in rows])) for name in METRICS} for rows in found]


@pytest.mark.parametrize("name", METRICS)
class TestEveryMetric:
    def test_a_perfect_prediction_has_the_best_value(self, name: str) -> None:
        assert scored(OBSERVED, OBSERVED)[name] == pytest.approx(METRICS[name].best)

    def test_moving_towards_the_truth_moves_the_better_way(self, name: str) -> None:
        gains = METRICS[name].sign * np.diff([row[name] for row in means_towards_the_truth()])
        assert (gains >= 0).all()
        assert gains.sum() > 0

    def test_stays_in_its_range(self, name: str) -> None:
        metric, rng = METRICS[name], np.random.default_rng(0)
        for _ in range(20):
            value = scored(rng.normal(size=9) * 3, rng.normal(size=9))[name]
            assert math.isnan(value) or metric.low - 1e-12 <= value <= metric.high + 1e-12
        assert metric.low <= metric.best <= metric.high
        assert metric.best == (metric.high if metric.better == "higher" else max(metric.low, 0.0))

    def test_does_not_mind_the_order_of_features(self, name: str) -> None:
        order = np.random.default_rng(1).permutation(len(OBSERVED))
        predicted = OBSERVED + 0.7 * NOISE
        assert scored(predicted, OBSERVED, order)[name] == pytest.approx(scored(predicted, OBSERVED)[name])

    def test_the_unit_says_how_it_follows_the_scale_of_features(self, name: str) -> None:
        power = {"": 0, "feature": 1, "feature²": 2}[METRICS[name].unit]
        predicted = OBSERVED + 0.7 * NOISE
        scaled, plain = scored(3 * predicted, 3 * OBSERVED)[name], scored(predicted, OBSERVED)[name]
        assert scaled == pytest.approx(3**power * plain)


@pytest.fixture
def loss_like() -> Iterator[Metric]:
    """Give a metric whose name would be guessed wrong: it says error, and more of it is better."""
    metric = Metric(
        name="error_corrected_share", label="Corrected share", better="higher", best=1.0, low=0.0, high=1.0,
        value=lambda pair: 0.0,
    )  # fmt: skip
    register(metric)
    yield metric
    registry._OTHERS.clear()


def table(metric: str) -> pd.DataFrame:
    rows = [("held-out", model, "none", 0, "rna", "held-out cells", metric, value)
            for model, value in (("response", 0.9), ("mean", 0.1))]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_no_table_or_picture_guesses_a_direction_from_a_name(loss_like: Metric) -> None:
    rows = table(loss_like.name)
    assert summarize(rows).set_index("predictor")["best"].to_dict() == {"response": True, "mean": False}
    assert metric_blocks(rows)[0].metrics == (("Corrected share", "↑"),)
    assert plots.metric_bars(rows)[loss_like.name].get_xlabel() == "better →"


def test_a_metric_that_nobody_knows_is_refused_by_name() -> None:
    for use in (summarize, metric_blocks, plots.metric_bars, plots.metric_table):
        with pytest.raises(UnknownNameError, match=r"unknown metric 'rmsee'. Did you mean 'rmse'\?"):
            use(table("rmsee"))
    with pytest.raises(UnknownNameError, match="unknown metric 'rmsee'"):
        get_metric("rmsee")


def test_a_name_is_registered_once(loss_like: Metric) -> None:
    for known in (loss_like, dataclasses.replace(loss_like, name="mse")):
        with pytest.raises(ArgumentError, match=f"metric '{known.name}': one of that name is known already"):
            evaluate.register(known)


def test_errors_are_those_that_compare_by_ratio() -> None:
    assert [name for name, metric in METRICS.items() if metric.is_error] == ["mse", "rmse", "mae"]
