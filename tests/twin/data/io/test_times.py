"""Times are read in one unit, in their order, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import DataError
from waddington.twin.data.io.times import parse_times, read_time


def read(words: list[Any], name: str = "time") -> tuple[list[float], str]:
    times = parse_times(pd.Series(words, name=name))
    return times.values.tolist(), times.unit


@pytest.mark.parametrize(
    ("words", "values", "unit"),
    [
        ([3, "3"], [3, 3], ""),
        (["-1", "0", "2.5"], [-1, 0, 2.5], ""),
        (["3h", "3 h"], [3, 3], "h"),
        (["0h", "30min", "1h", "6h"], [0, 0.5, 1, 6], "h"),
        (["1h30min", "2h"], [1.5, 2], "h"),
        (["1h", "2d"], [1 / 24, 2], "d"),
        (["48hpf", "5dpf"], [2, 5], "dpf"),
        (["3 days post infection", "12 hpi"], [3, 0.5], "dpi"),
        (["Day-0", "Day-3", "Day-7"], [0, 3, 7], "d"),
        (["D0", "D3"], [0, 3], "d"),
        (["day -3", "day 2"], [-3, 2], "d"),
        (["week 3", "14 d", "wk_1"], [3, 2, 1], "w"),
        (["T=0h", "T=6h"], [0, 6], "h"),
        (["t0", "t1"], [0, 1], ""),
        (["0", "30min"], [0, 30], "min"),
        (["E8.5", "E9.5", "10 dpc"], [8.5, 9.5, 10], "dpc"),
        (["P0", "P7"], [0, 7], "d after birth"),
        (["E14.5", "E18.5", "P0", "P7"], [14.5, 18.5, 19.5, 26.5], "dpc"),
        (["stage 3", "stage 10"], [3, 10], "stage"),
        (["3 somites", "10 somites"], [3, 10], "somites"),
        ([pd.Timedelta("90min")], [1.5], "h"),
    ],
)
def test_words_of_the_field(words: list[Any], values: list[float], unit: str) -> None:
    found, found_unit = read(words)
    assert found == pytest.approx(values)
    assert found_unit == unit


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["3", "30min"], r"found '3' \(no unit\) beside '30min' \(min\), which cannot be converted"),
        (["48hpf", "E14.5"], "'48hpf' .* beside 'E14.5'"),
        (["stage 3", "2h"], "'stage 3' .* beside '2h'"),
        (["3m", "2h"], "'3m' .* beside '2h'"),
        (["D-1", "D0"], "the hyphen of 'D-1' may be a separator or a minus, for 'D0' has none"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(words: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(words)


@pytest.mark.parametrize("word", ["early", "1-2 h", "", None, "inf", "1,5h", "1_000", "2h ago", "2026-01-01"])
def test_what_holds_no_single_number_is_no_time(word: Any) -> None:
    with pytest.raises(DataError, match="1 of 2 cells without a time, the first is"):
        read([1, word])


def test_a_unit_in_the_columns_name_holds_for_bare_numbers() -> None:
    assert read([1, 2], name="day") == ([1, 2], "d")
    assert read(["3", "30min"], name="treatment_time_hours") == ([3, 0.5], "h")
    assert read([24, 48], name="hpf") == ([24, 48], "hpf")


def test_conversions_and_the_day_of_birth_are_said() -> None:
    assert parse_times(pd.Series(["30min", "1h", "2h"], name="t")).notes == (
        "times of obs['t'] are in h: '30min' is 0.5",
    )
    assert "birth is taken as E19.5 (mouse)" in parse_times(pd.Series(["E18.5", "P0"])).notes[0]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_numbers_are_their_own_time(times: list[float]) -> None:
    assert list(read_time(pd.Series(times))) == times


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(["min", "h", "d", "w"])), min_size=1, max_size=6))
def test_the_order_of_durations_is_kept(times: list[tuple[int, str]]) -> None:
    hours = {"min": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}
    true = np.array([value * hours[unit] for value, unit in times])
    found = read_time(pd.Series([f"{value}{unit}" for value, unit in times])).to_numpy()
    in_unit = found * (true.max() / found.max()) if found.max() else found
    np.testing.assert_allclose(in_unit, true, rtol=1e-12, atol=1e-12)
