"""α before its cap, and AdamW at AlphaAdam's effective rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.claims.records import record

from waddington import bench
from waddington.claims.experiments import strengths
from waddington.claims.experiments.walking import walk
from waddington.optim import AlphaAdam

WAYS = ("by tensor", "by coordinate")


def bands(high: float, low: float = 1.1) -> list[Any]:
    draw = np.random.default_rng(0)
    found = []
    for task in ("digits", "char-transformer"):
        for _ in range(8):
            one = {"low": low, "median": 1.3, "high": high + 0.01 * draw.normal(), "above_cap": 0.05, "count": 10}
            found.append(record({"task": task, "squared": dict.fromkeys(WAYS, one), "root": dict.fromkeys(WAYS, one)}))
    return found


def races(factor: float) -> list[Any]:
    draw = np.random.default_rng(0)
    return [
        record({"AlphaAdam": factor * math.exp(0.05 * draw.normal()), "equal": 1.0, "same": 1.5, "tuned": 1.0,
                "factor": 2.0 + 0.1 * draw.normal(), "rate": 1e-3, "own_rate": 1e-3, "at_end": False})
        for _ in range(10)
    ]  # fmt: skip


def test_bands_are_taken_before_the_cap_in_both_forms() -> None:
    found = strengths.band(0, task="digits", steps=20, hidden=4)
    assert found["tensors"] == 6
    for way in WAYS:
        assert found["squared"][way]["low"] >= 1.0
        assert found["root"][way]["high"] == pytest.approx(found["squared"][way]["high"] ** 0.5)


def test_what_is_said_of_a_step_is_what_the_optimizer_does() -> None:
    made = bench.get_task("digits").problem(0, hidden=4)
    made.model.double()
    inner = made.batch
    made.batch = lambda draw, step: (lambda pair: (pair[0].double(), pair[1]))(inner(draw, step))
    optimizer = AlphaAdam(made.model.parameters(), lr=1e-2)
    walking = walk(made, optimizer, steps=4, seed=0)
    for _ in range(3):
        next(walking)
    said = strengths.looked_at(made.model, optimizer)
    before = [param.detach().clone() for param in made.model.parameters()]
    next(walking)
    for one, old, new in zip(said, before, made.model.parameters(), strict=True):
        moved = float((new.detach() - old).square().sum()) / 1e-4
        assert one.moved == pytest.approx(moved, rel=1e-5)
        assert one.kept <= one.square


def test_a_band_is_left_at_either_end() -> None:
    assert strengths.stays_in_the_band(bands(1.8)).holds
    assert not strengths.stays_in_the_band(bands(2.6)).holds
    assert not strengths.stays_in_the_band(bands(1.8, low=0.9)).holds
    assert "95 % are 1.10, 1.30 and 2.6" in strengths.stays_in_the_band(bands(2.6)).words


def test_all_arms_are_run_at_the_effective_rate() -> None:
    found = strengths.equal_rates(0, rates=(1e-3, 1e-2), steps=5, hidden=4)
    assert found["factor"] > 1.0
    assert all(found[arm] > 0.0 for arm in ("AlphaAdam", "equal", "same", "tuned"))
    assert not torch.are_deterministic_algorithms_enabled()  # nothing global is changed


def test_a_win_at_equal_rates_is_an_interval_below_one() -> None:
    assert strengths.wins_at_equal_rates(races(0.8)).holds
    found = strengths.wins_at_equal_rates(races(1.0))
    assert not found.holds
    assert found.detectable is not None
    assert not strengths.wins_at_equal_rates(races(1.2)).holds


def test_bands_and_ratios_are_drawn() -> None:
    assert len(strengths.draw_bands(bands(1.8)).axes[0].get_yticks()) == 4
    assert len(strengths.draw_equal(races(1.0)).axes[0].get_yticks()) == 3
