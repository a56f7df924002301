"""Flags of ``waddington bench`` that are small languages of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waddington.bench import Schedule

__all__ = ["read_pair", "read_ranges", "read_schedule", "read_setting"]


def read_ranges(texts: list[str]) -> tuple[dict[str, Any], dict[str | None, dict[str, Any]]]:
    """Read ``--space``: ranges of tasks and schedules, and those of arms by the arm's name, None for all.

    A range of a schedule is not widened: its fields end somewhere.
    """
    from waddington.bench.arm import SCHEDULE, TASK
    from waddington.bench.space import Log, Uniform, parse_dimension

    shared: dict[str, Any] = {}
    own: dict[str | None, dict[str, Any]] = {}
    for text in texts:
        name, value = read_setting(text, raw=True)
        found = parse_dimension(value)
        whose = next((one for one in (TASK, SCHEDULE) if name.startswith(one) or f".{one}" in name), "")
        if whose == SCHEDULE and isinstance(found, Log | Uniform):
            found = replace(found, closed="both")
        if whose and name.startswith(whose):
            shared[name] = found
        else:
            arm, dot, argument = name.rpartition(f".{whose}" if whose else ".")
            own.setdefault(arm if dot else None, {})[whose + argument] = found
    return shared, own


def read_schedule(text: str) -> Schedule:
    """Read ``--schedule``: a course, then fields of it, such as ``restarts,period=200``.

    Raises
    ------
    UnknownNameError
        No such field.
    ArgumentError
        A part that is no ``field=value``, or a course or value that is not accepted.
    """
    from waddington._checks import check_known
    from waddington.bench import Schedule
    from waddington.bench.arm import literal
    from waddington.errors import ArgumentError

    course, *parts = (part.strip() for part in text.split(","))
    given: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ArgumentError(
                f"cannot read the schedule {text!r}: found {part!r}; accepted is a course, then field=value, with"
                " commas between: restarts,period=200"
            )
        fields = [field for field in Schedule.__dataclass_fields__ if field != "name"]
        given[check_known("field of a schedule", name.strip(), fields)] = literal(value.strip())
    return Schedule(name=course, **given)


def read_setting(text: str, *, raw: bool = False) -> tuple[str, Any]:
    """Read ``name=value``; the value is Python's literal, or as it is where it is none or `raw`."""
    from waddington.bench.arm import literal
    from waddington.errors import ArgumentError

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ArgumentError(f"cannot read {text!r}: accepted is name=value, such as weight_decay=0.01")
    return name.strip(), value.strip() if raw else literal(value.strip())


def read_pair(text: str) -> tuple[str, str]:
    """Read ``--contrast``."""
    from waddington.errors import ArgumentError

    first, colon, second = text.partition(":")
    if not colon:
        raise ArgumentError(f"cannot read the contrast {text!r}: accepted is ARM:AGAINST, such as AMVT:AdamW")
    return first.strip(), second.strip()
