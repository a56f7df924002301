"""Argument checks: what passes, and what the message says of the rest."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from waddington._checks import (
    check_choice,
    check_count,
    check_in_range,
    check_known,
    check_number,
    check_once,
    require_extra,
)
from waddington.errors import ArgumentError, MissingExtraError, UnknownNameError


@pytest.mark.parametrize("value", [1, 5, 10])
def test_whole_numbers_pass(value):
    check_count("k", value, 1, 10)
    check_count("k", value, 1)


@pytest.mark.parametrize("value", [0, 11, 2.0, True, "3", None, math.nan])
def test_what_is_no_whole_number_does_not(value):
    with pytest.raises(ArgumentError, match=r"cannot use k=.*: k must be a whole number in \[1, 10\]"):
        check_count("k", value, 1, 10)


@pytest.mark.parametrize(("value", "ends"), [(0.0, {"open_low": True}), (1.0, {"open_high": True}), (math.nan, {})])
def test_intervals_keep_their_open_ends_and_refuse_nan(value, ends):
    with pytest.raises(ArgumentError, match=r"cannot use p=.*: p must be a number in [\[\(]0, 1[\]\)]"):
        check_in_range("p", value, 0.0, 1.0, **ends)


def test_choices_are_listed():
    check_choice("mode", "a", ["a", "b"])
    with pytest.raises(ArgumentError, match="cannot use mode='c': mode must be one of 'a', 'b'"):
        check_choice("mode", "c", ["a", "b"])


def test_what_is_said_twice_is_refused_even_where_both_say_the_same():
    assert check_once("it", [("a", 1), ("b", 1)]) == {"a": 1, "b": 1}
    with pytest.raises(ArgumentError, match="cannot read it: it says a twice; accepted is once"):
        check_once("it", [("a", 1), ("b", 2), ("a", 1)])


def test_a_name_is_found_without_regard_to_case_or_suggested():
    assert check_known("rule", "ALPHA", ["alpha", "beta"]) == "alpha"
    with pytest.raises(UnknownNameError, match=r"unknown rule 'alpa'\. Did you mean 'alpha'\? Known: alpha, beta"):
        check_known("rule", "alpa", ["alpha", "beta"])


def test_a_missing_extra_is_named():
    assert require_extra("math", "bench").pi == math.pi
    with pytest.raises(MissingExtraError, match=r"'no_such_module' is not installed.*waddington\[bench\]"):
        require_extra("no_such_module", "bench")


@pytest.mark.parametrize(
    "value", ["1", None, [1, 2], {}, 1j, 10**400, 10**6000], ids=lambda value: type(value).__name__
)
def test_what_no_float_can_hold_is_refused_by_name(value):
    for check in (check_in_range, check_number):
        with pytest.raises(ArgumentError, match=r"cannot use lr=.*: lr must be a number"):
            check("lr", value)
    with pytest.raises(ArgumentError, match=r"cannot use steps=.*: steps must be a whole number from 1"):
        check_count("steps", value, 1)
    for number in (0, 1.5, True, math.nan, -math.inf, Fraction(1, 3)):
        check_number("lr", number)


@pytest.mark.parametrize("name", [None, 3, ["a"]])
def test_a_name_that_is_no_text_is_unknown(name):
    with pytest.raises(UnknownNameError, match=r"unknown thing .*: a name is a text. Known: a, b"):
        check_known("thing", name, ["a", "b"])
