"""Values of configuration fields, from a TOML file or a flag's text to the type of the field."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from waddington._errors import ArgumentError, DataError

__all__ = ["load_toml", "typed"]


def load_toml(path: Path) -> dict[str, Any]:
    """Read configuration fields from a TOML file.

    Raises
    ------
    DataError
        When the file is missing, cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"cannot read configuration {str(path)!r}: no such file; accepted: a TOML file") from None
    except OSError as error:
        raise DataError(f"cannot read configuration {str(path)!r}: {error.strerror}; accepted: a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read configuration {str(path)!r}: {error}; accepted: a TOML file") from error


def typed(name: str, value: Any, kind: str) -> Any:
    """Bring a value from a flag or a file to its field's type, or refuse it.

    Raises
    ------
    ArgumentError
        Names the field, the value and what is accepted, in no language's types.
    """
    if value is None and kind.endswith("| None"):
        return None
    plain = kind.removesuffix(" | None")
    try:
        if plain.startswith("tuple"):
            items = value.split(",") if isinstance(value, str) else list(value)
            return tuple(_READERS[plain.removeprefix("tuple[").removesuffix(", ...]")](item) for item in items)
        return _READERS[plain](value)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"cannot use {name}={value!r}: {name} must be {_WORDS[plain]}") from None


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str | Path):
        raise TypeError(value)
    return str(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {"int": _whole, "float": _number, "str": _text}

_WORDS: Mapping[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "tuple[str, ...]": "a list of names",
    "tuple[float, ...]": "a list of numbers",
    "tuple[int, ...]": "a list of whole numbers",
}
