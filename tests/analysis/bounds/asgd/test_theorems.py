"""Theorems 1, 2 and 3 by hand, as T grows, in other units; and what they assume."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import Bound, RunConstants
from waddington.analysis.bounds.asgd import (
    Setting,
    ergodic,
    ergodic_thresholds,
    i1,
    i2,
    nonergodic,
    nonergodic_limit,
    r10,
    regret,
)
from waddington.errors import ArgumentError

BY_HAND = Setting(dimension=4, gradient_bound=2.0, smoothness=3.0, gap=5.0, rate=0.1, beta1=0.4, beta2=0.64, eps=0.25)
WIDE = replace(BY_HAND, gradient_bound=1.5, eps=4.0)
USUAL = Setting(dimension=7, gradient_bound=1.0, smoothness=1.0, gap=0.0, rate=1e-4)
RUN = RunConstants(
    steps=400,
    dimension=4,
    smoothness=3.0,
    secant=2.0,
    gradient_bound=2.0,
    gradient_norm_bound=3.0,
    mean_square_norm=1.0,
    column_norm=20.0,
    column_norm_sum=60.0,
    noise_variance=1.0,
    first_loss=5.0,
    least_loss=1.0,
    distance=1.0,
    diameter=1.0,
    column_growth=0.49,
)


def holds(bound: Bound) -> dict[str, bool | None]:
    return {one.name: one.holds for one in bound.assumptions}


# -- Theorem 2 --


def test_theorem_2_by_hand() -> None:
    # at T = 4: 20/(4 · 0.1) + (184/3) · 4/4 + 0.1 · (736/3) · 4/2
    bound = ergodic(BY_HAND)
    assert float(bound(4.0)) == pytest.approx(50.0 + 184 / 3 + 736 / 15)
    assert {name: float(term(np.array(4.0))) for name, term in bound.terms.items()} == pytest.approx(
        {"R8 / (T α)": 50.0, "R9 d / T": 184 / 3, "α R10 d / √T": 736 / 15}
    )
    assert bound.trivial == 4 * 2.0**2
    assert float(ergodic(BY_HAND, growth=0.5)(4.0)) == pytest.approx(50.0 + 184 / 3 + 2 * 736 / 15)


def test_theorem_2_says_something_from_where_the_third_summand_does() -> None:
    # small Z and Δ = 0 leave the third: (α R10)² = (1e-4 · 1.0927e8 L)² = 1.194e8 L²
    for smoothness in (1.0, 3.0):
        setting = replace(USUAL, gradient_bound=1e-6, smoothness=smoothness)
        assert ergodic(setting).useful_from() == pytest.approx(1.194e8 * smoothness**2, rel=1e-3)
        assert ergodic_thresholds(setting)["R10"] == pytest.approx(1.194e8 * smoothness**2, rel=1e-3)


def test_theorem_2_says_something_from_where_the_second_summand_does() -> None:
    # L = 0 leaves R9 d/T against d Z²: 2 Z/(√ε (1-β1)) + 2 = 2e5 Z + 2
    for bound in (1.0, 30.0):
        setting = replace(USUAL, smoothness=0.0, gradient_bound=bound)
        assert ergodic(setting).useful_from() == pytest.approx(2e5 * bound + 2.0, rel=1e-9)
        assert ergodic_thresholds(setting)["R9"] == pytest.approx(2e5 * bound + 2.0)


def test_theorem_2_says_something_from_where_the_first_summand_does() -> None:
    # 2 Z Δ/(α d Z²), with nothing of the others worth naming
    setting = replace(USUAL, smoothness=0.0, gradient_bound=1e-3, gap=7.0)
    assert ergodic_thresholds(setting)["R8"] == pytest.approx(2 * 7.0 / (1e-4 * 7 * 1e-3))
    assert ergodic(setting).useful_from() == pytest.approx(2e7, rel=1e-4)


def test_epsilon_beside_the_root_costs_the_square() -> None:
    # ε in place of √ε makes R10 1e4 times larger, and T 1e8 times
    outside = ergodic(replace(USUAL, eps_place="outside", gradient_bound=1e-10))
    assert outside.useful_from() == pytest.approx(1.194e16, rel=1e-3)


@given(growth=st.floats(0.0, 0.45), rate=st.floats(1e-6, 1.0))
def test_theorem_2_falls_and_no_summand_is_useful_later_than_the_whole(growth: float, rate: float) -> None:
    setting = replace(BY_HAND, rate=rate)
    bound = ergodic(setting, growth=growth)
    assert (np.diff(bound(np.geomspace(2.0, 1e12, 50))) < 0).all()
    assert bound.useful_from() >= max(ergodic_thresholds(setting, growth=growth).values()) * (1 - 1e-9)


def test_with_noise_the_third_summand_of_theorem_2_never_falls() -> None:
    bound = ergodic(USUAL, growth=0.5)
    assert float(bound(1e200)) == pytest.approx(1e-4 * r10(USUAL) * 7)
    assert bound.useful_from() == math.inf
    assert ergodic_thresholds(USUAL, growth=0.5)["R10"] == math.inf
    gentle = replace(USUAL, smoothness=1e-6)  # α R10 = 1.1e-2 is below Z² = 1
    assert ergodic_thresholds(gentle, growth=0.5)["R10"] == 1.0
    assert math.isfinite(ergodic(gentle, growth=0.5).useful_from())


def test_theorem_2_without_a_run_knows_the_betas_alone() -> None:
    found = holds(ergodic(BY_HAND))
    assert {name for name, held in found.items() if held} == {"momentum shorter than memory", "ratio of memories"}
    assert set(found.values()) == {True, None}


def test_theorem_2_beside_a_run_finds_the_norms_that_noise_makes() -> None:
    bound = ergodic(BY_HAND, measured=RUN, rates=[0.1] * 400, widened=3)
    broken = [one for one in bound.assumptions if one.holds is False]
    assert [one.name for one in broken] == ["norms of gradients over the run", "effective rates that never rise"]
    assert broken[0].excess == pytest.approx(20.0 / 2.0)
    assert "grew like T^0.49" in broken[0].sentence
    assert holds(ergodic(BY_HAND, growth=0.5, measured=RUN))["norms of gradients over the run"] is True  # 2 √400 = 40
    assert holds(ergodic(BY_HAND, measured=replace(RUN, smoothness=3.5)))["smoothness"] is False
    assert holds(ergodic(BY_HAND, measured=replace(RUN, first_loss=6.5)))["distance of the first loss"] is False
    assert holds(ergodic(BY_HAND, rates=[0.1, 0.05]))["one base rate"] is False
    assert holds(ergodic(replace(BY_HAND, beta1=0.9, beta2=0.9)))["momentum shorter than memory"] is False
    assert holds(ergodic(replace(BY_HAND, beta1=0.9, beta2=0.94), reading="appendix"))["ratio of memories"] is False


# -- Theorem 3 --


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("steps", [1, 4, 50])
def test_theorem_3_is_its_sums(decay: float, steps: int) -> None:
    rates = [0.1 * t**-decay for t in range(1, steps + 1)]
    squares = [rate**2 for rate in rates]
    printed = (i1(WIDE, rates[-1]) + i2(WIDE) * sum(squares[:-1])) / sum(squares)
    mended = (i1(WIDE, rates[-1], "mended") + i2(WIDE) * sum(squares[:-1])) / sum(rates)
    assert float(nonergodic(WIDE, decay=decay)(steps)) == pytest.approx(printed)
    assert float(nonergodic(WIDE, decay=decay, form="mended")(steps)) == pytest.approx(mended)


def test_theorem_3_by_hand() -> None:
    # I1 = 14.09375, I2 = 4.921875, four rates of 0.1
    assert float(nonergodic(WIDE)(4.0)) == pytest.approx((14.09375 + 4.921875 * 0.03) / 0.04)
    assert nonergodic(WIDE).trivial == 1.5
    assert nonergodic(WIDE, form="mended").trivial == 1.5**2


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.5, 0.9])
def test_theorem_3_as_printed_never_goes_to_zero(decay: float) -> None:
    """So (20) does not follow: I2 is above 0, though Σ α = ∞ for each of these."""
    limit = nonergodic_limit(WIDE, decay=decay)
    assert limit >= i2(WIDE) > 0.0
    late = float(nonergodic(WIDE, decay=decay)(1e300))
    still = i1(WIDE, 0.0) / (0.01 * (math.log(1e300) + 0.5772)) if decay == 0.5 else 0.0  # Σ 1/t grows like a logarithm
    assert late == pytest.approx(limit + still, rel=1e-5)


@given(decay=st.floats(0.0, 1.0), steps=st.floats(1.0, 1e9))
def test_theorem_3_as_printed_is_above_its_constant_at_every_step(decay: float, steps: float) -> None:
    assert float(nonergodic(WIDE, decay=decay)(steps)) >= i2(WIDE) * (1 - 1e-9)


def test_theorem_3_mended_goes_to_zero_only_with_rates_that_fall() -> None:
    assert float(nonergodic(WIDE, form="mended")(1e15)) == pytest.approx(i2(WIDE) * 0.1, rel=1e-6)
    assert nonergodic_limit(WIDE, form="mended") == pytest.approx(i2(WIDE) * 0.1)
    assert float(nonergodic(WIDE, form="mended", decay=0.5)(1e30)) < 1e-10
    assert nonergodic_limit(WIDE, form="mended", decay=0.5) == 0.0


def test_theorem_3_says_nothing_at_the_usual_settings() -> None:
    assert nonergodic(USUAL).useful_from() == math.inf
    assert nonergodic_limit(USUAL) == pytest.approx(9.5e8, rel=1e-6)
    assert nonergodic(USUAL, form="mended").useful_from() == math.inf
    assert math.isfinite(nonergodic(USUAL, form="mended", decay=0.5).useful_from())


def test_theorem_3_beside_a_run_asks_for_the_euclidean_norm_and_rates_that_never_rise() -> None:
    found = holds(nonergodic(BY_HAND, measured=RUN, rates=[0.1, 0.05, 0.06], widened=0))
    assert found["bounded gradient norms"] is False  # 3 is above 2
    assert found["rates that never rise"] is False
    assert found["effective rates that never rise"] is True
    assert holds(nonergodic(BY_HAND, rates=[0.1]))["rates that never rise"] is True


# -- Theorem 1 --

CONVEX = Setting(dimension=2, gradient_bound=3.0, smoothness=0.0, gap=0.0, rate=0.5, beta1=0.4, beta2=0.64)


def test_theorem_1_by_hand() -> None:
    # T = 1: 4/(2·0.5·0.6) · 6;  0.5·1.4·3/(0.6·0.6·0.8²) · 6;  2·4·3·0.4/(0.5·0.6·0.25)
    bound = regret(CONVEX, diameter=2.0, momentum_decay=0.5)
    assert float(bound(1.0)) == pytest.approx(40.0 + 54.6875 + 128.0)
    assert bound.trivial == 2 * 3.0 * 2.0
    # mended: the same;  0.5/(0.36·0.6·0.5) · 6;  half
    mended = regret(CONVEX, diameter=2.0, momentum_decay=0.5, form="mended")
    assert float(mended(1.0)) == pytest.approx(40.0 + 6 * 0.5 / 0.108 + 64.0)


def test_theorem_1_at_a_run_s_own_sums() -> None:
    bound = regret(
        CONVEX,
        diameter=2.0,
        momentum_decay=0.5,
        denominators=lambda t: np.full_like(t, 1.5),
        columns=lambda t: 2.0 * np.sqrt(t),
    )
    # T = 4: 6.6667 · 1.5/2;  9.114583 √(1 + log 4) · 4/4;  128/4
    expected = 4 / 0.6 * 0.75 + 2.1 / 0.2304 * math.sqrt(1 + math.log(4.0)) + 32.0
    assert float(bound(4.0)) == pytest.approx(expected)


def test_theorem_1_falls_to_nothing_and_asks_for_what_the_algorithms_lack() -> None:
    bound = regret(CONVEX, diameter=2.0, measured=RUN, projected=True, decays=False, rates=[0.5, 0.4], widened=0)
    assert (np.diff(bound(np.geomspace(3.0, 1e15, 40))) < 0).all()
    assert float(bound(1e30)) < 1e-10
    found = holds(bound)
    assert found.pop("momentum that decays") is False
    assert set(found.values()) == {True}
    assert holds(regret(replace(CONVEX, beta1=0.0), diameter=2.0))["momentum that decays"] is True
    assert holds(regret(CONVEX, diameter=0.5, measured=RUN))["bounded set"] is False
    assert holds(regret(CONVEX, diameter=2.0))["projection"] is None


# -- units --


def in_units(setting: Setting, loss: float, length: float) -> Setting:
    gradient = loss / length
    return replace(
        setting,
        gradient_bound=setting.gradient_bound * gradient,
        smoothness=setting.smoothness * gradient / length,
        gap=setting.gap * loss,
        rate=setting.rate * length,
        eps=setting.eps * gradient**2,
    )


@given(loss=st.floats(1e-3, 1e3), length=st.floats(1e-3, 1e3), steps=st.floats(2.0, 1e6))
def test_bounds_are_of_what_they_bound_but_for_two_as_printed(loss: float, length: float, steps: float) -> None:
    other, square = in_units(WIDE, loss, length), (loss / length) ** 2
    assert float(ergodic(other)(steps)) == pytest.approx(square * float(ergodic(WIDE)(steps)))
    mended = float(nonergodic(WIDE, form="mended")(steps))
    assert float(nonergodic(other, form="mended")(steps)) == pytest.approx(square * mended)
    # Eq. 17 is said to bound a gradient, and is a square gradient over a parameter.
    assert float(nonergodic(other)(steps)) == pytest.approx(square / length * float(nonergodic(WIDE)(steps)))
    convex = float(regret(WIDE, diameter=2.0, form="mended")(steps))
    assert float(regret(other, diameter=2.0 * length, form="mended")(steps)) == pytest.approx(loss * convex)
    # The second summand of Eq. 9 has a Z too much: it is a loss times a gradient.
    second = regret(WIDE, diameter=2.0).terms["steps"](np.array(steps))
    changed = regret(other, diameter=2.0 * length).terms["steps"](np.array(steps))
    assert float(changed) == pytest.approx(loss * loss / length * float(second))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ergodic(USUAL, growth=0.6), "growth"),
        (lambda: ergodic_thresholds(USUAL, growth=-0.1), "growth"),
        (lambda: nonergodic(USUAL, decay=1.5), "decay"),
        (lambda: nonergodic(USUAL, form="right"), "form"),  # type: ignore[arg-type]
        (lambda: nonergodic_limit(USUAL, decay=-1.0), "decay"),
        (lambda: regret(USUAL, diameter=0.0), "diameter"),
        (lambda: regret(USUAL, diameter=1.0, momentum_decay=1.0), "momentum_decay"),
        (lambda: ergodic(USUAL)(0.5), "after 0.5 steps"),
    ],
)
def test_arguments_out_of_range_are_refused(call: object, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        call()  # type: ignore[operator]
