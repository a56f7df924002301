"""The least squared gradient of a network, and whether it stays below C/ln T."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.claims.records import record

from waddington.claims.experiments import nonconvex
from waddington.claims.experiments.walking import log_spaced

STEPS = np.array([2, 5, 10, 20, 50, 100, 500, 1000, 3000])


def runs(curve: np.ndarray, *, mu: float = 10.0) -> list[Any]:
    factors = np.exp(0.05 * np.random.default_rng(0).normal(size=8))
    return [record({"mu": mu, "steps": STEPS.tolist(), "squares": (curve * one).tolist()}) for one in factors]


def test_a_network_is_trained_and_its_whole_gradient_looked_at() -> None:
    found = nonconvex.gradients(0, mu=100.0, steps=20, hidden=4)
    assert found["steps"] == [at for at in log_spaced(20, 10) if at >= 2]
    assert len(found["squares"]) == len(found["steps"])
    assert min(found["squares"]) > 0.0


def test_what_falls_like_1_over_log_or_faster_holds_the_bound() -> None:
    fast = nonconvex.falls_like_1_over_log(runs(1.0 / STEPS))
    assert fast.holds
    assert fast.interval is not None
    assert fast.interval.high < 1.0
    assert "0.0" in fast.words


def test_what_stays_or_falls_slower_does_not() -> None:
    assert not nonconvex.falls_like_1_over_log(runs(np.ones(len(STEPS)))).holds
    assert not nonconvex.falls_like_1_over_log(runs(np.log(STEPS) ** -0.5)).holds
    mixed = [*runs(1.0 / STEPS), *runs(np.ones(len(STEPS)), mu=100.0)]
    assert not nonconvex.falls_like_1_over_log(mixed).holds


def test_noise_without_descent_is_no_convergence() -> None:
    draw = np.random.default_rng(1)
    noise = [
        record({"mu": 10.0, "steps": STEPS.tolist(), "squares": np.exp(draw.normal(size=len(STEPS))).tolist()})
        for _ in range(8)
    ]
    assert not nonconvex.falls_like_1_over_log(noise).holds


def test_both_curves_are_drawn() -> None:
    (axes,) = nonconvex.draw_gradients(runs(1.0 / STEPS)).axes
    assert len(axes.lines) == 2


def test_steps_are_spaced_in_logarithms() -> None:
    assert log_spaced(100, 2) == [1, 3, 10, 32, 100]
    assert log_spaced(1, 5) == [1]
