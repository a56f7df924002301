"""Arms are searched on seeds that are not evaluated, with one budget, and what a run lost is None."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.claims.records import record

from waddington.claims.experiments.arms import ARMS, Trial, pass_over, schedule_of
from waddington.claims.experiments.tuned import curves_of, steps_to, tuned, upward_share

TINY: dict[str, Any] = {
    "task": "digits", "steps": 10, "trials": 2, "tuning_seeds": 1, "evaluation_seeds": 2, "evaluations": 2,
    "parameters": {"hidden": 8}, "cases": 100,
}  # fmt: skip


def test_an_arm_is_searched_and_run_on_other_seeds() -> None:
    found = tuned(0, arm="Adam", **TINY)
    assert json.loads(json.dumps(found)) == found
    assert found["lr"] in found["rates"]
    assert min(found["losses"]) == found["losses"][found["rates"].index(found["lr"])]
    again = Trial(task="digits", arm="Adam", lr=found["lr"], steps=10, seed=101, parameters={"hidden": 8},
                  schedule="cosine", evaluations=2).train()  # fmt: skip
    assert again.test is not None
    assert found["test_accuracy"][1] == pytest.approx(again.test["accuracy"], abs=1e-6)
    assert found["gap"][0] == pytest.approx(found["fit_accuracy"][0] - found["test_accuracy"][0], abs=1e-5)
    assert len(found["curve"]) == 2
    assert found["curve_steps"] == [5.0, 10.0]


def test_all_arms_try_the_same_rates_and_another_schedule_has_a_name_of_its_own() -> None:
    first, second = tuned(0, arm="Adam", **TINY), tuned(0, arm="SGD", schedule="step decay", **TINY)
    assert first["rates"] == second["rates"]
    assert (first["arm"], second["arm"]) == ("Adam", "SGD, step decay")


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_lowers_the_loss(arm: str) -> None:
    trial = Trial(task="digits", arm=arm, lr=3e-2, steps=30, seed=0, parameters={"hidden": 8})
    trained = trial.train(test=False)
    assert trained.curve[-1]["loss"] < trained.curve[0]["loss"]


def test_a_variance_that_is_tracked_and_unused_changes_nothing_of_adam() -> None:
    ends = []
    for arm, eps in (("Adam", 1e-8), ("AMVT, variance unused", 1e-16)):  # outside of the root, and inside
        trial = Trial(
            task="digits", arm=arm, lr=1e-2, steps=5, seed=0, parameters={"hidden": 8}, arguments={"eps": eps}
        )  # fmt: skip
        trial.train(test=False)
        ends.append([one.detach().clone() for one in trial.problem.model.parameters()])
    assert "exp_avg_var" in next(iter(trial.optimizer.state.values()))
    for first, second in zip(*ends, strict=True):
        assert float((first - second).abs().max()) < 1e-4


def test_step_decay_falls_to_a_hundredth_in_thirds() -> None:
    trial = Trial(task="digits", arm="SGD", lr=1.0, steps=9, seed=0, parameters={"hidden": 8})
    scheduler = schedule_of("step decay").build(trial.optimizer, steps=9, seed=0)
    rates = []
    for _ in range(9):
        rates.append(trial.optimizer.param_groups[0]["lr"])
        trial.optimizer.step()
        scheduler.step()  # type: ignore[union-attr]
    assert rates == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 3)


def test_training_data_are_the_same_whatever_the_batch_size() -> None:
    first, second = (pass_over("digits", 0, {"batch_size": size}, cases=50) for size in (8, 64))
    assert first.batches[0][0].equal(second.batches[0][0])


def made(arm: str, curves: list[list[float | None]]) -> Any:
    return record({"arm": arm, "curve_steps": [10, 20, 30], "curve": curves, "validation": curves})


def test_steps_to_a_loss_are_those_that_all_arms_reach() -> None:
    rows = [made("AMVT", [[1.0, 0.5, 0.2]]), made("Adam", [[2.0, 0.6, 0.4], [None, None, None]])]
    rows[1].result["curve"] = [[2.0, 0.6, 0.4], [0.8, 0.4, 0.4], [None, None, None]]
    found = steps_to()(rows)
    assert found["AMVT"] == [pytest.approx(20 + 10 / 3)]
    assert found["Adam"] == [30.0, 20.0, None]


def test_curves_are_medians_and_their_upward_movement_is_of_the_second_half() -> None:
    rows = [made("AMVT", [[1.0, 0.5, 0.6], [3.0, 0.7, 0.6], [2.0, 0.6, None]])]
    assert curves_of(rows)["AMVT"] == ([10, 20, 30], [2.0, 0.6, 0.6])
    assert upward_share()(rows)["AMVT"] == [1.0, 0.0, None]
