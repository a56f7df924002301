"""Both masks at the same points: what is measured agrees with algebra, and judges want whole intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import masks

NAMES = ("the batch", "the batch, per length", "all data", "all data, per length")


def runs(batch: float, whole: float, spread: float = 0.01) -> list[Any]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(10):
        means = dict(zip(NAMES, (batch, batch, whole, whole), strict=True))
        rows = {name: [mean + spread * draw.normal(), 0.5] for name, mean in means.items()}
        found.append(record({"correlation": rows, "sharpness": rows}))
    return found


def test_the_synchronous_mask_is_ahead_on_the_batch_as_algebra_says() -> None:
    found = masks.compared(0, steps=20, every=5, hidden=4)
    assert found["points"] == 4
    assert found["least_gap"] >= 0.0
    assert found["correlation"]["the batch"][0] < 0.0
    assert found["correlation"]["the batch"][1] == 0.0  # at no point
    assert found["kept"][1] < found["kept"][0] < 1.0


@pytest.mark.parametrize(
    ("batch", "whole", "more", "less"),
    [(0.1, 0.1, True, False), (-0.1, -0.1, False, True), (0.1, -0.1, False, False), (0.0, 0.0, False, False)],
)
def test_both_losses_must_agree_and_noise_is_nothing(batch: float, whole: float, more: bool, less: bool) -> None:
    records = runs(batch, whole)
    assert masks.correlates_more(records).holds is more
    assert masks.is_less_sharp(records).holds is less


def test_four_differences_are_drawn() -> None:
    for draw in (masks.draw_correlations, masks.draw_sharpnesses):
        assert len(draw(runs(0.1, 0.1)).axes[0].get_yticks()) == 4
