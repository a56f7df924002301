"""A small study at tuned rates is the bench's, and goes on from what the ledger's store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from waddington import bench
from waddington.claims.experiments import speed
from waddington.claims.experiments.studies import is_better

TASKS = {name: {"size": "tiny", "steps": 6} for name in ("quadratic", "rosenbrock", "paper-quadratic")}
ARMS: dict[str, dict[str, Any]] = {
    "SGD": {"optimizer": "SGD", "momentum": 0.9, "rates": [1e-3, 1.0]},
    "Switched": {
        "optimizer": "waddington.claims.experiments.speed:switched_sgd", "search": ["lr", "alpha_min"],
        "rates": [1e-3, 1.0],
    },
}  # fmt: skip


def test_a_study_runs_once_and_is_summed_up(tmp_path: Path) -> None:
    given: Any = {"tasks": TASKS, "arms": ARMS, "contrasts": [["Switched", "SGD"]], "trials": 2, "seeds": 3}
    found = speed.tuned(0, folder=tmp_path, **given)
    with bench.Store(tmp_path) as store:
        before = len(store.records())
    assert speed.tuned(0, folder=tmp_path, **given) == found
    with bench.Store(tmp_path) as store:
        assert len(store.records()) == before
    (contrast,) = found["contrasts"]
    assert [row["n"] for row in contrast["tasks"]] == [3, 3, 3]
    assert contrast["metric"].endswith("all along")


def test_wrapped_optimizers_switch_between_their_rates() -> None:
    for make in (speed.switched_sgd, speed.switched_amsgrad):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = make([weight], lr=0.1, alpha_min=0.01)
        weight.grad = torch.ones(3)
        optimizer.step()
        assert bool((weight < 1.0).all())
        assert optimizer.param_groups[0]["alpha_min"] == 0.01


def test_one_arm_of_two_that_are_the_same_is_not_better(tmp_path: Path) -> None:
    arms = {"A": {"optimizer": "SGD"}, "B": {"optimizer": "SGD"}}
    found = speed.tuned(
        0, folder=tmp_path, tasks=TASKS, arms=arms, contrasts=[["A", "B"]], trials=2, seeds=3
    )  # fmt: skip

    class Kept:
        result = found

    assert is_better([Kept()]).holds is False  # type: ignore[list-item]
