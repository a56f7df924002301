from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from waddington.bench.space import (
    Choice,
    Dimension,
    Log,
    OneMinus,
    Times,
    Uniform,
    apart,
    arguments_at,
    ends_at,
    grid_points,
    parse_dimension,
    quasi_random_points,
)
from waddington.errors import ArgumentError

RANGES = [Log(1e-4, 1e-1), Uniform(-1.0, 3.0), OneMinus(Log(1e-3, 1e-1)), Times("lr", Log(1e-2, 1.0, closed="high"))]


@pytest.mark.parametrize("dimension", RANGES, ids=str)
@given(u=st.floats(0.0, 1.0))
@example(u=0.9990317089017156)
def test_a_place_and_its_value_lead_to_each_other(dimension: Dimension, u: float) -> None:
    # Values have six digits: next to one, 5e-7 of the 0.001 that is left is 1.1e-4 of two decades.
    assert dimension.place(dimension.at(u)) == pytest.approx(u, abs=1.2e-4)


@pytest.mark.parametrize("dimension", RANGES, ids=str)
@pytest.mark.parametrize("end", ["low", "high"])
def test_what_lies_beyond_begins_where_the_range_ends(dimension: Dimension, end: str) -> None:
    inner, outer = (0.0, 1.0) if end == "low" else (1.0, 0.0)
    beyond, enlarged = dimension.beyond(end), dimension.enlarged(end)  # type: ignore[arg-type]
    assert beyond.at(outer) == pytest.approx(dimension.at(inner))
    assert enlarged.at(inner) == pytest.approx(beyond.at(inner))
    assert enlarged.at(outer) == pytest.approx(dimension.at(outer))


def test_a_decay_is_never_widened_below_zero() -> None:
    once = OneMinus(Log(1e-3, 0.5)).enlarged("low")
    assert once.at(0.0) == 0.0
    assert not once.may_widen("low")
    assert once.may_widen("high")


def test_a_multiple_is_of_what_stands_before_it() -> None:
    space = {"lr": Log(1e-3, 1e-1), "alpha_min": Times("lr", Log(1e-2, 1.0, closed="high"))}
    assert arguments_at(space, (0.5, 0.5)) == {"lr": 0.01, "alpha_min": 0.001}
    assert arguments_at(space, (0.5, 1.0))["alpha_min"] == 0.01
    with pytest.raises(ArgumentError, match=r"alpha_min as a multiple of 'lr'.*stands before it"):
        arguments_at(dict(reversed(space.items())), (0.5, 0.5))


def test_points_of_spaces_that_begin_alike_begin_alike() -> None:
    """The second column of four is not that of two: only one sequence, cut, is the same for both."""
    four = quasi_random_points(4, 8, seed=3)
    space = {"lr": Log(1e-4, 1e-1), "beta2": OneMinus(Log(1e-3, 1e-1))}
    more = {**space, "gamma": Log(1e-2, 1e2), "p": Uniform(0.1, 0.4)}
    for point in four:
        few, many = arguments_at(space, point[:2]), arguments_at(more, point)
        assert few.items() <= many.items()


def test_a_sequence_goes_on_where_it_was_left() -> None:
    assert quasi_random_points(2, 5, seed=0) + quasi_random_points(2, 6, seed=0, skip=5) == quasi_random_points(
        2, 11, seed=0
    )


def test_quasi_random_points_fill_every_half_alike() -> None:
    points = quasi_random_points(3, 16, seed=1)
    assert [sum(point[axis] < 0.5 for point in points) for axis in range(3)] == [8, 8, 8]


@pytest.mark.parametrize(("dimensions", "count", "expected"), [(1, 5, 5), (2, 20, 16), (3, 20, 8), (2, 3, 1)])
def test_a_grid_has_at_most_as_many_points_as_were_asked_for(dimensions: int, count: int, expected: int) -> None:
    found = grid_points(dimensions, count)
    assert len(set(found)) == len(found) == expected


@pytest.mark.parametrize(
    ("lr", "ratio", "expected"),
    [
        (1.01e-4, 0.1, {"lr": "low"}),
        (0.099, 0.1, {"lr": "high"}),
        (3e-3, 1.0, {}),  # closed: the small rate cannot be above the large one
        (3e-3, 0.0101, {"alpha_min": "low"}),
        (3e-3, 0.1, {}),
    ],
)
def test_the_boundary_is_the_part_that_one_trial_fills(lr: float, ratio: float, expected: dict[str, str]) -> None:
    space = {"lr": Log(1e-4, 1e-1), "alpha_min": Times("lr", Log(1e-2, 1.0, closed="high")), "b": Choice(1, 2)}
    assert ends_at(space, {"lr": lr, "alpha_min": lr * ratio, "b": 1}, trials=20) == expected


def test_spaces_that_are_not_nested_are_named() -> None:
    found = apart({"Adam": {"lr": Log(1e-4, 1e-1)}, "SGD": {"lr": Log(1e-3, 1.0)}, "AMGT": {"gamma": Log(1, 2)}})
    assert found == ["lr is searched in different ranges (Adam: 0.0001 to 0.1; SGD: 0.001 to 1)"]


def test_ranges_are_read_as_they_are_written() -> None:
    assert parse_dimension("1e-4:1e-1") == Log(1e-4, 1e-1)
    assert parse_dimension("0..0.5") == Uniform(0.0, 0.5)
    assert parse_dimension("8,16") == Choice(8, 16)
    for text in ("lr", "1:x", "2..1", "0:1"):
        with pytest.raises(ArgumentError):
            parse_dimension(text)
