"""Time is a ratio to fused Adam in every turn; memory is a share of all that training takes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import cost

STAND_IN = {"data": "stand-in", "validation_cases": 32, "batch_size": 8}


def test_times_are_taken_in_turns_of_all_optimizers() -> None:
    found = cost.times(0, tasks={"digits": {"hidden": 8}}, weights=1_000, rounds=3, steps=1, iterations=1)
    assert json.loads(json.dumps(found)) == found
    assert list(found["seconds"]) == ["step", "digits"]
    assert all(len(own) == 3 and min(own) > 0.0 for each in found["seconds"].values() for own in each.values())
    assert (found["state"]["AMVT"], found["state"]["Adam"]) == (12.0, 8.0)


def test_activations_grow_with_the_batch_and_the_share_falls() -> None:
    settings: dict[str, Any] = {"task": "cifar-resnet8", "parameters": {**STAND_IN, "resolution": 16, "width": 4}}
    small, large = (cost.memory(0, **settings, batch_size=size) for size in (8, 16))
    measured = cost.memory(0, **settings, batch_size=16, measured=8)
    assert large["activations"] == pytest.approx(measured["activations"], rel=1e-3)
    assert large["share"] < small["share"]
    assert large["state"]["AMVT, variance of the moments"] == 8.0


def made(ratio: float, noise: float = 0.002) -> list[Any]:
    draw = np.random.default_rng(0)
    names = ("AMVT", "AMVT, variance of the moments", "Adam, fused", "Adam, tensor by tensor")
    seconds = {
        where: {name: (draw.normal(1.0, noise, 21) * (ratio if name == "AMVT" else 1.0)).tolist() for name in names}
        for where in ("step", "net")
    }
    return [record({"seconds": seconds, "state": {"AMVT": 12.0, "Adam": 8.0}})]


@pytest.mark.parametrize(
    ("ratio", "noise", "holds"), [(1.06, 0.002, True), (1.3, 0.002, False), (1.0, 0.002, False), (1.04, 0.3, None)]
)
def test_five_to_seven_percent_hold_not_or_cannot_be_told(ratio: float, noise: float, holds: bool | None) -> None:
    found = cost.is_five_to_seven(made(ratio, noise))
    assert found.holds is holds
    assert "12 bytes a weight, Adam's 8" in found.words


@pytest.mark.parametrize(("share", "holds"), [(0.015, True), (0.026, False)])
def test_two_percent_is_of_every_network(share: float, holds: bool) -> None:
    state = {"AMVT": 12.0, "Adam": 8.0, "AMVT, variance of the moments": 8.0}
    rows = [record({"task": task, "weights": 2.35e7, "batch_size": 128, "share": one, "state": state})
            for task, one in (("a", 0.01), ("b", share))]  # fmt: skip
    assert cost.is_below_two_percent(rows).holds is holds


def test_pictures_show_ratios_and_shares() -> None:
    pytest.importorskip("matplotlib")
    (axes,) = cost.time_picture(made(1.2)).axes
    assert len(axes.get_yticklabels()) == 6
