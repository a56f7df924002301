"""Powers of k on quadratics: a run gives what it should, and judges call linear only what is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import quadratics

STEADY = np.random.default_rng(0).normal(size=10)


def row(at: int = 0, **changes: Any) -> dict[str, Any]:
    slope = -1.0 + 0.05 * STEADY[at]
    return {
        "rule": "AMGT", "mu": 2.0, "noise": 0.1, "threshold": 0.1, "steps": [1, 10, 100], "distances": [1, 0.1, 0.01],
        "slope": slope, "late_slope": slope, "power": 0.99, "exponential": 0.9, "claimed": 1.0, "error": 0.05,
    } | changes  # fmt: skip


def runs(**changes: Any) -> list[Any]:
    return [record(row(at, **changes)) for at in range(10)]


def test_descent_falls_with_the_power_of_its_smallest_ratio() -> None:
    found = quadratics.decay(0, rule="descent", mu=2.0, steps=1000)
    assert found["slope"] == pytest.approx(-1.5, abs=0.05)
    assert found["power"] > 0.999
    assert found["claimed"] == 1.0
    assert quadratics.decay(0, rule="descent", mu=2.0, steps=1000) == found


def test_amgt_itself_is_run_with_its_threshold() -> None:
    found = quadratics.decay(1, rule="AMGT", mu=2.0, noise=0.1, threshold=0.1, steps=100)
    assert (found["rule"], found["threshold"]) == ("AMGT", 0.1)
    assert found["error"] > 0.1  # the momentum lags


def test_linear_is_what_an_exponential_explains_better_in_every_run() -> None:
    assert not quadratics.is_linear(runs()).holds
    assert quadratics.is_linear(runs(exponential=0.999)).holds
    assert not quadratics.is_linear([*runs(exponential=0.999), *runs(mu=10.0)]).holds
    assert "AMGT, μ = 2, noise 0.1 falls like k^−0.9" in quadratics.is_linear(runs()).words


def test_an_exponent_must_be_reached_with_its_interval_for_every_mu() -> None:
    assert quadratics.falls_as_claimed(runs(claimed=0.5)).holds
    assert not quadratics.falls_as_claimed(runs(claimed=1.0)).holds  # at the edge, the interval has both sides
    assert not quadratics.falls_as_claimed([*runs(claimed=0.5), *runs(mu=10.0, claimed=5.0)]).holds


def test_convergence_is_a_slope_whose_interval_lies_below_zero() -> None:
    assert quadratics.converges(runs()).holds
    noise = [record(row(late_slope=float(one))) for one in STEADY]
    assert not quadratics.converges(noise).holds
    assert quadratics.converges(noise).detectable is not None
    assert quadratics.falls_like_1_over_k(runs()).holds
    assert not quadratics.falls_like_1_over_k(runs(slope=-0.25)).holds


def test_a_threshold_keeps_its_word_only_at_every_step_of_every_run() -> None:
    assert quadratics.keeps_its_word(runs()).holds
    assert not quadratics.keeps_its_word([*runs(), record(row(error=0.11))]).holds
    assert not quadratics.keeps_its_word([record(row(error=float("nan"))), *runs()]).holds


def test_runs_are_drawn_by_setting() -> None:
    (axes,) = quadratics.draw_decay([*runs(), *runs(mu=10.0)]).axes
    assert len(axes.get_legend().get_texts()) == 2
