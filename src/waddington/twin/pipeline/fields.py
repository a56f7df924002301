"""Values of configuration fields, from a TOML file or a flag's text to the type of the field."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waddington._errors import ArgumentError, DataError

__all__ = ["load_toml", "typed"]


def load_toml(path: Path) -> dict[str, Any]:
    """Read configuration fields from a TOML file.

    Raises
    ------
    DataError
        When the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"cannot read configuration {str(path)!r}: no such file; accepted: a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read configuration {str(path)!r}: {error}; accepted: a TOML file") from error


def typed(name: str, value: Any, kind: str) -> Any:
    """Bring a value from a flag or a file to its field's type, or refuse it."""
    try:
        if kind.startswith("tuple"):
            items = value.split(",") if isinstance(value, str) else list(value)
            inner: Mapping[str, type] = {"tuple[str, ...]": str, "tuple[float, ...]": float, "tuple[int, ...]": int}
            return tuple(inner[kind](item) for item in items)
        if value is None and kind.endswith("| None"):
            return None
        if kind == "int" and not isinstance(value, bool) and int(value) == float(value):
            return int(value)
        if kind.startswith("float") and not isinstance(value, bool):
            return float(value)
        if kind.startswith("str") and isinstance(value, str | Path):
            return str(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"cannot use {name}={value!r}: {name} must be of type {kind}")
