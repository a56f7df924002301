"""A bound says whether it holds, whether it says anything, and from when on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from waddington.analysis.bounds import Bound, at_most, judge, not_measured, stated
from waddington.errors import ArgumentError

STEPS = np.array([1.0, 10.0, 100.0])


def falling(trivial: float = math.inf, **more: object) -> Bound:
    return Bound(name="rate", source="by hand", at=lambda t: 100.0 / np.sqrt(t), trivial=trivial, **more)  # type: ignore[arg-type]


def test_a_bound_is_useful_from_where_it_crosses_the_trivial_one() -> None:
    assert falling(2.0).useful_from() == pytest.approx(2500.0, rel=1e-9)  # 100 / √T = 2
    assert falling(200.0).useful_from() == 1.0
    assert falling().useful_from() == 1.0
    constant = Bound(name="flat", source="by hand", at=lambda t: 3.0 + 0.0 * t, trivial=2.0)
    assert constant.useful_from() == math.inf


def test_a_curve_below_the_bound_holds_and_one_above_names_the_first_step() -> None:
    held = judge(falling(50.0), STEPS, [1.0, 1.0, 1.0])
    assert held.holds
    assert not held.is_vacuous
    assert held.confirms
    assert held.first_violation is None
    assert held.tightest == pytest.approx(10.0)
    broken = judge(falling(50.0), STEPS, [1.0, 40.0, 40.0])
    assert not broken.holds
    assert broken.first_violation == 10.0
    assert "violated at T = 10" in broken.sentence


def test_what_is_not_finite_is_above_every_bound() -> None:
    assert judge(falling(), STEPS, [1.0, math.nan, 1.0]).first_violation == 10.0


def test_a_vacuous_bound_confirms_nothing_and_says_when_it_would() -> None:
    judged = judge(falling(2.0), STEPS, [1.0, 1.0, 1.0])
    assert judged.holds
    assert judged.is_vacuous
    assert not judged.confirms
    assert "from T = 2.5e+03 on" in judged.sentence


def test_a_violated_assumption_confirms_nothing_and_one_not_measurable_is_named() -> None:
    wrong = at_most("bounded gradients", "|g_i| <= Z", "000", 3.0, 2.0)
    unknown = not_measured("lower bound", "f >= 0", "000")
    judged = judge(falling(50.0, assumptions=(wrong, unknown)), STEPS, [1.0, 1.0, 1.0])
    assert judged.holds
    assert not judged.confirms
    assert judged.violated == (wrong,)
    assert wrong.excess == 1.5
    assert "is violated (3 measured, 2 allowed)" in wrong.sentence
    assert "not measurable are lower bound" in judged.sentence


def test_limits_of_zero_equality_and_what_is_not_a_number() -> None:
    assert at_most("a", "a <= 0", "", 0.0, 0.0).excess == 1.0
    assert at_most("a", "a <= 0", "", 1.0, 0.0).excess == math.inf
    assert at_most("a", "a < 1", "", 1.0, 1.0, strict=True).holds is False
    assert at_most("a", "a <= 1", "", math.nan, 1.0).holds is None
    assert stated("box", "x in a box", "", False).holds is False


@pytest.mark.parametrize(("steps", "curve"), [([1, 2], [1.0]), ([], []), ([2, 1], [1.0, 1.0])])
def test_curves_that_cannot_be_judged_are_refused(steps: list[float], curve: list[float]) -> None:
    with pytest.raises(ArgumentError, match="cannot judge rate"):
        judge(falling(), steps, curve)


def test_no_bound_before_the_first_step() -> None:
    with pytest.raises(ArgumentError, match="after 0 steps"):
        falling()(0)
