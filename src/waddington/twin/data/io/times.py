"""Times as files write them, converted into one unit.

``"30min"``, ``"1h"`` and ``"2d"`` become hours or days, whichever most labels use; ``"48hpf"`` and ``"5dpf"`` likewise,
as times after one event. ``"E14.5"`` counts days after conception and ``"P0"`` days after birth: where both occur,
birth is put at E19.5 (a mouse is born on day 19 or 20), which a note says. What cannot be converted is refused by name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from waddington._text import counted
from waddington.errors import DataError

__all__ = ["BIRTH", "Times", "parse_times", "read_time"]

BIRTH: Final = 19.5
"""Days after conception at which a mouse is taken to be born, where embryonic and postnatal times meet."""

_UNIT_NAMES: Final = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "wk", "wks", "week", "weeks"),
    "mo": ("mo", "month", "months"),
    "y": ("y", "yr", "yrs", "year", "years"),
}
_HOURS: Final = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0, "mo": 730.5, "y": 8766.0}
_UNITS: Final = {name: unit for unit, names in _UNIT_NAMES.items() for name in names}
_PLAIN_WORDS: Final = {"t", "time", "timepoint", "time point", "tp"}
_CONCEPTION: Final = ("c", {"e", "embryonic", "embryonic day", "dpc"})
_AFTER_BIRTH: Final = ("birth", {"p", "postnatal", "postnatal day"})
_EVENTS: Final = {"f": "fertilization", "c": "conception", "i": "infection"}
_LETTERS: Final = {
    **dict.fromkeys(("fertilization", "fertilisation"), "f"),
    **dict.fromkeys(("conception", "coitum"), "c"),
    "infection": "i",
}

_VALUE: Final = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NUMBER: Final = re.compile(rf"[+-]?{_VALUE}(?:e[+-]?\d+)?", re.ASCII)
_AMOUNT: Final = re.compile(rf"({_VALUE})[\s_-]*([a-z]+)[\s_]*", re.ASCII)
_WITH_UNITS: Final = re.compile(
    rf"(?P<sign>[+-]?)(?P<amounts>(?:{_VALUE}[\s_-]*[a-z]+?[\s_]*)+?)"
    r"(?P<event>p[a-z]|[\s_-]*(?:post|after)[\s_-]*[a-z]+)?",
    re.ASCII,
)
_AFTER_WORD: Final = re.compile(
    rf"(?P<word>[a-z]+(?:[\s_]+[a-z]+)?)(?P<gap>-|[\s_]*[=:][\s_]*|[\s_.]+-\s+|[\s_.]*)(?P<rest>[+-]?{_VALUE}.*)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Time:
    """One label read: a number of some unit, counted from some event."""

    value: float
    unit: str = ""
    event: str = ""
    hyphen: bool | None = None
    """Whether a hyphen stood between the word and the number; None without a word."""

    @property
    def kind(self) -> tuple[str, str]:
        """What can be converted into each other: durations from one event, or one word."""
        return ("time" if self.unit in _HOURS else self.unit, self.event)

    def named(self) -> str:
        """Say what the number counts."""
        if not self.unit:
            return "no unit"
        return f"{self.unit} after {_EVENTS.get(self.event, self.event)}" if self.event else self.unit


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """A column of times.

    Attributes
    ----------
    values
        One number a cell, float64.
    unit
        Their unit, such as ``"h"``, ``"dpf"`` or ``"d after birth"``; empty where nothing says it.
    notes
        What was converted or assumed.
    """

    values: pd.Series
    unit: str
    notes: tuple[str, ...] = ()


def read_time(values: pd.Series) -> pd.Series:
    """Read a time for every cell, in one unit: the numbers of :func:`parse_times`."""
    return parse_times(values).values


def parse_times(values: pd.Series) -> Times:
    """Read a time for every cell, and its unit.

    Parameters
    ----------
    values
        Numbers; durations; or words with one number, such as ``"3h"``, ``"1h30min"``, ``"Day-3"`` (the hyphen is a
        separator), ``"T=6h"``, ``"E8.5"``. A unit in the column's name, such as ``"hours"``, holds for bare numbers.

    Raises
    ------
    DataError
        When a cell has no time, when units cannot be converted into each other, or when a hyphen may be a minus;
        shows the values.
    """
    name_unit = _unit_of_name(str(values.name))
    if values.dtype.kind == "m":
        return Times(values.dt.total_seconds() / 3600, "h")
    if values.dtype.kind in "iuf":
        numbers = values.astype("float64")
        _check_all_read(values, numbers.where(np.isfinite(numbers)))
        return Times(numbers, _written_unit(*name_unit))
    words = values.astype(object).where(values.notna(), "").astype(str).astype(object).str.strip()
    read = {word: time for word in words.unique() if (time := _read_word(word)) is not None}
    _check_all_read(words, words.map({word: time.value for word, time in read.items()}).astype("float64"))
    read = {word: _with_name_unit(time, name_unit) for word, time in read.items()}
    _check_hyphens(read, values.name)
    numbers_of, unit, notes = _convert(read, values.name)
    return Times(words.map(numbers_of).astype("float64"), unit, notes)


def _check_all_read(words: pd.Series, numbers: pd.Series) -> None:
    bad = numbers.isna() | numbers.abs().eq(float("inf"))
    if bad.any():
        raise DataError(
            f"cannot read column {words.name!r} as time: found {int(bad.sum())} of {counted(len(words), 'cell')} "
            f"without a time, the first is {words[bad].iloc[0]!r}; "
            "accepted are numbers, also with a unit ('30min', '3h', 'day 2', '48hpf', 'E14.5')"
        )


def _read_word(word: str) -> _Time | None:
    text = word.strip().casefold().replace("\u2212", "-")
    if _NUMBER.fullmatch(text):
        return _Time(float(text))
    return _with_units(text) or _after_word(text)


def _with_units(text: str) -> _Time | None:
    """Read ``"3h"``, ``"1h30min"``, ``"48hpf"``, ``"3 days post infection"`` or, of one word, ``"10 somites"``."""
    match = _WITH_UNITS.fullmatch(text)
    if match is None:
        return None
    amounts = [(float(value), word) for value, word in _AMOUNT.findall(match["amounts"])]
    sign = -1.0 if match["sign"] == "-" else 1.0
    if all(word in _UNITS for _, word in amounts):
        event = re.split(r"[\s_-]+", match["event"] or "")[-1]
        event = event[1:] if re.fullmatch(r"p[a-z]", event) else _LETTERS.get(event, event)
        smallest = min((_UNITS[word] for _, word in amounts), key=_HOURS.__getitem__)
        total = sum(value * (_HOURS[_UNITS[word]] / _HOURS[smallest]) for value, word in amounts)
        return _Time(sign * total, smallest, event)
    whole = re.fullmatch(rf"[+-]?({_VALUE})[\s_-]*([a-z]+)", text, re.ASCII)
    return _Time(sign * float(whole[1]), whole[2]) if whole else None


def _after_word(text: str) -> _Time | None:
    """Read ``"day 2"``, ``"Day-3"``, ``"T=6h"``, ``"E14.5"``, ``"P0"``, ``"week 3"`` or ``"stage 4"``."""
    match = _AFTER_WORD.fullmatch(text)
    if match is None:
        return None
    word, hyphen = " ".join(match["word"].replace("_", " ").split()), match["gap"] == "-"
    inner = _Time(float(match["rest"])) if _NUMBER.fullmatch(match["rest"]) else _with_units(match["rest"])
    if inner is None:
        return None
    if inner.unit:
        return _Time(inner.value, inner.unit, inner.event, hyphen) if word in _PLAIN_WORDS else None
    unit, event = _UNITS.get(word, word), ""
    if word in _PLAIN_WORDS:
        unit = ""
    for counted_from, words in (_CONCEPTION, _AFTER_BIRTH):
        if word in words:
            unit, event = "d", counted_from
    if post := re.fullmatch(r"([hdw])p([a-z])", word):
        unit, event = post[1], post[2]
    return _Time(inner.value, unit, event, hyphen)


def _unit_of_name(name: str) -> tuple[str, str]:
    """Find a unit in a column's name: ``"hours"``, ``"time_h"``, ``"age_days"``, ``"hpf"``."""
    for word in reversed(re.split(r"[^a-z]+", name.casefold())):
        if post := re.fullmatch(r"([hdw])p([a-z])", word):
            return post[1], post[2]
        if word in _UNITS:
            return _UNITS[word], ""
    return "", ""


