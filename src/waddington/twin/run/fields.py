"""Values of configuration fields, from a TOML file or a flag's text to the type of the field."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from waddington.errors import ArgumentError, DataError

__all__ = ["load_toml", "typed"]


def load_toml(path: str | Path) -> dict[str, Any]:
    """Read configuration fields from a TOML file.

    Raises
    ------
    DataError
        When the file is missing, cannot be read, or is not TOML.
    """
    name = str(path)
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"cannot read configuration {name!r}: no such file; accepted: a TOML file") from None
    except OSError as error:
        raise DataError(f"cannot read configuration {name!r}: {error.strerror}; accepted: a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read configuration {name!r}: {error}; accepted: a TOML file") from error


def typed(name: str, value: Any, hint: Any) -> Any:
    """Bring a value from a flag or a file to its field's type, or refuse it.

    Parameters
    ----------
    name
        Of the field, for messages.
    value
        What was given.
    hint
        The field's type: a number, a text, a ``Literal`` of texts, a tuple of one of these, or one of them or None.

    Raises
    ------
    ArgumentError
        Names the field, the value and what is accepted, in no language's types.
    """
    kind = _without_none(hint)
    if value is None and kind is not hint:
        return None
    is_list = get_origin(kind) is tuple
    item = get_args(kind)[0] if is_list else kind
    read = _READERS[str if get_origin(item) is Literal else item]
    try:
        if is_list:
            return tuple(read(part) for part in (value.split(",") if isinstance(value, str) else list(value)))
        return read(value)
    except (TypeError, ValueError, OverflowError):
        words = _LISTS[item] if is_list else _WORDS[str if get_origin(item) is Literal else item]
        raise ArgumentError(f"cannot use {name}={value!r}: {name} must be {words}") from None


def _without_none(hint: Any) -> Any:
    """Give the other type of a union with None; any other type as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return hint


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


_READERS: Mapping[Any, Callable[[Any], Any]] = {int: _whole, float: _number, str: _text}
_WORDS: Mapping[Any, str] = {int: "a whole number", float: "a number", str: "text"}
_LISTS: Mapping[Any, str] = {int: "a list of whole numbers", float: "a list of numbers", str: "a list of names"}
