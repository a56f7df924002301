"""The rate from the spectrum beside rates that are tried."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import spectral


def runs(loss: float | None, best: float = 0.1) -> list[Any]:
    draw = np.random.default_rng(0)
    return [
        record({
            "first": 2.3, "loss": None if loss is None else loss * math.exp(0.01 * draw.normal()),
            "losses": {"0.125": 0.5, "0.25": 0.4, "0.5": 0.3, "1": best, "2": None, "4": None},
        })
        for _ in range(10)
    ]  # fmt: skip


def test_descents_start_alike_and_the_rate_is_the_papers() -> None:
    found = spectral.descents(0, steps=2, hidden=4)
    assert found["suggested"] == pytest.approx(found["largest"] / (found["largest"] + found["smallest"]))
    assert found["losses"]["0.125"] < found["first"]
    assert spectral.descents(0, steps=2, hidden=4)["loss"] == found["loss"]


def test_efficient_is_stable_and_near_the_best() -> None:
    assert spectral.is_efficient(runs(0.101)).holds
    assert not spectral.is_efficient(runs(0.11)).holds
    for unstable in (None, 3.0):
        found = spectral.is_efficient(runs(unstable))
        assert not found.holds
        assert "10 of 10 descents end above their start" in found.words


def test_losses_are_drawn_and_lost_ones_counted() -> None:
    assert len(spectral.draw_losses(runs(0.1)).axes[0].lines) == 5
