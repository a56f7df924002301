"""AMVT with α/√t on problems whose optimum is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from waddington.analysis.bounds import judge
from waddington.analysis.bounds.amvt import (
    check_assumptions,
    derived_mean,
    logistic_optimum,
    measure_logistic,
    measure_regret,
    property_3,
    theorem_1,
)
from waddington.errors import ArgumentError, DataError

pytest.importorskip("scipy")


def people(count: int = 120, features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(count, features))
    chance = 1.0 / (1.0 + np.exp(-inputs @ np.linspace(-1.0, 1.0, features)))
    return inputs, (draw.random(count) < chance).astype(np.float64)


def test_the_optimum_by_hand() -> None:
    """One feature of 1 and three of four labels 1: the chance is 3/4, the loss its entropy."""
    found = logistic_optimum(np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]))
    assert found.weights == pytest.approx([math.log(3.0)])
    assert found.loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-14)
    assert found.error < 1e-12
    assert found.smoothness == pytest.approx(0.25)
    assert found.gradient_norm_bound == 1.0
    assert found.curvature == pytest.approx(0.75 * 0.25)


def test_of_several_optima_it_is_the_shortest() -> None:
    once = logistic_optimum(np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]))
    twice = logistic_optimum(np.ones((4, 2)), np.array([1.0, 1.0, 1.0, 0.0]))
    assert twice.loss == pytest.approx(once.loss, abs=1e-14)
    assert twice.weights == pytest.approx([math.log(3.0) / 2.0] * 2)


def test_classes_that_can_be_separated_have_no_optimum_without_a_penalty() -> None:
    inputs, labels = np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])
    with pytest.raises(DataError, match="classes that overlap, or a penalty"):
        logistic_optimum(inputs, labels)
    held = logistic_optimum(inputs, labels, penalty=0.1)
    assert 0.1 * held.weights[0] == pytest.approx(1.0 / (1.0 + math.exp(held.weights[0])))


def test_without_noise_sgd_is_below_what_is_derived_and_theorem_1_is_vacuous() -> None:
    inputs, labels = people()
    run = measure_logistic(inputs, labels, alpha=1.0, steps=200, rule="sgd")
    held = check_assumptions(
        run.constants, smoothness=run.optimum.smoothness, gradient_norm_bound=run.optimum.gradient_norm_bound
    )
    assert all(each.holds for each in held)
    bound = derived_mean(1.0, run.distance, run.optimum.gradient_norm_bound, held=held)
    assert judge(bound, run.steps, run.averaged).holds  # the distance from θ* falls here, so D is R
    printed = judge(theorem_1(1.0, run.distance, run.optimum.gradient_norm_bound, held=held), run.steps, run.last)
    assert printed.holds
    assert printed.is_vacuous
    assert not printed.confirms


def test_amvt_is_not_of_one_rate_on_logistic_regression() -> None:
    """Without noise its last iterate is faster than T^-1/2 and its mean is another curve: no rate is confirmed."""
    run = measure_logistic(*people(), alpha=0.1, steps=200, first=20.0)
    assert run.last_fit.slope < -0.6
    assert run.averaged_fit.slope > run.last_fit.slope
    assert run.steps[0] == 1.0
    assert run.steps[-1] == 200.0
    assert (run.last[1:] > -1e-12).all()
    assert run.constants.steps == 200


def test_batches_follow_their_seed() -> None:
    inputs, labels = people()
    runs = [measure_logistic(inputs, labels, alpha=0.1, steps=30, batch_size=8, seed=seed) for seed in (0, 0, 1)]
    assert (runs[0].last == runs[1].last).all()
    assert (runs[0].last != runs[2].last).any()
    assert runs[0].constants.noise_variance > 0.0


def test_the_regret_of_amvt_is_linear_where_that_of_adam_is() -> None:
    """x ends at 1 where -1 is best: per period of three it pays (C - 2) more than nothing, and -1 as much less."""
    run = measure_regret(600)
    assert run.points[-1] > 0.9
    assert run.regret[-1] - run.regret[299] == pytest.approx(300 * 2.0 / 3.0, rel=0.1)
    assert 0.5 < run.mean < 2.0 / 3.0
    steps = np.arange(1.0, 601.0)
    root = property_3(3.0, 2.0, 3.0, root=True)
    assert not judge(root, steps, run.regret / steps).holds
    assert judge(property_3(3.0, 2.0, 3.0), steps, run.regret / steps).holds


def test_the_first_regrets_by_hand() -> None:
    """x = 0, then -α, clipped: f_1 = 3x costs 0 and -1 would have cost -3; f_2 = -x costs 0.1, and -1 then -3 + 1."""
    run = measure_regret(2, alpha=0.1)
    assert run.points == pytest.approx([0.0, -0.1])
    assert run.regret == pytest.approx([3.0, 0.1 + 2.0])


def test_bad_arguments_are_refused() -> None:
    inputs, labels = people(20, 2)
    for call in (
        lambda: measure_logistic(inputs, labels, alpha=0.0),
        lambda: measure_logistic(inputs, labels, alpha=0.1, steps=1),
        lambda: measure_logistic(inputs, labels, alpha=0.1, batch_size=0),
        lambda: measure_logistic(inputs, labels, alpha=0.1, rule="sgd", eps=1e-3),
        lambda: logistic_optimum(inputs, labels[:5]),
        lambda: logistic_optimum(inputs, labels + 1.0),
        lambda: logistic_optimum(inputs, labels, penalty=-1.0),
        lambda: measure_regret(0),
        lambda: measure_regret(10, size=2.0),
    ):
        with pytest.raises(ArgumentError, match="cannot use"):
            call()
