"""Seconds and bytes of a step beside fused AdamW's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tests.claims.records import record

from waddington.claims.experiments import step_costs


def runs(factor: float, size: float = 1.0) -> list[Any]:
    draw = np.random.default_rng(0)
    return [
        record({"numbers": 10, "AlphaAdam": factor * float(np.exp(0.05 * draw.normal())), "AdamW": 1.0,
                "AlphaAdam bytes": 80 * size, "AdamW bytes": 80})
        for _ in range(8)
    ]  # fmt: skip


def test_both_are_timed_and_threads_come_back() -> None:
    threads = torch.get_num_threads()
    found = step_costs.costs(0, rounds=2, shapes=((4, 4), (4,)))
    assert torch.get_num_threads() == threads
    assert found["numbers"] == 20
    assert min(found["AlphaAdam"], found["AdamW"]) > 0.0
    assert found["AlphaAdam bytes"] >= 160  # two moments in float32


def test_cheaper_is_less_time_with_its_interval_or_less_memory() -> None:
    assert step_costs.is_cheaper(runs(0.8)).holds
    assert step_costs.is_cheaper(runs(2.0, size=0.5)).holds
    for factor in (1.0, 2.0):
        assert not step_costs.is_cheaper(runs(factor)).holds
    assert len(step_costs.draw_costs(runs(2.0)).axes[0].get_yticks()) == 2
