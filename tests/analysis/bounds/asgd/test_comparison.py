"""Section III.H and Table I, by hand and in fractions."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.analysis.bounds import asgd
from waddington.analysis.bounds.asgd import (
    ORDERS,
    Setting,
    best_rate,
    compare_orders,
    ergodic,
    factored_difference,
    improvement_factor,
    mean_rate,
    net_condition,
    net_difference,
    squared_mean_rate,
    switched,
    variance_sum,
)
from waddington.errors import ArgumentError, UnknownNameError

# Eq. 27
FIXED, SMALL, SHARE = F(1, 10**4), F(1, 10**7), F(3, 5)
USUAL = Setting(dimension=1, gradient_bound=1.0, smoothness=1.0, gap=1.0, rate=1e-4)
BY_HAND = Setting(dimension=4, gradient_bound=2.0, smoothness=3.0, gap=5.0, rate=0.1, beta1=0.4, beta2=0.64, eps=0.25)
fractions = st.fractions(F(1, 1000), 1000, max_denominator=1000)


def test_eq_27_and_28_exactly() -> None:
    mean = mean_rate(SMALL, FIXED, SHARE)
    assert mean == F(6004, 10**8)
    factor = improvement_factor(FIXED, mean)
    assert factor == F(2500, 1501)
    assert float(factor) == pytest.approx(1.66556, abs=1e-5)
    assert factor > 1  # the leading term of Eq. 22 is larger than that of Eq. 23
    assert 1 - 1 / factor == F(999, 2500)  # the "40 %" is of the inverse


def test_the_leading_term_grows_by_the_factor() -> None:
    new = switched(USUAL, small=1e-7, share=0.6).terms["R8 / (T α)"](np.array(100.0))
    old = ergodic(USUAL).terms["R8 / (T α)"](np.array(100.0))
    assert float(new / old) == pytest.approx(2500 / 1501)


def test_the_third_summand_is_not_that_of_the_mean_rate() -> None:
    # Σα²/Σα = (0.6e-8 + 0.4e-14)/6.004e-5
    exact = squared_mean_rate(SMALL, FIXED, SHARE)
    assert exact == F(6000004, 10**15) / F(6004, 10**8)
    assert float(exact) == pytest.approx(9.99334e-5, rel=1e-6)
    third = "α R10 d / √T"
    printed, mended = (switched(USUAL, small=1e-7, share=0.6, form=form).terms[third] for form in ("printed", "mended"))
    old = ergodic(USUAL).terms[third](np.array(9.0))
    assert float(printed(np.array(9.0)) / old) == pytest.approx(0.6004)
    assert float(mended(np.array(9.0)) / old) == pytest.approx(0.999334, rel=1e-4)


@settings(max_examples=30)
@given(small=fractions, more=fractions, share=st.fractions(0, 1, max_denominator=100))
def test_means_lie_between_the_rates_and_the_squared_one_above(small: F, more: F, share: F) -> None:
    large = small + more
    assert small <= mean_rate(small, large, share) <= squared_mean_rate(small, large, share) <= large
    one_rate = share in (0, 1)
    assert (mean_rate(small, large, share) == squared_mean_rate(small, large, share)) == one_rate


@settings(max_examples=30)
@given(root=fractions, fixed=fractions, mean=fractions, leading=fractions, third=fractions)
def test_eq_26_is_a_product_of_two_differences(root: F, fixed: F, mean: F, leading: F, third: F) -> None:
    printed, product = factored_difference(root, fixed=fixed, mean=mean, leading=leading, third=third)
    assert printed == product
    threshold = leading / (third * mean * fixed)  # √T*
    if mean == fixed:
        assert printed == 0
    else:
        assert (printed < 0) == (root > threshold if mean < fixed else root < threshold)


def test_the_threshold_of_eq_27() -> None:
    # R8/(R10 ᾱ a) = 2/(1.0927e8 · 6.004e-9) = 3.048, in units of Δ/(L Z d)
    found = net_condition(USUAL, mean=6.004e-5)
    assert found.tighter == "after"
    assert math.sqrt(found.threshold) == pytest.approx(3.0484, rel=1e-4)
    in_units = replace(USUAL, gap=6.0, smoothness=2.0, gradient_bound=0.5, dimension=3)
    assert net_condition(in_units, mean=6.004e-5).threshold == pytest.approx(found.threshold * (6.0 / 3.0) ** 2)
    ppo = net_condition(replace(USUAL, eps=1e-5), mean=6.004e-5)
    assert math.sqrt(ppo.threshold) == pytest.approx(3.0484 * math.sqrt(1000.0), rel=1e-4)  # 96.4
    many = net_condition(replace(USUAL, dimension=100_000), mean=6.004e-5)
    assert many.threshold < 1e-8
    assert many.holds(np.array([1.0, 1e6])).all()


def test_with_the_rate_of_the_proof_the_threshold_is_far_later() -> None:
    weight = squared_mean_rate(1e-7, 1e-4, 0.6)
    found = net_condition(USUAL, mean=6.004e-5, weight=weight)
    # R8 (1/ᾱ - 1/a) / (R10 (a - w)) = 1.8303e-8 · 6655.6 / 6.656e-8
    assert math.sqrt(found.threshold) == pytest.approx(1830.3, rel=1e-3)
    steps = found.threshold * np.array([0.5, 0.999, 1.001, 2.0])
    assert (net_difference(steps, USUAL, mean=6.004e-5, weight=weight) < 0).tolist() == [False, False, True, True]


@given(
    mean=st.floats(1e-6, 1e-1),
    gap=st.just(0.0) | st.floats(1e-6, 1e3),
    smoothness=st.just(0.0) | st.floats(1e-6, 1e3),
    weight=st.none() | st.floats(1e-6, 1e-1),
    log_steps=st.floats(0.0, 30.0),
)
def test_the_condition_is_the_sign_of_the_difference(
    mean: float, gap: float, smoothness: float, weight: float | None, log_steps: float
) -> None:
    setting = replace(USUAL, gap=gap, smoothness=smoothness)
    steps = math.exp(log_steps)
    found = net_condition(setting, mean=mean, weight=weight)
    if found.threshold > 0.0 and math.isfinite(found.threshold) and abs(steps / found.threshold - 1.0) < 1e-6:
        return  # a tie, up to rounding
    difference = float(net_difference(steps, setting, mean=mean, weight=weight))
    assert bool(found.holds(steps)) == (difference < 0.0)


def test_conditions_at_the_ends() -> None:
    assert net_condition(USUAL, mean=1e-4).tighter == "never"
    assert net_condition(USUAL, mean=2e-4).tighter == "before"
    assert net_condition(replace(USUAL, gap=0.0), mean=5e-5).threshold == 0.0
    assert net_condition(replace(USUAL, smoothness=0.0), mean=5e-5).tighter == "never"
    assert not net_condition(USUAL, mean=1e-4).holds([1.0, 1e9]).any()


def test_the_difference_is_that_of_the_two_bounds() -> None:
    steps = np.geomspace(2.0, 1e9, 20)
    both = switched(BY_HAND, small=0.01, share=0.25)(steps) - ergodic(BY_HAND)(steps)
    mean = mean_rate(0.01, 0.1, 0.25)
    assert net_difference(steps, BY_HAND, mean=mean) == pytest.approx(both, abs=1e-9)
    assert "not proved" in switched(BY_HAND, small=0.01, share=0.25).note


def test_the_best_rate_is_the_least_of_the_bound() -> None:
    # α = √(R8/(R10 d)) T^-1/4, and √(R8/R10) = √(2/1.0927e8) = 1.353e-4
    rates, _ = best_rate(np.array([1.0, 1e4]), USUAL)
    assert rates == pytest.approx([1.353e-4, 1.353e-5], rel=1e-3)
    for growth in (0.0, 0.3):
        rates, least = best_rate(1e6, BY_HAND, growth=growth)
        at = [float(ergodic(replace(BY_HAND, rate=float(rates) * by), growth=growth)(1e6)) for by in (0.99, 1.0, 1.01)]
        assert at[1] == pytest.approx(float(least))
        assert at[1] < min(at[0], at[2])


def test_the_best_rate_needs_a_slope_and_a_gap() -> None:
    for name in ("gap", "smoothness"):
        with pytest.raises(ArgumentError, match=f"{name}=0"):
            best_rate(10.0, replace(USUAL, **{name: 0.0}))  # type: ignore[arg-type]


def test_eq_25_is_larger_for_the_papers_own_assignment() -> None:
    # half the steps in each region, c_F = 1, c_S = 2: 0.5 · 1 + 0.5 · 0.1/4 against 0.5 · 0.1 + 0.5 · 1/4
    regions = {"flat_curvature": 1.0, "sharp_curvature": 2.0}
    paper = variance_sum(0.5, flat_rate=1.0, sharp_rate=0.1, **regions)
    other = variance_sum(0.5, flat_rate=0.1, sharp_rate=1.0, **regions)
    assert (paper, other) == (pytest.approx(0.5125), pytest.approx(0.175))


@settings(max_examples=30)
@given(share=st.fractions(0, 1, max_denominator=50), flat=fractions, more=fractions, small=fractions, gain=fractions)
def test_eq_25_compared_in_fractions(share: F, flat: F, more: F, small: F, gain: F) -> None:
    regions = {"flat_curvature": flat, "sharp_curvature": flat + more}
    paper = variance_sum(share, flat_rate=small + gain, sharp_rate=small, **regions)
    other = variance_sum(share, flat_rate=small, sharp_rate=small + gain, **regions)
    assert (paper > other) == (share / flat**2 > (1 - share) / (flat + more) ** 2)


@given(
    steps=st.floats(1.0, 1e12),
    dimension=st.floats(1.0, 1e9),
    growth=st.floats(0.0, 0.5),
    psi=st.floats(0.0, 1e3),
    other=st.sampled_from(["Adam", "AMSGrad", "Padam"]),
)
def test_the_proposed_order_is_never_below_those_it_improves_on(
    steps: float, dimension: float, growth: float, psi: float, other: str
) -> None:
    ratio = compare_orders("ASGDAdam", other, steps=steps, dimension=dimension, growth=growth, psi=psi)
    assert ratio >= 1.0 - 1e-12
    if psi == 0.0 and other != "Padam":
        assert ratio == 1.0


def test_orders_by_hand() -> None:
    # T = 16, d = 4, s = 0: √(4/16) + 4/16; (log 16 + 16)/4; 2/8 + 1/4; 1/16 + 1/4 + 4/4
    values = {name: order.value(16.0, 4.0, 0.0, 0.5) for name, order in ORDERS.items()}
    assert values == pytest.approx(
        {
            "ASGD2": (math.log(16.0) + 16.0) / 4.0,
            "Adam": 0.75,
            "Padam": 0.5,
            "AMSGrad": 0.75,
            "ASGDAdam": 1.25,
            "ASGDAMSGrad": 1.25,
            "Theorem 2, constant rate": 1.3125,
            "Theorem 2, best rate": 0.5,
        }
    )


def test_at_a_constant_rate_theorem_2_is_slower_than_the_table_by_the_root_of_d() -> None:
    ratio = compare_orders("Theorem 2, constant rate", "Adam", steps=1e16, dimension=1e4, growth=0.0)
    assert ratio == pytest.approx(100.0, rel=1e-3)
    assert compare_orders("Theorem 2, best rate", "Padam", steps=1e5, dimension=10.0, growth=0.2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: mean_rate(1e-4, 1e-7, 0.5), "large"),
        (lambda: mean_rate(1e-7, 1e-4, 1.5), "share"),
        (lambda: improvement_factor(1e-4, 0.0), "mean"),
        (
            lambda: variance_sum(2.0, flat_rate=1.0, sharp_rate=0.1, flat_curvature=1.0, sharp_curvature=2.0),
            "flat_share",
        ),
        (
            lambda: variance_sum(0.5, flat_rate=1.0, sharp_rate=0.1, flat_curvature=0.0, sharp_curvature=2.0),
            "flat_curv",
        ),
        (lambda: net_difference(0.5, USUAL, mean=1e-5), "after 0.5 steps"),
        (lambda: net_condition(USUAL, mean=0.0), "mean"),
        (lambda: compare_orders("Adam", "Padam", steps=0.0, dimension=2.0), "steps"),
    ],
)
def test_arguments_out_of_range_are_refused(call: object, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        call()  # type: ignore[operator]


def test_an_order_that_is_none_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown order 'Lion'"):
        compare_orders("Lion", "Adam", steps=2.0, dimension=2.0)


@pytest.mark.parametrize("number", [-1.0, math.nan])
def test_rates_below_nothing_and_steps_before_the_first_are_refused(number: float) -> None:
    given = {"flat_rate": 1.0, "sharp_rate": 0.1, "flat_curvature": 1.0, "sharp_curvature": 2.0}
    for name in ("flat_rate", "sharp_rate"):
        with pytest.raises(ArgumentError, match=f"cannot use {name}="):
            asgd.variance_sum(0.5, **{**given, name: number})
    with pytest.raises(ArgumentError, match=r"cannot compare bounds after .* steps; accepted: 1 or more"):
        asgd.best_rate([10.0, number], USUAL)
