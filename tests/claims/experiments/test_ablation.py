"""Table 3 at a small size: an order is seen where there is one, and not in noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import ablation

SMALL = {"width": 8, "layers": 1, "heads": 2, "context": 8, "batch_size": 4, "data": "stand-in"}
PAPER = {
    "AdamW": (3.799, 3.420, 3.288, 3.198), "synchronous": (3.850, 3.442, 3.310, 3.227),
    "asynchronous": (3.717, 3.391, 3.282, 3.213), "asynchronous, α": (3.658, 3.374, 3.271, 3.203),
}  # fmt: skip


def table(losses: dict[str, tuple[float, ...]], spread: float = 0.001) -> list[Any]:
    draw = np.random.default_rng(0)
    found = []
    for arm in ablation.ARMS:
        means = losses[arm if arm in losses else arm.partition(",")[0]]
        for _ in range(10):
            found.append(record({"arm": arm, "rate": 6e-4, "at_end": False,
                                 "losses": [mean + spread * draw.normal() for mean in means]}))  # fmt: skip
    return found


@pytest.mark.parametrize("rate", [6e-4, None])
def test_an_arm_is_trained_to_four_losses(rate: float | None) -> None:
    found = ablation.curve(0, arm="asynchronous, α", rate=rate, steps=5, **SMALL)
    assert len(found["losses"]) == 4
    assert all(one > 0.0 for one in found["losses"])
    assert found["rate"] in (6e-4, *ablation.RATES)


def test_the_papers_own_table_is_in_its_order() -> None:
    found = ablation.has_the_order(table(PAPER, spread=0.0005))
    assert found.holds
    assert found.words.startswith("12 of 12 neighbours")


def test_noise_and_another_order_are_not() -> None:
    assert not ablation.has_the_order(table(dict.fromkeys(PAPER, (3.8, 3.4, 3.3, 3.2)))).holds
    turned = {**PAPER, "AdamW": PAPER["asynchronous, α"], "asynchronous, α": PAPER["AdamW"]}
    assert not ablation.has_the_order(table(turned)).holds
    assert ablation.has_the_order(table(turned)).detectable is not None


def test_lowest_at_the_end_is_below_both() -> None:
    first = {**PAPER, "asynchronous, α": (3.6, 3.3, 3.2, 3.1)}
    assert ablation.is_lowest_at_the_end(table(first)).holds
    assert not ablation.is_lowest_at_the_end(table(PAPER)).holds  # AdamW ends lower there
    lost = table(first)
    for one in lost:
        if one.result["arm"] == "asynchronous, α":  # type: ignore[index]
            one.result["losses"] = [None] * 4  # type: ignore[index]
    assert not ablation.is_lowest_at_the_end(lost).holds


def test_arms_are_drawn() -> None:
    assert len(ablation.draw_curves(table(PAPER)).axes[0].lines) == len(ablation.ARMS)
