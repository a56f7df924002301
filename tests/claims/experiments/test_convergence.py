"""Slopes are of losses above the least one and of gradients; a rate is confirmed only where its band holds them all."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tests.claims.records import record

from waddington.claims.experiments import convergence


def test_logistic_regression_falls_towards_scipys_least_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(200, 5, generator=draw)
    y = (x[:, 0] + torch.randn(200, generator=draw) > 0).float()
    monkeypatch.setattr(convergence, "read_a9a", lambda: ((x, y), (x, y)))
    found = convergence.logistic(0, steps=300, rows=150, batch_size=16, first=10.0)
    assert json.loads(json.dumps(found)) == found
    assert found["error"] < 1e-12
    assert found["averaged"][-1] < found["averaged"][0]
    assert found["slopes"]["averaged"] < 0.0


def test_a_networks_least_gradient_never_rises() -> None:
    found = convergence.network(0, steps=60, every=5, first=5.0, parameters={"hidden": 8}, cases=100)
    assert json.loads(json.dumps(found)) == found
    assert found["steps"][-1] == 60.0
    assert found["averaged"] == np.minimum.accumulate(found["last"]).tolist()


def made(slopes: Sequence[float]) -> list[Any]:
    steps = [10.0, 100.0, 1000.0]
    return [
        record({"what": "loss", "steps": steps, "last": [t**s for t in steps], "averaged": [t**s for t in steps],
                "slopes": {"averaged": s, "last": s}, "geometric": False})
        for s in slopes
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("slopes", "rate", "bound"),
    [
        ([-0.5, -0.51, -0.49, -0.5, -0.52], True, True),
        ([-0.77, -0.76, -0.75, -0.78, -0.77], False, True),
        ([-0.1, -0.12, -0.11, -0.1, -0.12], False, False),
        ([-0.9, -0.1, -0.5, -0.3, -0.6], None, None),
        ([-0.5], None, None),
    ],
)
def test_a_rate_is_a_band_and_a_bound_is_open_below(slopes: list[float], rate: bool | None, bound: bool | None) -> None:
    assert convergence.falls_like(-0.6, -0.4, of="f")(made(slopes)).holds is rate
    assert convergence.falls_like(-math.inf, -0.4, of="f")(made(slopes)).holds is bound


def test_the_picture_has_the_slope_of_the_claim() -> None:
    pytest.importorskip("matplotlib")
    (axes,) = convergence.picture(made([-0.5])).axes
    assert any("slope -0.5" in text.get_text() for text in axes.texts)
