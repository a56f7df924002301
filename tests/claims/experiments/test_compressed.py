"""Compression of updates: every way is run at the rate that is best without, and 5 % is the limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.claims.records import record

from waddington.claims.experiments import compressed

LOGS = np.random.default_rng(0).normal(size=(10, 4)) * 0.01


def runs(factor: float, *, lost: bool = False) -> list[Any]:
    """Runs whose loss is so many times that without compression, for AMGT."""
    return [
        record({
            "optimizer": name, "rate": 1e-3, "at_end": False,
            "losses": {"none": 0.2} | {
                way: None if lost and not seed and name == "AMGT" and not at else
                float(0.2 * (factor if name == "AMGT" else 1.0) * np.exp(LOGS[seed, at]))
                for at, way in enumerate(compressed.WAYS)
            },
        })
        for name in compressed.ARMS
        for seed in range(10)
    ]  # fmt: skip


def test_every_way_is_run() -> None:
    found = compressed.losses(0, optimizer="AMGT", rates=(1e-3, 1e-2), steps=3, hidden=4)
    assert set(found["losses"]) == {"none", *compressed.WAYS}
    assert all(one > 0.0 for one in found["losses"].values())


def test_five_percent_is_the_limit_of_each_way() -> None:
    assert compressed.is_robust(runs(1.0)).holds
    assert not compressed.is_robust(runs(1.1)).holds
    assert "4 levels AMGT 1.1" in compressed.is_robust(runs(1.1)).words


def test_a_lost_run_is_not_robust() -> None:
    found = compressed.is_robust(runs(1.0, lost=True))
    assert not found.holds
    assert "runs diverged" in found.words


def test_all_ways_are_drawn() -> None:
    assert len(compressed.draw_losses(runs(1.0)).axes[0].get_yticks()) == 8
