"""Least squares with weights of 0 or more: the exact minimum is reached, or is not."""

from __future__ import annotations

from tests.claims.records import record

from waddington.claims.experiments import constrained


def test_projected_steps_near_the_exact_minimum_and_never_go_below() -> None:
    few, more = (constrained.gap(0, rates=(0.003,), steps=steps) for steps in (5, 60))
    for name in ("AMGT", "Adam"):
        assert 0.0 < more[name] < few[name] < 1.0


def test_a_thousandth_is_the_limit_on_every_seed() -> None:
    near = [record({"AMGT": 1e-4 * (1 + at), "Adam": 1e-4}) for at in range(8)]
    assert constrained.reaches_the_minimum(near).holds
    assert not constrained.reaches_the_minimum([*near, record({"AMGT": 2e-3, "Adam": 1e-4})]).holds
    assert len(constrained.draw_gaps(near).axes[0].get_yticks()) == 2
