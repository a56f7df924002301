"""Flags of ``waddington bench`` that are small languages of their own."""

from __future__ import annotations

from typing import Any

__all__ = ["read_pair", "read_ranges", "read_setting"]


def read_ranges(texts: list[str]) -> tuple[dict[str, Any], dict[str | None, dict[str, Any]]]:
    """Read ``--space``: ranges of tasks' arguments, and those of arms by the arm's name, None for all."""
    from waddington.bench.space import parse_dimension

    shared: dict[str, Any] = {}
    own: dict[str | None, dict[str, Any]] = {}
    for text in texts:
        name, value = read_setting(text, raw=True)
        if name.startswith("task."):
            shared[name] = parse_dimension(value)
        else:
            arm, dot, argument = name.rpartition(".")
            own.setdefault(arm if dot else None, {})[argument] = parse_dimension(value)
    return shared, own


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
