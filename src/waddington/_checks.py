"""Argument checks with one wording for every error: ``cannot use NAME=VALUE: NAME must be ...``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from numbers import Integral
from types import ModuleType
from typing import TypeVar

from waddington.errors import ArgumentError, MissingExtraError, UnknownNameError

__all__ = [
    "check_choice",
    "check_count",
    "check_in_range",
    "check_known",
    "check_number",
    "check_once",
    "check_parameters",
    "missing_extra",
    "require_extra",
    "shown",
]

Value = TypeVar("Value")

_SHOWN = 200
"""Letters of a value in a message."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "umap": "umap-learn"}  # modules that are not called as they are installed


def check_in_range(
    name: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> None:
    """Refuse a number outside an interval (closed unless said otherwise); NaN, and what is no number, always are.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the interval.
    """
    try:
        is_inside = bool(value > low if open_low else value >= low) and bool(
            value < high if open_high else value <= high
        )
        if isinstance(value, int):
            float(value)
    except (OverflowError, TypeError, ValueError, RuntimeError):  # beyond float, a text, None, several numbers
        is_inside = False
    if not is_inside:
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ArgumentError(f"cannot use {name}={shown(value)}: {name} must be a number in {interval}")


def check_number(name: str, value: object) -> None:
    """Refuse what is no real number; NaN and infinities are some.

    Raises
    ------
    ArgumentError
        Names the argument and its value.
    """
    try:
        math.isfinite(value)  # type: ignore[arg-type]  # it takes what is a real number, and no text
    except (OverflowError, TypeError, ValueError, RuntimeError):
        raise ArgumentError(f"cannot use {name}={shown(value)}: {name} must be a number") from None


def check_count(name: str, value: object, low: int, high: float = math.inf) -> None:
    """Refuse what is no whole number in an interval, its ends included; True, 2.0 and what no float can hold are none.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the interval.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)
        or not low <= int(value) <= min(high, sys.float_info.max)
    ):
        limits = f"from {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ArgumentError(f"cannot use {name}={shown(value)}: {name} must be a whole number {limits}")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a value that is none of the choices.

    Raises
    ------
    ArgumentError
        Names the argument, its value and every choice.
    """
    options = list(choices)
    if value not in options:
        raise ArgumentError(f"cannot use {name}={value!r}: {name} must be one of {', '.join(map(repr, options))}")


def check_known(kind: str, name: str, known: Iterable[str]) -> str:
    """Look a name up without regard to case; return it as the registry spells it.

    Raises
    ------
    UnknownNameError
        Names the closest spelling and every known name.
    """
    names = list(known)
    if not isinstance(name, str):
        raise UnknownNameError(f"unknown {kind} {name!r}: a name is a text. Known: {', '.join(names)}")
    folded = {entry.casefold(): entry for entry in names}
    if name.casefold() in folded:
        return folded[name.casefold()]
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f" Did you mean {folded[close[0]]!r}?" if close else ""
    raise UnknownNameError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")


def check_once(text: str, said: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Give what a text says by name, and refuse a name that it says twice: one of the values would not count.

    Raises
    ------
    ArgumentError
        Names the text and the name.
    """
    found: dict[str, Value] = {}
    for name, value in said:
        if name in found:
            raise ArgumentError(f"cannot read {text}: it says {name} twice; accepted is once")
        found[name] = value
    return found


def check_parameters(
    owner: str, function: Callable[..., object], given: Iterable[str], passed_on: Iterable[str]
) -> None:
    """Refuse keywords that neither a function has itself nor that which it passes them on to.

    Raises
    ------
    UnknownNameError
        Names the closest spelling and every known name.
    """
    own = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    known = list(dict.fromkeys([*own, *passed_on]))
    for name in given:
        check_known(f"parameter of {owner}", name, known)


def require_extra(module: str, extra: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    Raises
    ------
    MissingExtraError
        When the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(error, extra) from error


def missing_extra(error: ModuleNotFoundError, extra: str | None = None) -> MissingExtraError:
    """Turn a failed import into the package's own error, which names the extra to install.

    Parameters
    ----------
    error
        From an import.
    extra
        The extra that brings the module; None looks it up in the package's metadata. Of several, the one that is
        called as a room of the package through which the import went: the twin's, where the twin asked for it.
    """
    module = (error.name or str(error)).partition(".")[0]
    known = [extra] if extra else _extras_of(module)
    asked = [name for name in known if any(room.startswith(f"waddington.{name}") for room in _rooms_of(error))]
    found = next(iter(asked or known), None)
    whose = f"it belongs to the extra {found!r}" if found else "it comes with one of the extras"
    return MissingExtraError(f"{module!r} is not installed; {whose}: pip install 'waddington[{found or 'all'}]'")


def _rooms_of(error: BaseException) -> list[str]:
    """Give the modules through which an error came."""
    return [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]


def _extras_of(module: str) -> list[str]:
    """Find the extras, other than all of them, that bring a module."""
    from importlib.metadata import PackageNotFoundError, requires

    wanted = _plain(_DISTRIBUTIONS.get(module, module))
    try:
        entries = requires("waddington") or []
    except PackageNotFoundError:
        return []
    matches = (re.match(r"""([\w.-]+).*extra\s*==\s*['"]([\w-]+)""", entry) for entry in entries)
    return [found[2] for found in matches if found and _plain(found[1]) == wanted and found[2] != "all"]


def shown(value: object) -> str:
    """Write a value for a message; of a whole number with thousands of digits Python writes none."""
    try:
        text = repr(value)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[-_SHOWN // 2 :]}"
    except ValueError:
        return f"a whole number beyond {sys.float_info.max:.3g}"


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-").replace(".", "-")
