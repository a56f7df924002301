"""Arms at their own rates: a rate is tuned on other seeds, and judges see differences and no noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import own_rates

LOGS = np.random.default_rng(0).normal(size=(5, 10)) * 0.05
NAMES = ("AdamW", "NAdam", "RAdam", "Lion", "SGD")


def masked(factors: dict[str, float]) -> list[Any]:
    """Runs of optimizers with and without a mask, which multiplies the loss."""
    return [
        record({
            "optimizer": name, "masked": on, "at_end": False,
            "loss": float(np.exp(LOGS[at, seed] * (1 if on else -1)) * (factors.get(name, 1.0) if on else 1.0)),
        })
        for at, name in enumerate(NAMES)
        for on in (False, True)
        for seed in range(10)
    ]  # fmt: skip


def flat(factor: float) -> list[Any]:
    """Runs of AMGT and Adam, whose sharpness and loss differ by a factor."""
    return [
        record({
            "optimizer": name, "at_end": name == "Adam", "rate": 1e-3, "train_loss": 0.1, "relative_sharpness": 5.0,
            "sharpness": float(np.exp(LOGS[at, seed])) * (factor if name == "AMGT" else 1.0),
            "loss": float(np.exp(LOGS[2 + at, seed])) * (factor if name == "AMGT" else 1.0),
        })
        for at, name in enumerate(("AMGT", "Adam"))
        for seed in range(10)
    ]  # fmt: skip


def test_a_rate_that_diverges_is_not_chosen() -> None:
    settings = {"optimizer": "SGD", "steps": 5, "parameters": {"hidden": 4}}
    assert own_rates.best_rate(0, (1e-2, 1e20), **settings) == (1e-2, True)


@pytest.mark.parametrize("mask", [False, True])
def test_an_arm_is_tuned_and_measured(mask: bool) -> None:
    found = own_rates.reached(
        0, optimizer="SGD", rates=(1e-2, 1e-1), steps=5, hidden=4, arguments={"momentum": 0.9}, masked=mask,
        curvature=not mask,
    )  # fmt: skip
    assert found["rate"] in (1e-2, 1e-1)
    assert found["loss"] > 0.0
    assert ("sharpness" in found) is not mask


def test_masks_help_most_only_where_they_help_more_than_half() -> None:
    three, two = (dict.fromkeys(NAMES[:count], 0.8) for count in (3, 2))
    assert own_rates.beats_in_most(masked(three)).holds
    found = own_rates.beats_in_most(masked(two))
    assert not found.holds
    assert "masks help 2 (AdamW, NAdam) and harm 0 (none)" in found.words


def test_noise_helps_nobody_and_lost_runs_count_against_the_mask() -> None:
    found = own_rates.beats_in_most(masked({}))
    assert not found.holds
    assert found.detectable is not None
    lost = masked(dict.fromkeys(NAMES[:3], 0.8))
    for one in lost:
        if one.result["masked"] and one.result["optimizer"] in NAMES[:3]:  # type: ignore[index]
            one.result["loss"] = None  # type: ignore[index]
    assert not own_rates.beats_in_most(lost).holds


def test_flatter_is_an_eigenvalue_that_is_smaller_with_its_interval() -> None:
    assert own_rates.is_flatter(flat(0.7)).holds
    for factor in (1.0, 1.3):
        assert not own_rates.is_flatter(flat(factor)).holds
    assert own_rates.is_better(flat(0.7)).holds
    assert not own_rates.is_better(flat(1.0)).holds
    assert "in 10 of 20 runs the best rate was at an end" in own_rates.is_flatter(flat(1.0)).words


def test_ratios_are_drawn() -> None:
    assert len(own_rates.draw_ratios(masked({})).axes[0].get_yticks()) == 5
    assert len(own_rates.draw_flatness(flat(0.7)).axes[0].get_yticks()) == 5
