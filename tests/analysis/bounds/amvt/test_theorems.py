"""The printed bounds of AMVT in each reading, what can be proved, and Assumptions 1 to 3."""

from __future__ import annotations

import dataclasses
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import RunConstants, amvt, judge
from waddington.analysis.bounds.amvt import (
    Reading,
    check_assumptions,
    derived_convex,
    derived_mean,
    derived_nonconvex,
    property_1,
    property_2,
    property_3,
    rate_limits,
    theorem_1,
    theorem_2,
)
from waddington.errors import ArgumentError

POSITIVE = st.floats(0.01, 100.0)
STEPS = np.geomspace(1.0, 1e6, 50)
MET = RunConstants(
    steps=10,
    dimension=2,
    smoothness=3.0,
    secant=2.0,
    gradient_bound=1.0,
    gradient_norm_bound=2.0,
    mean_square_norm=1.0,
    column_norm=1.0,
    column_norm_sum=2.0,
    noise_variance=0.5,
    first_loss=1.0,
    least_loss=0.0,
    distance=1.0,
    diameter=1.0,
)


@pytest.mark.parametrize(
    ("reading", "at_4"),
    [  # α = 1/2, D = 3, G = 2
        ("first copy", 2 * 0.5 * 4 * 9 + 0.5 * 4 * 16),
        ("second copy", 2 * 0.5 * 4 * 9 + 2 * 0.5 * 4 * 4),
        ("fractions", 9 / (2 * 0.5 * 4) + 0.5 * 4 * 4 / 2),
        ("roots", 9 / (2 * 0.5 * 2) + 0.5 * 4 * 2 / 2),
        ("mended", 9 / (2 * 0.5 * 2) + 0.5 * 4 / (2 * 2)),
    ],
)
def test_each_reading_by_hand(reading: Reading, at_4: float) -> None:
    for theorem in (theorem_1, theorem_2):
        bound = theorem(0.5, 3.0, 2.0, reading=reading)
        assert bound([4]) == pytest.approx([at_4])
        assert bound.trivial == 6.0
        assert sum(float(term(np.array(4.0))) for term in bound.terms.values()) == pytest.approx(at_4)


@given(alpha=POSITIVE, distance=POSITIVE, norm=POSITIVE, reading=st.sampled_from(["fractions", "roots"]))
def test_no_reading_of_the_print_is_ever_below_what_convexity_gives(
    alpha: float, distance: float, norm: float, reading: Reading
) -> None:
    """D²/(2αx) + αG²x/2 >= DG: so the theorem is vacuous at every T, whether roots were lost or not."""
    bound = theorem_1(alpha, distance, norm, reading=reading)
    assert (bound(STEPS) >= bound.trivial * (1.0 - 1e-12)).all()
    assert bound.useful_from() == math.inf
    turn = max(distance / (alpha * norm), 1.0)
    at = turn if reading == "fractions" else turn**2
    assert float(bound(at)) == pytest.approx(bound.trivial) or turn == 1.0


def test_only_the_mended_reading_falls() -> None:
    for reading in get_args(Reading):
        late = theorem_1(0.1, 1.0, 1.0, reading=reading)([1e8, 1e10])
        assert (late[1] < late[0]) is np.bool_(reading == "mended")
    mended = theorem_1(0.5, 3.0, 2.0, reading="mended")
    assert mended.useful_from() == pytest.approx((10.0 / 6.0) ** 2)  # (9 + 1) / √T = 6


def test_theorem_1_asks_for_one_rate_and_a_moment_without_lag() -> None:
    names = {each.name: each.holds for each in theorem_1(0.1, 1.0, 1.0).assumptions}
    assert names == {"convexity": True, "one rate": False, "unbiased momentum": False}
    plain = theorem_1(0.1, 1.0, 1.0, beta1=0.0, is_adaptive=False, is_convex=False)
    assert [each.holds for each in plain.assumptions] == [False, True, True]


def test_theorem_2_is_false_where_a_run_begins_in_a_minimum_that_is_not_the_least() -> None:
    """Nothing moves, so the gap stays as it is; the mended bound falls below it."""
    found = judge(theorem_2(0.1, 1.0, 1.0, reading="mended"), STEPS, np.full(50, 0.3))
    assert not found.holds
    assert judge(theorem_2(0.1, 1.0, 1.0, reading="roots"), STEPS, np.full(50, 0.3)).holds  # it says nothing


def test_properties_with_and_without_their_roots() -> None:
    assert property_1(2.0, 3.0, 4.0)([4]) == pytest.approx([0.5])
    assert property_1(2.0, 3.0, 4.0, root=True)([4]) == pytest.approx([1.0])
    assert property_1(2.0, 3.0, 4.0).trivial == 12.0
    assert property_2(2.0, 4.0)([4]) == pytest.approx([0.5])
    assert property_2(2.0, 4.0, root=True).trivial == 16.0
    linear = property_3(12.0, 3.0, 4.0)
    assert linear([1, 100]).tolist() == [12.0, 12.0]
    assert linear.useful_from() == math.inf  # every method has that regret
    assert property_3(12.0, 3.0, 4.0, root=True)([100]) == pytest.approx([1.2])