def _with_name_unit(time: _Time, name_unit: tuple[str, str]) -> _Time:
    return time if time.unit or not name_unit[0] else _Time(time.value, *name_unit, hyphen=time.hyphen)


def _check_hyphens(read: dict[str, _Time], column: object) -> None:
    """Refuse ``"D-1"`` beside ``"D0"``, where the hyphen is a minus to some."""
    with_hyphen = [word for word, time in read.items() if time.hyphen]
    without = [word for word, time in read.items() if time.hyphen is False]
    if with_hyphen and without:
        raise DataError(
            f"cannot read column {column!r} as time: the hyphen of {with_hyphen[0]!r} may be a separator or a minus, "
            f"for {without[0]!r} has none; accepted are labels of one form"
        )


def _convert(read: dict[str, _Time], column: object) -> tuple[dict[str, float], str, tuple[str, ...]]:
    """Bring all labels into the unit that most of them use; of equally many, the larger."""
    notes = []
    kinds = {time.kind for time in read.values()}
    if {("time", "c"), ("time", "birth")} <= kinds:
        read = {word: _from_conception(time) if time.event == "birth" else time for word, time in read.items()}
        notes.append(f"times of obs[{column!r}]: birth is taken as E{BIRTH:g} (mouse), so that P0 follows E18.5")
    with_unit = {word: time for word, time in read.items() if time.unit or time.value != 0}
    one_of_each = {time.kind: (word, time) for word, time in reversed(with_unit.items())}
    if len(one_of_each) > 1:
        found = " beside ".join(f"{word!r} ({time.named()})" for word, time in list(one_of_each.values())[::-1][:4])
        raise DataError(
            f"cannot read column {column!r} as time: found {found}, which cannot be converted into each other; "
            "accepted is a unit for each, all counted from one event"
        )
    (kind, event), *_ = one_of_each or [("", "")]
    if kind != "time":
        return {word: time.value for word, time in read.items()}, kind, ()
    used = Counter(time.unit for time in with_unit.values())
    unit = max(used, key=lambda one: (used[one], _HOURS[one]))
    converted = {
        word: time.value * _HOURS[time.unit] / _HOURS[unit] if time.unit else time.value for word, time in read.items()
    }
    written = _written_unit(unit, event)
    changed = [word for word, time in with_unit.items() if time.unit != unit]
    if changed:
        notes.append(f"times of obs[{column!r}] are in {written}: {_listed(changed, converted)}")
    return converted, written, tuple(notes)


def _from_conception(time: _Time) -> _Time:
    return _Time(time.value * _HOURS[time.unit] / _HOURS["d"] + BIRTH, "d", "c", time.hyphen)


def _listed(words: Iterable[str], converted: dict[str, float]) -> str:
    return ", ".join(f"{word!r} is {converted[word]:g}" for word in list(words)[:4])


def _written_unit(unit: str, event: str) -> str:
    """Write a unit with its event: ``"h"``, ``"hpf"``, ``"dpc"``, ``"d after birth"``."""
    if not event:
        return unit
    return f"{unit}p{event}" if len(event) == 1 else f"{unit} after {event}"
