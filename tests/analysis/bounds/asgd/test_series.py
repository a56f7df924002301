"""Sums of powers agree with sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds.asgd.series import power_sum, zeta
from waddington.errors import ArgumentError


@given(count=st.integers(1, 3000), power=st.floats(0.0, 3.0))
def test_whole_numbers_of_terms(count: int, power: float) -> None:
    expected = math.fsum(t**-power for t in range(1, count + 1))
    assert float(power_sum(float(count), power)) == pytest.approx(expected, rel=1e-10)


@given(count=st.floats(2.0, 1e6), power=st.floats(0.0, 2.0))
def test_fractions_of_terms_keep_the_step(count: float, power: float) -> None:
    step = float(power_sum(count, power) - power_sum(count - 1.0, power))
    assert step == pytest.approx(count**-power, rel=1e-6, abs=1e-8)


def test_very_many_terms_and_all_of_them() -> None:
    assert float(power_sum(1e300, 0.5)) == pytest.approx(2e150)
    assert float(power_sum(1e300, 1.0)) == pytest.approx(math.log(1e300) + 0.5772156649)
    assert zeta(2.0) == pytest.approx(math.pi**2 / 6, rel=1e-11)
    assert power_sum(np.ones((2, 3)), 0.7) == pytest.approx(np.ones((2, 3)))


def test_powers_that_have_no_sum_are_refused() -> None:
    with pytest.raises(ArgumentError, match="power"):
        zeta(1.0)
    with pytest.raises(ArgumentError, match="power"):
        power_sum(2.0, -0.5)