def test_what_is_derived_by_hand() -> None:
    # (D² + α²G²(1 + ln 1)) / (4α(√2 - 1)) with D = 3, α = 1/2, G = 2
    assert derived_convex(0.5, 3.0, 2.0)([1]) == pytest.approx([10.0 / (2.0 * (math.sqrt(2.0) - 1.0))])
    assert derived_mean(0.5, 3.0, 2.0)([4]) == pytest.approx([(9.0 + 2.0) / 2.0])
    # (Δ + LG²α²/2) / (2α(√2 - 1)) with Δ = 3, L = 4
    assert derived_nonconvex(0.5, 3.0, 4.0, 2.0)([1]) == pytest.approx([5.0 / (math.sqrt(2.0) - 1.0)])
    assert derived_nonconvex(0.5, 3.0, 4.0, 2.0).trivial == 4.0


@given(alpha=st.floats(0.01, 3.0), start=st.floats(-3.0, 3.0), slope=st.floats(0.1, 2.0))
def test_descent_on_a_corner_is_below_what_is_derived(alpha: float, start: float, slope: float) -> None:
    """f = G|x|, the hardest convex function of one coordinate."""
    x, points, rates = start, [], []
    for t in range(1, 101):
        points.append(x)
        rates.append(alpha / math.sqrt(t))
        x -= rates[-1] * slope * np.sign(x)
    values, t = slope * np.abs(points), np.arange(1.0, 101.0)
    weighted = slope * np.abs(np.cumsum(np.array(rates) * points) / np.cumsum(rates))
    mean = slope * np.abs(np.cumsum(points) / t)
    assert judge(derived_convex(alpha, abs(start), slope), t, weighted).holds
    assert judge(derived_convex(alpha, abs(start), slope), t, np.minimum.accumulate(values)).holds
    assert judge(derived_mean(alpha, float(np.abs(points).max()), slope), t, mean).holds


def test_assumptions_beside_a_run() -> None:
    found = check_assumptions(MET, smoothness=3.0, gradient_norm_bound=2.0, noise_variance=0.5)
    assert [each.holds for each in found] == [True, True, True]
    assert found[0].measured == 3.0
    tight = check_assumptions(MET, smoothness=2.5, gradient_norm_bound=0.9, noise_variance=0.4)
    assert [each.holds for each in tight] == [False, False, None]
    assert tight[1].excess == pytest.approx(1.0 / 0.81)
    between = check_assumptions(MET, smoothness=3.0, gradient_norm_bound=1.5)
    assert between[1].holds is None  # one gradient had 4, their mean 1, allowed is 2.25
    assert "a single gradient had 4" in between[1].note
    assert between[2].holds is True  # the third follows from the second
    assert "follows from Assumption 2" in between[2].note


def test_what_was_not_measured_is_not_measurable_and_rounding_is_no_violation() -> None:
    blank = dataclasses.replace(MET, smoothness=math.nan, secant=math.nan, noise_variance=math.nan)
    found = check_assumptions(blank, smoothness=1.0, gradient_norm_bound=2.0)
    assert [each.holds for each in found] == [None, True, None]
    rounded = dataclasses.replace(MET, smoothness=3.0 * (1.0 + 1e-12))
    assert check_assumptions(rounded, smoothness=3.0, gradient_norm_bound=2.0)[0].holds is True
    assert theorem_1(0.1, 1.0, 1.0, held=found).assumptions[:3] == found


def test_rates_of_coordinates_differ_by_thousands() -> None:
    low, high = rate_limits(0.1, 1.0, beta1=0.5, eps=1e-8)
    assert low == pytest.approx(0.1 / math.sqrt(2.0))
    assert high == pytest.approx(1e3)
    assert high / low == pytest.approx(math.sqrt(1.0 + 2.0 / 1e-8))


def test_bad_arguments_are_refused() -> None:
    for call in (
        lambda: theorem_1(0.0, 1.0, 1.0),
        lambda: theorem_1(0.1, -1.0, 1.0),
        lambda: theorem_1(0.1, 1.0, math.nan),
        lambda: theorem_1(0.1, 1.0, 1.0, beta1=1.0),
        lambda: theorem_2(0.1, 1.0, 1.0, reading="root"),  # type: ignore[arg-type]
        lambda: property_1(-1.0, 1.0, 1.0),
        lambda: property_3(-1.0, 1.0, 1.0),
        lambda: derived_convex(0.0, 1.0, 1.0),
        lambda: derived_nonconvex(0.1, -1.0, 1.0, 1.0),
        lambda: rate_limits(0.1, 1.0, eps=0.0),
        lambda: check_assumptions(MET, smoothness=-1.0, gradient_norm_bound=1.0),
    ):
        with pytest.raises(ArgumentError, match="cannot use"):
            call()


@pytest.mark.parametrize("number", [-1.0, math.nan, math.inf])
def test_what_a_trivial_bound_is_made_of_is_checked_by_its_name(number: float) -> None:
    for make in (
        lambda: amvt.property_1(1.0, 1.0, number),
        lambda: amvt.property_1(1.0, -1.0, number),
        lambda: amvt.property_2(1.0, number),
        lambda: amvt.property_3(1.0, number, 1.0),
        lambda: amvt.property_3(1.0, 1.0, number),
    ):
        with pytest.raises(ArgumentError, match=r"cannot use (distance|diameter|gradient_norm_bound)="):
            make()
