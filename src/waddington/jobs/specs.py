"""The spec of a value: what JSON can hold, the same for equal values on every machine, and its hash.

======================  ==============================================================================
value                   in the spec
======================  ==============================================================================
None, bool, int, str    itself
finite float            itself, with all its digits (``1.0`` is another value than ``1``)
inf, -inf, NaN          ``{"$float": "inf"}``
NumPy scalar            the Python number of the same value
list, tuple             a list
mapping                 an object; its keys must be texts and must not begin with ``$``
enum member             ``{"$enum": "package.module.Class.NAME"}``
path                    ``{"$path": "a/b"}``, with forward slashes
dataclass               ``{"$type": ..., "$version": ..., field: value, ...}`` without its ``compare=False`` fields
======================  ==============================================================================

Anything else is refused by name: a spec must not hold what it cannot say exactly.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from waddington.errors import ArgumentError

__all__ = ["canonical_json", "hash_of", "hash_of_spec", "spec_of", "type_name"]


def spec_of(value: Any, *, name: str = "value") -> Any:
    """Give the spec of a value.

    Parameters
    ----------
    value
        What the table of :mod:`waddington.jobs.specs` names.
    name
        What an error calls it.

    Raises
    ------
    ArgumentError
        For a value that a spec cannot hold; the message names where it stands and its type.
    """
    if isinstance(value, enum.Enum):  # before int and str, which an enum may be, too
        return {"$enum": f"{type_name(type(value))}.{value.name}"}
    if isinstance(value, np.generic):
        plain = value.item()
        return _refuse(value, name) if isinstance(plain, np.generic) else spec_of(plain, name=name)  # a long double
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, list | tuple):
        return [spec_of(item, name=f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, PurePath):
        return {"$path": value.as_posix()}
    if isinstance(value, Mapping):
        return {_key(key, name): spec_of(item, name=f"{name}[{key!r}]") for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass_spec(value)
    return _refuse(value, name)


def canonical_json(spec: Any) -> str:
    """Write a spec as JSON in one way: sorted keys, no spaces, ASCII, floats with the digits that read back exactly."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hash_of(value: Any) -> str:
    """Give the 32 hexadecimal digits (128 bits of SHA-256) that stand for a value's spec.

    Raises
    ------
    ArgumentError
        For a value that a spec cannot hold.
    """
    return hash_of_spec(spec_of(value))


def hash_of_spec(spec: Any) -> str:
    """Hash a spec that is written already, such as a record's."""
    return hashlib.sha256(canonical_json(spec).encode("ascii")).hexdigest()[:32]


def type_name(cls: type) -> str:
    """Name a class by its ``kind`` where it has one, else by its module and name.

    A script's classes are of ``__main__`` in the process that runs it and of ``__mp_main__`` in its workers; they are
    the same.
    """
    if isinstance(kind := cls.__dict__.get("kind"), str):
        return kind
    module = "__main__" if cls.__module__ == "__mp_main__" else cls.__module__
    return f"{module}.{cls.__qualname__}"


def _dataclass_spec(value: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"$type": type_name(type(value))}
    if isinstance(version := getattr(type(value), "version", None), int) and "version" not in _names(value):
        about["$version"] = version
    fields = {
        field.name: spec_of(getattr(value, field.name), name=f"{type(value).__name__}.{field.name}")
        for field in dataclasses.fields(value)
        if field.compare
    }
    return about | fields


def _names(value: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(value)}


def _key(key: Any, name: str) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise ArgumentError(
            f"cannot put {name} into a spec: found the key {key!r}; accepted: texts that do not begin with '$'"
        )
    return key


def _refuse(value: Any, name: str) -> Any:
    raise ArgumentError(
        f"cannot put {name} into a spec: found {type(value).__module__}.{type(value).__qualname__}; accepted: None, "
        "numbers, texts, lists, tuples, mappings, paths, enum members and dataclasses of these"
    )
