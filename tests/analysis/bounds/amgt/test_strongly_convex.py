"""Rates 1/(μk): the product, its power law, the exact zero, and two bounds of it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import judge
from waddington.analysis.bounds.amgt import (
    claimed_exponent,
    decay_factor,
    decay_product,
    derived_convergence,
    linear_convergence,
    power_law,
    refuting_scale,
    vanishes_after,
)
from waddington.errors import ArgumentError


def test_the_product_by_hand() -> None:
    # (1 - 3/2)(1 - 3/4)(1 - 1/2) = -1/2 × 1/4 × 1/2
    assert [decay_product("3/2", n) for n in range(4)] == [1, Fraction(-1, 2), Fraction(-1, 8), Fraction(-1, 16)]
    assert [decay_product(3, n) for n in range(5)] == [1, -2, 1, 0, 0]
    assert decay_factor(1.5, [0, 1, 2, 3]) == pytest.approx([1.0, 0.5, 0.125, 0.0625])
    assert decay_factor(3.0, [0, 1, 2, 3, 1e9]).tolist() == pytest.approx([1.0, 2.0, 1.0, 0.0, 0.0])
    assert decay_factor(1.0, [0, 1]).tolist() == [1.0, 0.0]


@given(ratio=st.fractions(min_value=Fraction(1, 10), max_value=6, max_denominator=12), steps=st.integers(0, 40))
def test_the_float_product_is_the_exact_one(ratio: Fraction, steps: int) -> None:
    assert float(decay_factor(float(ratio), steps)) == pytest.approx(float(abs(decay_product(ratio, steps))), rel=1e-9)


@given(ratio=st.floats(0.05, 4.0).filter(lambda r: abs(r - round(r)) > 1e-3))
def test_the_product_nears_its_power_law_and_has_no_step_where_the_series_begins(ratio: float) -> None:
    steps = np.array([1e3, 1e5, 1e8, 1e12])
    assert np.abs(decay_factor(ratio, steps) / power_law(ratio, steps) - 1.0) == pytest.approx(
        np.abs(0.5 * ratio * (ratio - 1.0) / steps), abs=1e-4
    )
    below, above = decay_factor(ratio, np.array([1e6, 1e6 + 1]))
    assert above / below == pytest.approx(1.0 - ratio / (1e6 + 1), abs=1e-8)


def test_the_exponent_is_the_ratio_and_the_constant_a_gamma_function() -> None:
    assert float(power_law(1.5, 1.0)) == pytest.approx(1.0 / abs(math.gamma(-0.5)))
    assert float(power_law(0.5, 100.0)) == pytest.approx(0.1 / math.sqrt(math.pi))
    assert float(power_law(2.0, 100.0)) == 0.0


def test_whole_ratios_vanish() -> None:
    assert vanishes_after(3) == 3
    assert vanishes_after("6/2") == 3
    assert vanishes_after("3/2") is None
    assert vanishes_after("1/3") is None


def test_the_claimed_exponent_has_the_unit_of_f_and_the_true_one_has_none() -> None:
    """f → 4f leaves iterates with 1/(μk) as they are; μ/2 becomes four times as large."""
    assert claimed_exponent(2.0) == 1.0
    assert claimed_exponent(2.0, scale=4.0) == 4.0
    ratio, mu = 1.5, 2.0
    scale = refuting_scale(ratio, mu)
    assert claimed_exponent(mu, scale) == pytest.approx(ratio)
    steps = np.geomspace(2.0, 1e6, 60)
    curve = np.concatenate([[1.0], decay_factor(ratio, steps[1:] - 1.0)])
    for factor, holds in ((0.5 * scale, True), (2.0 * scale, False)):
        assert judge(linear_convergence(factor * mu, 1.0, constant=1000.0), steps, curve).holds is holds


def test_eq_22_by_hand_and_what_it_asks_for() -> None:
    bound = linear_convergence(1.0, 3.0)
    assert bound([1, 4, 100]) == pytest.approx([3.0, 1.5, 0.3])
    assert bound.trivial == 3.0
    assert [each.holds for each in bound.assumptions] == [True, True]
    steep = linear_convergence(2.0, 3.0, is_normalized=True)
    assert [each.holds for each in steep.assumptions] == [False, False]
    assert steep.assumptions[0].excess == 2.0


def test_the_derived_bound_by_hand() -> None:
    # κ = 3: factors 3/1 - 1 = 2, 3/2 - 1 = 1/2, then 2/3, 3/4, …
    assert derived_convergence(3.0, 1.0)([1, 2, 3, 4, 5, 101]) == pytest.approx([1.0, 2.0, 1.0, 2 / 3, 0.5, 0.02])
    assert derived_convergence(1.0, 1.0)([1, 2, 3]).tolist() == [1.0, 0.0, 0.0]
    assert derived_convergence(1.5, 4.0, mu_share=0.5)([2]) == pytest.approx([8.0])  # κ = 3 for a rate of half of μ
    assert derived_convergence(3.0, 1.0).useful_from() == pytest.approx(3.0)


@given(condition=st.floats(1.0, 12.0), inner=st.floats(0.0, 1.0))
def test_no_quadratic_is_above_the_derived_bound(condition: float, inner: float) -> None:
    k = np.arange(1.0, 200.0)
    for ratio in (1.0, 1.0 + inner * (condition - 1.0), condition):
        curve = np.abs(np.concatenate([[1.0], np.cumprod(1.0 - ratio / k[:-1])]))
        assert (curve <= derived_convergence(condition, 1.0)(k) * (1.0 + 1e-12)).all()


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_bad_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(ArgumentError, match="ratio"):
        decay_factor(ratio, 3.0)
    with pytest.raises(ArgumentError, match="ratio"):
        power_law(ratio, 3.0)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(ArgumentError, match="after -1 steps"):
        decay_factor(1.5, -1.0)
    with pytest.raises(ArgumentError, match="steps"):
        decay_product(1, -1)
    with pytest.raises(ArgumentError, match="mu"):
        claimed_exponent(0.0)
    with pytest.raises(ArgumentError, match="condition"):
        derived_convergence(0.5, 1.0)
    with pytest.raises(ArgumentError, match="mu_share"):
        derived_convergence(2.0, 1.0, mu_share=1.5)
    with pytest.raises(ArgumentError, match="distance"):
        linear_convergence(1.0, -1.0)
