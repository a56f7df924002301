"""What a rate does on a quadratic is decided exactly; the two applications of the paper, by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis.bounds.amgt import APPLICATION_1, APPLICATION_2, Quadratic
from waddington.errors import ArgumentError

ONE, TWO = APPLICATION_1.function, APPLICATION_2.function
HALVES = st.fractions(min_value=Fraction(1, 20), max_value=2, max_denominator=40)


def test_application_1_has_the_printed_spectrum_and_the_limit_of_one_third() -> None:
    assert ONE.eigenvalues == pytest.approx([2.0, 6.0])
    assert ONE.condition_number == pytest.approx(3.0)
    assert ONE.stability_limit == pytest.approx(1 / 3)
    assert ONE.best_rate == pytest.approx(0.25)
    assert ONE.value((0, 0)) == 2
    assert ONE.value((1, 1)) == 4  # 2 + 2 - 2 + 2
    assert ONE.gradient((1, 0)) == (4, -2)
    assert APPLICATION_1.polynomial == APPLICATION_1.printed_polynomial == (8, 12)


def test_either_side_of_one_third_and_at_it() -> None:
    assert ONE.behaviour("0.333").kind == "overshoots"
    assert ONE.behaviour("1/3").kind == "oscillates"
    assert ONE.behaviour("0.334").kind == "diverges"
    assert ONE.contraction("1/3") == pytest.approx(1.0)


def test_table_1_from_almost_everywhere() -> None:
    found = {str(each.rate): (each.kind, round(each.contraction, 12)) for each in APPLICATION_1.behaviours()}
    assert found == {
        "1/100": ("converges", 0.98),
        "1/10": ("converges", 0.8),
        "3/10": ("overshoots", 0.8),
        "2/5": ("diverges", 1.4),
        "1/2": ("diverges", 2.0),
        "1": ("diverges", 5.0),
    }
    assert APPLICATION_1.fastest == (Fraction(1, 10), Fraction(3, 10))  # tied: 0.3 is not the fastest alone
    assert ONE.behaviour("0.3").steps_to(1e-6) == 62  # log 1e-6 / log 0.8 = 61.9
    assert ONE.behaviour("0.25").steps_to(1e-6) == 20  # log 1e-6 / log 0.5 = 19.9


def test_from_the_eigenvector_other_rates_land_or_keep_their_size() -> None:
    found = {str(each.rate): (each.kind, round(each.contraction, 9)) for each in APPLICATION_1.behaviours((1, 1))}
    assert found["1/10"] == ("converges", 0.8)
    assert found["3/10"] == ("converges", 0.4)
    assert found["2/5"] == ("converges", 0.2)  # above the limit, and faster than all below it
    assert found["1/2"] == ("lands", 0.0)
    assert found["1"] == ("oscillates", 1.0)
    assert ONE.descend((1, 1), "0.5", 2) == ((1, 1), (0, 0), (0, 0))
    assert ONE.descend((1, 1), 1, 60)[-1] == (1, 1)  # in floats eigenvalue 6 would have won by now
    assert ONE.descend((1, 1), 1, 3)[-1] == (-1, -1)


def test_in_floats_the_other_eigenvector_wins() -> None:
    """(2, 1) is the eigenvector of 1; that of 6 grows by 1.4 at each step from what rounding leaves of it."""
    function, x, y = Quadratic(((2, -2), (-2, 5))), 0.2, 0.1
    for _ in range(200):
        x, y = x - 0.4 * (2.0 * x - 2.0 * y), y - 0.4 * (5.0 * y - 2.0 * x)
    assert math.hypot(x, y) > 1.0
    found = function.behaviour("0.4", ("0.2", "0.1"))
    assert (found.kind, found.contraction) == ("converges", pytest.approx(0.6))
    assert function.descend(("0.2", "0.1"), "0.4", 5)[-1] == (
        Fraction(2, 10) * Fraction(3, 5) ** 5,
        Fraction(1, 10) * Fraction(3, 5) ** 5,
    )


def test_the_interval_in_which_rates_are_faster_than_one_sixth_ends_at_five_eighteenths() -> None:
    assert ONE.contraction("1/6") == pytest.approx(2 / 3)
    assert ONE.equally_fast("1/6") == pytest.approx(5 / 18)
    assert ONE.equally_fast("5/18") == pytest.approx(1 / 6)
    assert ONE.contraction("0.32") == pytest.approx(0.92)


def test_application_2_has_other_eigenvalues_than_printed_and_diverges_at_0_4() -> None:
    assert TWO.eigenvalues == pytest.approx([3 - math.sqrt(5), 3 + math.sqrt(5)])
    trace, determinant = APPLICATION_2.printed_polynomial
    assert (trace, APPLICATION_2.polynomial) == (6, (6, 4))
    assert float(determinant) == pytest.approx(5.6511)  # 1.17 × 4.83; the determinant is 4
    assert TWO.best_rate == pytest.approx(1 / 3)  # right, as only the trace enters
    assert TWO.stability_limit == pytest.approx(0.381966, abs=1e-6)
    kinds = {str(each.rate): each.kind for each in APPLICATION_2.behaviours()}
    assert kinds["3/10"] == kinds["33/100"] == "overshoots"
    assert kinds["2/5"] == kinds["1"] == "diverges"
    assert TWO.contraction("1/3") == pytest.approx(0.745356, abs=1e-6)
    assert TWO.contraction("0.4") == pytest.approx(1.094427, abs=1e-6)


def test_application_2_takes_thousands_of_steps_at_a_thousandth() -> None:
    slow = TWO.behaviour("0.001")
    assert (slow.steps_to(1e-2), slow.steps_to(1e-6)) == (6026, 18078)
    assert TWO.steps_from((2, 2), "0.001", 1e-2) == 7351
    point = np.array([2.0, 2.0])
    for _ in range(7351):
        before = float(np.linalg.norm(point))
        point = point - 0.001 * (np.array([[2.0, -2.0], [-2.0, 4.0]]) @ point)
    assert np.linalg.norm(point) <= 1e-2 < before


def test_the_matrices_as_printed_are_no_hessians() -> None:
    for application in (APPLICATION_1, APPLICATION_2):
        with pytest.raises(ArgumentError, match="a Hessian is symmetric"):
            Quadratic(application.printed_matrix)


def test_rates_that_follow_the_step_reach_the_minimum_in_kappa_steps() -> None:
    """1/(2k) kills eigenvalue 2 at k = 1 and eigenvalue 6 at k = 3."""
    path = ONE.descend((3, 1), lambda k: Fraction(1, 2 * k), 4)
    assert path[1] == (-2, 2)
    assert path[2] != (0, 0)
    assert path[3] == path[4] == (0, 0)


@given(rate=HALVES, x=st.integers(-3, 3), y=st.integers(-3, 3))
def test_the_word_is_what_the_exact_iterates_do(rate: Fraction, x: int, y: int) -> None:
    found = ONE.behaviour(rate, (x, y))
    along, across = Fraction(x + y, 2), Fraction(x - y, 2)  # shares of eigenvalues 2 and 6
    factors = [1 - rate * value for value, share in ((2, along), (6, across)) if share]
    if not factors:
        assert found.kind == "stands still"
        return
    most = max(abs(factor) for factor in factors)
    assert found.contraction == pytest.approx(float(most), abs=1e-12)
    expected = (
        "diverges" if most > 1 else "oscillates" if most == 1 else "overshoots" if min(factors) < 0 else "converges"
    )
    assert found.kind == ("lands" if most == 0 else expected)
    squares = [sum(entry**2 for entry in point) for point in ONE.descend((x, y), rate, 3)]
    assert squares[2] <= most**2 * squares[1]


@given(rate=st.fractions(min_value=Fraction(1, 100), max_value=Fraction(33, 100), max_denominator=300))
def test_no_rate_is_faster_than_the_best_and_its_partner_is_as_fast(rate: Fraction) -> None:
    assert ONE.contraction(rate) >= ONE.contraction("1/4") - 1e-12
    assert ONE.contraction(ONE.equally_fast(rate)) == pytest.approx(ONE.contraction(rate))


def test_eigenvalues_that_repeat_and_matrices_on_the_diagonal() -> None:
    round_bowl = Quadratic(((3, 0, 0), (0, 3, 0), (0, 0, 3)))
    assert round_bowl.behaviour("1/3").kind == "lands"
    assert round_bowl.behaviour("2/3").kind == "oscillates"
    assert round_bowl.condition_number == pytest.approx(1.0)
    steep_first = Quadratic(((6, 0), (0, 2)))
    assert steep_first.behaviour("1/3").kind == "oscillates"
    assert steep_first.behaviour("1/6").kind == "converges"
    assert steep_first.behaviour("1/3", (0, 1)).kind == "converges"


def test_a_float_is_what_it_prints() -> None:
    assert ONE.behaviour(0.1).rate == Fraction(1, 10)


def test_steps_from_a_start() -> None:
    assert ONE.steps_from((0, 0), "0.1", 1e-9) == 0
    assert ONE.steps_from((1, 1), "0.5", 1e-9) == 1
    assert ONE.steps_from((1, 0), "0.4", 1e-9) == math.inf
    assert ONE.steps_from((1, 1), "0.4", 1e-9) == 14  # √2 × 0.2^14 = 2.3e-10, and 1.2e-9 one before


@pytest.mark.parametrize(
    ("hessian", "message"),
    [
        (((1, 2), (2, 1)), "positive definite"),
        (((0, 0), (0, 1)), "positive definite"),
        (((0, 1), (1, 0)), "positive definite"),
        (((1, 2),), "square"),
        ((), "square"),
        (((math.nan,),), "finite number"),
        ((("one",),), "finite number"),
    ],
)
def test_matrices_that_are_no_bowls_are_refused(hessian: tuple[tuple[float, ...], ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Quadratic(hessian)


def test_bad_rates_points_and_tolerances_are_refused() -> None:
    with pytest.raises(ArgumentError, match="rate"):
        ONE.behaviour(0)
    with pytest.raises(ArgumentError, match="point of 3 numbers: accepted are 2"):
        ONE.descend((1, 1, 1), "0.1", 1)
    with pytest.raises(ArgumentError, match="steps"):
        ONE.descend((1, 1), "0.1", -1)
    with pytest.raises(ArgumentError, match="tolerance"):
        ONE.behaviour("0.1").steps_to(1.0)
    with pytest.raises(ArgumentError, match="distance"):
        ONE.steps_from((1, 1), "0.1", 0.0)
