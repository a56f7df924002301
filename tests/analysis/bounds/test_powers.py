"""A power is told from an exponential, and what cannot enter a logarithm is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds import fit_power
from waddington.errors import ArgumentError

T = np.geomspace(1.0, 1e4, 60)


@given(st.floats(-3.0, 1.0), st.floats(1e-3, 1e3))
def test_a_power_is_found_again(slope: float, scale: float) -> None:
    found = fit_power(T, scale * T**slope)
    assert found.slope == pytest.approx(slope, abs=1e-9)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    assert found.r2_power == pytest.approx(1.0, abs=1e-6) or abs(slope) < 1e-3


def test_an_exponential_is_geometric_and_a_power_is_not() -> None:
    steps = np.arange(1.0, 200.0)
    assert fit_power(steps, 0.9**steps).is_geometric
    assert fit_power(steps, 0.9**steps).r2_exponential == pytest.approx(1.0)
    assert not fit_power(steps, steps**-0.5).is_geometric


def test_only_points_from_the_first_on_enter_and_others_are_counted() -> None:
    found = fit_power([1, 10, 100, 1000, 10000], [50.0, 0.1, 0.0, np.nan, 1e-4], first=1)
    assert (found.points, found.dropped) == (3, 2)
    late = fit_power([1, 10, 100, 1000], [50.0, 0.1, 0.01, 0.001], first=10)
    assert (late.first, late.last, late.points) == (10.0, 1000.0, 3)
    assert late.slope == pytest.approx(-1.0)


def test_a_constant_is_a_power_of_zero() -> None:
    assert fit_power([1, 2, 4], [3.0, 3.0, 3.0]).slope == pytest.approx(0.0, abs=1e-12)
    assert fit_power([1, 2, 4], [3.0, 3.0, 3.0]).r2_power == 1.0


@pytest.mark.parametrize(
    ("steps", "values", "message"),
    [
        ([1, 2], [1.0, 2.0, 3.0], "shape"),
        ([1, 2, 3], [1.0, 2.0, 0.0], "to 2 positive values"),
        ([2, 2, 2], [1.0, 2.0, 3.0], "three or more"),
    ],
)
def test_curves_without_a_power_are_refused(steps: list[float], values: list[float], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        fit_power(steps, values)
