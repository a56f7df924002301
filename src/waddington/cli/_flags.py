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
    from waddington._checks import check_once
    from waddington.bench.arm import SCHEDULE, TASK
    from waddington.bench.space import Log, Uniform, parse_dimension

    shared: dict[str, Any] = {}
    own: dict[str | None, dict[str, Any]] = {}
    for name, value in check_once("--space", (read_setting(text, raw=True) for text in texts)).items():
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
        A part that is no ``field=value``, a field that is said twice or that changes nothing, or a course or value that
        is not accepted.
    """
    from waddington._checks import check_known, check_once
    from waddington._text import literal, split_commas
    from waddington.bench import Schedule
    from waddington.errors import ArgumentError

    course, *parts = split_commas(text)
    fields = [name for name in Schedule.__dataclass_fields__ if name != "name"]
    said = []
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise ArgumentError(
                f"cannot read the schedule {text!r}: found {part!r}; accepted is a course, then field=value, with"
                " commas between: restarts,period=200"
            )
        said.append((check_known("field of a schedule", name, fields), literal(value)))
    given = check_once(f"the schedule {text!r}", said)
    found = Schedule(name=course, **given)
    if idle := [name for name in given if name not in found.used]:
        raise ArgumentError(
            f"cannot use {', '.join(idle)} in the schedule {text!r}: it changes nothing there; accepted are"
            f" {', '.join(found.used)}"
        )
    return found


def read_setting(text: str, *, raw: bool = False) -> tuple[str, Any]:
    """Read ``name=value``; the value is Python's literal, or as it is where it is none or `raw`."""
    from waddington._text import literal
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
