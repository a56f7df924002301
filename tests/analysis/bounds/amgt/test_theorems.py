"""Lemma 2.1, the thresholds of Eqs. 24-32, Eq. 11 and Eqs. 33-36, by hand and against runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import amgt, judge
from waddington.analysis.bounds.amgt import (
    Quadratic,
    best_mu,
    convex_rate,
    decay_factor,
    derived_global_convergence,
    far_start,
    global_convergence,
    lemma_sequence,
    measure_decay,
    nonconvex_rate,
    nonconvex_rate_as_printed,
    printed_contraction,
    quartic_floor,
    recursion_bound,
    robbins_monro,
    threshold_error,
    threshold_errors,
    threshold_holds,
)
from waddington.errors import ArgumentError
from waddington.optim import AMGT

POSITIVE = st.floats(0.05, 5.0)


def test_the_sequence_of_the_lemma_by_hand() -> None:
    # β = 2, γ = 1, a = 5: the factor 1 - 2/1 is below zero, so 1; then (1 - 1) + 1/4; then 1/3 × 1/4 + 1/9
    assert lemma_sequence(2.0, 1.0, 5.0, 4) == pytest.approx([5.0, 1.0, 0.25, 1 / 12 + 1 / 9])


@given(beta=st.one_of(POSITIVE, st.just(1.0)), gamma=POSITIVE, first=st.floats(0.0, 5.0))
def test_the_lemma_with_a_rate_is_above_its_sequence(beta: float, gamma: float, first: float) -> None:
    if 1.0 < beta < 1.01 or 0.99 < beta < 1.0:
        beta = 1.0  # beside 1 the constant grows without limit
    steps = np.arange(1.0, 401.0)
    allowed = recursion_bound(beta, gamma, first)(steps)
    assert (lemma_sequence(beta, gamma, first, 400) <= allowed * (1.0 + 1e-12)).all()


def test_the_rate_of_the_lemma_by_hand() -> None:
    assert recursion_bound(2.0, 1.0, 5.0)([1, 10]) == pytest.approx([5.0, 0.5])
    assert recursion_bound(2.0, 4.0, 5.0)([10]) == pytest.approx([0.8])  # 2γ
    assert recursion_bound(1.25, 4.0, 5.0)([10]) == pytest.approx([1.6])  # γ / (β - 1)
    assert recursion_bound(0.5, 1.0, 5.0)([100]) == pytest.approx([0.1 * (5.0 + 3.0 * math.sqrt(2.0))])
    at_one = recursion_bound(1.0, 1.0, 5.0)
    assert at_one([math.e]) == pytest.approx([(5.0 + 1.0 + math.pi**2 / 6.0 + 1.0) / math.e])
    assert set(at_one.terms) == {"power", "logarithm"}


@pytest.mark.parametrize(
    ("rate", "reaches", "averages"),
    [
        (lambda k: 0.5 / k, True, True),  # Eq. 13
        (lambda k: 0.1 / (1.0 + 0.5 * k), True, True),  # Eq. 10
        (lambda k: 0.1, True, False),
        (lambda k: k**-0.5, True, False),
        (lambda k: k**-0.51, True, True),
        (lambda k: k**-1.01, False, True),
        (lambda k: k**-3.0, False, True),
        (lambda k: 0.5 ** min(k, 2000.0), False, True),
        (lambda k: 1.0 / (k * math.log(k + 1.0) ** 2), False, True),
        (lambda k: 1.0 / (k * math.log(k + 1.0)), None, True),  # its sum is infinite, too near to the edge to be seen
    ],
)
def test_conditions_on_a_rate(rate: Callable[[float], float], reaches: bool | None, averages: bool) -> None:
    assert [each.holds for each in robbins_monro(rate)] == [reaches, averages]


def test_rates_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(ArgumentError, match="rises, between k = 2\\^0"):
        robbins_monro(lambda k: k)
    with pytest.raises(ArgumentError, match="negative"):
        robbins_monro(lambda k: -1.0 / k)
    with pytest.raises(ArgumentError, match="not finite"):
        robbins_monro(lambda k: math.nan)


def test_the_error_of_a_threshold() -> None:
    assert threshold_error(0.1, 5) == pytest.approx(0.02)
    assert threshold_error(0.1, 5, dimension=4) == pytest.approx(0.04)


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=20), st.floats(0.0, 2.0), st.sampled_from(["hard", "soft"]))
def test_without_momentum_a_threshold_is_wrong_by_no_more_than_it(
    gradients: list[float], threshold: float, mode: str
) -> None:
    errors = threshold_errors(np.array(gradients)[:, None], threshold=threshold, beta1=0.0, mode=mode)  # type: ignore[arg-type]
    assert errors.max() <= threshold * (1.0 + 1e-12) + 1e-12
    assert threshold_holds(errors, threshold + 1e-12).holds


def test_the_lag_of_momentum_is_an_error_too() -> None:
    # g = 1, 0: m̂ = (0.5 × 0.5 × 1) / (1 - 0.25) = 1/3 at k = 2
    errors = threshold_errors([[1.0], [0.0]], threshold=0.1, beta1=0.5)
    assert errors == pytest.approx([0.0, 2.0 / 3.0])
    found = threshold_holds(errors, 0.1)
    assert found.holds is False
    assert found.excess == pytest.approx(20.0 / 3.0)


def test_eq_30_as_printed() -> None:
    assert printed_contraction(0.5, 1.0) == 0.5
    assert printed_contraction(0.5, 4.0) == -1.0
    bound = global_convergence(0.5, 2.0, 3.0)
    assert bound([1, 2]).tolist() == [math.inf, math.inf]
    assert bound([4]) == pytest.approx([3.0 / (16.0 * 1.0)])
    assert bound.trivial == 4.0


def test_a_quadratic_refutes_eq_30_for_every_constant_and_keeps_the_derived_bound() -> None:
    """With l/μ = 1.2 the square falls like k^-2.4, and Eq. 30 has it fall like k^-3."""
    steps = np.geomspace(2.0, 1e8, 50)
    square = np.concatenate([[1.0], decay_factor(1.2, steps[1:] - 1.0) ** 2])
    assert not judge(global_convergence(1.0, 1.0, 100.0), steps, square).holds
    derived = derived_global_convergence(1.0, 1.2, 1.0)  # gradients of f = 1.2 x²/2 within distance 1
    assert derived.constants["C"] == pytest.approx(1.44)
    assert derived([1, 10]) == pytest.approx([2.88, 0.288])
    found = judge(derived, steps, square)
    assert found.holds
    assert found.confirms


def test_the_derived_bound_counts_the_error_of_the_moment() -> None:
    wrong = threshold_holds([1.0], 0.5)
    bound = derived_global_convergence(2.0, 3.0, 1.0, error=0.5, is_normalized=True, errors_hold=wrong)
    assert bound.constants["C"] == pytest.approx(0.5 + 2.25)
    assert [each.holds for each in bound.assumptions] == [False, False]
    assert derived_global_convergence(1.0, 0.0, 2.0)([4]) == pytest.approx([1.0])


def test_a_run_with_a_threshold_is_below_the_derived_bound() -> None:
    """Descent on a bowl whose gradient is wrong by 0.1/k in every step, against the way."""
    mu, curvature, x = 1.0, 1.5, 1.0
    squares = [x * x]
    for k in range(1, 400):
        x -= (curvature * x - math.copysign(0.1 / k, x)) / (mu * k)
        squares.append(x * x)
    bound = derived_global_convergence(mu, 1.6, 1.0, error=0.1)
    assert judge(bound, np.arange(1.0, 401.0), squares).holds


def test_eq_11_fails_from_far_enough_with_the_optimizer_itself() -> None:
    found = far_start(constant=3.0, smoothness=2.0, eta0=0.1, decay=1.0)
    assert convex_rate(3.0, found.gap_before)([1]) == found.allowed == 3.0
    assert min(found.gap_before, found.gap_after_descent, found.gap_after_unit_step) >= 4.0 * 3.0 * (1.0 - 1e-12)
    gaps = []
    for make in (
        lambda x: torch.optim.SGD([x], lr=0.05),
        lambda x: AMGT([x], lr=0.1, schedule="inverse_time", decay=1.0, compile=False),
    ):
        x = torch.nn.Parameter(torch.tensor(found.distance, dtype=torch.float64))
        x.grad = 2.0 * x.detach()
        make(x).step()
        gaps.append(float(x.detach() ** 2))
    assert gaps == pytest.approx([found.gap_after_descent, found.gap_after_unit_step], rel=1e-6)
    assert judge(convex_rate(3.0, found.gap_before), [1.0], [min(gaps)]).first_violation == 1.0


@given(constant=POSITIVE, smoothness=POSITIVE, eta0=POSITIVE)
def test_no_constant_is_large_enough(constant: float, smoothness: float, eta0: float) -> None:
    found = far_start(constant, smoothness, eta0)
    assert min(found.gap_before, found.gap_after_unit_step) >= 3.99 * constant
    assert found.gap_after_descent >= 3.99 * constant or abs(1.0 - eta0 * smoothness) < 1e-12


def test_with_rates_of_eq_10_descent_falls_more_slowly_than_any_c_over_root_t() -> None:
    x, gaps = 1.0, []
    for t in range(1, 3001):
        x -= 0.15 / (1.0 + t) * 4.0 * x**3
        gaps.append(x**4)
    steps = np.arange(1.0, 3001.0)
    assert (np.array(gaps) >= quartic_floor(steps, 0.15, 1.0)).all()
    assert float(quartic_floor(0.0, 0.15, 1.0, start=0.5)) == pytest.approx(0.5**4)
    assert float(quartic_floor(1e30, 0.15, 1.0)) > 1e6 * float(convex_rate(1.0, 1.0)(1e30))
    with pytest.raises(ArgumentError, match="eta0"):
        quartic_floor(1.0, 0.2, 1.0)


def test_the_nonconvex_rate_by_hand() -> None:
    # μΔ + L G² π² / (12 μ) = 2 × 3 + 4 × 25 × π² / 24
    bound = nonconvex_rate(2.0, 3.0, 4.0, 5.0)
    top = 6.0 + 100.0 * math.pi**2 / 24.0
    assert bound([math.e - 1.0, 99.0]) == pytest.approx([top, top / math.log(100.0)])
    assert bound.trivial == 25.0
    assert bound.useful_from() == pytest.approx(math.exp(top / 25.0) - 1.0)
    assert [each.holds for each in bound.assumptions] == [False, False]
    plain = nonconvex_rate(2.0, 3.0, 4.0, 5.0, beta1=0.0, is_normalized=False)
    assert [each.holds for each in plain.assumptions] == [True, True]
    assert nonconvex_rate_as_printed(2.0, 3.0, 4.0, 5.0)([1, 10]) == pytest.approx([top, top / 10.0])


@given(gap=POSITIVE, smoothness=POSITIVE, moment=POSITIVE, other=POSITIVE)
def test_no_other_mu_has_a_smaller_nonconvex_bound(gap: float, smoothness: float, moment: float, other: float) -> None:
    best = best_mu(gap, smoothness, moment)
    value = float(nonconvex_rate(best, gap, smoothness, moment)(10.0))
    assert value <= float(nonconvex_rate(other, gap, smoothness, moment)(10.0)) * (1.0 + 1e-12)
    assert value * math.log(11.0) == pytest.approx(math.pi / math.sqrt(3.0) * moment * math.sqrt(smoothness * gap))


def test_the_nonconvex_bound_is_vacuous_for_longer_than_anyone_trains() -> None:
    """Even the best μ: with L = 100, Δ = 2.3 and G = 1 from T = 9e11 on."""
    bound = nonconvex_rate(best_mu(2.3, 100.0, 1.0), 2.3, 100.0, 1.0)
    assert bound.useful_from() == pytest.approx(8.84e11, rel=1e-3)


def test_a_quadratic_keeps_eq_34_and_refutes_eq_35() -> None:
    """f = x²/8 with the rate 1/k: r = 1/4, so the sum of squared gradients grows like √T."""
    steps = np.geomspace(1.0, 1e7, 40)
    curve = (0.25 * decay_factor(0.25, steps - 1.0)) ** 2  # falls, so it is its own minimum
    given_ = (1.0, 0.125, 0.25, 0.25)  # μ, Δ, L, G
    assert judge(nonconvex_rate(*given_), steps, curve).holds
    assert not judge(nonconvex_rate_as_printed(*given_), steps, curve).holds


def test_bad_arguments_are_refused() -> None:
    for call in (
        lambda: recursion_bound(0.0, 1.0, 1.0),
        lambda: recursion_bound(1.0, 0.0, 1.0),
        lambda: lemma_sequence(1.0, 1.0, -1.0, 3),
        lambda: lemma_sequence(1.0, 1.0, 1.0, 0),
        lambda: threshold_error(-0.1, 1),
        lambda: threshold_error(0.1, 0),
        lambda: threshold_errors([1.0], threshold=0.1),
        lambda: threshold_errors([[1.0]], threshold=0.1, beta1=1.0),
        lambda: global_convergence(0.0, 1.0, 1.0),
        lambda: derived_global_convergence(1.0, 1.0, 0.0),
        lambda: convex_rate(-1.0, 1.0),
        lambda: far_start(0.0, 1.0, 1.0),
        lambda: nonconvex_rate(0.0, 1.0, 1.0, 1.0),
        lambda: best_mu(0.0, 1.0, 1.0),
        lambda: measure_decay(Quadratic(((1,),)), 1.0, threshold=0.1),
        lambda: measure_decay(Quadratic(((1,),)), 1.0, start=(1, 1)),
        lambda: measure_decay(Quadratic(((1,),)), 0.0),
    ):
        with pytest.raises(ArgumentError):
            call()


@pytest.mark.parametrize("number", [-1.0, math.nan])
def test_steps_and_thresholds_below_nothing_are_refused(number: float) -> None:
    with pytest.raises(ArgumentError, match="steps; accepted: numbers above 0"):
        amgt.power_law(0.5, np.array([1.0, number]))
    with pytest.raises(ArgumentError, match="cannot use threshold="):
        amgt.nonconvex_rate(1.0, 1.0, 1.0, 1.0, threshold=number)
