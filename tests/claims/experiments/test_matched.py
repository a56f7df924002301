"""At equal training loss arms are measured alike, with Adam slowed by the penalty beside them."""

from __future__ import annotations

import json

import pytest

from waddington.claims.experiments.matched import SLOWED, at_equal_loss, paths

TINY = {"task": "digits", "parameters": {"hidden": 8}}


def test_arms_stop_at_the_loss_and_are_measured_there() -> None:
    found = at_equal_loss(0, **TINY, target=1.9, lr=3e-2, most=200, every=5, cases=100, curved_cases=100)
    assert json.loads(json.dumps(found)) == found
    assert list(found["arms"]) == ["AMVT", "Adam", SLOWED]
    assert 0.5 < found["penalty"] < 1.0
    for arm in found["arms"].values():
        assert arm["settled"]
        assert arm["fit_loss"] <= 1.9
        assert arm["step"] < 200
        assert arm["relative"] == pytest.approx(arm["sharpness"] * arm["norm"] ** 2, rel=1e-4)


def test_an_arm_that_does_not_get_there_has_no_figures() -> None:
    found = at_equal_loss(0, **TINY, target=0.0, most=2, every=1, cases=50, curved_cases=50)
    assert {arm["sharpness"] for arm in found["arms"].values()} == {None}


def test_paths_are_of_one_nominal_rate_and_the_slowed_arm_takes_shorter_steps() -> None:
    found = paths(0, **TINY, steps=12, lr=1e-2)
    assert json.loads(json.dumps(found)) == found
    arms = found["arms"]
    assert arms[SLOWED]["mean_step"] < arms["Adam"]["mean_step"]
    assert all(arm["tortuosity"] >= 1.0 and 0.0 <= arm["oscillation"] <= 1.0 for arm in arms.values())
