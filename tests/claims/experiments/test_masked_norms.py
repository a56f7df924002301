"""Theorem 3.8 along runs: curves, the theorem's bound, and the longest steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.claims.records import record

from waddington.claims.experiments import masked_norms

AT = np.array([2, 5, 10, 20, 50, 100, 500, 2000])


def runs(curve: np.ndarray, **changes: Any) -> list[Any]:
    row = {
        "steps": AT.tolist(), "norms": curve.tolist(), "kept": 0.6, "slope": -0.5, "holds": True, "is_vacuous": False,
        "bound": 2.0, "trivial": 3.0, "last": 1.0,
    }  # fmt: skip
    return [record(row | changes) for _ in range(8)]


def test_a_run_is_measured_with_its_bound() -> None:
    found = masked_norms.norms(0, steps=30, images=40, hidden=3)
    assert found["steps"][0] == 2
    assert np.all(np.diff(found["norms"]) <= 0.0)
    assert 0.0 < found["kept"] < 1.0
    assert found["holds"]
    assert found["bound"] > found["last"]


def test_the_update_that_is_analysed_keeps_the_lemma_and_the_printed_one_does_not() -> None:
    shares = {arm: masked_norms.steps_of(0, arm=arm, steps=20, hidden=3)["share"] for arm in masked_norms.ARMS}
    assert shares["as analysed"] <= 1.0
    assert shares["Algorithm 1"] > shares["as analysed"]


def test_a_curve_must_stay_below_what_its_first_decade_says() -> None:
    assert masked_norms.falls_as_claimed(runs(AT**-0.6)).holds
    assert not masked_norms.falls_as_claimed(runs(AT**-0.1)).holds
    assert not masked_norms.falls_as_claimed(runs(np.ones(len(AT)))).holds
    assert not masked_norms.falls_as_claimed([*runs(AT**-0.6), *runs(np.ones(len(AT)))]).holds


@pytest.mark.parametrize(("changes", "says"), [({}, True), ({"is_vacuous": True}, False), ({"holds": False}, False)])
def test_a_bound_that_is_empty_says_nothing(changes: dict[str, Any], says: bool) -> None:
    assert masked_norms.says_something(runs(AT**-0.6, **changes)).holds is says


def test_no_step_of_no_arm_may_be_longer() -> None:
    short = [record({"arm": arm, "share": 0.5}) for arm in masked_norms.ARMS]
    assert masked_norms.stays_below(short).holds
    for share in (1.1, float("nan")):
        assert not masked_norms.stays_below([*short, record({"arm": "Algorithm 1", "share": share})]).holds


def test_curves_and_steps_are_drawn() -> None:
    assert len(masked_norms.draw_norms(runs(AT**-0.6)).axes[0].get_legend().get_texts()) == 4
    assert masked_norms.draw_steps([record({"arm": "as analysed", "share": 0.5})]).axes
